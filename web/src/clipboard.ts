// Copies text to the clipboard.

import { partWords } from "./words/language.js";

/** Copies a text. Pages that were loaded over plain http have no `navigator.clipboard`, but can copy a selection. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "hidden";
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  if (!isCopied) throw new Error(partWords.page.copyRefused);
}
