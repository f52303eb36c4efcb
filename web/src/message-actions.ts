// The actions that a conversation offers on its messages.

import type { Conversation, TimelineMessage } from "@tidings/client";

/** Callbacks for the actions. */
export interface MessageActions {
  onReply: (message: TimelineMessage) => void;
  /** `text` replaces the message's own text as the start of the edit. */
  onEdit: (message: TimelineMessage, text?: string) => void;
  onDelete: (message: TimelineMessage) => void;
  onReceipts: (message: TimelineMessage) => void;
  onForward: (message: TimelineMessage) => void;
  /** Offers all emoji as reactions. */
  onReact: (message: TimelineMessage) => void;
  /** Lists who has reacted. */
  onReactions: (message: TimelineMessage) => void;
  /** Shows a file of the message, by its position, as large as the screen. */
  onOpen: (message: TimelineMessage, at: number) => void;
}

/** The actions that the menu of a message offers. */
export interface MenuProps extends MessageActions {
  message: TimelineMessage;
  row: Conversation;
  isMine: boolean;
  isOpen: boolean;
  setIsOpen: (isOpen: boolean) => void;
}
