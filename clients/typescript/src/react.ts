// Hooks for React over a client's store.

import { createContext, createElement, useContext, useEffect, useState, useSyncExternalStore } from "react";
import type { ReactNode } from "react";

import type { Tidings } from "./client.js";
import type { Connection, State, Timeline } from "./store.js";
import type { Conversation, Message, OwnUser, Presence } from "./types.js";

const Context = createContext<Tidings | null>(null);

/** Gives a client to the hooks below it. */
export function TidingsProvider({ client, children }: { client: Tidings; children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client. */
export function useTidings(): Tidings {
  const client = useContext(Context);
  if (!client) throw new Error("There is no TidingsProvider above.");
  return client;
}

/**
 * What a selector takes from the state; drawn again when that changes. It must give the same object for the same state:
 * select parts, and make new lists of them in `useMemo`.
 */
export function useSelected<T>(select: (state: State) => T): T {
  const { store } = useTidings();
  const get = () => select(store.state);
  return useSyncExternalStore(store.subscribe, get, get);
}

/** How the client stands with the server. */
export function useConnection(): Connection {
  return useSelected((state) => state.connection);
}

/** Oneself; null until connected. */
export function useMe(): OwnUser | null {
  return useSelected((state) => state.me);
}

/** The inbox, latest activity first. */
export function useConversations(): readonly Conversation[] {
  return useSelected((state) => state.conversations);
}

/** A row of the inbox. */
export function useConversation(conversationId: string): Conversation | undefined {
  return useSelected((state) => state.byId.get(conversationId));
}

/** Unread messages in all. */
export function useUnread(): number {
  return useSelected((state) => state.unread);
}

const NOTHING: Timeline = { messages: [], notices: [], isLoaded: false, hasOlder: false, hasNewer: false };

/** The messages of a conversation, which is kept open meanwhile. */
export function useTimeline(conversationId: string): Timeline {
  const client = useTidings();
  useEffect(() => client.open(conversationId), [client, conversationId]);
  return useSelected((state) => state.timelines.get(conversationId)) ?? NOTHING;
}

/** A message, which is loaded meanwhile; undefined until it is, null where it is not to be had. */
export function useMessage(conversationId: string, messageId: string): Message | null | undefined {
  const client = useTidings();
  const message = useSelected(() => client.store.message(conversationId, messageId));
  const [missing, setMissing] = useState<string | null>(null);
  const isKnown = message !== undefined;
  useEffect(() => {
    if (isKnown) return;
    const stop = new AbortController();
    const told = (found: Message | undefined) => {
      if (!found && !stop.signal.aborted) setMissing(messageId);
    };
    client.message(conversationId, messageId).then(told, () => {});
    return () => stop.abort();
  }, [client, conversationId, messageId, isKnown]);
  return message ?? (missing === messageId ? null : undefined);
}

const NOBODY: readonly string[] = [];

/** The users who type in a conversation. */
export function useTyping(conversationId: string): readonly string[] {
  return useSelected((state) => state.typing.get(conversationId)) ?? NOBODY;
}

/** What a user shows, who is watched meanwhile. */
export function usePresence(userId: string | null | undefined): Presence | undefined {
  const client = useTidings();
  useEffect(() => (userId ? client.watchPresence([userId]) : undefined), [client, userId]);
  return useSelected((state) => (userId ? state.presence.get(userId) : undefined));
}
