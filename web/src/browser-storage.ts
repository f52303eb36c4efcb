// The browser's storages. They throw where the user has blocked them, and when they are full: then memory takes over.

import type { KeyValue } from "@tidings/client";

/** A storage that never throws. */
export interface BrowserStorage extends KeyValue {
  keys(): string[];
}

function guarded(storage: () => Storage): BrowserStorage {
  /** Items that could not be stored. */
  const memory = new Map<string, string>();
  const attempt = <T>(work: (storage: Storage) => T, otherwise: T): T => {
    try {
      return work(storage());
    } catch {
      return otherwise;
    }
  };
  return {
    getItem: (name) => memory.get(name) ?? attempt((storage) => storage.getItem(name), null),
    setItem: (name, value) => {
      memory.set(name, value);
      attempt((storage) => {
        storage.setItem(name, value);
        memory.delete(name);
      }, undefined);
    },
    removeItem: (name) => {
      memory.delete(name);
      attempt((storage) => storage.removeItem(name), undefined);
    },
    keys: () => [...memory.keys(), ...attempt((storage) => Object.keys(storage), [])],
  };
}

/** Shared by all windows. */
export const local = guarded(() => localStorage);
/** The storage of this window alone (`sessionStorage`). */
export const perWindow = guarded(() => sessionStorage);
