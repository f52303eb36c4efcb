// Waiting, and for how long.

/** Waits; ends at once, by throwing its reason, when the signal is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Milliseconds to wait after so many failures in a row: anything up to a bound that doubles ("full jitter"), so that
 * clients that lost the server together do not come back together.
 */
export function backoff(failures: number, capMs: number, baseMs = 500): number {
  return Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(failures, 20));
}
