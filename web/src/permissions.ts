// What the size of a conversation allows its participants.

import type { Conversation } from "@tidings/client";

/** Largest conversation in which every participant may do what concerns all: pin messages and mention everyone. */
const MAX_FOR_ALL = 24;

/** Whether the user may do what concerns all participants. In larger conversations, only admins may. */
export const mayActForAll = (row: Conversation): boolean => row.participant_count <= MAX_FOR_ALL || row.is_admin;
