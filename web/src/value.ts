// A value that views follow.

import { useSyncExternalStore } from "react";

/** A value, and who wants to know when it changes. */
export interface Value<T> {
  readonly current: T;
  set(next: T): void;
  subscribe(listener: () => void): () => void;
}

/** Makes one. */
export function value<T>(current: T): Value<T> {
  const listeners = new Set<() => void>();
  return {
    get current() {
      return current;
    },
    set(next) {
      if (Object.is(next, current)) return;
      current = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** The value as it is now; the view is drawn again when it changes. */
export function useValue<T>(from: Value<T>): T {
  return useSyncExternalStore(from.subscribe, () => from.current);
}
