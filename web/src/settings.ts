// The settings of this browser, which the server does not store.

import { local } from "./browser-storage.js";
import { observable } from "./observable.js";

/** The languages of the page. */
export type Language = "en" | "de" | "ar";

export interface Settings {
  theme: "system" | "light" | "dark";
  /** `browser`: the first of the browser's languages that the page has. */
  language: Language | "browser";
  /** Direction of the layout; `auto` is that of the language. Each message has its own text direction. */
  layout: "auto" | "ltr" | "rtl";
  /** If false, Enter starts a new line and Ctrl+Enter sends. */
  enterSends: boolean;
  /** Whether to show system notifications while the page is in the background. */
  notifications: boolean;
}

const STORAGE_KEY = "tidings settings";
/** Under what name the emoji used last are stored. */
export const EMOJI_KEY = "tidings emoji";
const DEFAULTS: Settings = {
  theme: "system",
  language: "browser",
  layout: "auto",
  enterSends: true,
  notifications: false,
};

function load(): Settings {
  try {
    return { ...DEFAULTS, ...(JSON.parse(local.getItem(STORAGE_KEY) ?? "{}") as Partial<Settings>) };
  } catch {
    return DEFAULTS;
  }
}

export const settings = observable<Settings>(load());

/** Changes some settings and saves them. */
export function changeSettings(part: Partial<Settings>): void {
  settings.set({ ...settings.current, ...part });
  local.setItem(STORAGE_KEY, JSON.stringify(settings.current));
}

function apply(): void {
  const { theme } = settings.current;
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

settings.subscribe(apply);
apply();
// Changed in another window. Without a key, everything was removed.
addEventListener("storage", ({ key }) => (key === STORAGE_KEY || key === null) && settings.set(load()));
