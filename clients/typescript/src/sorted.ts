// Helpers for ids and times. Both are compared as strings.

/** The greater of two strings. */
export function max(one: string, other: string): string {
  return one >= other ? one : other;
}

/** Index of the first item whose id is not below `id`, in a list sorted by id. */
export function lowerBound(list: readonly { readonly id: string }[], id: string): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((list[middle]?.id ?? "") < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
