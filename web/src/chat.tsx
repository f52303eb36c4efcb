// The chat of whoever is signed in: the inbox beside a conversation, or one of them where there is room for one.

import { useConnection, useConversation, useMe, useSelected, useTidings, useUnread } from "@tidings/client/react";
import { MessagesSquare, WifiOff } from "lucide-react";
import { lazy, Suspense, useEffect, useRef, useState } from "react";

import { loadBlocked } from "./blocked.js";
import { Conversation } from "./conversation.js";
import { Inbox } from "./inbox.js";
import { useNotifications } from "./notifications.js";
import { go, useRoute } from "./route.js";
import { attempt, toast } from "./toasts.js";
import { useWhereabouts } from "./whereabouts.js";

const NewDialog = lazy(() => import("./dialogs/new.js"));
const SettingsDialog = lazy(() => import("./dialogs/settings.js"));

/** All of it. */
export function Chat({ onSignOut }: { onSignOut: () => void }) {
  const client = useTidings();
  const route = useRoute();
  const me = useMe();
  const unread = useUnread();
  const [dialog, setDialog] = useState<"new" | "settings" | null>(null);
  const [scope, setScope] = useState<string | null>(null);

  useEffect(() => {
    if (me) void loadBlocked(client);
  }, [client, me?.id]);
  useEffect(() => {
    document.title = unread > 0 ? `(${unread > 999 ? "999+" : unread}) Tidings` : "Tidings";
  }, [unread]);
  useNotifications();
  useWhereabouts(route.conversation);
  useRefusals();
  useKeys();

  return (
    <main className={`chat ${route.conversation ? "in-conversation" : ""}`}>
      <h1 className="hidden">Tidings</h1>
      <Inbox
        scope={scope}
        setScope={setScope}
        onNew={() => setDialog("new")}
        onSettings={() => setDialog("settings")}
      />
      <div className="pane">
        <Banner />
        {route.conversation ? (
          <Open key={route.conversation} id={route.conversation} jumpTo={route.message} onSearch={setScope} />
        ) : (
          <div className="empty">
            <span className="logo quiet">
              <MessagesSquare aria-hidden />
            </span>
            <h2>Pick a conversation</h2>
            <p className="muted">or start one: with someone, with a group, or in a room.</p>
            <button className="primary" onClick={() => setDialog("new")}>
              New conversation
            </button>
          </div>
        )}
      </div>
      <Suspense>
        {dialog === "new" && <NewDialog onClose={() => setDialog(null)} />}
        {dialog === "settings" && <SettingsDialog onClose={() => setDialog(null)} onSignOut={onSignOut} />}
      </Suspense>
    </main>
  );
}

/** A conversation once its row is known; it may be beyond the pages of the inbox that are loaded. */
function Open(props: { id: string; jumpTo: string | null; onSearch: (conversation: string) => void }) {
  const row = useConversation(props.id);
  const me = useMe();
  if (row) return <Conversation row={row} jumpTo={props.jumpTo} onSearch={() => props.onSearch(row.conversation_id)} />;
  if (!me) return <Skeleton />;
  return <Missing />;
}

function Missing() {
  const [isLate, setIsLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setIsLate(true), 1_000);
    return () => clearTimeout(timer);
  }, []);
  if (!isLate) return <Skeleton />;
  return (
    <div className="empty">
      <h2>This conversation is not in your inbox</h2>
      <p className="muted">It may have been deleted, or you are no longer in it.</p>
      <button className="primary" onClick={() => go(null)}>
        Back to the inbox
      </button>
    </div>
  );
}

function Skeleton() {
  return (
    <div className="skeleton messages" aria-hidden>
      {[46, 62, 30, 54, 38].map((width, at) => (
        <span key={at} style={{ inlineSize: `${width}%` }} className={at % 2 ? "mine" : ""} />
      ))}
    </div>
  );
}

/** Says that the server cannot be reached, once that has lasted 2 s. */
function Banner() {
  const client = useTidings();
  const isOffline = useConnection() === "offline";
  const [isShown, setIsShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setIsShown(isOffline), isOffline ? 2_000 : 0);
    return () => clearTimeout(timer);
  }, [isOffline]);
  if (!isShown) return null;
  return (
    <div className="banner" role="status">
      <WifiOff aria-hidden />
      <span>You are offline. What you write is kept, and sent once the server can be reached.</span>
      <button className="link" onClick={() => void attempt(client.api.me())}>
        Try now
      </button>
    </div>
  );
}

/** Says that a message was not changed, wherever one is by then; it shows beside the message, too. */
function useRefusals(): void {
  const outbox = useSelected((state) => state.outbox);
  const told = useRef(new Set<string>());
  useEffect(() => {
    const refused = outbox.filter(({ message_id, failed }) => message_id && failed);
    for (const { id, failed } of refused) if (!told.current.has(id)) toast(`A message was not changed: ${failed?.message}`);
    told.current = new Set(refused.map(({ id }) => id));
  }, [outbox]);
}

/** Keys that work anywhere: Ctrl+K searches, Alt+↑ and Alt+↓ go to the conversation above and below. */
function useKeys() {
  const client = useTidings();
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.isComposing || document.querySelector("dialog[open]")) return;
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        document.querySelector<HTMLInputElement>("#search")?.focus();
      } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
        event.preventDefault();
        const rows = client.store.state.conversations;
        const open = location.hash.split("/")[2];
        const at = rows.findIndex(({ conversation_id }) => encodeURIComponent(conversation_id) === open);
        const next = rows[event.key === "ArrowUp" ? Math.max(0, at - 1) : Math.min(rows.length - 1, at + 1)];
        if (next) go(next.conversation_id);
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [client]);
}
