// Numbers, lists and plurals in the language of the page.
//
// Invariant: every format of the page uses this locale, and none the browser's own, so that words and formats agree.

let current = "en";

/** Returns the locale that all formats use, such as "en-GB". */
export const locale = (): string => current;

/** Sets the locale. To be called together with a change of the language. */
export function setLocale(next: string): void {
  current = next;
}

/** Returns a function that makes a formatter once for each locale. */
export function perLocale<T>(make: (locale: string) => T): () => T {
  let made: { locale: string; formatter: T } | undefined;
  return () => {
    if (made?.locale !== current) made = { locale: current, formatter: make(current) };
    return made.formatter;
  };
}

const NUMBER = perLocale((locale) => new Intl.NumberFormat(locale));
const RULES = perLocale((locale) => new Intl.PluralRules(locale));
const LIST = perLocale((locale) => new Intl.ListFormat(locale));

/** Formats a number. */
export const number = (value: number): string => NUMBER().format(value);

/** Formats a count, as "99+" if it is above a maximum. */
export const capped = (count: number, max: number): string => (count > max ? `${number(max)}+` : number(count));

/** A text for each plural form that the language has. "#" stands for the number. */
export type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

/** Returns the text for a number of things. */
export function plural(count: number, forms: Forms): string {
  return (forms[RULES().select(count)] ?? forms.other).replace("#", number(count));
}

/** Joins the items of a list: with commas, and with "and" before the last one. */
export function joined<T>(items: readonly T[]): (T | string)[] {
  const parts = LIST().formatToParts(items.map((_, at) => String(at)));
  return parts.map(({ type, value }) => (type === "element" ? (items[Number(value)] as T) : value));
}
