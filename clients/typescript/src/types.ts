// What the server sends and takes, in the words of its API.

/** A message. Text is never markup: show it as text. */
export interface Message {
  id: string;
  conversation_id: string;
  sender_id: string;
  /** The other one, in a direct conversation. */
  recipient_id: string | null;
  /** Empty once the message is deleted, or where there is only an attachment. */
  message_text: string;
  attachment_url: string | null;
  attachment_type: string | null;
  /** The message of the same conversation that this one answers. */
  reply_to: string | null;
  /** The sender's own id for it; null to others. */
  client_message_id: string | null;
  sent_at: string;
  is_edited: boolean;
  edited_at: string | null;
  is_deleted: boolean;
  deleted_at: string | null;
  /** Every other participant who could see it has read it. */
  read: boolean;
  read_at: string | null;
  /** How many others have read it; null in conversations of more than 100. */
  read_count: number | null;
  /** Rises with each change. */
  version: number;
}

export type ConversationType = "direct" | "group" | "room";

/** A row of the inbox. */
export interface Conversation {
  conversation_id: string;
  type: ConversationType;
  /** Of a group or room; null for direct conversations. */
  name: string | null;
  other_user_id: string | null;
  other_user_name: string | null;
  photo_url: string | null;
  /** The first 100 characters. */
  last_message: string | null;
  last_message_id: string | null;
  last_message_at: string | null;
  last_message_from_me: boolean;
  unread_count: number;
  /** The newest message that `unread_count` takes into account. */
  counted_to: string | null;
  last_read_message_id: string | null;
  participant_count: number;
  is_admin: boolean;
}

export interface Participant {
  user_id: string;
  name: string | null;
  photo_url: string | null;
  is_admin: boolean;
  joined_at: string | null;
  last_read_message_id: string | null;
  last_read_at: string | null;
}

/** A conversation with up to 100 of its participants. */
export interface ConversationDetails extends Conversation {
  description: string | null;
  participants: Participant[];
}

export interface Room {
  conversation_id: string;
  name: string;
  description: string | null;
  participant_count: number;
  created_at: string;
  is_participant: boolean;
}

export type Status = "online" | "away" | "do_not_disturb" | "offline";

export interface RoomUser {
  user_id: string;
  name: string | null;
  photo_url: string | null;
  status: Status;
}

export interface User {
  id: string;
  username: string | null;
  full_name: string | null;
  avatar_url: string | null;
  created_at: string;
}

/** Oneself. */
export interface OwnUser extends User {
  email: string | null;
}

/** What someone shows. */
export interface Presence {
  user_id: string;
  status: Status;
  last_seen_at: string | null;
  current_conversation_id: string | null;
}

/** A message that was found; `highlights` are ranges `[start, end)` of Unicode scalar values of its text. */
export interface Hit extends Message {
  highlights: [number, number][];
}

export interface Receipt {
  user_id: string;
  read_at: string;
}

export interface BlockedUser {
  user_id: string;
  name: string | null;
  blocked_at: string;
}

/** Where one has read up to, and what is unread after it. */
export interface Watermark {
  conversation_id: string;
  message_id: string | null;
  unread_count: number;
}

export interface UnreadTotal {
  unread_count: number;
  conversations: number;
}

export interface Tokens {
  access_token: string;
  token_type: "bearer";
  /** Seconds. */
  expires_in: number;
  refresh_token: string;
}

export interface LoggedIn extends Tokens {
  user: OwnUser;
}

/** What is unread, and what that holds for. */
interface Unread {
  unread_count: number;
  counted_to: string | null;
  last_read_message_id: string | null;
}

interface Told<Type extends string, Data> {
  /** Its place in the queue; compares as a string. */
  id: string;
  type: Type;
  conversation_id: string;
  occurred_at: string;
  data: Data;
}

/** Something that happened. */
export type TidingsEvent =
  | Told<"message.created", { message: Message }>
  | Told<"message.updated", { message: Message } & Partial<Unread>>
  | Told<"message.deleted", { message: Message; scope: "everyone" | "me" } & Unread>
  | Told<
      "message.read",
      { user_id: string; message_id: string; read_at: string; unread_count?: number; counted_to?: string }
    >
  | Told<"conversation.created", { conversation: Conversation }>
  | Told<"conversation.updated", { version: number; description?: string | null } & Partial<Conversation>>
  | Told<"conversation.deleted", Record<string, never>>
  | Told<"participant.joined" | "participant.left", { user_id: string; by: string }>
  | Told<"typing", { user_id: string; is_typing: boolean; expires_at: string }>
  | PresenceEvent;

/** A change of someone's presence. Sockets alone hear of it. */
export interface PresenceEvent {
  id: string;
  type: "presence";
  conversation_id: null;
  occurred_at: string;
  data: Presence & { expires_at: string | null };
}

/** What a poll gives. */
export interface Poll {
  events: TidingsEvent[];
  cursor: string;
  has_more: boolean;
  /** Milliseconds until the server wants the next poll. */
  poll_after_ms: number;
}

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
