// The files of unsent messages: their content, what views show of them, and how they are uploaded.
//
// Invariant: uploading a file twice does no harm, because only the send makes a message. So a lost answer, a reload or
// an id that has expired leads to a new upload, and never to a second message.

import type { Api } from "./api.js";
import { TidingsError } from "./error.js";
import { kindOfType } from "./kind.js";
import type { OutboxEntry, OutgoingFile } from "./outbox-entry.js";
import type { OutboxStorage } from "./storage.js";
import type { Store } from "./store.js";
import type { FileToSend, NewDraft, NewAttachment } from "./types.js";
import type { Uploads } from "./uploading.js";

/** A change of the stored files of an entry. */
export type FilesChange = (files: readonly OutgoingFile[]) => readonly OutgoingFile[];
/** Changes the stored files of an entry. Resolves with whether the entry still exists. */
export type Save = (change: FilesChange) => Promise<boolean>;

/** Loads the code that only uploads need. A page may load it ahead, so that files can be chosen offline. */
export async function loadUploading(): Promise<typeof import("./uploading.js")> {
  const [uploading] = await Promise.all([import("./uploading.js"), import("./pictures.js")]);
  return uploading;
}

/** Brings a file of a draft into its full form. */
export function fileToSend(file: Blob | FileToSend): FileToSend {
  return file instanceof Blob ? { file } : file;
}

/** Describes the files of a draft, before anything is known of their content. */
export function describeFiles(files: NonNullable<NewDraft["files"]>): OutgoingFile[] {
  return files.map(fileToSend).map(({ file, name, alt, as_file, is_voice, duration_ms }) => ({
    name: name ?? (file as Partial<File>).name ?? "file",
    type: file.type,
    size: file.size,
    kind: is_voice ? "voice" : file.type === "image/svg+xml" ? "file" : kindOfType(file.type),
    as_file: as_file ?? false,
    alt: alt || null,
    width: null,
    height: null,
    duration_ms: duration_ms === undefined ? null : Math.round(duration_ms),
    thumbhash: null,
    uploaded: null,
  }));
}

/** The files of the outbox. */
export class OutgoingFiles {
  readonly #api: Api;
  readonly #store: Store;
  readonly #storage: OutboxStorage;
  readonly #contents = new Map<string, readonly Blob[]>();
  /** Undefined before the first upload. */
  uploads: Uploads | undefined;
  /** Called when the content of an entry's files has been loaded. */
  readonly #onLoaded: (id: string) => void;

  constructor(api: Api, store: Store, storage: OutboxStorage, onLoaded: (id: string) => void) {
    this.#api = api;
    this.#store = store;
    this.#storage = storage;
    this.#onLoaded = onLoaded;
  }

  /** Keeps the content of a new entry's files at hand. */
  add(id: string, contents: readonly Blob[]): void {
    this.#contents.set(id, contents);
    this.#showContents(id);
  }

  /** Follows the outbox: loads the files of new entries, and ends the uploads of entries that are gone. */
  follow(entries: readonly OutboxEntry[]): void {
    const ids = new Set(entries.map(({ id }) => id));
    for (const id of this.#contents.keys()) if (!ids.has(id)) this.#forget(id);
    for (const { id, files } of entries) {
      if (files && !this.#contents.has(id)) void this.#load(id).catch(() => {});
    }
  }

  /** Ends all uploads. */
  stop(): void {
    for (const id of [...this.#contents.keys()]) this.#forget(id);
  }

  #forget(id: string): void {
    this.#contents.delete(id);
    this.uploads?.cancel(id);
    for (const { url, preview } of this.#store.localFiles.get(id) ?? []) {
      for (const each of [url, preview]) if (each) URL.revokeObjectURL(each);
    }
    this.#store.localFiles.delete(id);
    this.#store.setUploads(id, undefined);
  }

  async #load(id: string): Promise<readonly Blob[] | undefined> {
    const known = this.#contents.get(id);
    if (known) return known;
    const contents = await this.#storage.files?.(id);
    if (contents && !this.#contents.has(id)) {
      this.add(id, contents);
      this.#onLoaded(id);
    }
    return this.#contents.get(id);
  }

  /** Lets views show the files before they are uploaded. */
  #showContents(id: string): void {
    // Only browsers show files.
    if (typeof document === "undefined") return;
    const urls = this.#contents.get(id)?.map((file) => ({ url: URL.createObjectURL(file), preview: null }));
    this.#store.localFiles.set(id, urls ?? []);
  }

  /** Uploads what is not uploaded yet. Returns how the message names its files. */
  async upload(entry: OutboxEntry, files: readonly OutgoingFile[], save: Save): Promise<NewAttachment[]> {
    const contents = (await this.#load(entry.id)) ?? [];
    const { Uploads } = await loadUploading().catch((cause: unknown) => {
      throw new TidingsError("Could not load a part of the page.", { code: "network", status: 0, cause });
    });
    this.uploads ??= new Uploads(this.#api, this.#store);
    return this.uploads.run(entry.id, files, contents, save);
  }
}
