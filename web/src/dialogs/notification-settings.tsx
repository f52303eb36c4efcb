// Notifications in this browser: the switch, what it does here, and a test.

import { useTidings } from "@tidings/client/react";
import { useEffect, useState } from "react";

import { useObservable } from "../observable.js";
import { sendTest, turnOff, turnOn } from "../push/browser.js";
import { pushState } from "../push/current.js";
import { settings } from "../settings.js";
import { attempt, toast } from "../toasts.js";
import { partWords, words } from "../words/language.js";

/** Whether this is an iPhone or iPad, whose pages have notifications only if they are installed. */
function mustBeInstalled(): boolean {
  const { userAgent, maxTouchPoints } = navigator;
  // iPads claim to be Macs, which have no touch screens.
  const isApple = /iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1);
  return isApple && !("Notification" in window);
}

/** Says why there are no notifications here; null if there can be. */
function describeObstacle(permission: NotificationPermission | null): string | null {
  if (permission === "denied") {
    return partWords.notifications.denied;
  }
  if (permission !== null) return null;
  if (mustBeInstalled()) {
    return partWords.notifications.install;
  }
  return isSecureContext ? partWords.notifications.unsupported : partWords.notifications.insecure;
}

/** Says what notifications do, or would do, in this state. */
function describe(isOn: boolean, state: typeof pushState.current): string {
  const { notifications } = partWords;
  switch (state) {
    case "on":
      return notifications.on;
    case "unavailable":
      return isOn ? notifications.onUnavailable : notifications.offUnavailable;
    case "unsupported":
      return isOn ? notifications.onUnsupported : notifications.offUnsupported;
    case "failed":
      return isOn ? notifications.onFailed : notifications.offFailed;
    default:
      return isOn ? "" : notifications.off;
  }
}

/** Returns the browser's permission, and renders again when it changes; null without notifications. */
function usePermission(): NotificationPermission | null {
  const read = () => ("Notification" in window ? Notification.permission : null);
  const [permission, setPermission] = useState(read);
  useEffect(() => {
    const stop = new AbortController();
    const update = () => setPermission(read());
    // Not all browsers tell of changes. The user may also come back from the browser's settings.
    addEventListener("focus", update, { signal: stop.signal });
    const follow = (status: PermissionStatus) => status.addEventListener("change", update, { signal: stop.signal });
    void navigator.permissions?.query({ name: "notifications" }).then(follow, () => {});
    return () => stop.abort();
  }, []);
  return permission;
}

export function NotificationSettings() {
  const client = useTidings();
  const { notifications } = useObservable(settings);
  const state = useObservable(pushState);
  const permission = usePermission();
  // The choice of the user, until it takes effect.
  const [chosen, setChosen] = useState<boolean | null>(null);
  const obstacle = describeObstacle(permission);
  const isOn = notifications && obstacle === null;
  const turn = async (isOn: boolean) => {
    if (chosen !== null) return;
    setChosen(isOn);
    await attempt(isOn ? turnOn(client) : turnOff(client));
    setChosen(null);
  };
  const test = async () => {
    const { sent } = await sendTest(client);
    toast(sent > 0 ? partWords.notifications.testSent : partWords.notifications.testFailed);
  };
  return (
    <>
      <label className="inline">
        <span className="grow">{partWords.notifications.notifications}</span>
        <input
          type="checkbox"
          role="switch"
          aria-describedby="notifications-hint"
          checked={chosen ?? isOn}
          disabled={obstacle !== null}
          onChange={(event) => void turn(event.target.checked)}
        />
      </label>
      <p id="notifications-hint" className="muted small-text">
        {obstacle ?? describe(isOn, state)}
      </p>
      {isOn && state === "failed" && (
        <button className="secondary" onClick={() => void turn(true)}>
          {words.common.tryAgain}
        </button>
      )}
      {isOn && state === "on" && (
        <button className="secondary" onClick={() => void attempt(test())}>
          {partWords.notifications.test}
        </button>
      )}
    </>
  );
}
