// Formats times in the language of the page. All functions take RFC 3339 timestamps. What depends on today's date is shown
// by views that use `useToday`.

import { locale, perLocale } from "./words/formats.js";

const TIME = perLocale((locale) => new Intl.DateTimeFormat(locale, { timeStyle: "short" }));
const WEEKDAY = perLocale((locale) => new Intl.DateTimeFormat(locale, { weekday: "long" }));
const SHORT_WEEKDAY = perLocale((locale) => new Intl.DateTimeFormat(locale, { weekday: "short" }));
const DATE = perLocale((locale) => new Intl.DateTimeFormat(locale, { day: "numeric", month: "long" }));
const SHORT = perLocale((locale) => new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" }));
const YEAR = perLocale((locale) => new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric" }));
const MOMENT = perLocale((locale) => new Intl.DateTimeFormat(locale, { day: "numeric", month: "long", hour: "numeric", minute: "numeric" }));
const FULL = perLocale((locale) => new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "medium" }));
const RELATIVE = perLocale((locale) => new Intl.RelativeTimeFormat(locale, { numeric: "auto" }));

/** Formats hour and minute. */
export const formatTime = (at: string) => TIME().format(new Date(at));
/** Formats hour and minute, with the date unless it is today. */
export const formatRecent = (at: string) => (daysAgo(new Date(at)) === 0 ? formatTime(at) : MOMENT().format(new Date(at)));
/** Formats date and time in full. */
export const formatFull = (at: string) => FULL().format(new Date(at));

/** Calendar days from a date until today. */
function daysAgo(at: Date): number {
  const day = (date: Date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000;
  return day(new Date()) - day(at);
}

const capitalize = (text: string) => text.charAt(0).toLocaleUpperCase(locale()) + text.slice(1);

/** Formats the day, for the separator between messages. */
export function formatDay(at: string): string {
  const date = new Date(at);
  const ago = daysAgo(date);
  if (ago <= 1 && ago >= 0) return capitalize(RELATIVE().format(-ago, "day"));
  if (ago < 7 && ago > 0) return WEEKDAY().format(date);
  return ago < 300 ? DATE().format(date) : YEAR().format(date);
}

/** Whether two times are on the same calendar day. */
export const isSameDay = (one: string, other: string) => new Date(one).toDateString() === new Date(other).toDateString();

/** Formats a time in a few characters: as time, weekday or date. */
export function formatShort(at: string): string {
  const date = new Date(at);
  const ago = daysAgo(date);
  if (ago <= 0) return TIME().format(date);
  if (ago < 7) return SHORT_WEEKDAY().format(date);
  return ago < 300 ? SHORT().format(date) : YEAR().format(date);
}

/** Formats how long ago a time was. */
export function formatRelative(at: string): string {
  const minutes = Math.max(1, Math.round((Date.now() - Date.parse(at)) / 60_000));
  if (minutes < 60) return RELATIVE().format(-minutes, "minute");
  if (minutes < 24 * 60) return RELATIVE().format(-Math.round(minutes / 60), "hour");
  return RELATIVE().format(-Math.round(minutes / 1440), "day");
}
