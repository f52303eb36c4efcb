// A count in a badge.

/** A badge with a count, of at most two digits. Screen readers also read the unit. */
export function CountBadge({ count, unit }: { count: number; unit?: string }) {
  return (
    <span className="badge">
      {count > 99 ? "99+" : count}
      {unit && <span className="hidden"> {unit}</span>}
    </span>
  );
}
