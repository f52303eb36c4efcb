// Promises of messages that are being sent, by the message's id.

import type { Message } from "./types.js";

interface Deferred {
  promise: Promise<Message>;
  resolve: (message: Message) => void;
  reject: (reason: unknown) => void;
}

/** The promises that are not settled yet. */
export class SendPromises {
  readonly #pending = new Map<string, Deferred>();

  /** Returns the promise of a message: the same until it is settled. */
  of(id: string): Promise<Message> {
    const known = this.#pending.get(id);
    if (known) return known.promise;
    const deferred = {} as Deferred;
    deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }));
    // A caller may ignore the promise and watch the timeline instead.
    deferred.promise.catch(() => {});
    this.#pending.set(id, deferred);
    return deferred.promise;
  }

  /** Settles the promise of a message, if there is one. */
  settle(id: string, outcome: Message | Error): void {
    const deferred = this.#pending.get(id);
    this.#pending.delete(id);
    if (outcome instanceof Error) deferred?.reject(outcome);
    else deferred?.resolve(outcome);
  }

  /** Rejects all promises. */
  rejectAll(reason: unknown): void {
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }
}
