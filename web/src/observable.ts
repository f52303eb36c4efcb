// A minimal observable value for state that is shared between views.

import { useSyncExternalStore } from "react";

/** A value that notifies its listeners when it changes. */
export interface Observable<T> {
  readonly current: T;
  set(next: T): void;
  /** Returns a function that unsubscribes. */
  subscribe(listener: () => void): () => void;
}

/** Creates an observable with an initial value. */
export function observable<T>(current: T): Observable<T> {
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

/** Returns the current value, and renders again when it changes. */
export function useObservable<T>(from: Observable<T>): T {
  return useSyncExternalStore(from.subscribe, () => from.current);
}
