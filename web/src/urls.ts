// Checks URLs that other users wrote.

/** Returns the URL if its scheme is http or https; null otherwise. */
export function webUrl(text: string): string | null {
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

/** Whether an attachment is an image, by its type or else by its file extension. */
export function isImage(url: string, type: string | null): boolean {
  if (type) return type.startsWith("image/") || type === "image";
  return /\.(png|jpe?g|gif|webp|avif)$/i.test(new URL(url).pathname);
}
