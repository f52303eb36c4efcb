// Comparing text as people do: without case and accents.

/** Folds case and accents, for searching. */
export const fold = (text: string): string => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
