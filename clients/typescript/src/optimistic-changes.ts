// Changes of a row's settings that show before the server confirms them.
//
// Invariant: a confirmed change shows until its event, or a later report of the settings, arrives. So the previous value
// does not come back for a moment, and a later value is never hidden.

import type { Conversation } from "./types.js";

/** A change of settings. */
export interface OptimisticChange {
  readonly fields: Partial<Conversation>;
  isConfirmed: boolean;
  /** Whether the settings were reported since the change was made. */
  isReported: boolean;
}

/** The changes of one row, in the order in which they were made. */
export class OptimisticChanges {
  #changes: OptimisticChange[] = [];

  add(fields: Partial<Conversation>): OptimisticChange {
    const change = { fields, isConfirmed: false, isReported: false };
    this.#changes.push(change);
    return change;
  }

  /** Ends a change that the server has confirmed or refused. */
  end(change: OptimisticChange, isConfirmed: boolean): void {
    change.isConfirmed = isConfirmed;
    if (isConfirmed && !change.isReported) return;
    this.#changes = this.#changes.filter((other) => other !== change);
  }

  /** Takes note that a row or an event has reported the settings. */
  reported(): void {
    this.#changes = this.#changes.filter((change) => !change.isConfirmed);
    for (const change of this.#changes) change.isReported = true;
  }

  /** All changed fields. */
  get fields(): Partial<Conversation> {
    return Object.assign({}, ...this.#changes.map(({ fields }) => fields)) as Partial<Conversation>;
  }
}
