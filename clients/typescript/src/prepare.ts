// Prepares a file for its upload: pictures lose their metadata, and pictures and videos get a preview.

import { renderInWorker } from "./picture-worker-client.js";
import type { AttachmentKind, FileToSend } from "./types.js";

/** A file as it is uploaded. */
export interface Prepared {
  file: Blob;
  name: string;
  type: string;
  kind: AttachmentKind;
  /** A smaller picture of at most 1,280 pixels and 512 KiB; null if there is none, or `file` is small itself. */
  preview: Blob | null;
  width: number | null;
  height: number | null;
  duration_ms: number | null;
  /** In base64. */
  thumbhash: string | null;
  /** Whether `file` is the chosen file, with whatever it says about where, when and by whom it was made. */
  keepsMetadata: boolean;
}

/** Milliseconds within which a video or audio has to say how long it is. */
const MEDIA_TIMEOUT = 5_000;
/** Largest preview side, in pixels. */
const POSTER_SIDE = 1_280;
const EXTENSIONS: Record<string, string> = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp" };

/** Prepared files by content: the page prepares a file to show it, and the outbox to send it. */
const cache = new WeakMap<Blob, Map<boolean, Promise<Prepared>>>();

/** Prepares a file. A file that cannot be read as a picture, video or audio is sent as it is. */
export async function prepare(given: Blob | FileToSend, signal?: AbortSignal): Promise<Prepared> {
  const source: FileToSend = given instanceof Blob ? { file: given } : given;
  const asFile = source.as_file ?? false;
  const known = cache.get(source.file) ?? new Map<boolean, Promise<Prepared>>();
  cache.set(source.file, known);
  let prepared = known.get(asFile);
  if (!prepared) {
    prepared = read(source, asFile);
    known.set(asFile, prepared);
    prepared.catch(() => known.delete(asFile));
  }
  const done = await prepared;
  signal?.throwIfAborted();
  return done;
}

async function read(source: FileToSend, asFile: boolean): Promise<Prepared> {
  const { file } = source;
  const name = source.name ?? (file as Partial<File>).name ?? "file";
  const plain: Prepared = {
    file,
    name,
    type: file.type || "application/octet-stream",
    kind: "file",
    preview: null,
    width: null,
    height: null,
    duration_ms: null,
    thumbhash: null,
    keepsMetadata: true,
  };
  if (source.is_voice) return { ...plain, kind: "voice" };
  const [group] = file.type.split("/");
  if (group === "video" || group === "audio") return { ...plain, kind: group, ...(await readMedia(file, group)) };
  // Files without a type may be pictures: some systems do not know HEIC.
  if (group !== "image" && file.type !== "") return plain;
  const rendered = await renderInWorker(file, asFile);
  if (!rendered) return plain;
  const { file: picture, preview, width, height, thumbhash } = rendered;
  const shown = { ...plain, kind: "image" as const, preview, width, height, thumbhash };
  if (!picture) return shown;
  const extension = EXTENSIONS[picture.type] ?? "jpg";
  const renamed = picture.type === file.type ? name : `${name.replace(/\.[^.]*$/, "")}.${extension}`;
  return { ...shown, file: picture, name: renamed, type: picture.type, keepsMetadata: false };
}

type Media = Partial<Pick<Prepared, "width" | "height" | "duration_ms" | "preview" | "thumbhash">>;

/** Finds out how long a video or audio is, and what a video looks like. Returns what the browser can tell. */
async function readMedia(file: Blob, group: "video" | "audio"): Promise<Media> {
  if (typeof document === "undefined") return {};
  const url = URL.createObjectURL(file);
  const element = document.createElement(group);
  try {
    element.preload = "auto";
    element.muted = true;
    const isLoaded = once(element, group === "video" ? "loadeddata" : "loadedmetadata");
    element.src = url;
    await isLoaded;
    const { duration } = element;
    const length: Media = Number.isFinite(duration) ? { duration_ms: Math.round(duration * 1000) } : {};
    if (!(element instanceof HTMLVideoElement) || element.videoWidth === 0) return length;
    const size = { width: element.videoWidth, height: element.videoHeight };
    // The first frame is often black.
    if (duration > 1) {
      const isSought = once(element, "seeked");
      element.currentTime = Math.min(1, duration / 3);
      await isSought;
    }
    const poster = await renderInWorker(await draw(element), false);
    return { ...length, ...size, preview: poster?.preview ?? poster?.file ?? null, thumbhash: poster?.thumbhash ?? null };
  } catch {
    return {};
  } finally {
    element.removeAttribute("src");
    element.load();
    URL.revokeObjectURL(url);
  }
}

/** Draws the current frame of a video. */
async function draw(video: HTMLVideoElement): Promise<Blob> {
  const scale = Math.min(1, POSTER_SIDE / Math.max(video.videoWidth, video.videoHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(video.videoWidth * scale));
  canvas.height = Math.max(1, Math.round(video.videoHeight * scale));
  canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The frame cannot be drawn."))), "image/jpeg", 0.8),
  );
}

/** Resolves with the next event of a type; rejects on an error, or if it does not come in time. */
function once(element: HTMLMediaElement, type: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error("The file cannot be read."));
    element.addEventListener(type, resolve, { once: true });
    element.addEventListener("error", fail, { once: true });
    setTimeout(fail, MEDIA_TIMEOUT);
  });
}
