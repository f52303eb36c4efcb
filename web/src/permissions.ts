// The rights of participants, by the size of a conversation and their role in it.

import type { Conversation, Message } from "@tidings/client";

/** Largest conversation in which every participant may do what concerns all: pin messages and mention everyone. */
const MAX_FOR_ALL = 24;

/** Whether the user may do what concerns all participants. In larger conversations, only admins may. */
export const mayActForAll = (row: Conversation): boolean => row.participant_count <= MAX_FOR_ALL || row.is_admin;

/** Whether the user may delete a message for everyone: the user's own, or as an admin. */
export const mayDeleteForAll = (row: Conversation, message: Message, me: string | undefined): boolean =>
  message.sender_id === me || (row.is_admin && row.type !== "direct");
