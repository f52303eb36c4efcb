// A list over everything: conversations, people, rooms and messages. One field finds, Enter opens.

import type { Conversation, Hit, Room, Tidings, User } from "@tidings/client";
import { useConversations, useSelected, useTidings } from "@tidings/client/react";
import { useEffect, useId, useMemo, useRef, useState } from "react";
import type { KeyboardEvent, ReactNode } from "react";

import { summary } from "../attachments/describe.js";
import { Avatar } from "../avatar.js";
import { formatShort } from "../dates.js";
import { fold } from "../fold.js";
import { useModal } from "../modal.js";
import { nameOf, titleOf, usePerson } from "../people.js";
import { RichText, excerpt } from "../rich-text.js";
import { navigate } from "../route.js";
import { NO_OTHERS, afterTyping, findOthers, firstOf } from "../search/ask.js";
import type { Others } from "../search/ask.js";
import { found as foundMessages } from "../text/found.js";
import { attempt } from "../toasts.js";
import { partWords, words } from "../words/language.js";
import "./palette.css";

/** Entries of each kind. */
const MAX = { conversations: 7, others: 5, messages: 8 };

/** The results of the server. */
interface Remote extends Others {
  messages: readonly Hit[];
}

const NOTHING: Remote = { ...NO_OTHERS, messages: [] };

/** An entry of the list. */
interface Entry {
  key: string;
  group: string;
  view: ReactNode;
  open: () => void;
}

/** Asks the server for people, rooms and messages. */
async function ask(client: Tidings, query: string, signal: AbortSignal): Promise<Remote> {
  const [others, messages] = await Promise.all([
    findOthers(client, query, MAX.others, signal),
    firstOf(client.search(query, { signal, limit: MAX.messages }), MAX.messages).catch(() => []),
  ]);
  return { ...others, messages };
}

/** Returns what the server finds, or nothing while there is no answer. */
function useRemote(query: string): { remote: Remote; isAsking: boolean } {
  const client = useTidings();
  const [state, setState] = useState({ remote: NOTHING, query: "" });
  useEffect(() => {
    if (query === "") return;
    return afterTyping(async (signal) => {
      const remote = await ask(client, query, signal);
      if (!signal.aborted) setState({ remote, query });
    });
  }, [client, query]);
  // The last answer stays until there is another, so that the list does not flicker.
  return { remote: query === "" ? NOTHING : state.remote, isAsking: query !== state.query && query !== "" };
}

function useEntries(query: string, remote: Remote): readonly Entry[] {
  const client = useTidings();
  const inbox = useConversations();
  const archived = useSelected((state) => state.archived);
  return useMemo(() => {
    const rows = matching([...inbox, ...archived], query).slice(0, MAX.conversations);
    return [
      ...rows.map((row) => conversationEntry(row)),
      ...remote.people.map((user) => personEntry(client, user)),
      ...remote.rooms.map((room) => roomEntry(client, room)),
      ...remote.messages.map((hit, at) => messageEntry(remote.messages, hit, at)),
    ];
  }, [client, inbox, archived, query, remote]);
}

/** Conversations whose name contains the query; those first in which a word begins with it. */
function matching(rows: readonly Conversation[], query: string): Conversation[] {
  const wanted = fold(query);
  const rank = (row: Conversation) => {
    const title = fold(titleOf(row));
    if (title.startsWith(wanted)) return 0;
    return title.split(/\s+/).some((word) => word.startsWith(wanted)) ? 1 : title.includes(wanted) ? 2 : 3;
  };
  if (wanted === "") return [...rows];
  const ranked = rows.map((row) => ({ row, rank: rank(row) })).filter(({ rank }) => rank < 3);
  return ranked.sort((a, b) => a.rank - b.rank).map(({ row }) => row);
}

const openRow = (opening: Promise<Conversation>) => void attempt(opening.then((row) => navigate(row.conversation_id)));

function conversationEntry(row: Conversation): Entry {
  const id = row.other_user_id ?? row.conversation_id;
  return {
    key: row.conversation_id,
    group: partWords.palette.conversations,
    view: (
      <Line avatar={<Avatar id={id} name={titleOf(row)} photo={row.photo_url} kind={row.type} size="small" />} about={row.is_archived ? words.inbox.archived : null}>
        <bdi>{titleOf(row)}</bdi>
      </Line>
    ),
    open: () => navigate(row.conversation_id),
  };
}

function personEntry(client: Tidings, user: User): Entry {
  const name = nameOf(user);
  return {
    key: user.id,
    group: partWords.palette.people,
    view: (
      <Line avatar={<Avatar id={user.id} name={name} photo={user.avatar_url} size="small" />} about={user.username ? `@${user.username}` : null}>
        <bdi>{name}</bdi>
      </Line>
    ),
    open: () => openRow(client.openDirect(user.id)),
  };
}

function roomEntry(client: Tidings, room: Room): Entry {
  return {
    key: room.conversation_id,
    group: partWords.palette.rooms,
    view: (
      <Line avatar={<Avatar id={room.conversation_id} name={room.name} kind="room" size="small" />} about={room.description}>
        <bdi>{room.name}</bdi>
      </Line>
    ),
    open: () => openRow(client.joinRoom(room.conversation_id)),
  };
}

function messageEntry(hits: readonly Hit[], hit: Hit, at: number): Entry {
  return {
    key: hit.id,
    group: partWords.palette.messages,
    view: <MessageLine hit={hit} />,
    open: () => {
      foundMessages.set({ hits, at });
      navigate(hit.conversation_id, hit.id);
    },
  };
}

function Line({ avatar, about, children }: { avatar: ReactNode; about?: ReactNode; children: ReactNode }) {
  return (
    <>
      {avatar}
      <span className="grow">
        {children}
        {about && (
          <span className="muted small-text one-line" dir="auto">
            {about}
          </span>
        )}
      </span>
    </>
  );
}

function MessageLine({ hit }: { hit: Hit }) {
  const row = useSelected((state) => state.byId.get(hit.conversation_id));
  const { name, photo } = usePerson(hit.sender_id);
  const part = excerpt(hit.message_text, hit.highlights);
  return (
    <>
      <Avatar id={hit.sender_id} name={name} photo={photo} size="small" />
      <span className="grow">
        <span className="one-line" dir="auto">
          {part.text ? <RichText text={part.text} marks={part.marks} isLinkless /> : summary(hit)}
        </span>
        <span className="muted small-text one-line">
          <bdi>{name}</bdi>
          {row && row.type !== "direct" && (
            <>
              {" · "}
              <bdi>{titleOf(row)}</bdi>
            </>
          )}
          {" · "}
          {formatShort(hit.sent_at)}
        </span>
      </span>
    </>
  );
}

export default function Palette({ onClose }: { onClose: () => void }) {
  const dialog = useModal();
  const id = useId();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const query = text.trim();
  const { remote, isAsking } = useRemote(query);
  const entries = useEntries(query, remote);
  const at = Math.min(chosen, entries.length - 1);
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [at, entries]);

  const open = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.open();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 5, PageUp: -5 }[event.key];
    if (step !== undefined) setChosen(Math.max(0, Math.min(entries.length - 1, at + step)));
    else if (event.key === "Enter") open(entries[at]);
    // Otherwise, the field would only be cleared.
    else if (event.key === "Escape") onClose();
    else return;
    event.preventDefault();
  };
  return (
    <dialog
      ref={dialog}
      className="modal palette"
      aria-label={partWords.palette.find}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => event.target === dialog.current && onClose()}
    >
      <input
        type="search"
        role="combobox"
        aria-expanded={entries.length > 0}
        aria-controls={`${id}list`}
        aria-activedescendant={entries[at] ? `${id}${at}` : undefined}
        aria-label={partWords.palette.findAll}
        placeholder={partWords.palette.findAll}
        autoComplete="off"
        dir="auto"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setChosen(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div ref={list} id={`${id}list`} role="listbox" aria-label={partWords.palette.found} aria-busy={isAsking}>
        {groups(entries).map(({ name, from, members }) => (
          <div key={name} role="group" aria-label={name}>
            <h3 aria-hidden>{name}</h3>
            {members.map((entry, index) => (
              <div
                key={entry.key}
                id={`${id}${from + index}`}
                role="option"
                aria-selected={from + index === at}
                onMouseMove={() => setChosen(from + index)}
                onClick={() => open(entry)}
              >
                {entry.view}
              </div>
            ))}
          </div>
        ))}
      </div>
      <p className="hint muted" role="status">
        {entries.length === 0 && (isAsking ? words.common.searching : query === "" ? partWords.palette.empty : partWords.common.nothingFound)}
      </p>
    </dialog>
  );
}

/** Splits entries by group; `from` is the position of the first one. */
function groups(entries: readonly Entry[]): { name: string; from: number; members: Entry[] }[] {
  const all: { name: string; from: number; members: Entry[] }[] = [];
  entries.forEach((entry, at) => {
    const last = all.at(-1);
    if (last?.name === entry.group) last.members.push(entry);
    else all.push({ name: entry.group, from: at, members: [entry] });
  });
  return all;
}
