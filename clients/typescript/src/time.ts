// Waiting, and for how long.

/** What each signal sets off. One listener for all of it: Node takes more than ten for a leak. */
const setOff = new WeakMap<AbortSignal, Set<() => void>>();

/** Acts once a signal is aborted, unless the answer is called before. */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  let acts = setOff.get(signal);
  if (!acts) {
    const all = new Set<() => void>();
    setOff.set(signal, (acts = all));
    signal.addEventListener("abort", () => [...all].forEach((act) => act()), { once: true });
  }
  const all = acts.add(act);
  return () => void all.delete(act);
}

/** Waits; ends at once, by throwing its reason, when one of the signals is aborted. */
export function sleep(ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve, reject) => {
    for (const signal of signals) signal.throwIfAborted();
    const ends = signals.map((signal) => onAbort(signal, () => end(() => reject(signal.reason))));
    const timer = setTimeout(() => end(resolve), ms);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      for (const forget of ends) forget();
      settle();
    };
  });
}

/**
 * Milliseconds to wait after so many failures in a row: anything up to a bound that doubles ("full jitter"), so that
 * clients that lost the server together do not come back together.
 */
export function backoff(failures: number, capMs: number, baseMs = 500): number {
  return Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(failures, 20));
}
