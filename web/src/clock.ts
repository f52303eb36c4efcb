// Lets views follow the clock: they render again when the day or the minute changes.

import { useSyncExternalStore } from "react";

const MINUTE = 60_000;

/** Milliseconds until the local date changes. A day has 23 or 25 hours when summer time starts or ends. */
export function untilMidnight(now: Date): number {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1).getTime() - now.getTime();
}

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setTimeout> | undefined;

function schedule(): void {
  clearTimeout(timer);
  // At least once a minute, because the machine may sleep and its time zone may change.
  if (listeners.size > 0) timer = setTimeout(tick, Math.min(MINUTE, untilMidnight(new Date())));
}

function tick(): void {
  for (const listener of [...listeners]) listener();
  schedule();
}

// Timers of hidden pages are late.
document.addEventListener("visibilitychange", tick);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (listeners.size === 1) schedule();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) schedule();
  };
}

/** Renders again when the local date changes. */
export function useToday(): void {
  useSyncExternalStore(subscribe, () => new Date().toDateString());
}

/** Renders again when a minute has passed. */
export function useMinute(): void {
  useSyncExternalStore(subscribe, () => Math.floor(Date.now() / MINUTE));
}
