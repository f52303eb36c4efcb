// Renders pictures in a worker, so that the page stays responsive, or in the page if there is no worker.

import type { PictureOptions, Rendered } from "./pictures.js";

/** A request to the worker. */
export interface RenderRequest {
  id: number;
  blob: Blob;
  options: PictureOptions;
}

/** Its answer: null if the file is no picture, undefined if the worker cannot render. */
export interface RenderResponse {
  id: number;
  rendered: Rendered | null | undefined;
}

/** Milliseconds without work after which the worker ends. */
const IDLE_TIMEOUT = 20_000;
/** Largest side of a picture that is sent, in pixels. */
const PICTURE_SIDE = 2_560;

let worker: Worker | undefined;
let idleTimer: ReturnType<typeof setTimeout> | undefined;
let nextId = 1;
const waiting = new Map<number, (rendered: Rendered | null | undefined) => void>();

/** Renders a picture without its metadata, its preview and its thumbhash; null if the browser cannot read it. */
export async function renderInWorker(blob: Blob, asFile: boolean): Promise<Rendered | null> {
  // Node has neither pictures nor canvases.
  if (typeof document === "undefined") return null;
  const options = { side: PICTURE_SIDE, asFile };
  const rendered = await request(blob, options);
  if (rendered !== undefined) return rendered;
  const { renderPicture } = await import("./pictures.js");
  return renderPicture(blob, options);
}

function request(blob: Blob, options: PictureOptions): Promise<Rendered | null | undefined> {
  const started = start();
  if (!started) return Promise.resolve(undefined);
  const id = nextId++;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    started.postMessage({ id, blob, options } satisfies RenderRequest);
  });
}

function start(): Worker | undefined {
  clearTimeout(idleTimer);
  if (worker || typeof Worker === "undefined" || typeof OffscreenCanvas === "undefined") return worker;
  try {
    worker = new Worker(new URL("./picture-worker.js", import.meta.url), { type: "module" });
  } catch {
    return undefined;
  }
  worker.onmessage = ({ data }: MessageEvent<RenderResponse>) => {
    waiting.get(data.id)?.(data.rendered);
    waiting.delete(data.id);
    if (waiting.size === 0) idleTimer = setTimeout(end, IDLE_TIMEOUT);
  };
  // Its script could not be loaded, or it has crashed.
  worker.onerror = end;
  return worker;
}

function end(): void {
  worker?.terminate();
  worker = undefined;
  for (const resolve of waiting.values()) resolve(undefined);
  waiting.clear();
}
