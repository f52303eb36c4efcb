// A conversation: who it is with, its messages, and where one writes.

import type { Conversation as Row, TimelineMessage } from "@tidings/client";
import { useMe, usePresence, useSelected, useTidings, useTyping } from "@tidings/client/react";
import { ArrowLeft, MoreVertical, Search } from "lucide-react";
import { Suspense, lazy, useCallback, useEffect, useState } from "react";

import { Avatar, STATUS } from "./avatar.js";
import { blocked } from "./blocked.js";
import { Composer } from "./composer.js";
import type { Purpose } from "./composer.js";
import { learn, titleOf, usePerson } from "./people.js";
import { go } from "./route.js";
import { Timeline } from "./timeline.js";
import { useValue } from "./value.js";
import { since } from "./when.js";

const DetailsDialog = lazy(() => import("./dialogs/details.js"));
const DeleteDialog = lazy(() => import("./dialogs/delete.js"));
const ReceiptsDialog = lazy(() => import("./dialogs/receipts.js"));

/** What is being done with a message in a dialog. */
type Doing = { what: "delete" | "receipts"; message: TimelineMessage } | { what: "details" };

/** One conversation. */
export function Conversation(props: { row: Row; jumpTo: string | null; onSearch: () => void }) {
  const { row } = props;
  const [purpose, setPurpose] = useState<Purpose>({ kind: "new" });
  const [doing, setDoing] = useState<Doing | null>(null);
  useParticipants(row);

  const onReply = useCallback((message: TimelineMessage) => setPurpose({ kind: "reply", message }), []);
  const onEdit = useCallback((message: TimelineMessage, text?: string) => setPurpose({ kind: "edit", message, text }), []);
  const onDelete = useCallback((message: TimelineMessage) => setDoing({ what: "delete", message }), []);
  const onReceipts = useCallback((message: TimelineMessage) => setDoing({ what: "receipts", message }), []);
  const close = () => setDoing(null);

  return (
    <section className="conversation" aria-label={titleOf(row)}>
      <Header row={row} onSearch={props.onSearch} onDetails={() => setDoing({ what: "details" })} />
      <Timeline row={row} jumpTo={props.jumpTo} onReply={onReply} onEdit={onEdit} onDelete={onDelete} onReceipts={onReceipts} />
      <Typists row={row} />
      <Composer row={row} purpose={purpose} setPurpose={setPurpose} />
      <Suspense>
        {doing?.what === "details" && <DetailsDialog row={row} onClose={close} />}
        {doing?.what === "delete" && <DeleteDialog row={row} message={doing.message} onClose={close} />}
        {doing?.what === "receipts" && <ReceiptsDialog row={row} message={doing.message} onClose={close} />}
      </Suspense>
    </section>
  );
}

/** Learns the names of those who take part. */
function useParticipants(row: Row): void {
  const client = useTidings();
  const { conversation_id: id, type, other_user_id, photo_url } = row;
  const title = titleOf(row);
  useEffect(() => {
    if (type === "direct") {
      if (other_user_id) learn([{ user_id: other_user_id, name: title, photo_url }]);
      return;
    }
    const stop = new AbortController();
    // Whoever is missing is looked up when they show.
    client.api.conversation(id, { signal: stop.signal }).then(({ participants }) => learn(participants), () => {});
    return () => stop.abort();
  }, [client, id, type, other_user_id, title, photo_url]);
}

function Header({ row, onSearch, onDetails }: { row: Row; onSearch: () => void; onDetails: () => void }) {
  const title = titleOf(row);
  const presence = usePresence(row.other_user_id);
  const isBlocked = useValue(blocked).has(row.other_user_id ?? "");
  const count = row.participant_count;
  const subtitle =
    row.type !== "direct"
      ? `${row.type === "room" ? "Room" : "Group"} of ${count}`
      : isBlocked
        ? "blocked"
        : !presence || presence.status === "offline"
          ? presence?.last_seen_at
            ? `last seen ${since(presence.last_seen_at)}`
            : "offline"
          : STATUS[presence.status] + (presence.current_conversation_id === row.conversation_id ? ", and here" : "");
  return (
    <header className="bar conversation-bar">
      <button className="icon-button back" aria-label="Back to the inbox" onClick={() => go(null)}>
        <ArrowLeft aria-hidden className="mirrored" />
      </button>
      <button className="who" onClick={onDetails} aria-label={`${title}: details`}>
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
        </span>
      </button>
      <button className="icon-button" aria-label="Search in this conversation" onClick={onSearch}>
        <Search aria-hidden />
      </button>
      <button className="icon-button" aria-label="Details" onClick={onDetails}>
        <MoreVertical aria-hidden />
      </button>
    </header>
  );
}

function Typists({ row }: { row: Row }) {
  const me = useMe();
  const typists = useTyping(row.conversation_id).filter((id) => id !== me?.id);
  const hasTimeline = useSelected((state) => state.timelines.has(row.conversation_id));
  if (!hasTimeline) return null;
  return (
    <div className="typists muted" data-testid="typing">
      {typists.length === 1 && <Typist id={typists[0] ?? ""} />}
      {typists.length > 1 && <span>{typists.length} people are typing</span>}
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

function Typist({ id }: { id: string }) {
  const { name } = usePerson(id);
  return (
    <span>
      <bdi>{name}</bdi> is typing
    </span>
  );
}
