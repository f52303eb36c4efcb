// A count in a badge.

/** A count of at most two digits. */
export const shortCount = (count: number): string => (count > 99 ? "99+" : String(count));

/** A badge with a count, of at most two digits. Screen readers also read the unit. */
export function CountBadge({ count, unit }: { count: number; unit?: string }) {
  return (
    <span className="badge">
      {shortCount(count)}
      {unit && <span className="hidden"> {unit}</span>}
    </span>
  );
}
