// Message ids sort by the time at which the messages were sent, so that a time can be turned into a place in a history.
//
// An id is the id of the conversation and a UUIDv7 (RFC 9562, section 5.7) in base64 with the digits in ASCII order.

const DIGITS = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
/** The digits after the time in the lowest id of a millisecond: version, variant, and zeros. */
const LOWEST = "R-1-----------";

/** Returns an id that sorts before all messages of a conversation that were sent at or after a time (ms since 1970). */
export function firstIdAt(conversation: string, ms: number): string {
  let digits = "";
  // 48 bits, 6 for each digit.
  for (let rest = Math.max(0, Math.floor(ms)); digits.length < 8; rest = Math.floor(rest / 64)) digits = DIGITS[rest % 64] + digits;
  return conversation + digits + LOWEST;
}
