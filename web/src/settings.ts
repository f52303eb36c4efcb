// The settings of this browser, which the server does not store.

import { local } from "./browser-storage.js";
import { observable } from "./observable.js";

export interface Settings {
  theme: "system" | "light" | "dark";
  /** Layout direction of the page. Each message has its own text direction. */
  direction: "ltr" | "rtl";
  /** If false, Enter starts a new line and Ctrl+Enter sends. */
  enterSends: boolean;
  /** Whether to show system notifications while the page is in the background. */
  notifications: boolean;
}

const STORAGE_KEY = "tidings settings";
/** Under what name the emoji used last are stored. */
export const EMOJI_KEY = "tidings emoji";
const DEFAULTS: Settings = { theme: "system", direction: "ltr", enterSends: true, notifications: false };

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
  const { theme, direction } = settings.current;
  document.documentElement.dir = direction;
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

settings.subscribe(apply);
apply();
