// Words for files: sizes, durations, and what a message without text is.

import type { Attachment, AttachmentKind, Message } from "@tidings/client";

import { showOverrides } from "../bidi.js";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;

/** Formats a number of bytes. */
export function formatSize(bytes: number): string {
  let at = 0;
  let value = bytes;
  for (; value >= 1_000 && at < UNITS.length - 1; at += 1) value /= 1_000;
  const unit = UNITS[at] ?? "byte";
  const maximumFractionDigits = value < 10 && at > 0 ? 1 : 0;
  return new Intl.NumberFormat(undefined, { style: "unit", unit, unitDisplay: at > 0 ? "short" : "long", maximumFractionDigits }).format(value);
}

/** Formats a duration as minutes and seconds. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** What a file of a kind is called. */
export const KINDS: Record<AttachmentKind, string> = {
  image: "Photo",
  video: "Video",
  audio: "Audio",
  voice: "Voice message",
  file: "File",
};

/** Whether a file is shown as a picture: the server knows its content, so it is one. */
export const isVisual = ({ kind }: Pick<Attachment, "kind">): boolean => kind === "image" || kind === "video";

/** Characters that a line or two can show. More would only cost time. */
const MAX_SHORT = 300;

/** Sums up a message in a line: its text, or else what it consists of. */
export function summary(message: Pick<Message, "message_text" | "is_deleted" | "attachments">): string {
  if (message.is_deleted) return "Message deleted";
  if (message.message_text) return message.message_text;
  const [first, ...others] = message.attachments ?? [];
  if (!first) return "Attachment";
  const name = first.kind === "file" || first.kind === "audio" ? first.file_name : (first.alt ?? KINDS[first.kind]);
  return others.length > 0 ? `${name} and ${others.length} more` : name;
}

/** Sums up a message where only its beginning is shown, such as in a quote. */
export const shortText = (message: Parameters<typeof summary>[0]): string => showOverrides(summary(message).slice(0, MAX_SHORT));
