// Prepares the files of a message and uploads them. Loaded when the first file is sent.

import type { Api } from "./api.js";
import { TidingsError } from "./error.js";
import type { OutboxEntry, OutgoingFile } from "./outbox-entry.js";
import { prepare } from "./prepare.js";
import type { Store } from "./store.js";
import type { Conversation, FileToSend, NewAttachment, OwnUser, UploadForm } from "./types.js";

export { prepare };
export type { Prepared } from "./prepare.js";

/** Files that are uploaded at the same time. */
const PARALLEL = 3;
/** Milliseconds for which an uploaded file is used: the server takes it for a day; 4 h are left for clock differences. */
const MAX_AGE = 20 * 3_600_000;
/** Milliseconds between two reports of progress. */
const REPORT_INTERVAL = 100;
/** Maximum length of a file's name, in characters. */
const MAX_NAME = 255;
/** Milliseconds without progress after which an upload is given up. */
const STALL_TIMEOUT = 30_000;
/** Largest side of the picture of a user or group, in pixels. */
const PICTURE_SIDE = 640;

/** How often a message is sent again after the server has missed one of its files. */
const MAX_REPETITIONS = 3;

/** The uploads of the outbox. */
export class Uploads {
  readonly #api: Api;
  readonly #store: Store;
  readonly #running = new Map<string, AbortController>();
  /** How often a message was sent again since it was last refused for good, by entry. */
  readonly #repetitions = new Map<string, number>();

  constructor(api: Api, store: Store) {
    this.#api = api;
    this.#store = store;
  }

  /** Uploads the files of an entry that are not uploaded yet. Returns how the message names them. */
  async run(
    id: string,
    files: readonly OutgoingFile[],
    contents: readonly Blob[],
    save: (change: (stored: readonly OutgoingFile[]) => readonly OutgoingFile[]) => Promise<boolean>,
  ): Promise<NewAttachment[]> {
    const abort = new AbortController();
    this.#running.set(id, abort);
    const onChange = async (at: number, file: OutgoingFile) => {
      const exists = await save((stored) => stored.map((each, index) => (index === at ? file : each)));
      if (!exists) this.cancel(id);
    };
    try {
      return await uploadFiles({ id, api: this.#api, store: this.#store, files, contents, signal: abort.signal, onChange });
    } finally {
      if (this.#running.get(id) === abort) {
        this.#running.delete(id);
        this.#store.setUploads(id, undefined);
      }
    }
  }

  /** Ends the uploads of an entry that is gone. */
  cancel(id: string): void {
    this.#repetitions.delete(id);
    this.#running.get(id)?.abort(new DOMException("The message was discarded.", "AbortError"));
    this.#running.delete(id);
  }

  /**
   * Whether a refused message is to be sent again with new uploads: the server misses a file, or does not take the id
   * of a file that was uploaded some time ago.
   */
  isWorthRepeating({ id, files }: OutboxEntry, error: TidingsError): boolean {
    const wasUploadedBefore = !!files?.some(({ uploaded }) => uploaded);
    const isMissing = error.code === "not_uploaded" || (error.status === 400 && wasUploadedBefore);
    const count = this.#repetitions.get(id) ?? 0;
    const isWorthIt = isMissing && count < MAX_REPETITIONS;
    if (isWorthIt) this.#repetitions.set(id, count + 1);
    else this.#repetitions.delete(id);
    return isWorthIt;
  }
}

/** The files to upload, and the callbacks for progress. */
interface UploadJob {
  /** The id of the message's entry in the outbox. */
  id: string;
  api: Api;
  /** Shows the progress and the previews. */
  store: Store;
  files: readonly OutgoingFile[];
  contents: readonly Blob[];
  signal: AbortSignal;
  /** Stores what is known of a file now. */
  onChange: (at: number, file: OutgoingFile) => Promise<void>;
}

/** Uploads the files of a message. If some fail, the others are uploaded nevertheless. */
async function uploadFiles({ files, ...rest }: UploadJob): Promise<NewAttachment[]> {
  if (rest.contents.length !== files.length) {
    const text = "The files of this message are no longer stored in this browser.";
    throw new TidingsError(text, { code: "files_lost", status: 400 });
  }
  const fresh = files.map((file) => (isFresh(file) ? file : { ...file, uploaded: null }));
  const job: UploadJob = { ...rest, files: fresh };
  const show = throttled((progress) => {
    if (!job.signal.aborted) job.store.setUploads(job.id, progress);
  });
  const progress: number[] = job.files.map(({ uploaded }) => (uploaded ? 1 : 0));
  const sent: NewAttachment[] = [];
  const failures: unknown[] = [];
  let next = 0;
  const work = async () => {
    for (let at = next++; at < job.files.length; at = next++) {
      const report = (part: number) => {
        progress[at] = part;
        show([...progress]);
      };
      await uploadFile(job, at, report).then(
        (file) => (sent[at] = describe(file)),
        (error: unknown) => failures.push(error),
      );
      job.signal.throwIfAborted();
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  if (failures.length > 0) throw failures[0];
  return sent;
}

const isFresh = ({ uploaded }: OutgoingFile) => uploaded !== null && Math.abs(Date.now() - uploaded.at) < MAX_AGE;

/** Calls back at most every 100 ms, and at the end. */
function throttled(report: (progress: readonly number[]) => void): (progress: readonly number[]) => void {
  let last = 0;
  return (progress) => {
    const isDone = progress.every((part) => part === 1);
    if (!isDone && Math.abs(Date.now() - last) < REPORT_INTERVAL) return;
    last = Date.now();
    report(progress);
  };
}

/** Uploads one file, unless it is uploaded already. Returns it with its id. */
async function uploadFile(job: UploadJob, at: number, report: (part: number) => void): Promise<OutgoingFile> {
  const { api, signal } = job;
  const [file, content] = [job.files[at], job.contents[at]];
  if (!file || !content) throw new Error("There is no such file.");
  if (file.uploaded) return file;
  const source: FileToSend = { file: content, name: file.name, as_file: file.as_file, is_voice: file.kind === "voice" };
  const prepared = await prepare(source, signal);
  const { preview } = prepared;
  const known: OutgoingFile = {
    ...file,
    kind: prepared.kind,
    width: prepared.width,
    height: prepared.height,
    thumbhash: prepared.thumbhash,
    duration_ms: file.duration_ms ?? prepared.duration_ms,
  };
  if (preview) showPreview(job, at, preview);
  await job.onChange(at, known);
  signal.throwIfAborted();
  report(0);
  const issuedAt = Date.now();
  const upload = async () => {
    const form = await api.requestUpload(
      {
        file_name: [...prepared.name].slice(-MAX_NAME).join(""),
        content_type: prepared.type,
        size: prepared.file.size,
        ...(preview ? { preview_size: preview.size } : {}),
      },
      { signal },
    );
    const total = prepared.file.size + (preview?.size ?? 0);
    const add = (done: number) => (sent: number) => report(Math.min(1, (done + sent) / total));
    await post(form.upload, prepared.file, signal, api.http.ownFetch, add(0));
    if (preview && form.preview_upload) {
      await post(form.preview_upload, preview, signal, api.http.ownFetch, add(prepared.file.size));
    }
    return form.attachment_id;
  };
  // The storage refuses a form that has expired while the file was uploaded: a new one is worth one attempt.
  const id = await upload().catch((error: unknown) => {
    if (error instanceof TidingsError && error.code === "upload_refused") return upload();
    throw error;
  });
  const uploaded: OutgoingFile = { ...known, uploaded: { id, at: issuedAt } };
  await job.onChange(at, uploaded);
  report(1);
  return uploaded;
}

/** Lets views show a small picture of a file. */
function showPreview({ id, store }: UploadJob, at: number, preview: Blob): void {
  const shown = store.localFiles.get(id);
  if (!shown?.[at] || shown[at].preview) return;
  const url = URL.createObjectURL(preview);
  store.localFiles.set(id, shown.map((file, index) => (index === at ? { ...file, preview: url } : file)));
}

/** How a message names an uploaded file. */
function describe({ uploaded, kind, width, height, duration_ms, thumbhash, alt }: OutgoingFile): NewAttachment {
  const named = { width, height, duration_ms, thumbhash, alt };
  const known = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== null));
  return { attachment_id: uploaded?.id ?? "", ...known, ...(kind === "voice" ? { is_voice: true } : {}) };
}

/** The client whose picture is set. */
interface PictureContext {
  api: Api;
  store: Store;
  signal: AbortSignal;
}

/** Uploads and sets the user's picture. */
export async function setAvatar({ api, store, signal }: PictureContext, picture: Blob): Promise<OwnUser> {
  const avatar_attachment_id = await uploadPicture(api, picture, signal);
  const me = await api.updateMe({ avatar_attachment_id }, { signal });
  store.set({ me });
  return me;
}

/** Uploads and sets the picture of a group or room. */
export async function setPhoto({ api, signal }: PictureContext, id: string, picture: Blob): Promise<Conversation> {
  const photo_attachment_id = await uploadPicture(api, picture, signal);
  return api.updateConversation(id, { photo_attachment_id }, { signal });
}

/** Uploads a picture of a user or group. Returns its id. */
async function uploadPicture(api: Api, picture: Blob, signal: AbortSignal): Promise<string> {
  // Rendered in any case, so that it tells nothing but what it shows. Node renders nothing.
  let file: Blob | null | undefined = picture;
  if (typeof createImageBitmap !== "undefined") {
    const { renderPicture } = await import("./pictures.js");
    const rendered = await renderPicture(picture, { side: PICTURE_SIDE, asFile: false });
    file = rendered?.file ?? rendered?.preview;
  }
  if (!file) throw new TidingsError("This picture cannot be used.", { code: "invalid_request", status: 400 });
  const request = { file_name: "picture", content_type: file.type, size: file.size, purpose: "picture" } as const;
  const form = await api.requestUpload(request, { signal });
  await post(form.upload, file, signal, api.http.ownFetch, () => {});
  return form.attachment_id;
}

/** Posts a file with a form that the server has signed. Reports the bytes sent. */
function post(
  form: UploadForm,
  file: Blob,
  signal: AbortSignal,
  fetcher: typeof fetch | undefined,
  onProgress: (sent: number) => void,
): Promise<void> {
  signal.throwIfAborted();
  const body = new FormData();
  for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
  // The storage ignores everything after the file.
  body.append("file", file);
  if (fetcher || typeof XMLHttpRequest === "undefined") return postByFetch(form.url, body, signal, fetcher ?? fetch);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    const watch = () => {
      clearTimeout(timer);
      timer = setTimeout(() => request.abort(), STALL_TIMEOUT);
    };
    request.upload.onprogress = ({ loaded, total }) => {
      watch();
      onProgress(total > 0 ? (loaded / total) * file.size : 0);
    };
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      const failure = signal.aborted ? (signal.reason as unknown) : failureOf(request.status);
      if (failure === undefined) resolve();
      else reject(failure as Error);
    };
    request.open("POST", form.url);
    watch();
    request.send(body);
  });
}

async function postByFetch(url: string, body: FormData, signal: AbortSignal, fetcher: typeof fetch): Promise<void> {
  let status = 0;
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    ({ status } = await fetcher(url, { method: "POST", body, signal: controller.signal }));
  } catch {
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", abort);
  }
  const failure = failureOf(status);
  if (failure) throw failure;
}

/** The error of an upload that ended with a status; undefined if it succeeded. */
function failureOf(status: number): TidingsError | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status === 0) return new TidingsError("Could not reach the storage.", { code: "network", status });
  const code = status === 403 ? "upload_refused" : status === 413 ? "too_large" : "upload_failed";
  return new TidingsError(`The storage responded with status ${status}.`, { code, status });
}
