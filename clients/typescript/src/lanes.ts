// Runs asynchronous work in order.

/** Work by lane: that of a lane runs one after the other, in the order of the calls. */
export class Lanes {
  /** The last work of each lane that is not idle. */
  readonly #last = new Map<string, Promise<unknown>>();

  isBusy(lane: string): boolean {
    return this.#last.has(lane);
  }

  /** Runs work after all earlier work of the lane, whether that succeeds or fails. */
  async run<T>(lane: string, work: () => Promise<T>): Promise<T> {
    const mine = (this.#last.get(lane) ?? Promise.resolve()).then(work, work);
    this.#last.set(lane, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(lane) === mine) this.#last.delete(lane);
    }
  }
}
