// The look of a picture before it is loaded: its size, and a blurred placeholder.

import type { Attachment } from "@tidings/client";
import { thumbHashToApproximateAspectRatio, thumbHashToDataURL } from "thumbhash";

const urls = new Map<string, string>();
/** Maximum number of placeholders that are kept. */
const MAX_URLS = 500;

function bytesOf(thumbhash: string): Uint8Array {
  return Uint8Array.from(atob(thumbhash), (char) => char.charCodeAt(0));
}

/** Returns a data URL of the placeholder; null if there is none. */
export function placeholder(thumbhash: string | null): string | null {
  if (!thumbhash) return null;
  const known = urls.get(thumbhash);
  if (known) return known;
  try {
    const url = thumbHashToDataURL(bytesOf(thumbhash));
    if (urls.size >= MAX_URLS) urls.clear();
    urls.set(thumbhash, url);
    return url;
  } catch {
    // Somebody else has written it.
    return null;
  }
}

/** Returns the ratio of a picture's width to its height. */
export function ratioOf({ width, height, thumbhash }: Attachment): number {
  if (!width || !height) return 4 / 3;
  const ratio = width / height;
  try {
    // Files that are sent as they are may be rotated by their metadata, which the server does not read.
    const shown = thumbhash ? thumbHashToApproximateAspectRatio(bytesOf(thumbhash)) : ratio;
    const isRotated = (ratio > 1.1 && shown < 0.91) || (ratio < 0.91 && shown > 1.1);
    return isRotated ? 1 / ratio : ratio;
  } catch {
    return ratio;
  }
}
