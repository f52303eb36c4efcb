// A count in a badge.

import { capped } from "./words/formats.js";

/** A badge with a count, of at most two digits. Screen readers also read the unit. */
export function CountBadge({ count, unit }: { count: number; unit?: string }) {
  return (
    <span className="badge">
      {capped(count, 99)}
      {unit && <span className="hidden"> {unit}</span>}
    </span>
  );
}
