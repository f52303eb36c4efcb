// What the page says while the server is unreachable.

import { useConnection, useSelected, useTidings } from "@tidings/client/react";
import { WifiOff } from "lucide-react";
import { useEffect, useState } from "react";

import { formatDay, formatTime, isSameDay } from "./dates.js";
import { attempt } from "./toasts.js";

const OFFLINE = "You are offline.";
const SENT_LATER = "What you write is sent when you are back online.";
const asOf = (time: string) => `Showing messages as of ${time}.`;
const NOT_HERE = "These messages are not on this device. They are loaded when you are back online.";
const OLDER_NOT_HERE = "Older messages are loaded when you are back online.";

const timeAndDay = (at: string) => {
  const day = isSameDay(at, new Date().toISOString()) ? "" : `${formatDay(at)}, `;
  return day + formatTime(at);
};

/** Tells the user that the server has been unreachable for 2 s, and how old the shown messages are. */
export function OfflineBanner() {
  const client = useTidings();
  const isOffline = useConnection() === "offline";
  const staleSince = useSelected((state) => state.staleSince);
  const [isShown, setIsShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setIsShown(isOffline), isOffline ? 2_000 : 0);
    return () => clearTimeout(timer);
  }, [isOffline]);
  if (!isShown) return null;
  // The client tries again as soon as the browser says that it is online.
  const tryNow = () => attempt(client.api.me().then(() => dispatchEvent(new Event("online"))));
  return (
    <div className="banner" role="status">
      <WifiOff aria-hidden />
      <span>
        {OFFLINE} {staleSince && asOf(timeAndDay(staleSince))} {SENT_LATER}
      </span>
      <button className="link" onClick={() => void tryNow()}>
        Try now
      </button>
    </div>
  );
}

/** Tells, offline, why there are no messages, or no older ones. */
export function MissingMessages({ hasMessages, hasOlder }: { hasMessages: boolean; hasOlder: boolean }) {
  const isOffline = useConnection() === "offline";
  if (!isOffline || (hasMessages && !hasOlder)) return null;
  return <p className="empty-timeline muted">{hasMessages ? OLDER_NOT_HERE : NOT_HERE}</p>;
}
