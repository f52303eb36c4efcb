// Runs a step for each of many messages, one after another, because the server limits how fast a user may write.

import { TidingsError } from "@tidings/client";
import { useEffect, useRef, useState } from "react";

import { useClosingWarning } from "../closing.js";
import { describeError } from "../toasts.js";

/** How often a step that the server turned away for the moment is tried. */
const MAX_ATTEMPTS = 5;

/** How far a run is, and why it ended early. */
export interface Progress {
  done: number;
  total: number;
  error: string | null;
}

/** How a run ended: `stopped` because its view is gone, or `failed`, in which case the progress has the error. */
export type Outcome = { end: "done" | "stopped" | "failed"; done: number };

/** A run of steps, which is null before it has started. The browser asks before it closes the page in the middle. */
export interface InTurn {
  progress: Progress | null;
  /** Starts the run. It stops at the first failure, and when the view is unmounted. */
  run<T>(items: readonly T[], step: (item: T, signal: AbortSignal) => Promise<unknown>): Promise<Outcome>;
}

export function useInTurn(): InTurn {
  const [progress, setProgress] = useState<Progress | null>(null);
  const stop = useRef<AbortController>(null);
  useEffect(() => () => stop.current?.abort(), []);
  useClosingWarning(progress !== null && progress.error === null && progress.done < progress.total);
  const run: InTurn["run"] = async (items, step) => {
    const { signal } = (stop.current = new AbortController());
    const total = items.length;
    let done = 0;
    setProgress({ done, total, error: null });
    for (const item of items) {
      try {
        signal.throwIfAborted();
        await step(item, signal);
      } catch (error) {
        if (signal.aborted) return { end: "stopped", done };
        setProgress({ done, total, error: describeError(error) });
        return { end: "failed", done };
      }
      done += 1;
      setProgress({ done, total, error: null });
    }
    return { end: "done", done };
  };
  return { progress, run };
}

/** Makes a call and, as long as the server asks for patience, repeats it after the time that it names. */
export async function patiently<T>(call: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof TidingsError) || error.retryAfterMs === undefined || attempt === MAX_ATTEMPTS) throw error;
      await Promise.race([new Promise((resolve) => setTimeout(resolve, error.retryAfterMs)), aborted(signal)]);
    }
  }
}

/** Rejects when a signal is aborted. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = () => reject(signal.reason as Error);
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });
}
