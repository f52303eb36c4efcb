// Times, in the words of the reader's language.

const TIME = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long" });
const SHORT = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** The hour and minute. */
export const time = (at: string) => TIME.format(new Date(at));
/** All of it. */
export const full = (at: string) => FULL.format(new Date(at));

/** Days from then until today, by the calendar. */
function daysAgo(at: Date): number {
  const day = (date: Date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000;
  return day(new Date()) - day(at);
}

const capital = (text: string) => text.charAt(0).toLocaleUpperCase() + text.slice(1);

/** The day, for a line between messages. */
export function day(at: string): string {
  const date = new Date(at);
  const ago = daysAgo(date);
  if (ago <= 1 && ago >= 0) return capital(RELATIVE.format(-ago, "day"));
  if (ago < 7 && ago > 0) return WEEKDAY.format(date);
  return ago < 300 ? DATE.format(date) : YEAR.format(date);
}

/** Whether two times are of one day. */
export const isSameDay = (one: string, other: string) => new Date(one).toDateString() === new Date(other).toDateString();

/** When something last happened, in a few characters. */
export function brief(at: string): string {
  const date = new Date(at);
  const ago = daysAgo(date);
  if (ago <= 0) return TIME.format(date);
  if (ago < 7) return new Intl.DateTimeFormat(undefined, { weekday: "short" }).format(date);
  return ago < 300 ? SHORT.format(date) : YEAR.format(date);
}

/** How long ago someone was there. */
export function since(at: string): string {
  const minutes = Math.max(1, Math.round((Date.now() - Date.parse(at)) / 60_000));
  if (minutes < 60) return RELATIVE.format(-minutes, "minute");
  if (minutes < 24 * 60) return RELATIVE.format(-Math.round(minutes / 60), "hour");
  return RELATIVE.format(-Math.round(minutes / 1440), "day");
}
