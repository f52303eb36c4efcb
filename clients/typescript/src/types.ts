// Request, response and event types, generated from the OpenAPI document and exported under this package's names.

import type {
  ConversationCreatedEvent,
  ConversationDeletedEvent,
  ConversationUpdatedEvent,
  Events,
  MessageCreatedEvent,
  MessageDeletedEvent,
  MessageEdit,
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
  Attachment,
  AttachmentKind,
  BlockedUser,
  Conversation,
  ConversationDetails,
  ConversationType,
  Message,
  MessageEdit,
  MessageKind,
  MutedUntil,
  NotifyLevel,
  Participant,
  Presence,
  PresenceStatus as Status,
  Reaction,
  Receipt,
  Room,
  RoomUser,
  NewAttachment,
  NewUpload,
  SearchHit as Hit,
  SettingsChange,
  Tokens,
  UnreadCount as UnreadTotal,
  Upload,
  UploadForm,
  User,
  Watermark,
} from "./generated/types.gen.js";
export type { PresenceEvent };

/** The signed-in user; only this one includes `email`. */
export type OwnUser = User;

/** An access token, a refresh token, and the user they belong to. */
export type LoggedIn = Session;

/** An event, as polls return it and sockets push it. */
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

/** A change to a group or room itself. Not in the history: a client only knows those it received as events. */
export type Notice = ConversationCreatedEvent | ConversationUpdatedEvent | ParticipantJoinedEvent | ParticipantLeftEvent;

/** Response to a poll. */
export type Poll = Events;

/** A message to send. Set either `conversation_id` or `recipient_id`. */
export interface Draft {
  conversation_id?: string;
  recipient_id?: string;
  /** 1-10,000 characters; may be empty if there is an attachment. A forward shows it until the server has the message. */
  message_text: string;
  /** An absolute http(s) URL. */
  attachment_url?: string;
  attachment_type?: string;
  /** Id of a message in the same conversation. */
  reply_to?: string;
  /** Id of a message whose text and files are sent instead. */
  forward?: string;
  /** The users whom the message mentions: participants, up to 50. */
  mentions?: string[];
  /** Mentions all participants. In conversations of more than 24, only admins may. */
  mention_all?: boolean;
  /** Data of the application: up to 1,024 bytes of JSON. */
  custom?: Record<string, unknown> | null;
  /** Idempotency key, 1-64 characters; generated if omitted. Must differ between the messages of a conversation. */
  client_message_id?: string;
}

/** The fields that an edit can change beside the text. A missing field stays as it is. */
export type EditDetails = Omit<MessageEdit, "message_text">;

/** A file to send with a message. */
export interface FileToSend {
  file: Blob;
  /** By default the name of `file`. */
  name?: string;
  /** Describes a picture to those who do not see it. Up to 500 characters. */
  alt?: string;
  /** Sends the file as it is. Otherwise, a picture is scaled down to 2,560 pixels, and its metadata is removed. */
  as_file?: boolean;
  /** Marks a recorded voice message. */
  is_voice?: boolean;
  duration_ms?: number;
}

/** A message to send, with up to 10 files. */
export interface NewDraft extends Draft {
  files?: readonly (Blob | FileToSend)[];
}

/** Fails to compile if `Draft` has a field that the API lacks. */
type Unknown = Exclude<keyof Draft, keyof NewMessage>;
null as unknown as Unknown satisfies never;
