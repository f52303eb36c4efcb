// What may be shown of what others write: text as text, and addresses of the web alone.

/** An address, if it is one of the web; null otherwise. */
export function webAddress(text: string): string | null {
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

/** Whether an attachment is shown as a picture: by its type or else by the end of its address. */
export function isPicture(address: string, type: string | null): boolean {
  if (type) return type.startsWith("image/") || type === "image";
  return /\.(png|jpe?g|gif|webp|avif)$/i.test(new URL(address).pathname);
}
