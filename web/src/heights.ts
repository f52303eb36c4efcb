// The heights of a long list's rows: measured, or guessed until they are.

/** What is guessed before anything was measured. */
const GUESS = 64;

/** Heights, and what follows from them. All in pixels. */
export class Heights {
  readonly #measured = new Map<string, number>();
  #items: readonly { key: string }[] = [];
  #heights: number[] = [];
  /** Where each row begins, and the last one ends; right up to `#valid`. */
  #tops: number[] = [0];
  #valid = 0;
  #sum = 0;

  /** Takes in what the list is made of now. */
  take(items: readonly { key: string }[]): void {
    if (items === this.#items) return;
    const before = this.#items;
    this.#items = items;
    let at = 0;
    while (at < items.length && items[at]?.key === before[at]?.key) at += 1;
    this.#heights.length = at;
    this.#valid = Math.min(this.#valid, at);
    const guess = this.#measured.size > 0 ? this.#sum / this.#measured.size : GUESS;
    for (; at < items.length; at += 1) this.#heights.push(this.#measured.get(items[at]?.key ?? "") ?? guess);
  }

  /** A row is that high. */
  measured(at: number, height: number): void {
    const key = this.#items[at]?.key;
    if (key === undefined) return;
    this.#sum += height - (this.#measured.get(key) ?? 0);
    this.#measured.set(key, height);
    if (this.#heights[at] === height) return;
    this.#heights[at] = height;
    this.#valid = Math.min(this.#valid, at);
  }

  /** Where a row begins; of the number of rows, where the last one ends. */
  top(at: number): number {
    const wanted = Math.min(Math.max(0, at), this.#items.length);
    for (; this.#valid < wanted; this.#valid += 1) {
      this.#tops[this.#valid + 1] = (this.#tops[this.#valid] ?? 0) + (this.#heights[this.#valid] ?? 0);
    }
    return this.#tops[wanted] ?? 0;
  }

  /** Where the last row ends. */
  get total(): number {
    return this.top(this.#items.length);
  }

  /** The row at a place, or the one that is nearest to it; -1 where there is none. */
  at(place: number): number {
    let low = 0;
    let high = this.#items.length - 1;
    void this.total;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.top(middle) <= place) low = middle;
      else high = middle - 1;
    }
    return high < 0 ? -1 : low;
  }
}
