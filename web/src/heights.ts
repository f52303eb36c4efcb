// Row heights and offsets of a virtual list, in pixels. Heights are estimated until they are measured.

/** Estimated height while no row has been measured. */
const DEFAULT_HEIGHT = 64;

export class Heights {
  /** Measured heights by row key. */
  readonly #measured = new Map<string, number>();
  #items: readonly { key: string }[] = [];
  #heights: number[] = [];
  /** Offset of each row, then of the end. Valid up to index `#valid`, computed on demand after it. */
  #tops: number[] = [0];
  #valid = 0;
  /** Sum of all measured heights. */
  #sum = 0;

  /** Sets the rows. Unmeasured rows get the average height. */
  setItems(items: readonly { key: string }[]): void {
    if (items === this.#items) return;
    const before = this.#items;
    this.#items = items;
    let at = 0;
    while (at < items.length && items[at]?.key === before[at]?.key) at += 1;
    this.#heights.length = at;
    this.#valid = Math.min(this.#valid, at);
    const estimate = this.#measured.size > 0 ? this.#sum / this.#measured.size : DEFAULT_HEIGHT;
    for (; at < items.length; at += 1) this.#heights.push(this.#measured.get(items[at]?.key ?? "") ?? estimate);
  }

  /** Sets the measured height of a row. */
  setHeight(at: number, height: number): void {
    const key = this.#items[at]?.key;
    if (key === undefined) return;
    this.#sum += height - (this.#measured.get(key) ?? 0);
    this.#measured.set(key, height);
    if (this.#heights[at] === height) return;
    this.#heights[at] = height;
    this.#valid = Math.min(this.#valid, at);
  }

  /** Returns the offset of a row's upper edge or, for the number of rows, of the list's end. */
  top(at: number): number {
    const wanted = Math.min(Math.max(0, at), this.#items.length);
    for (; this.#valid < wanted; this.#valid += 1) {
      this.#tops[this.#valid + 1] = (this.#tops[this.#valid] ?? 0) + (this.#heights[this.#valid] ?? 0);
    }
    return this.#tops[wanted] ?? 0;
  }

  /** Height of all rows. */
  get total(): number {
    return this.top(this.#items.length);
  }

  /** Returns the index of the row at an offset, or of the nearest row; -1 if there are none. */
  indexAt(offset: number): number {
    let low = 0;
    let high = this.#items.length - 1;
    void this.total;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.top(middle) <= offset) low = middle;
      else high = middle - 1;
    }
    return high < 0 ? -1 : low;
  }
}
