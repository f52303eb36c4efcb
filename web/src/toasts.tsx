// Toasts: short messages that disappear by themselves.

import { TidingsError } from "@tidings/client";
import { X } from "lucide-react";
import { useEffect } from "react";
import { createPortal } from "react-dom";

import { topDialog } from "./modal.js";
import { observable, useObservable } from "./observable.js";
import { words } from "./words/language.js";

interface Toast {
  id: number;
  text: string;
}

/** Milliseconds for which a toast is shown. */
const DURATION = 7_000;
/** Maximum number of toasts at a time. */
const MAX_TOASTS = 3;

const shown = observable<readonly Toast[]>([]);
let lastId = 0;

/** Shows a toast. */
export function toast(text: string): void {
  lastId += 1;
  shown.set([...shown.current.slice(1 - MAX_TOASTS), { id: lastId, text }]);
}

/** Returns the page's words for an error of the server, or else the server's own ones. */
export function describeProblem({ code, message }: { code: string; message: string }): string {
  const known: Record<string, string | ((detail: string) => string)> = words.errors;
  const text = Object.hasOwn(known, code) ? known[code] : undefined;
  return typeof text === "function" ? text(message) : (text ?? message);
}

/** Returns an error's message for users. */
export function describeError(error: unknown): string {
  if (error instanceof TidingsError) return describeProblem({ code: error.code, message: error.fields[0]?.message ?? error.message });
  return error instanceof Error ? error.message : String(error);
}

/** Awaits an operation, and shows a toast if it fails. Resolves with whether it succeeded. */
export async function attempt(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) toast(describeError(error));
    return false;
  }
}

const dismiss = (id: number) => shown.set(shown.current.filter((toast) => toast.id !== id));

/** Shows the current toasts: above an open dialog, because they would be beyond reach below it. */
export function Toasts() {
  const toasts = useObservable(shown);
  const dialog = useObservable(topDialog);
  const view = (
    <div className="toasts" role="status">
      {toasts.map((toast) => (
        <ToastView key={toast.id} toast={toast} />
      ))}
    </div>
  );
  return dialog ? createPortal(view, dialog) : view;
}

function ToastView({ toast }: { toast: Toast }) {
  useEffect(() => {
    const timer = setTimeout(() => dismiss(toast.id), DURATION);
    return () => clearTimeout(timer);
  }, [toast.id]);
  return (
    <div className="toast">
      <span dir="auto">{toast.text}</span>
      <button className="icon-button small" aria-label={words.common.dismiss} onClick={() => dismiss(toast.id)}>
        <X aria-hidden />
      </button>
    </div>
  );
}
