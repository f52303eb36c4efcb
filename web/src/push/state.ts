// Push notifications to this browser, kept up to date while the page is open. What deals with the browser is loaded later.

import type { Tidings } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";
import { useEffect } from "react";

import { settings } from "../settings.js";
import { loadPartWords, useLanguage } from "../words/language.js";
import { pushState } from "./current.js";

/** Milliseconds for which signing out waits for the subscription to end. */
const LEAVE_TIMEOUT = 3_000;

const load = async () => (await Promise.all([import("./browser.js"), loadPartWords()]))[0];

/** Keeps the subscription up to date, and reports activity, while mounted. */
export function usePush(): void {
  const client = useTidings();
  const isConnected = useMe() !== null;
  useEffect(() => {
    if (!isConnected) return;
    const stop = new AbortController();
    // Without this part, there are only the notifications of open pages.
    load().then(({ start }) => start(client, stop.signal)).catch(() => stop.signal.aborted || pushState.set("failed"));
    return () => {
      stop.abort();
      pushState.set(null);
    };
  }, [client, isConnected]);
  const language = useLanguage();
  useEffect(() => void load().then(({ leaveWords }) => leaveWords()).catch(() => {}), [language]);
}

/** Ends the subscription, and closes notifications. To be awaited before the user is signed out. */
export async function leave(client: Tidings): Promise<void> {
  if (!settings.current.notifications) return;
  const left = load().then(({ end }) => end(client));
  const timeout = new Promise((resolve) => setTimeout(resolve, LEAVE_TIMEOUT));
  // A subscription that is not removed ends by itself: with the session, or when the push service refuses the next notification.
  await Promise.race([left, timeout]).catch(() => {});
}
