// The inbox: conversations, filters and search.

import type { Conversation, Hit } from "@tidings/client";
import { useConnection, useConversations, useMe, useSelected, useTidings } from "@tidings/client/react";
import { Archive as ArchiveIcon, ArrowLeft, BellOff, PenSquare, Pin, Search, X } from "lucide-react";
import { memo, useDeferredValue, useEffect, useMemo, useState } from "react";
import { VList } from "virtua";

import { summary } from "./attachments/describe.js";
import { Avatar } from "./avatar.js";
import { useToday } from "./clock.js";
import { describeMute, isUnread } from "./conversation-settings.js";
import { formatShort } from "./dates.js";
import { fold } from "./fold.js";
import { lazyPart } from "./lazy.js";
import { useObservable } from "./observable.js";
import { titleOf, usePerson } from "./people.js";
import { useCurrentPresence } from "./presence.js";
import { Preview } from "./preview.js";
import { RichText, excerpt } from "./rich-text.js";
import { linkTo, useRoute } from "./route.js";
import { menuHandlers, openMenu } from "./row-menu-trigger.js";
import { attempt } from "./toasts.js";

const RowMenu = lazyPart(() => import("./row-menu.js"));

const FILTERS = ["All", "Unread", "People", "Groups", "Rooms"] as const;
type Filter = (typeof FILTERS)[number];

function matchesFilter(row: Conversation, filter: Filter, open: string | null): boolean {
  switch (filter) {
    case "All":
      return true;
    case "Unread":
      // The open conversation stays listed, although it has just been read.
      return isUnread(row) || row.conversation_id === open;
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

export function Inbox(props: {
  scope: string | null;
  setScope: (scope: string | null) => void;
  onNew: () => void;
  onSettings: () => void;
}) {
  const me = useMe();
  const [text, setText] = useState("");
  const [filter, setFilter] = useState<Filter>("All");
  const [isArchive, setIsArchive] = useState(false);
  const showArchive = (isShown: boolean) => {
    setIsArchive(isShown);
    // The button that had the focus is gone.
    const next = isShown ? ".archive-bar button" : ".archive-link, .inbox a.row";
    requestAnimationFrame(() => document.querySelector<HTMLElement>(next)?.focus());
  };
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
      {text.trim() !== "" || scope !== null ? (
        <SearchResults text={text} scope={scope} />
      ) : isArchive ? (
        <Archive onBack={() => showArchive(false)} />
      ) : (
        <>
          <div className="chips" role="group" aria-label="Filter">
            {FILTERS.map((each) => (
              <button key={each} aria-pressed={filter === each} onClick={() => setFilter(each)}>
                {each}
              </button>
            ))}
          </div>
          {filter === "All" && <ArchiveLink onOpen={() => showArchive(true)} />}
          <List filter={filter} />
        </>
      )}
      <OpenRowMenu />
    </section>
  );
}

function OpenRowMenu() {
  const at = useObservable(openMenu);
  return at && <RowMenu key={`${at.conversation} ${at.x} ${at.y}`} at={at} onClose={() => openMenu.set(null)} />;
}

/** Opens the archive, if there is something in it. */
function ArchiveLink({ onOpen }: { onOpen: () => void }) {
  const archived = useSelected((state) => state.archived);
  if (archived.length === 0) return null;
  return (
    <button className="archive-link" onClick={onOpen}>
      <ArchiveIcon aria-hidden />
      <span className="grow">Archived</span>
      <span className="muted">({archived.length})</span>
    </button>
  );
}

function Archive({ onBack }: { onBack: () => void }) {
  const rows = useSelected((state) => state.archived);
  const isLoaded = useSelected((state) => state.isArchiveLoaded);
  const open = useRoute().conversation;
  return (
    <>
      <div className="archive-bar" onKeyDown={(event) => event.key === "Escape" && onBack()}>
        <button className="icon-button" aria-label="Back to all conversations" onClick={onBack}>
          <ArrowLeft aria-hidden className="mirrored" />
        </button>
        <h2>Archived</h2>
      </div>
      {rows.length > 0 ? (
        <Rows label="Archived conversations" rows={rows} open={open} />
      ) : (
        <p className="hint muted">{isLoaded ? "No archived conversations." : "Loading…"}</p>
      )}
    </>
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
  return <Rows label="Conversations" rows={shown} open={open} />;
}

function Rows(props: { label: string; rows: readonly Conversation[]; open: string | null }) {
  return (
    <nav className="rows" aria-label={props.label}>
      <VList data={props.rows} tabIndex={-1}>
        {(row) => <Row key={row.conversation_id} row={row} isOpen={row.conversation_id === props.open} />}
      </VList>
    </nav>
  );
}

const Row = memo(function Row({ row, isOpen }: { row: Conversation; isOpen: boolean }) {
  const title = titleOf(row);
  const presence = useCurrentPresence(row.other_user_id);
  const isMuted = row.muted_until !== null;
  const handlers = useMemo(() => menuHandlers(row.conversation_id), [row.conversation_id]);
  return (
    <a
      className={`row ${isUnread(row) ? "unread" : ""} ${isMuted ? "muted-row" : ""}`}
      aria-keyshortcuts="Shift+F10"
      {...handlers}
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
          <span className="row-name" dir="auto">
            {title}
          </span>
          {row.last_message_at && <ShortTime at={row.last_message_at} />}
        </span>
        <span className="row-bottom">
          <Preview row={row} isOpen={isOpen} />
          {row.pinned_at !== null && <Pin className="muted bell" role="img" aria-label="Pinned" />}
          {isMuted && (
            <BellOff className="muted bell" role="img" aria-label="Muted">
              <title>{describeMute(row)}</title>
            </BellOff>
          )}
          {row.mention_count > 0 && (
            <span className="badge mention-badge">
              @<span className="hidden"> You were mentioned</span>
            </span>
          )}
          {row.unread_count > 0 ? (
            <span className="badge">
              {row.unread_count > 99 ? "99+" : row.unread_count}
              <span className="hidden"> unread</span>
            </span>
          ) : (
            row.marked_unread && <span className="badge mark-only" role="img" aria-label="Marked as unread" />
          )}
        </span>
      </span>
    </a>
  );
});

function ShortTime({ at }: { at: string }) {
  useToday();
  return (
    <time className="muted" dir="auto">
      {formatShort(at)}
    </time>
  );
}

/** Search results per page. */
const PAGE_SIZE = 20;

function SearchResults({ text, scope }: { text: string; scope: string | null }) {
  const client = useTidings();
  const inbox = useConversations();
  const archived = useSelected((state) => state.archived);
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
  const matching = scope || !wanted ? [] : [...inbox, ...archived].filter((row) => fold(titleOf(row)).includes(wanted)).slice(0, 8);
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
        {query === "" && scope !== null && "Type words to find messages in this conversation."}
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
          <span className="row-name" dir="auto">
            {title}
          </span>
          <ShortTime at={hit.sent_at} />
        </span>
        <span className="preview muted">
          {title !== sender.name && (
            <span className="preview-sender">
              <bdi>{sender.name}</bdi>:
            </span>
          )}{" "}
          <span className="preview-text" dir="auto">
            {part.text ? <RichText text={part.text} marks={part.marks} /> : summary(hit)}
          </span>
        </span>
      </span>
    </a>
  );
}
