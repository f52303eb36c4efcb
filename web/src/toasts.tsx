// Short notices that pass.

import { TidingsError } from "@tidings/client";
import { X } from "lucide-react";
import { useEffect } from "react";

import { useValue, value } from "./value.js";

interface Toast {
  id: number;
  text: string;
}

const shown = value<readonly Toast[]>([]);
let last = 0;

/** Shows a notice for a while. */
export function toast(text: string): void {
  last += 1;
  shown.set([...shown.current.slice(-2), { id: last, text }]);
}

/** In words, why something failed. */
export function reason(error: unknown): string {
  if (error instanceof TidingsError) {
    if (error.code === "network") return "The server cannot be reached. Try again in a moment.";
    return error.fields[0]?.message ?? error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

/** Waits for something, and shows why it failed. Whether it succeeded. */
export async function attempt(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) toast(reason(error));
    return false;
  }
}

const dismiss = (id: number) => shown.set(shown.current.filter((toast) => toast.id !== id));

/** Where notices show. */
export function Toasts() {
  const toasts = useValue(shown);
  return (
    <div className="toasts" role="status">
      {toasts.map((toast) => (
        <Notice key={toast.id} toast={toast} />
      ))}
    </div>
  );
}

function Notice({ toast }: { toast: Toast }) {
  useEffect(() => {
    const timer = setTimeout(() => dismiss(toast.id), 7_000);
    return () => clearTimeout(timer);
  }, [toast.id]);
  return (
    <div className="toast">
      <span dir="auto">{toast.text}</span>
      <button className="icon-button small" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
        <X aria-hidden />
      </button>
    </div>
  );
}
