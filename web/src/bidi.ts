// The direction of texts: which one a text has, and what changes it, made visible. Otherwise "\u202egpj.exe" would look
// like "exe.jpg".

/** Overrides, which turn the letters around. No text needs them, so they are shown. */
const OVERRIDES = /[\u202d\u202e]/g;
/** All characters that only affect direction. Links end before them. */
const CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffd]/;

const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/** Returns the direction of a text, which is that of its first letter; undefined if it has none. */
export function textDirection(text: string): "ltr" | "rtl" | undefined {
  const letter = /\p{L}/u.exec(text)?.[0];
  if (letter === undefined) return undefined;
  return RIGHT_TO_LEFT.test(letter) ? "rtl" : "ltr";
}

/** Replaces each override by a visible character. */
export const showOverrides = (text: string): string => text.replace(OVERRIDES, "\ufffd");

/** Splits a text before and after each character that affects direction, including overrides that are shown. */
export const splitAtControls = (text: string): string[] => text.split(new RegExp(`(${CONTROLS.source})`));
