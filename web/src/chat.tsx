// The chat of the signed-in user: the inbox next to the open conversation; on narrow screens, one of the two.

import { useConversation, useMe, useSelected, useTidings } from "@tidings/client/react";
import { MessagesSquare } from "lucide-react";
import { useEffect, useRef, useState } from "react";

import { loadBlocked } from "./blocked.js";
import { useClosingWarning } from "./closing.js";
import { Conversation } from "./conversation.js";
import { ErrorBoundary } from "./error-boundary.js";
import { Inbox } from "./inbox.js";
import { useShortcuts } from "./keyboard/shortcuts.js";
import { lazyPart, useFetchAhead } from "./lazy.js";
import { useNotifications } from "./notifications.js";
import { useObservable } from "./observable.js";
import { OfflineBanner } from "./offline.js";
import { openProfile } from "./profile-card.js";
import { usePush } from "./push/state.js";
import { navigate, useRoute } from "./route.js";
import { describeProblem, toast } from "./toasts.js";
import { useReportViewing } from "./viewing.js";
import { capped } from "./words/formats.js";
import { useLanguage, words } from "./words/language.js";

const NewDialog = lazyPart(() => import("./dialogs/new.js"));
const SettingsDialog = lazyPart(() => import("./dialogs/settings.js"));
const Palette = lazyPart(() => import("./dialogs/palette.js"));
const KeysDialog = lazyPart(() => import("./dialogs/keys.js"));
const ProfileDialog = lazyPart(() => import("./dialogs/profile.js"));

export function Chat({ onSignOut }: { onSignOut: () => void }) {
  const client = useTidings();
  const language = useLanguage();
  const route = useRoute();
  const me = useMe();
  const unread = useSelected((state) => state.unmutedUnread);
  const isEmpty = useSelected((state) => state.isComplete && state.byId.size === 0);
  const [dialog, setDialog] = useState<"new" | "settings" | "palette" | "keys" | null>(null);
  // The conversation to search in.
  const [scope, setScope] = useState<string | null>(null);
  // On narrow screens, the search takes the place of the conversation until a result is opened.
  const [isSearching, setIsSearching] = useState(false);
  const onSearch = (conversation: string) => {
    setScope(conversation);
    setIsSearching(true);
  };
  useEffect(() => setIsSearching(false), [route]);
  useEffect(() => setScope((scope) => (scope === route.conversation ? scope : null)), [route.conversation]);

  useEffect(() => {
    if (me) void loadBlocked(client);
  }, [client, me?.id]);
  useEffect(() => {
    document.title = unread > 0 ? `(${capped(unread, 999)}) ${words.tidings}` : words.tidings;
    // Only pages that are installed have a badge.
    void navigator.setAppBadge?.(unread).catch(() => {});
  }, [unread, language]);
  useEffect(() => client.loadArchive(), [client]);
  useNotifications();
  usePush();
  useReportViewing(route.conversation);
  useFailedEditToasts();
  // This page alone has the files of an unsent message.
  useClosingWarning(useSelected((state) => state.outbox.some(({ is_kept }) => is_kept === false)));
  useShortcuts({ openPalette: () => setDialog("palette"), openKeys: () => setDialog("keys") });
  useFetchAhead();

  return (
    <main className={`chat ${route.conversation ? "in-conversation" : ""} ${isSearching && scope ? "searching" : ""}`}>
      <h1 className="hidden">{words.tidings}</h1>
      <OfflineBanner />
      <ErrorBoundary>
        <Inbox
          scope={scope}
          setScope={setScope}
          onNew={() => setDialog("new")}
          onSettings={() => setDialog("settings")}
        />
      </ErrorBoundary>
      <div className="pane">
        {route.conversation ? (
          <ErrorBoundary key={route.conversation}>
            <OpenConversation id={route.conversation} jumpTo={route.message} onSearch={onSearch} />
          </ErrorBoundary>
        ) : (
          <div className="empty">
            <span className="logo quiet">
              <MessagesSquare aria-hidden />
            </span>
            <h2>{isEmpty ? words.page.welcome : words.page.select}</h2>
            <p className="muted">{isEmpty ? words.page.startFirst : words.page.startNew}</p>
            <button className="primary" onClick={() => setDialog("new")}>
              {words.page.newConversation}
            </button>
          </div>
        )}
      </div>
      {dialog === "new" && <NewDialog onClose={() => setDialog(null)} />}
      {dialog === "settings" && <SettingsDialog onClose={() => setDialog(null)} onSignOut={onSignOut} />}
      {dialog === "palette" && <Palette onClose={() => setDialog(null)} />}
      {dialog === "keys" && <KeysDialog onClose={() => setDialog(null)} />}
      <OpenProfile />
    </main>
  );
}

function OpenProfile() {
  const id = useObservable(openProfile);
  return id !== null && <ProfileDialog key={id} id={id} onClose={() => openProfile.set(null)} />;
}

/** The conversation, once its row is loaded. The row may be on a later page of the inbox, or in the archive. */
function OpenConversation(props: { id: string; jumpTo: string | null; onSearch: (conversation: string) => void }) {
  const client = useTidings();
  const row = useConversation(props.id);
  const me = useMe();
  // The messages need not wait for the row.
  useEffect(() => client.open(props.id), [client, props.id]);
  const isLoaded = useSelected((state) => state.isComplete && state.isArchiveLoaded);
  if (row) return <Conversation row={row} jumpTo={props.jumpTo} onSearch={() => props.onSearch(row.conversation_id)} />;
  if (!me || !isLoaded) return <Skeleton />;
  return <NotFound />;
}

function NotFound() {
  const [isLate, setIsLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setIsLate(true), 1_000);
    return () => clearTimeout(timer);
  }, []);
  if (!isLate) return <Skeleton />;
  return (
    <div className="empty">
      <h2>{words.page.notFound}</h2>
      <p className="muted">{words.page.notFoundWhy}</p>
      <button className="primary" onClick={() => navigate(null)}>
        {words.page.backToInbox}
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

/** Shows a toast when an edit fails, because the user may have left the conversation that shows it. */
function useFailedEditToasts(): void {
  const outbox = useSelected((state) => state.outbox);
  const reported = useRef(new Set<string>());
  useEffect(() => {
    const failedEdits = outbox.filter(({ message_id, failed }) => message_id && failed);
    for (const { id, failed } of failedEdits) {
      if (!reported.current.has(id)) toast(words.page.editFailed(failed ? describeProblem(failed) : ""));
    }
    reported.current = new Set(failedEdits.map(({ id }) => id));
  }, [outbox]);
}
