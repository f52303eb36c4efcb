// Settings, reactions and pins: changes that show before the server confirms them. Creates groups, too. Loaded on first
// use.
//
// Invariant: the changes of a conversation, and those of a message, are sent one after the other, so that the last one
// wins. A change that a message has already taken in changes nothing, because its event may arrive before the response.

import type { Api } from "./api.js";
import type { MessageChange } from "./chat.js";
import type { CallOptions } from "./http.js";
import type { Lanes } from "./lanes.js";
import { randomId } from "./random-id.js";
import type { Store } from "./store.js";
import type { retrying } from "./time.js";
import type { Conversation, Message, SettingsChange } from "./types.js";

/** How often a change is sent again before it fails. */
const MAX_RETRIES = 2;
/** Servers list this many users with a reaction. */
const MAX_LISTED = 10;

/** The client that changes something. */
interface Context {
  api: Api;
  store: Store;
  /** Changes that are being sent, by the id of what they change. */
  lanes: Lanes;
  /** Passed, because the build would put what is imported into a file of its own. */
  retry: typeof retrying;
  signal: AbortSignal;
}

/** Creates a group. Retried with the same id, so that a lost response does not lead to a second group. */
export function createGroup({ api, retry, signal }: Context, name: string, participants: string[]): Promise<Conversation> {
  const group = { name, participant_ids: participants, client_conversation_id: randomId() };
  return retry(() => api.createGroup(group, { signal }), signal, MAX_RETRIES);
}

/** Changes settings. */
export async function changeSettings(context: Context, id: string, change: SettingsChange): Promise<void> {
  const { api, store } = context;
  const end = store.showChange(id, fieldsOf(change, store.state.byId.get(id)));
  const send = (options: CallOptions) => api.changeSettings(id, change, options);
  // The response's row is not merged: except for the settings, it may be older than what is known.
  await settle(context, id, send, () => (row) => end(row !== undefined));
}

/** Applies a change to the row. */
function fieldsOf(change: SettingsChange, row: Conversation | undefined): Partial<Conversation> {
  const { pinned, archived, ...rest } = change;
  const fields: Partial<Conversation> = rest;
  if (pinned !== undefined || archived) fields.pinned_at = pinned ? (row?.pinned_at ?? new Date().toISOString()) : null;
  if (pinned || archived !== undefined) fields.is_archived = !pinned && archived === true;
  return fields;
}

/** Adds or removes the user's reaction. */
export function react(context: Context, id: string, emoji: string, isOn: boolean): Promise<Message> {
  const change = reacting(emoji, isOn, context.store.state.me?.id ?? "");
  return changeMessage(context, id, change, (options) => context.api.react(id, emoji, isOn, options));
}

/** Pins or unpins a message. */
export function pin(context: Context, id: string, isOn: boolean): Promise<Message> {
  const now = new Date().toISOString();
  const change: MessageChange = (message) => ({ ...message, pinned_at: isOn ? (message.pinned_at ?? now) : null });
  return changeMessage(context, id, change, (options) => context.api.pin(id, isOn, options));
}

function changeMessage(
  context: Context,
  id: string,
  change: MessageChange,
  send: (options: CallOptions) => Promise<Message>,
): Promise<Message> {
  const { store } = context;
  store.setMessageChange(id, change, true);
  return settle(context, id, send, () => {
    const { checkpoint } = store;
    return (message) =>
      store.batch(() => {
        store.setMessageChange(id, change, false);
        if (message) store.merge(checkpoint, [message]);
      });
  });
}

/** Sends a change in its turn. Calls `begin` before, and its result with the response, or without one if it failed. */
function settle<T>(
  { lanes, retry, signal }: Context,
  id: string,
  send: (options: CallOptions) => Promise<T>,
  begin: () => (response?: T) => void,
): Promise<T> {
  return lanes.run(id, async () => {
    const end = begin();
    let response: T | undefined;
    try {
      return (response = await retry(() => send({ signal }), signal, MAX_RETRIES));
    } finally {
      end(response);
    }
  });
}

/** Emoji that differ in variation selectors only are the same reaction. */
const plain = (emoji: string) => emoji.replace(/\ufe0f/g, "");

function reacting(emoji: string, isOn: boolean, me: string): MessageChange {
  return (message) => {
    const before = message.reactions.find((reaction) => plain(reaction.emoji) === plain(emoji));
    const known = before ?? { emoji, count: 0, me: false, user_ids: [] };
    if (known.me === isOn) return message;
    const others = known.user_ids.filter((id) => id !== me);
    const user_ids = isOn ? [me, ...others].slice(0, MAX_LISTED) : others;
    const after = { ...known, count: known.count + (isOn ? 1 : -1), me: isOn, user_ids };
    const reactions = before ? message.reactions.map((one) => (one === before ? after : one)) : [...message.reactions, after];
    return { ...message, reactions: reactions.filter(({ count }) => count > 0) };
  };
}
