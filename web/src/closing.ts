// Asks the user before the page is closed while that would lose something.

import { useEffect } from "react";

/** Lets the browser ask before it closes the page, as long as something would be lost. */
export function useClosingWarning(isNeeded: boolean): void {
  useEffect(() => {
    if (!isNeeded) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [isNeeded]);
}
