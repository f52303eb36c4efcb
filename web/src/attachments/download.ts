// Saves an attachment under its name.

import type { Attachment } from "@tidings/client";

/**
 * Saves a file. Pictures come from another origin, whose links browsers would open instead, so the file is fetched. If
 * that fails, opens it in a new tab. Resolves with whether it was saved.
 */
export async function save({ url, file_name }: Attachment): Promise<boolean> {
  const link = document.createElement("a");
  if (url.startsWith("blob:")) {
    Object.assign(link, { href: url, download: file_name }).click();
    return true;
  }
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`status ${response.status}`);
    link.href = URL.createObjectURL(await response.blob());
    link.download = file_name;
    link.click();
    // The browser has taken the file by then.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    return true;
  } catch {
    Object.assign(link, { href: url, target: "_blank", rel: "noopener noreferrer" });
    link.click();
    return false;
  }
}

/** Saves several files, one after the other. */
export async function saveAll(attachments: readonly Attachment[]): Promise<void> {
  for (const attachment of attachments) await save(attachment);
}
