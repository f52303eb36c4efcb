// Notifications in this browser: the switch, what it does here, and a test.

import { useTidings } from "@tidings/client/react";
import { useEffect, useState } from "react";

import { useObservable } from "../observable.js";
import { sendTest, turnOff, turnOn } from "../push/browser.js";
import { pushState } from "../push/current.js";
import { settings } from "../settings.js";
import { attempt, toast } from "../toasts.js";

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
    return "Your browser blocks notifications from this page. Allow them in your browser's settings for this page first.";
  }
  if (permission !== null) return null;
  if (mustBeInstalled()) {
    return "iPhones and iPads show notifications only of pages on the Home Screen: choose Share, then Add to Home Screen. Open Tidings from there, and come back to this setting.";
  }
  return isSecureContext ? "Your browser has no notifications." : "Browsers show notifications only of pages with https.";
}

/** Says what notifications do, or would do, in this state. */
function describe(isOn: boolean, state: typeof pushState.current): string {
  const whileOpen = "while Tidings is open in the background";
  switch (state) {
    case "on":
      return "You are notified of new messages, even while Tidings is closed.";
    case "unavailable":
      return `${isOn ? "You are" : "To be"} notified of new messages ${whileOpen}. This server does not notify closed pages.`;
    case "unsupported":
      return `${isOn ? "You are" : "To be"} notified of new messages ${whileOpen}. Your browser has no notifications of closed pages.`;
    case "failed":
      return isOn
        ? `You are notified of new messages only ${whileOpen}, because your browser could not subscribe to more.`
        : "Your browser could not subscribe to notifications. Try again later.";
    default:
      return isOn ? "" : "To be notified of new messages, even while Tidings is closed. Your browser will ask for your permission.";
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
    toast(sent > 0 ? "Sent. The notification should appear in a few seconds." : "No push service took the notification. Try again later.");
  };
  return (
    <>
      <label className="inline">
        <span className="grow">Notifications</span>
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
          Try again
        </button>
      )}
      {isOn && state === "on" && (
        <button className="secondary" onClick={() => void attempt(test())}>
          Send me a test
        </button>
      )}
    </>
  );
}
