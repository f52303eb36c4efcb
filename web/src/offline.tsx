// The page's notices while the server is unreachable.

import { useConnection, useSelected, useTidings } from "@tidings/client/react";
import { WifiOff } from "lucide-react";
import { useEffect, useState } from "react";

import { formatRecent } from "./dates.js";
import { attempt } from "./toasts.js";
import { words } from "./words/language.js";

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
        {words.offline.offline} {staleSince && words.offline.asOf(formatRecent(staleSince))} {words.offline.sentLater}
      </span>
      <button className="link" onClick={() => void tryNow()}>
        {words.offline.tryNow}
      </button>
    </div>
  );
}

/** Tells, offline, why there are no messages, or no older ones. */
export function MissingMessages({ hasMessages, hasOlder }: { hasMessages: boolean; hasOlder: boolean }) {
  const isOffline = useConnection() === "offline";
  if (!isOffline || (hasMessages && !hasOlder)) return null;
  return <p className="empty-timeline muted">{hasMessages ? words.offline.olderNotHere : words.offline.notHere}</p>;
}
