// The language of the page: chosen by the user or the browser, loaded, and applied.
//
// Invariant: the words, the formats, and the language and direction of the document change together, and before anything
// is rendered in the new language. A part that is loaded later is rendered only after its words are loaded.

import { observable, useObservable } from "../observable.js";
import { changeSettings, settings } from "../settings.js";
import type { Language } from "../settings.js";
import { en } from "./en.js";
import type { Words } from "./en.js";
import type { PartWords } from "./en-parts.js";
import { setLocale } from "./formats.js";

/** The facts about a language that are known before it is loaded. */
interface Description {
  /** Its name in the language itself. */
  name: string;
  direction: "ltr" | "rtl";
  load: () => Promise<Words>;
  /** Loads the words of the parts that are loaded after the page. */
  loadParts: () => Promise<PartWords>;
}

/** The languages, in the order in which the user chooses from them. */
export const LANGUAGES: Readonly<Record<Language, Description>> = {
  en: {
    name: "English",
    direction: "ltr",
    load: () => Promise.resolve(en),
    loadParts: async () => (await import("./en-parts.js")).enParts,
  },
  de: {
    name: "Deutsch",
    direction: "ltr",
    load: async () => (await import("./de.js")).de,
    loadParts: async () => (await import("./de-parts.js")).deParts,
  },
  ar: {
    name: "العربية",
    direction: "rtl",
    load: async () => (await import("./ar.js")).ar,
    loadParts: async () => (await import("./ar-parts.js")).arParts,
  },
};

/** The words of the current language. Views that are memoized call `useLanguage`, too, so that they follow a change. */
export let words: Words = en;

/** The words of the parts that are loaded after the page, in the current language. Empty until `loadPartWords`. */
export let partWords = {} as PartWords;
/** The language of `partWords`. */
let partsLanguage: Language | undefined;

const current = observable<Language>("en");
/** Counts choices, of which only the last one is applied. */
let choices = 0;

const isKnown = (tag: string): tag is Language => Object.hasOwn(LANGUAGES, tag);
const primary = (locale: string) => locale.split("-")[0] ?? "";

/** Returns the chosen language or, by default, the first language of the browser that the page has. */
function chosen(choice: Language | "browser"): Language {
  return choice === "browser" ? (navigator.languages.map(primary).find(isKnown) ?? "en") : choice;
}

/** Returns the current language, and renders again when it changes. */
export const useLanguage = (): Language => useObservable(current);

/** Returns the direction of the page's layout. */
export const pageDirection = (): "ltr" | "rtl" => (document.documentElement.dir === "rtl" ? "rtl" : "ltr");

function setDirection(): void {
  const { layout } = settings.current;
  document.documentElement.dir = layout === "auto" ? LANGUAGES[current.current].direction : layout;
}

function use(language: Language, loaded: Words): void {
  words = loaded;
  // The browser also knows the region: British dates are not American ones. The page's calendar is the Gregorian one.
  const regional = navigator.languages.find((locale) => primary(locale) === language) ?? language;
  setLocale(new Intl.Locale(regional, { calendar: "gregory" }).toString());
  document.documentElement.lang = language;
  current.set(language);
  setDirection();
}

/** Applies the chosen language. To be awaited before the page is rendered. A language that does not load is English. */
export async function startLanguage(): Promise<void> {
  const language = chosen(settings.current.language);
  await LANGUAGES[language].load().then((loaded) => use(language, loaded), () => use("en", en));
  settings.subscribe(() => {
    setDirection();
    // Chosen in another window. Here, a language that does not load changes nothing.
    if (chosen(settings.current.language) !== current.current) void change(settings.current.language).catch(() => {});
  });
}

/** Loads the words of the parts that are loaded after the page. To be awaited before such a part is used. */
export async function loadPartWords(): Promise<void> {
  const language = current.current;
  if (partsLanguage === language) return;
  const loaded = await LANGUAGES[language].loadParts();
  // A change of the language brings these words along.
  if (current.current === language) useParts(language, loaded);
}

function useParts(language: Language, loaded: PartWords): void {
  partWords = loaded;
  partsLanguage = language;
}

/** Loads a language and uses it, unless another choice came later. Returns whether it is used. */
async function change(choice: Language | "browser"): Promise<boolean> {
  const mine = (choices += 1);
  const language = chosen(choice);
  const [loaded, parts] = await Promise.all([LANGUAGES[language].load(), LANGUAGES[language].loadParts()]);
  if (mine !== choices) return false;
  useParts(language, parts);
  use(language, loaded);
  return true;
}

/** Changes the language at once, and the layout with it. Rejects if the language cannot be loaded. */
export async function chooseLanguage(choice: Language | "browser"): Promise<void> {
  if (await change(choice)) changeSettings({ language: choice, layout: "auto" });
}
