// Whose profile is shown. Names and pictures everywhere open it.

import { observable } from "./observable.js";

/** The user whose profile is open. */
export const openProfile = observable<string | null>(null);
