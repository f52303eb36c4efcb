// Renders a picture anew: upright, and without the place, time and camera that its file may name.
//
// Invariant: what is rendered contains pixels only, because everything else of the file is left behind.

import { rgbaToThumbHash } from "thumbhash";

/** How to render a picture. */
export interface PictureOptions {
  /** Largest side of the picture, in pixels. */
  side: number;
  /** Whether the file itself is sent, so that only its preview is rendered. */
  asFile: boolean;
}

/** A rendered picture. */
export interface Rendered {
  /** Null if the file itself is to be sent. */
  file: Blob | null;
  /** Null if `file` is as small as a preview. */
  preview: Blob | null;
  width: number;
  height: number;
  /** In base64. */
  thumbhash: string;
}

type Canvas = OffscreenCanvas | HTMLCanvasElement;

const PREVIEW_SIDE = 1_280;
const PREVIEW_BYTES = 512 * 1024;
/** The largest side that a thumbhash may be computed from. */
const THUMB_SIDE = 100;
/** Pixels above which a picture is not rendered, because it would take too much memory. */
const MAX_PIXELS = 120_000_000;
/** Bytes up to which a screenshot or drawing stays a PNG. */
const MAX_PNG_BYTES = 1_000_000;

/** Renders a picture; null if the browser cannot read it. */
export async function renderPicture(blob: Blob, { side, asFile }: PictureOptions): Promise<Rendered | null> {
  // The orientation that the metadata name is applied.
  const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" }).catch(() => null);
  if (!bitmap) return null;
  try {
    const { width, height } = bitmap;
    if (width * height > MAX_PIXELS || width * height === 0) return null;
    const thumb = draw(bitmap, THUMB_SIDE);
    const { data } = context(thumb).getImageData(0, 0, thumb.width, thumb.height);
    const isTransparent = data.some((value, at) => at % 4 === 3 && value < 250);
    const thumbhash = btoa(String.fromCharCode(...rgbaToThumbHash(thumb.width, thumb.height, data)));
    // A rendered GIF would not move.
    const isKept = asFile || blob.type === "image/gif";
    const canvas = isKept ? null : draw(bitmap, side);
    const file = canvas && (await encodePicture(canvas, blob.type, isTransparent));
    const isSmall = file && file.size <= PREVIEW_BYTES && Math.max(width, height) <= PREVIEW_SIDE;
    const preview = isSmall ? null : await encodePreview(bitmap, isTransparent);
    return { file, preview, thumbhash, width: canvas?.width ?? width, height: canvas?.height ?? height };
  } finally {
    bitmap.close();
  }
}

/** Draws a picture, scaled down to a largest side. */
function draw(bitmap: ImageBitmap, side: number): Canvas {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const canvas =
    typeof OffscreenCanvas === "undefined"
      ? Object.assign(document.createElement("canvas"), { width, height })
      : new OffscreenCanvas(width, height);
  const target = context(canvas);
  target.imageSmoothingQuality = "high";
  target.drawImage(bitmap, 0, 0, width, height);
  return canvas;
}

function context(canvas: Canvas): OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D {
  const found = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D | null;
  if (!found) throw new Error("There is no canvas.");
  return found;
}

/** Encodes the picture that is sent: as PNG if it was one and is small, else as JPEG or, with transparency, WebP. */
async function encodePicture(canvas: Canvas, type: string, isTransparent: boolean): Promise<Blob> {
  if (type === "image/png") {
    const png = await encode(canvas, "image/png", 1);
    if (png.size <= MAX_PNG_BYTES) return png;
  }
  return encode(canvas, isTransparent ? "image/webp" : "image/jpeg", 0.88);
}

/** Encodes the preview; null if it does not get small enough. */
async function encodePreview(bitmap: ImageBitmap, isTransparent: boolean): Promise<Blob | null> {
  for (const [side, quality] of [[PREVIEW_SIDE, 0.8], [960, 0.7], [640, 0.6]] as const) {
    const preview = await encode(draw(bitmap, side), isTransparent ? "image/webp" : "image/jpeg", quality);
    if (preview.size <= PREVIEW_BYTES) return preview;
  }
  return null;
}

/** Encodes a canvas. Browsers that cannot write WebP write PNG. */
function encode(canvas: Canvas, type: string, quality: number): Promise<Blob> {
  if ("convertToBlob" in canvas) return canvas.convertToBlob({ type, quality });
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The picture cannot be encoded."))), type, quality);
  });
}
