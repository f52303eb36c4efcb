// An open conversation: header, timeline and composer.

import { loadOptimistic } from "@tidings/client";
import type { Conversation as Row, Presence, TimelineMessage } from "@tidings/client";
import { useConnection, useMe, useSelected, useTidings, useTyping } from "@tidings/client/react";
import { ArrowLeft, MoreVertical, Search } from "lucide-react";
import { useCallback, useEffect, useState } from "react";

import { DropZone } from "./attachments/drop-zone.js";
import { Avatar } from "./avatar.js";
import { blocked } from "./blocked.js";
import { Composer } from "./composer.js";
import type { ComposerMode } from "./composer.js";
import { lazyPart } from "./lazy.js";
import { useObservable } from "./observable.js";
import { cachePeople, titleOf, usePerson } from "./people.js";
import { PinBar } from "./pins/pin-bar.js";
import { useCurrentPresence, usePresenceText } from "./presence.js";
import { backToInbox } from "./route.js";
import { SelectionArea } from "./selection/area.js";
import { found } from "./text/found.js";
import { Timeline } from "./timeline.js";
import { words } from "./words/language.js";

// With what changes settings, so that its switches change at once.
const DetailsDialog = lazyPart(async () => (await Promise.all([import("./dialogs/details.js"), loadOptimistic()]))[0]);
const DeleteDialog = lazyPart(() => import("./dialogs/delete.js"));
const Viewer = lazyPart(() => import("./attachments/viewer.js"));
const ForwardDialog = lazyPart(() => import("./dialogs/forward.js"));
const ReactDialog = lazyPart(() => import("./dialogs/react.js"));
const ReactionsDialog = lazyPart(() => import("./dialogs/reactions.js"));
const HitBar = lazyPart(() => import("./search/hit-bar.js"));
const ReceiptsDialog = lazyPart(() => import("./dialogs/receipts.js"));

/** The open dialog. */
type Dialog =
  | { kind: "delete" | "receipts" | "forward" | "react" | "reactions"; message: TimelineMessage }
  | { kind: "viewer"; message: TimelineMessage; at: number }
  | { kind: "details" };

export function Conversation(props: { row: Row; jumpTo: string | null; onSearch: () => void }) {
  const { row } = props;
  const [mode, setMode] = useState<ComposerMode>({ kind: "new" });
  const [dialog, setDialog] = useState<Dialog | null>(null);
  useCachedParticipants(row);

  const onReply = useCallback((message: TimelineMessage) => setMode({ kind: "reply", message }), []);
  const onEdit = useCallback((message: TimelineMessage, text?: string) => setMode({ kind: "edit", message, text }), []);
  const onDelete = useCallback((message: TimelineMessage) => setDialog({ kind: "delete", message }), []);
  const onReceipts = useCallback((message: TimelineMessage) => setDialog({ kind: "receipts", message }), []);
  const onForward = useCallback((message: TimelineMessage) => setDialog({ kind: "forward", message }), []);
  const onReact = useCallback((message: TimelineMessage) => setDialog({ kind: "react", message }), []);
  const onReactions = useCallback((message: TimelineMessage) => setDialog({ kind: "reactions", message }), []);
  const onOpen = useCallback((message: TimelineMessage, at: number) => setDialog({ kind: "viewer", message, at }), []);
  const isBlocked = useObservable(blocked).has(row.other_user_id ?? "");
  const close = () => setDialog(null);

  return (
    <DropZone conversation={row.conversation_id} label={titleOf(row)} isDisabled={isBlocked || mode.kind === "edit"}>
      <Header row={row} onSearch={props.onSearch} onDetails={() => setDialog({ kind: "details" })} />
      <PinBar row={row} />
      <OpenHitBar conversation={row.conversation_id} />
      <Timeline
        row={row}
        jumpTo={props.jumpTo}
        onReply={onReply}
        onEdit={onEdit}
        onDelete={onDelete}
        onReceipts={onReceipts}
        onForward={onForward}
        onReact={onReact}
        onReactions={onReactions}
        onOpen={onOpen}
      />
      <TypingIndicator row={row} />
      <SelectionArea row={row}>
        <Composer row={row} mode={mode} setMode={setMode} />
      </SelectionArea>
      {dialog?.kind === "details" && <DetailsDialog row={row} onClose={close} />}
      {dialog?.kind === "viewer" && (
        <Viewer conversation={row.conversation_id} messageKey={dialog.message.key} at={dialog.at} onClose={close} />
      )}
      {dialog?.kind === "delete" && <DeleteDialog row={row} message={dialog.message} onClose={close} />}
      {dialog?.kind === "forward" && <ForwardDialog messages={[dialog.message]} onClose={close} />}
      {dialog?.kind === "react" && <ReactDialog message={dialog.message} onClose={close} />}
      {dialog?.kind === "reactions" && <ReactionsDialog message={dialog.message} onClose={close} />}
      {dialog?.kind === "receipts" && <ReceiptsDialog row={row} message={dialog.message} onClose={close} />}
    </DropZone>
  );
}

/** Caches the names of the participants. */
function useCachedParticipants(row: Row): void {
  const client = useTidings();
  const { conversation_id: id, type, other_user_id, photo_url } = row;
  const title = titleOf(row);
  useEffect(() => {
    if (type === "direct") {
      if (other_user_id) cachePeople([{ user_id: other_user_id, name: title, photo_url }]);
      return;
    }
    const stop = new AbortController();
    // Participants beyond the first 100, or all if this fails, are loaded when they are shown.
    client.api.conversation(id, { signal: stop.signal }).then(({ participants }) => cachePeople(participants), () => {});
    return () => stop.abort();
  }, [client, id, type, other_user_id, title, photo_url]);
}

/** Describes who takes part or, in a direct conversation, whether the other person is there. */
function useSubtitle(row: Row, presence: Presence | undefined): string {
  const isBlocked = useObservable(blocked).has(row.other_user_id ?? "");
  const isOffline = useConnection() === "offline";
  const text = usePresenceText(presence);
  if (row.type !== "direct") return words.conversation[row.type](row.participant_count);
  if (isBlocked) return words.conversation.blocked;
  if (isOffline) return words.conversation.waiting;
  const isHere = presence && presence.status !== "offline" && presence.current_conversation_id === row.conversation_id;
  return isHere ? words.conversation.here(text) : text;
}

function Header({ row, onSearch, onDetails }: { row: Row; onSearch: () => void; onDetails: () => void }) {
  const title = titleOf(row);
  const presence = useCurrentPresence(row.other_user_id);
  const subtitle = useSubtitle(row, presence);
  return (
    <header className="bar conversation-bar">
      <button className="icon-button back" aria-label={words.page.backToInbox} onClick={backToInbox}>
        <ArrowLeft aria-hidden className="mirrored" />
      </button>
      <button className="who" onClick={onDetails}>
        <Avatar
          id={row.other_user_id ?? row.conversation_id}
          name={title}
          photo={row.photo_url}
          kind={row.type}
          status={presence?.status}
          size="small"
        />
        <span className="who-text">
          <h2 dir="auto">{title}</h2>
          <span className="muted small-text" data-testid="presence">
            {subtitle}
          </span>
          <span className="hidden">{words.conversation.details}</span>
        </span>
      </button>
      <button className="icon-button" aria-label={words.inbox.searchConversation} onClick={onSearch}>
        <Search aria-hidden />
      </button>
      <button className="icon-button" aria-label={words.conversation.details} onClick={onDetails}>
        <MoreVertical aria-hidden />
      </button>
    </header>
  );
}

/** The bar of a search that has found something in this conversation. */
function OpenHitBar({ conversation }: { conversation: string }) {
  const state = useObservable(found);
  if (state?.hits[state.at]?.conversation_id !== conversation) return null;
  return <HitBar state={state} onClose={() => found.set(null)} />;
}

function TypingIndicator({ row }: { row: Row }) {
  const me = useMe();
  const typists = useTyping(row.conversation_id).filter((id) => id !== me?.id);
  const hasTimeline = useSelected((state) => state.timelines.has(row.conversation_id));
  if (!hasTimeline) return null;
  return (
    <div className="typing-indicator muted" data-testid="typing">
      {typists.length === 1 && <TypingPerson id={typists[0] ?? ""} />}
      {typists.length > 1 && <span>{words.conversation.typingPeople(typists.length)}</span>}
      {typists.length > 0 && (
        <span className="dots" aria-hidden>
          <i />
          <i />
          <i />
        </span>
      )}
    </div>
  );
}

function TypingPerson({ id }: { id: string }) {
  const { name } = usePerson(id);
  return <span>{words.conversation.typingPerson(<bdi>{name}</bdi>)}</span>;
}
