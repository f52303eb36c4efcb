// The inbox: conversations, filters and search.

import type { Conversation, Hit } from "@tidings/client";
import { useConnection, useConversations, useMe, useMessage, useSelected, useTidings, useTyping } from "@tidings/client/react";
import { BellOff, Check, CheckCheck, Image as ImageIcon, Mic, Paperclip, PenSquare, Search, Video, X } from "lucide-react";
import { memo, useDeferredValue, useEffect, useMemo, useState } from "react";
import { VList } from "virtua";

import { KINDS, summary } from "./attachments/describe.js";
import { Avatar } from "./avatar.js";
import { showOverrides } from "./bidi.js";
import { useToday } from "./clock.js";
import { formatShort } from "./dates.js";
import { loadDraft } from "./drafts.js";
import { useObservable } from "./observable.js";
import { titleOf, usePerson } from "./people.js";
import { useCurrentPresence } from "./presence.js";
import { RichText, excerpt } from "./rich-text.js";
import { linkTo, useRoute } from "./route.js";
import { settings } from "./settings.js";
import { attempt } from "./toasts.js";

const FILTERS = ["All", "Unread", "People", "Groups", "Rooms"] as const;
type Filter = (typeof FILTERS)[number];

function matchesFilter(row: Conversation, filter: Filter, open: string | null): boolean {
  switch (filter) {
    case "All":
      return true;
    case "Unread":
      // The open conversation stays listed, although it has just been read.
      return row.unread_count > 0 || row.conversation_id === open;
    case "People":
      return row.type === "direct";
    case "Groups":
      return row.type === "group";
    case "Rooms":
      return row.type === "room";
    default:
      return filter satisfies never;
  }
}

/** Folds case and accents, for searching. */
const fold = (text: string) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();

export function Inbox(props: {
  scope: string | null;
  setScope: (scope: string | null) => void;
  onNew: () => void;
  onSettings: () => void;
}) {
  const me = useMe();
  const [text, setText] = useState("");
  const [filter, setFilter] = useState<Filter>("All");
  const { scope, setScope } = props;
  const scoped = useSelected((state) => (scope === null ? undefined : state.byId.get(scope)));

  useEffect(() => {
    if (scope !== null) document.querySelector<HTMLInputElement>("#search")?.focus();
  }, [scope]);
  const close = () => {
    setText("");
    setScope(null);
  };
  // A search within a conversation ends with it, and does not go on as a search in all of them.
  const [shownScope, setShownScope] = useState(scope);
  if (scope !== shownScope) {
    setShownScope(scope);
    if (scope === null) setText("");
  }

  const name = me?.full_name ?? me?.username ?? me?.id ?? "";
  return (
    <section className="inbox" aria-label="Inbox">
      <header className="bar">
        <button className="me" aria-label="Profile and settings" onClick={props.onSettings}>
          <Avatar id={me?.id ?? ""} name={name} photo={me?.avatar_url} size="small" />
        </button>
        <span className="wordmark" aria-hidden>
          Tidings
        </span>
        <button className="icon-button" aria-label="New conversation" title="New conversation" onClick={props.onNew}>
          <PenSquare aria-hidden />
        </button>
      </header>
      <search className="search">
        <Search aria-hidden />
        <input
          id="search"
          type="search"
          autoComplete="off"
          dir="auto"
          placeholder={scoped ? "Search here" : "Search"}
          aria-label={scoped ? "Search in this conversation" : "Search conversations and messages"}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && close()}
        />
        {(text !== "" || scope !== null) && (
          <button className="icon-button small" aria-label="Clear search" onClick={close}>
            <X aria-hidden />
          </button>
        )}
      </search>
      {scoped && (
        <p className="scope muted">
          In <bdi>{titleOf(scoped)}</bdi>
        </p>
      )}
      {text.trim() === "" && scope === null ? (
        <>
          <div className="chips" role="group" aria-label="Filter">
            {FILTERS.map((each) => (
              <button key={each} aria-pressed={filter === each} onClick={() => setFilter(each)}>
                {each}
              </button>
            ))}
          </div>
          <List filter={filter} />
        </>
      ) : (
        <SearchResults text={text} scope={scope} />
      )}
    </section>
  );
}

function List({ filter }: { filter: Filter }) {
  const rows = useConversations();
  const isLoading = useSelected((state) => !state.isComplete && state.conversations.length === 0);
  const isOffline = useConnection() === "offline";
  const open = useRoute().conversation;
  const shown = useMemo(() => rows.filter((row) => matchesFilter(row, filter, open)), [rows, filter, open]);
  if (isLoading) {
    return isOffline ? (
      <p className="hint muted">Cannot reach the server.</p>
    ) : (
      <div className="skeleton rows" aria-label="Loading" role="status">
        {Array.from({ length: 7 }, (_, at) => (
          <span key={at} />
        ))}
      </div>
    );
  }
  if (shown.length === 0) {
    const text = filter === "All" ? "No conversations yet. Start one with the pen above." : "No conversations match this filter.";
    return <p className="hint muted">{text}</p>;
  }
  return (
    <nav className="rows" aria-label="Conversations">
      <VList data={shown} tabIndex={-1}>
        {(row) => <Row key={row.conversation_id} row={row} isOpen={row.conversation_id === open} />}
      </VList>
    </nav>
  );
}

const Row = memo(function Row({ row, isOpen }: { row: Conversation; isOpen: boolean }) {
  const title = titleOf(row);
  const presence = useCurrentPresence(row.other_user_id);
  const isUnread = row.unread_count > 0;
  const isMuted = useObservable(settings).muted.includes(row.conversation_id);
  return (
    <a
      className={`row ${isUnread ? "unread" : ""}`}
      href={linkTo(row.conversation_id)}
      aria-current={isOpen ? "page" : undefined}
    >
      <Avatar
        id={row.other_user_id ?? row.conversation_id}
        name={title}
        photo={row.photo_url}
        kind={row.type}
        status={presence?.status}
      />
      <span className="row-text">
        <span className="row-top">
          <span className="row-name">
            <bdi>{title}</bdi>
          </span>
          {row.last_message_at && <ShortTime at={row.last_message_at} />}
        </span>
        <span className="row-bottom">
          <Preview row={row} isOpen={isOpen} />
          {isMuted && <BellOff className="muted bell" role="img" aria-label="Muted" />}
          {isUnread && (
            <span className="badge">
              {row.unread_count > 99 ? "99+" : row.unread_count}
              <span className="hidden"> unread</span>
            </span>
          )}
        </span>
      </span>
    </a>
  );
});

function ShortTime({ at }: { at: string }) {
  useToday();
  return <time className="muted">{formatShort(at)}</time>;
}

function Preview({ row, isOpen }: { row: Conversation; isOpen: boolean }) {
  const me = useMe();
  const typists = useTyping(row.conversation_id);
  const read = useSelected((state) => {
    const last = state.timelines.get(row.conversation_id)?.messages.at(-1);
    return last && last.id === row.last_message_id ? last.read : null;
  });
  const unsent = !isOpen && me ? loadDraft(me.id, row.conversation_id) : "";
  if (typists.length > 0) return <span className="preview typing-text">typing…</span>;
  if (unsent) {
    return (
      <span className="preview">
        <span className="draft">Draft: </span>
        <bdi>{showOverrides(unsent.slice(0, 100))}</bdi>
      </span>
    );
  }
  const text = row.last_message;
  if (row.last_message_id === null) return <span className="preview muted">No messages yet</span>;
  return (
    <span className="preview muted">
      {row.last_message_from_me &&
        (read === null ? <span>You: </span> : read ? <CheckCheck aria-label="Read" className="tick read" /> : <Check aria-label="Sent" className="tick" />)}
      <KindIcon kind={row.last_message_kind} />
      {row.last_message_kind === "voice" ? (
        KINDS.voice
      ) : text ? (
        <bdi>{showOverrides(text)}</bdi>
      ) : ( <NoTextPreview conversation={row.conversation_id} message={row.last_message_id} />
      )}
    </span>
  );
}

/** Shows that the last message has files. */
function KindIcon({ kind }: { kind: Conversation["last_message_kind"] }) {
  switch (kind) {
    case "image":
      return <ImageIcon aria-label={KINDS.image} className="tick" />;
    case "video":
      return <Video aria-label={KINDS.video} className="tick" />;
    case "voice":
      return <Mic aria-hidden className="tick" />;
    case "audio":
    case "file":
      return <Paperclip aria-label={KINDS[kind]} className="tick" />;
    default:
      return null;
  }
}

/** Preview of a message without text. Loads the message, because the row does not tell why the text is empty. */
function NoTextPreview(props: { conversation: string; message: string }) {
  const message = useMessage(props.conversation, props.message);
  if (!message) return null;
  return <i>{message.is_deleted ? "Message deleted" : "Attachment"}</i>;
}

/** Search results per page. */
const PAGE_SIZE = 20;

function SearchResults({ text, scope }: { text: string; scope: string | null }) {
  const client = useTidings();
  const rows = useConversations();
  const query = useDeferredValue(text.trim());
  const [hits, setHits] = useState<readonly Hit[]>([]);
  const [state, setState] = useState<"searching" | "more" | "done">("searching");
  const [limit, setLimit] = useState(PAGE_SIZE);

  useEffect(() => setLimit(PAGE_SIZE), [query, scope]);
  useEffect(() => {
    if (query === "") {
      setHits([]);
      setState("done");
      return;
    }
    const stop = new AbortController();
    setState("searching");
    const search = async () => {
      const found: Hit[] = [];
      const options = { signal: stop.signal, limit: PAGE_SIZE, ...(scope ? { conversation_id: scope } : {}) };
      for await (const hit of client.search(query, options)) {
        if (found.length === limit) {
          setHits(found);
          setState("more");
          return;
        }
        found.push(hit);
      }
      setHits(found);
      setState("done");
    };
    // Debounced, because a search reads many messages.
    const timer = setTimeout(() => {
      void attempt(search()).then((isDone) => {
        if (!isDone && !stop.signal.aborted) setState("done");
      });
    }, 200);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [client, query, scope, limit]);

  const wanted = fold(query);
  const matching = scope || !wanted ? [] : rows.filter((row) => fold(titleOf(row)).includes(wanted)).slice(0, 8);
  const open = useRoute().conversation;
  const isEmpty = state === "done" && hits.length === 0 && matching.length === 0;
  return (
    <div className="found" aria-busy={state === "searching"}>
      {matching.length > 0 && (
        <section aria-label="Conversations found">
          <h2>Conversations</h2>
          {matching.map((row) => (
            <Row key={row.conversation_id} row={row} isOpen={row.conversation_id === open} />
          ))}
        </section>
      )}
      {hits.length > 0 && (
        <section aria-label="Messages found">
          <h2>Messages</h2>
          {hits.map((hit) => (
            <MessageHit key={hit.id} hit={hit} />
          ))}
          {state === "more" && (
            <button className="link more" onClick={() => setLimit(limit + PAGE_SIZE)}>
              Show more
            </button>
          )}
        </section>
      )}
      <p className="hint muted" role="status">
        {isEmpty && query ? "No results." : state === "searching" && hits.length === 0 ? "Searching…" : ""}
      </p>
    </div>
  );
}

function MessageHit({ hit }: { hit: Hit }) {
  const row = useSelected((state) => state.byId.get(hit.conversation_id));
  const sender = usePerson(hit.sender_id);
  const title = row ? titleOf(row) : sender.name;
  const part = excerpt(hit.message_text, hit.highlights);
  return (
    <a className="row hit" href={linkTo(hit.conversation_id, hit.id)}>
      <span className="row-text">
        <span className="row-top">
          <span className="row-name">
            <bdi>{title}</bdi>
          </span>
          <ShortTime at={hit.sent_at} />
        </span>
        <span className="preview muted">
          {title !== sender.name && <bdi>{sender.name}: </bdi>}
          <bdi>{part.text ? <RichText text={part.text} marks={part.marks} /> : summary(hit)}</bdi>
        </span>
      </span>
    </a>
  );
}
