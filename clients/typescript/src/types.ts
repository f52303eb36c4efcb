// What the server sends and takes: types from its OpenAPI document, by the names that this package gives them.

import type {
  ConversationCreatedEvent,
  ConversationDeletedEvent,
  ConversationUpdatedEvent,
  Events,
  MessageCreatedEvent,
  MessageDeletedEvent,
  MessageReadEvent,
  MessageUpdatedEvent,
  NewMessage,
  ParticipantJoinedEvent,
  ParticipantLeftEvent,
  PresenceEvent,
  Session,
  TypingEvent,
  User,
} from "./generated/types.gen.js";

export type {
  BlockedUser,
  Conversation,
  ConversationDetails,
  ConversationType,
  Message,
  Participant,
  Presence,
  PresenceStatus as Status,
  Receipt,
  Room,
  RoomUser,
  SearchHit as Hit,
  Tokens,
  UnreadCount as UnreadTotal,
  User,
  Watermark,
} from "./generated/types.gen.js";
export type { PresenceEvent };

/** Oneself: with `email`. */
export type OwnUser = User;

/** A pair of tokens, and whose they are. */
export type LoggedIn = Session;

/** Something that happened. */
export type TidingsEvent =
  | MessageCreatedEvent
  | MessageUpdatedEvent
  | MessageDeletedEvent
  | MessageReadEvent
  | ConversationCreatedEvent
  | ConversationUpdatedEvent
  | ConversationDeletedEvent
  | ParticipantJoinedEvent
  | ParticipantLeftEvent
  | TypingEvent
  | PresenceEvent;

/** Something that happened to a group or room itself. Pages do not tell of it: it is known to whoever followed then. */
export type Notice = ConversationCreatedEvent | ConversationUpdatedEvent | ParticipantJoinedEvent | ParticipantLeftEvent;

/** What a poll gives. */
export type Poll = Events;

/** What to send, and where to: one of `conversation_id` and `recipient_id`. */
export interface Draft {
  conversation_id?: string;
  recipient_id?: string;
  /** 1-10,000 characters; may be empty beside an attachment. */
  message_text: string;
  /** An absolute http(s) URL. */
  attachment_url?: string;
  attachment_type?: string;
  /** A message of the same conversation. */
  reply_to?: string;
  /** 1-64 characters; made where it is left out. */
  client_message_id?: string;
}

/** Fields of a draft that the server does not know: none. */
type Unknown = Exclude<keyof Draft, keyof NewMessage>;
null as unknown as Unknown satisfies never;
