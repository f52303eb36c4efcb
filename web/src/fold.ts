// Compares texts as people do who search: without case and accents.

/** Folds case and accents. */
export const fold = (text: string): string => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
