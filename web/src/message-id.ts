// Message ids begin with the time at which the message was sent, so that a time can be turned into a place in the history.

/** Returns an id that sorts before all ids of messages sent at or after a time (milliseconds since 1970). */
export function firstIdAt(ms: number): string {
  const hex = Math.max(0, Math.round(ms)).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
