// Ids that the client makes up.

/** Returns a random id of 128 bits. `crypto.randomUUID` is missing on pages that were loaded over plain http. */
export function randomId(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
