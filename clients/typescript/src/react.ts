// React hooks for a client's store.

import { createContext, createElement, useContext, useEffect, useState, useSyncExternalStore } from "react";
import type { ReactNode } from "react";

import type { Tidings } from "./client.js";
import type { Connection, State, Timeline } from "./state.js";
import type { Conversation, Message, OwnUser, Presence } from "./types.js";

const Context = createContext<Tidings | null>(null);

/** Provides a client to the hooks of its descendants. */
export function TidingsProvider({ client, children }: { client: Tidings; children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: client }, children);
}

/** Returns the client of the nearest `TidingsProvider`. */
export function useTidings(): Tidings {
  const client = useContext(Context);
  if (!client) throw new Error("useTidings needs a TidingsProvider above it.");
  return client;
}

/**
 * Returns a selected part of the state, and renders again when it changes. The selector must return the same object for
 * the same state: build derived lists in `useMemo` instead.
 */
export function useSelected<T>(select: (state: State) => T): T {
  const { store } = useTidings();
  const get = () => select(store.state);
  return useSyncExternalStore(store.subscribe, get, get);
}

/** Returns the connection status. */
export function useConnection(): Connection {
  return useSelected((state) => state.connection);
}

/** Returns the signed-in user; null until connected. */
export function useMe(): OwnUser | null {
  return useSelected((state) => state.me);
}

/** Returns the inbox: pinned conversations first, then the most recently active. */
export function useConversations(): readonly Conversation[] {
  return useSelected((state) => state.conversations);
}

/** Returns a conversation's row, from the inbox or the archive; undefined if there is none. */
export function useConversation(conversationId: string): Conversation | undefined {
  return useSelected((state) => state.byId.get(conversationId));
}

/** Returns the total number of unread messages. */
export function useUnread(): number {
  return useSelected((state) => state.unread);
}

const EMPTY_TIMELINE: Timeline = { messages: [], notices: [], isLoaded: false, hasOlder: false, hasNewer: false };

/** Returns a conversation's timeline, and keeps it open while mounted. */
export function useTimeline(conversationId: string): Timeline {
  const client = useTidings();
  useEffect(() => client.open(conversationId), [client, conversationId]);
  return useSelected((state) => state.timelines.get(conversationId)) ?? EMPTY_TIMELINE;
}

/** Loads a message. Returns undefined while loading, and null if the user cannot see it. */
export function useMessage(conversationId: string, messageId: string): Message | null | undefined {
  const client = useTidings();
  const message = useSelected(() => client.store.message(conversationId, messageId));
  const [missing, setMissing] = useState<string | null>(null);
  const isKnown = message !== undefined;
  useEffect(() => {
    if (isKnown) return;
    const stop = new AbortController();
    const onLoaded = (found: Message | undefined) => {
      if (!found && !stop.signal.aborted) setMissing(messageId);
    };
    client.message(conversationId, messageId).then(onLoaded, () => {});
    return () => stop.abort();
  }, [client, conversationId, messageId, isKnown]);
  return message ?? (missing === messageId ? null : undefined);
}

const NO_USERS: readonly string[] = [];

/** Returns the ids of the users who are typing in a conversation. */
export function useTyping(conversationId: string): readonly string[] {
  return useSelected((state) => state.typing.get(conversationId)) ?? NO_USERS;
}

/** Returns a user's presence, and keeps it up to date while mounted. */
export function usePresence(userId: string | null | undefined): Presence | undefined {
  const client = useTidings();
  useEffect(() => (userId ? client.watchPresence([userId]) : undefined), [client, userId]);
  return useSelected((state) => (userId ? state.presence.get(userId) : undefined));
}
