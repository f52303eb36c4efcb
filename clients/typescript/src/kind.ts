// The kind of a file by its type, such as `image/png`.

import type { AttachmentKind } from "./types.js";

/** Returns the kind of a file by its type. */
export function kindOfType(type: string): AttachmentKind {
  const kind = type.split("/")[0]?.toLowerCase();
  return kind === "image" || kind === "video" || kind === "audio" || kind === "voice" ? kind : "file";
}
