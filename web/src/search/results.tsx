// Search results: conversations, people, rooms and messages.

import type { Conversation, Hit, Room, User } from "@tidings/client";
import { useConversations, useSelected, useTidings } from "@tidings/client/react";
import { useDeferredValue, useEffect, useRef, useState } from "react";
import type { ReactNode } from "react";

import { Avatar } from "../avatar.js";
import { fold } from "../fold.js";
import { InboxRow } from "../inbox-row.js";
import { useTabStop } from "../keyboard/tab-stop.js";
import { useObservable } from "../observable.js";
import { nameOf, titleOf } from "../people.js";
import { navigate, useRoute } from "../route.js";
import { found } from "../text/found.js";
import { attempt } from "../toasts.js";
import { partWords, words } from "../words/language.js";
import { NO_OTHERS, afterTyping, findOthers } from "./ask.js";
import type { Others } from "./ask.js";
import { FilterChips, NO_FILTERS, toQuery } from "./filters.js";
import type { Filters } from "./filters.js";
import { MessageFound } from "./message-found.js";

/** Messages per page of results. */
const PAGE_SIZE = 20;
/** Conversations, people and rooms, each. */
const MAX_OTHERS = 8;

/** What is found for a text, everywhere or in one conversation. */
export default function SearchResults({ text, scope }: { text: string; scope: string | null; onClose: () => void }) {
  const inbox = useConversations();
  const archived = useSelected((state) => state.archived);
  const query = useDeferredValue(text.trim());
  const [filters, setFilters] = useState<Filters>(NO_FILTERS);
  const { hits, state, showMore } = useHits(query, scope, filters);
  const others = useOthers(scope === null ? query : "");
  const open = useRoute().conversation;
  const box = useRef<HTMLDivElement>(null);
  useTabStop(box, "a.row, button.row", { onLeave: (direction) => direction < 0 && document.getElementById("search")?.focus() });

  const wanted = fold(query);
  const matching =
    scope !== null || !wanted ? [] : [...inbox, ...archived].filter((row) => fold(titleOf(row)).includes(wanted)).slice(0, MAX_OTHERS);
  const isEmpty = state === "done" && [hits, matching, others.people, others.rooms].every(({ length }) => length === 0);
  return (
    <>
      {query !== "" && <FilterChips filters={filters} scope={scope} onChange={setFilters} />}
      <div ref={box} className="found" aria-busy={state === "searching"}>
        <Section title={partWords.search.conversations} items={matching}>
          {(row) => <InboxRow key={row.conversation_id} row={row} isOpen={row.conversation_id === open} />}
        </Section>
        <Section title={partWords.search.people} items={others.people}>
          {(user) => <PersonFound key={user.id} user={user} />}
        </Section>
        <Section title={partWords.search.rooms} items={others.rooms}>
          {(room) => <RoomFound key={room.conversation_id} room={room} />}
        </Section>
        <Section title={partWords.search.messages} items={hits}>
          {(hit, at) => <HitFound key={hit.id} hit={hit} onOpen={() => found.set({ hits, at })} />}
        </Section>
        {state === "more" && (
          <button className="link more" onClick={showMore}>
            {words.common.showMore}
          </button>
        )}
        <p className="hint muted" role="status">
          {query === "" && scope !== null && partWords.search.typeWords}
          {isEmpty && query ? partWords.search.noResults : state === "searching" && hits.length === 0 ? words.common.searching : ""}
        </p>
      </div>
    </>
  );
}

function Section<T>(props: { title: string; items: readonly T[]; children: (item: T, at: number) => ReactNode }) {
  if (props.items.length === 0) return null;
  return (
    <section aria-label={partWords.search.found(props.title)}>
      <h2>{props.title}</h2>
      {props.items.map(props.children)}
    </section>
  );
}

/** Searches the messages. */
function useHits(query: string, scope: string | null, filters: Filters) {
  const client = useTidings();
  const [hits, setHits] = useState<readonly Hit[]>([]);
  const [state, setState] = useState<"searching" | "more" | "done">("searching");
  const [limit, setLimit] = useState(PAGE_SIZE);
  useEffect(() => setLimit(PAGE_SIZE), [query, scope, filters]);
  useEffect(() => {
    if (query === "") {
      setHits([]);
      setState("done");
      return;
    }
    setState("searching");
    const search = async (signal: AbortSignal) => {
      const wanted: Hit[] = [];
      const options = { signal, limit: PAGE_SIZE, ...(scope ? { conversation_id: scope } : {}), ...toQuery(filters) };
      for await (const hit of client.search(query, options)) {
        if (wanted.length === limit) {
          setHits(wanted);
          setState("more");
          return;
        }
        wanted.push(hit);
      }
      setHits(wanted);
      setState("done");
    };
    return afterTyping(async (signal) => {
      const isDone = await attempt(search(signal));
      if (!isDone && !signal.aborted) setState("done");
    });
  }, [client, query, scope, filters, limit]);
  return { hits, state, showMore: () => setLimit(limit + PAGE_SIZE) };
}

/** Finds people and rooms; none for an empty query. */
function useOthers(query: string): Others {
  const client = useTidings();
  const [others, setOthers] = useState(NO_OTHERS);
  useEffect(() => {
    if (query === "") return setOthers(NO_OTHERS);
    return afterTyping(async (signal) => {
      const next = await findOthers(client, query, MAX_OTHERS, signal);
      if (!signal.aborted) setOthers(next);
    });
  }, [client, query]);
  return others;
}

const openRow = (opening: Promise<Conversation>) => void attempt(opening.then((row) => navigate(row.conversation_id)));

function PersonFound({ user }: { user: User }) {
  const client = useTidings();
  const name = nameOf(user);
  return (
    <button className="row" onClick={() => openRow(client.openDirect(user.id))}>
      <Avatar id={user.id} name={name} photo={user.avatar_url} />
      <OtherText name={name} about={user.username ? `@${user.username}` : partWords.search.message} />
    </button>
  );
}

function RoomFound({ room }: { room: Room }) {
  const client = useTidings();
  return (
    <button className="row" onClick={() => openRow(client.joinRoom(room.conversation_id))}>
      <Avatar id={room.conversation_id} name={room.name} kind="room" />
      <OtherText name={room.name} about={partWords.search.joinWith(room.participant_count)} />
    </button>
  );
}

function OtherText({ name, about }: { name: string; about: string }) {
  return (
    <span className="row-text">
      <span className="row-top">
        <span className="row-name" dir="auto">
          {name}
        </span>
      </span>
      <span className="row-bottom">
        <span className="preview muted">
          <bdi className="preview-text">{about}</bdi>
        </span>
      </span>
    </span>
  );
}

function HitFound({ hit, onOpen }: { hit: Hit; onOpen: () => void }) {
  const state = useObservable(found);
  return <MessageFound message={hit} isOpen={state?.hits[state.at]?.id === hit.id} onOpen={onOpen} />;
}
