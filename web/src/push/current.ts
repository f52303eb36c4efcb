// The state of push notifications to this browser, which views show.

import type { PushState } from "@tidings/client/push";

import { observable } from "../observable.js";

/** `failed`: the browser, its push service or our server cannot be reached. Null: not known yet. */
export const pushState = observable<PushState | "failed" | null>(null);
