// The files that will be sent with the next message of each conversation. In memory: a reload forgets them.

import { randomId } from "@tidings/client";
import type { FileToSend } from "@tidings/client";

import { observable } from "../observable.js";
import { toast } from "../toasts.js";
import { words } from "../words/language.js";

/** A chosen file. */
export interface TrayFile {
  id: string;
  file: File;
  alt: string;
  /** Whether it is sent as it is. */
  asFile: boolean;
  /** Set for a recorded voice message. */
  durationMs: number | null;
}

/** Maximum number of files of a message. */
const MAX_FILES = 10;

export const trays = observable<ReadonlyMap<string, readonly TrayFile[]>>(new Map());

/** Replaces the files of a conversation. */
export function setTray(conversation: string, files: readonly TrayFile[]): void {
  const next = new Map(trays.current);
  if (files.length > 0) next.set(conversation, files);
  else next.delete(conversation);
  trays.set(next);
}

/** Adds files to what will be sent. Says what does not fit. */
export function addFiles(conversation: string, files: readonly File[], durationMs: number | null = null): void {
  const before = trays.current.get(conversation) ?? [];
  // Folders come as files without content, too.
  const empty = files.find(({ size }) => size === 0);
  if (empty) toast(words.files.empty(empty.name));
  const full = files.filter(({ size }) => size > 0);
  if (before.length + full.length > MAX_FILES) toast(words.files.tooMany(MAX_FILES));
  const asFile = before.some(({ asFile }) => asFile);
  const added = full.map((file) => ({ id: randomId(), file, alt: "", asFile, durationMs }));
  setTray(conversation, [...before, ...added].slice(0, MAX_FILES));
}

/** The files in the form in which the client sends them. */
export function filesToSend(files: readonly TrayFile[]): FileToSend[] {
  return files.map(({ file, alt, asFile, durationMs }) => ({
    file,
    as_file: asFile,
    ...(alt.trim() ? { alt: alt.trim() } : {}),
    ...(durationMs === null ? {} : { is_voice: true, duration_ms: durationMs }),
  }));
}

/** Takes files from a drop or a paste. Returns whether there were any. */
export function takeFiles(conversation: string, data: DataTransfer | null): boolean {
  const files = [...(data?.files ?? [])];
  if (files.length > 0) addFiles(conversation, files);
  return files.length > 0;
}
