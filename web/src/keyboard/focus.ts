// Remembers the focus, for dialogs whose opener has gone, such as an item of a menu.

/** The last element that had the focus and was in no dialog and no menu. */
let last: HTMLElement | null = null;

document.addEventListener("focusin", ({ target }) => {
  if (target instanceof HTMLElement && !target.closest("dialog, [role=menu], [role=listbox]")) last = target;
});

/** Returns the element that a dialog is opened from. */
export const opener = (): HTMLElement | null => last;

/** The field for a new message. */
export const composerField = (): HTMLTextAreaElement | null => document.querySelector<HTMLTextAreaElement>(".composer textarea");

/** After a dialog has closed, focuses what it was opened from or, if that has gone, the message field or the search. */
export function returnFocus(dialog: HTMLElement | null, to: HTMLElement | null): void {
  const now = document.activeElement;
  // The browser has given the focus back already.
  if (now && now !== document.body && !dialog?.contains(now)) return;
  for (const element of [to, composerField(), document.querySelector<HTMLElement>("#search")]) {
    if (!element?.isConnected) continue;
    element.focus({ preventScroll: true });
    if (document.activeElement === element) return;
  }
}
