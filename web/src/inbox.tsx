// The inbox: conversations, the filter, and the search through messages.

import type { Conversation, Hit } from "@tidings/client";
import { useConnection, useConversations, useMe, useMessage, usePresence, useSelected, useTidings, useTyping } from "@tidings/client/react";
import { BellOff, Check, CheckCheck, PenSquare, Search, X } from "lucide-react";
import { memo, useDeferredValue, useEffect, useMemo, useState } from "react";
import { VList } from "virtua";

import { Avatar } from "./avatar.js";
import { draft } from "./drafts.js";
import { titleOf, usePerson } from "./people.js";
import { RichText, excerpt } from "./rich-text.js";
import { addressOf, useRoute } from "./route.js";
import { settings } from "./settings.js";
import { attempt } from "./toasts.js";
import { useValue } from "./value.js";
import { brief } from "./when.js";

const FILTERS = ["All", "Unread", "People", "Groups", "Rooms"] as const;
type Filter = (typeof FILTERS)[number];

function passes(row: Conversation, filter: Filter, open: string | null): boolean {
  switch (filter) {
    case "All":
      return true;
    case "Unread":
      // The open one stays, though it has just been read.
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

const folded = (text: string) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();

/** The column at the side. */
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
          <button className="icon-button small" aria-label="End the search" onClick={close}>
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
          <div className="chips" role="group" aria-label="Show">
            {FILTERS.map((each) => (
              <button key={each} aria-pressed={filter === each} onClick={() => setFilter(each)}>
                {each}
              </button>
            ))}
          </div>
          <List filter={filter} />
        </>
      ) : (
        <Found text={text} scope={scope} />
      )}
    </section>
  );
}

function List({ filter }: { filter: Filter }) {
  const rows = useConversations();
  const isLoading = useSelected((state) => !state.isComplete && state.conversations.length === 0);
  const isOffline = useConnection() === "offline";
  const open = useRoute().conversation;
  const shown = useMemo(() => rows.filter((row) => passes(row, filter, open)), [rows, filter, open]);
  if (isLoading) {
    return isOffline ? (
      <p className="hint muted">The server cannot be reached yet.</p>
    ) : (
      <div className="skeleton rows" aria-label="Loading" role="status">
        {Array.from({ length: 7 }, (_, at) => (
          <span key={at} />
        ))}
      </div>
    );
  }
  if (shown.length === 0) {
    const text = filter === "All" ? "No conversations yet. Start one with the pen above." : "Nothing here.";
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
  const presence = usePresence(row.other_user_id);
  const isUnread = row.unread_count > 0;
  const isMuted = useValue(settings).muted.includes(row.conversation_id);
  return (
    <a
      className={`row ${isUnread ? "unread" : ""}`}
      href={addressOf(row.conversation_id)}
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
          {row.last_message_at && <time className="muted">{brief(row.last_message_at)}</time>}
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

function Preview({ row, isOpen }: { row: Conversation; isOpen: boolean }) {
  const me = useMe();
  const typists = useTyping(row.conversation_id);
  const read = useSelected((state) => {
    const last = state.timelines.get(row.conversation_id)?.messages.at(-1);
    return last && last.id === row.last_message_id ? last.read : null;
  });
  const unsent = !isOpen && me ? draft(me.id, row.conversation_id) : "";
  if (typists.length > 0) return <span className="preview typing-text">typing …</span>;
  if (unsent) {
    return (
      <span className="preview">
        <span className="draft">Draft: </span>
        <bdi>{unsent.slice(0, 100)}</bdi>
      </span>
    );
  }
  const text = row.last_message;
  if (row.last_message_id === null) return <span className="preview muted">No messages yet</span>;
  return (
    <span className="preview muted">
      {row.last_message_from_me &&
        (read === null ? <span>You: </span> : read ? <CheckCheck aria-label="Read" className="tick read" /> : <Check aria-label="Sent" className="tick" />)}
      {text ? <bdi>{text}</bdi> : <Textless conversation={row.conversation_id} message={row.last_message_id} />}
    </span>
  );
}

/** A message without text. The inbox does not say why it has none: the message does. */
function Textless(props: { conversation: string; message: string }) {
  const message = useMessage(props.conversation, props.message);
  if (!message) return null;
  return <i>{message.is_deleted ? "Message deleted" : "Attachment"}</i>;
}

/** Messages of a call that are shown before one asks for more. */
const SOME = 20;

function Found({ text, scope }: { text: string; scope: string | null }) {
  const client = useTidings();
  const rows = useConversations();
  const query = useDeferredValue(text.trim());
  const [hits, setHits] = useState<readonly Hit[]>([]);
  const [state, setState] = useState<"searching" | "more" | "done">("searching");
  const [most, setMost] = useState(SOME);

  useEffect(() => setMost(SOME), [query, scope]);
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
      const options = { signal: stop.signal, limit: SOME, ...(scope ? { conversation_id: scope } : {}) };
      for await (const hit of client.search(query, options)) {
        if (found.length === most) {
          setHits(found);
          setState("more");
          return;
        }
        found.push(hit);
      }
      setHits(found);
      setState("done");
    };
    // Not at each key: a search reads many messages.
    const timer = setTimeout(() => {
      void attempt(search()).then((isDone) => {
        if (!isDone && !stop.signal.aborted) setState("done");
      });
    }, 200);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [client, query, scope, most]);

  const wanted = folded(query);
  const matching = scope || !wanted ? [] : rows.filter((row) => folded(titleOf(row)).includes(wanted)).slice(0, 8);
  const open = useRoute().conversation;
  const none = state === "done" && hits.length === 0 && matching.length === 0;
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
            <FoundMessage key={hit.id} hit={hit} />
          ))}
          {state === "more" && (
            <button className="link more" onClick={() => setMost(most + SOME)}>
              Show more
            </button>
          )}
        </section>
      )}
      <p className="hint muted" role="status">
        {none && query ? "Nothing found." : state === "searching" && hits.length === 0 ? "Searching …" : ""}
      </p>
    </div>
  );
}

function FoundMessage({ hit }: { hit: Hit }) {
  const row = useSelected((state) => state.byId.get(hit.conversation_id));
  const sender = usePerson(hit.sender_id);
  const title = row ? titleOf(row) : sender.name;
  const part = excerpt(hit.message_text, hit.highlights);
  return (
    <a className="row hit" href={addressOf(hit.conversation_id, hit.id)}>
      <span className="row-text">
        <span className="row-top">
          <span className="row-name">
            <bdi>{title}</bdi>
          </span>
          <time className="muted">{brief(hit.sent_at)}</time>
        </span>
        <span className="preview muted">
          {title !== sender.name && <bdi>{sender.name}: </bdi>}
          <bdi>
            <RichText text={part.text} marks={part.marks} />
          </bdi>
        </span>
      </span>
    </a>
  );
}
