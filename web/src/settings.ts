// How this browser shows things: kept here, not at the server.

import { value } from "./value.js";

/** What can be set. */
export interface Settings {
  theme: "system" | "light" | "dark";
  /** Which side the page begins at. Each message has its own direction in any case. */
  direction: "ltr" | "rtl";
  /** Whether Enter sends; else it begins a line, and Ctrl+Enter sends. */
  enterSends: boolean;
  /** Whether messages are shown by the system while the page is not. */
  notifications: boolean;
  /** Conversations of which none are shown. */
  muted: readonly string[];
}

const NAME = "tidings settings";
const DEFAULTS: Settings = { theme: "system", direction: "ltr", enterSends: true, notifications: false, muted: [] };

function read(): Settings {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(NAME) ?? "{}") as Partial<Settings>) };
  } catch {
    return DEFAULTS;
  }
}

/** What is set now. */
export const settings = value<Settings>(read());

/** Changes some of it. */
export function change(part: Partial<Settings>): void {
  settings.set({ ...settings.current, ...part });
  try {
    localStorage.setItem(NAME, JSON.stringify(settings.current));
  } catch {
    // Without storage it holds until the page is closed.
  }
}

function show(): void {
  const { theme, direction } = settings.current;
  document.documentElement.dir = direction;
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

settings.subscribe(show);
show();
