// Words for files: sizes, durations, and what a message without text is.

import type { Attachment, Message } from "@tidings/client";

import { showOverrides } from "../bidi.js";
import { locale, number, perLocale } from "../words/formats.js";
import { words } from "../words/language.js";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;

/** Formats a number of bytes. */
export function formatSize(bytes: number): string {
  let at = 0;
  let value = bytes;
  for (; value >= 1_000 && at < UNITS.length - 1; at += 1) value /= 1_000;
  const unit = UNITS[at] ?? "byte";
  const maximumFractionDigits = value < 10 && at > 0 ? 1 : 0;
  return new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: at > 0 ? "short" : "long", maximumFractionDigits }).format(value);
}

const TWO_DIGITS = perLocale((locale) => new Intl.NumberFormat(locale, { minimumIntegerDigits: 2 }));

/** Formats a duration as minutes and seconds. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  return `${number(Math.floor(seconds / 60))}:${TWO_DIGITS().format(seconds % 60)}`;
}

/** Whether a file is shown as a picture: the server knows its content, so it is one. */
export const isVisual = ({ kind }: Pick<Attachment, "kind">): boolean => kind === "image" || kind === "video";

/** Characters that a line or two can show. More would only cost time. */
export const MAX_SHORT = 300;

/** Sums up a message in a line: its text, or else what it consists of. */
export function summary(message: Pick<Message, "message_text" | "is_deleted" | "attachments">): string {
  if (message.is_deleted) return words.row.messageDeleted;
  if (message.message_text) return message.message_text;
  const [first, ...others] = message.attachments ?? [];
  if (!first) return words.row.attachment;
  const name = first.kind === "file" || first.kind === "audio" ? first.file_name : (first.alt ?? words.kinds[first.kind]);
  return others.length > 0 ? words.files.andMore(name, others.length) : name;
}

/** Sums up a message where only its beginning is shown, such as in a quote. */
export const shortText = (message: Parameters<typeof summary>[0]): string => showOverrides(summary(message).slice(0, MAX_SHORT));
