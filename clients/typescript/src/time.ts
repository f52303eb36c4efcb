// Waiting and backoff.

import { TidingsError } from "./error.js";

/** The callbacks of each signal. They share one listener, because Node warns about a leak above ten. */
const callbacks = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls back when a signal is aborted: at once if it is already. Returns a function that removes the callback. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) callback();
  let known = callbacks.get(signal);
  if (!known) {
    const all = new Set<() => void>();
    callbacks.set(signal, (known = all));
    signal.addEventListener("abort", () => [...all].forEach((each) => each()), { once: true });
  }
  const all = known.add(callback);
  return () => void all.delete(callback);
}

/** Waits. Rejects with the signal's reason as soon as one of the signals is aborted. */
export function sleep(ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve, reject) => {
    for (const signal of signals) signal.throwIfAborted();
    const removals = signals.map((signal) => onAbort(signal, () => end(() => reject(signal.reason))));
    const timer = setTimeout(() => end(resolve), ms);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      for (const remove of removals) remove();
      settle();
    };
  });
}

/** Repeats a call with backoff while it may succeed later, after at most `limit` failures. */
export async function retrying<T>(
  call: () => Promise<T>,
  signal: AbortSignal,
  limit = Infinity,
  onFailure: (error: TidingsError) => void = () => {},
): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof TidingsError) || !error.retryable || failures > limit) throw error;
      onFailure(error);
      await sleep(error.retryAfterMs ?? backoff(failures, MAX_BACKOFF), signal);
    }
  }
}

/** Maximum milliseconds between attempts. */
export const MAX_BACKOFF = 30_000;

/**
 * Milliseconds to wait after a number of consecutive failures: random up to a limit that doubles ("full jitter"), so
 * that clients do not all reconnect at the same time.
 */
export function backoff(failures: number, capMs: number, baseMs = 500): number {
  return Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(failures, 20));
}
