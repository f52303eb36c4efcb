// The inbox: conversations, filters and search.

import type { Conversation } from "@tidings/client";
import { useConnection, useConversations, useMe, useSelected } from "@tidings/client/react";
import { Archive as ArchiveIcon, ArrowLeft, AtSign, PenSquare, Search, X } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import type { KeyboardEvent } from "react";
import { VList } from "virtua";

import { Avatar } from "./avatar.js";
import { isUnread } from "./conversation-settings.js";
import { CountBadge } from "./count-badge.js";
import { InboxRow } from "./inbox-row.js";
import { focusItem, useTabStop } from "./keyboard/tab-stop.js";
import { lazyPart } from "./lazy.js";
import { useObservable } from "./observable.js";
import { nameOf, titleOf } from "./people.js";
import { useRoute } from "./route.js";
import { openMenu } from "./row-menu-trigger.js";
import { found } from "./text/found.js";
import { capped, number } from "./words/formats.js";
import { words } from "./words/language.js";

const RowMenu = lazyPart(() => import("./row-menu.js"));
const Mentions = lazyPart(() => import("./mentions/list.js"));
const SearchResults = lazyPart(() => import("./search/results.js"));

const FILTERS = ["all", "unread", "people", "groups", "rooms"] as const;
type Filter = (typeof FILTERS)[number];

function matchesFilter(row: Conversation, filter: Filter, open: string | null): boolean {
  switch (filter) {
    case "all":
      return true;
    case "unread":
      // The open conversation stays listed, although it has just been read.
      return isUnread(row) || row.conversation_id === open;
    case "people":
      return row.type === "direct";
    case "groups":
      return row.type === "group";
    case "rooms":
      return row.type === "room";
    default:
      return filter satisfies never;
  }
}

/** The list that the inbox shows. */
type View = "all" | "archive" | "mentions";

export function Inbox(props: {
  scope: string | null;
  setScope: (scope: string | null) => void;
  onNew: () => void;
  onSettings: () => void;
}) {
  const me = useMe();
  const [text, setText] = useState("");
  const [filter, setFilter] = useState<Filter>("all");
  const [view, setView] = useState<View>("all");
  const show = (next: View) => {
    setView(next);
    // The button that had the focus is gone.
    const target = { all: ".archive-link, .inbox a.row", archive: ".archive-bar button", mentions: ".archive-bar button" }[next];
    requestAnimationFrame(() => document.querySelector<HTMLElement>(target)?.focus());
  };
  const { scope, setScope } = props;
  const scoped = useSelected((state) => (scope === null ? undefined : state.byId.get(scope)));

  useEffect(() => {
    if (scope !== null) document.querySelector<HTMLInputElement>("#search")?.focus();
  }, [scope]);
  const close = () => {
    setText("");
    setScope(null);
    found.set(null);
  };
  // A search within a conversation ends with it, and does not go on as a search in all of them.
  const [shownScope, setShownScope] = useState(scope);
  if (scope !== shownScope) {
    setShownScope(scope);
    if (scope === null) setText("");
  }

  const name = me ? nameOf(me) : "";
  return (
    <section className="inbox" aria-label={words.inbox.inbox}>
      <header className="bar">
        <button className="me" aria-label={words.inbox.profile} onClick={props.onSettings}>
          <Avatar id={me?.id ?? ""} name={name} photo={me?.avatar_url} size="small" />
        </button>
        <span className="wordmark" aria-hidden>
          {words.tidings}
        </span>
        <MentionsButton
          isOpen={view === "mentions"}
          onClick={() => {
            close();
            show(view === "mentions" ? "all" : "mentions");
          }}
        />
        <button className="icon-button" aria-label={words.page.newConversation} onClick={props.onNew}>
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
          placeholder={scoped ? words.inbox.searchHere : words.inbox.search}
          aria-label={scoped ? words.inbox.searchConversation : words.inbox.searchAll}
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => (event.key === "Escape" ? close() : leaveSearch(event))}
        />
        {(text !== "" || scope !== null) && (
          <button className="icon-button small" aria-label={words.inbox.clearSearch} onClick={close}>
            <X aria-hidden />
          </button>
        )}
      </search>
      {scoped && (
        <p className="scope muted">
          {words.inbox.scope(<bdi>{titleOf(scoped)}</bdi>)}
        </p>
      )}
      {text.trim() !== "" || scope !== null ? (
        <SearchResults text={text} scope={scope} onClose={close} />
      ) : view === "archive" ? (
        <Archive onBack={() => show("all")} />
      ) : view === "mentions" ? (
        <Mentions onClose={() => show("all")} />
      ) : (
        <>
          <FilterButtons filter={filter} setFilter={setFilter} />
          {filter === "all" && <ArchiveLink onOpen={() => show("archive")} />}
          <List filter={filter} />
        </>
      )}
      <OpenRowMenu />
    </section>
  );
}

/** Opens the list of messages that mention the user, and has the number of those that are unread. */
function MentionsButton({ isOpen, onClick }: { isOpen: boolean; onClick: () => void }) {
  const rows = useConversations();
  const count = useMemo(() => rows.reduce((sum, row) => sum + row.mention_count, 0), [rows]);
  return (
    <button
      className="icon-button mentions-button"
      aria-label={count > 0 ? words.mentions.unread(capped(count, 99)) : words.mentions.title}
      aria-pressed={isOpen}
      onClick={onClick}
    >
      <AtSign aria-hidden />
      {count > 0 && <CountBadge count={count} />}
    </button>
  );
}

/** From the search field, the arrow down leads to the first row below it, and Enter opens that row. */
function leaveSearch(event: KeyboardEvent): void {
  if (event.nativeEvent.isComposing || (event.key !== "Enter" && event.key !== "ArrowDown")) return;
  const first = document.querySelector<HTMLElement>(".inbox .found .row, .inbox .rows .row");
  if (!first) return;
  event.preventDefault();
  if (event.key === "ArrowDown") focusItem(first);
  else if (event.currentTarget instanceof HTMLInputElement && event.currentTarget.value.trim() !== "") first.click();
}

function FilterButtons({ filter, setFilter }: { filter: Filter; setFilter: (filter: Filter) => void }) {
  const box = useRef<HTMLDivElement>(null);
  useTabStop(box, "button", { prefer: "[aria-pressed=true]", layout: "row" });
  return (
    <div ref={box} className="chips" role="group" aria-label={words.inbox.filter}>
      {FILTERS.map((each) => (
        <button key={each} aria-pressed={filter === each} onClick={() => setFilter(each)}>
          {words.inbox.filters[each]}
        </button>
      ))}
    </div>
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
      <span className="grow">{words.inbox.archived}</span>
      <span className="muted">({number(archived.length)})</span>
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
        <button className="icon-button" aria-label={words.inbox.backToAll} onClick={onBack}>
          <ArrowLeft aria-hidden className="mirrored" />
        </button>
        <h2>{words.inbox.archived}</h2>
      </div>
      {rows.length > 0 ? (
        <Rows label={words.inbox.archivedConversations} rows={rows} open={open} />
      ) : (
        <p className="hint muted">{isLoaded ? words.inbox.noArchived : words.common.loadingMore}</p>
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
      <p className="hint muted">{words.inbox.unreachable}</p>
    ) : (
      <div className="skeleton rows" aria-label={words.common.loading} role="status">
        {Array.from({ length: 7 }, (_, at) => (
          <span key={at} />
        ))}
      </div>
    );
  }
  if (shown.length === 0) {
    const text = filter === "all" ? words.inbox.empty : words.inbox.noMatch;
    return <p className="hint muted">{text}</p>;
  }
  return <Rows label={words.inbox.conversations} rows={shown} open={open} />;
}

function Rows(props: { label: string; rows: readonly Conversation[]; open: string | null }) {
  const box = useRef<HTMLElement>(null);
  useTabStop(box, "a.row", {
    prefer: "[aria-current]",
    onLeave: (direction) => direction < 0 && document.getElementById("search")?.focus(),
  });
  return (
    <nav ref={box} className="rows" aria-label={props.label}>
      <VList data={props.rows} tabIndex={-1}>
        {(row) => <InboxRow key={row.conversation_id} row={row} isOpen={row.conversation_id === props.open} />}
      </VList>
    </nav>
  );
}
