// The actions that a conversation offers on its messages.

import type { TimelineMessage } from "@tidings/client";

/** Callbacks for the actions. */
export interface MessageActions {
  onReply: (message: TimelineMessage) => void;
  /** `text` replaces the message's own text as the start of the edit. */
  onEdit: (message: TimelineMessage, text?: string) => void;
  onDelete: (message: TimelineMessage) => void;
  onReceipts: (message: TimelineMessage) => void;
  /** Shows a file of the message, by its position, as large as the screen. */
  onOpen: (message: TimelineMessage, at: number) => void;
}

/** What the menu of a message needs. */
export interface MenuProps extends MessageActions {
  message: TimelineMessage;
  isMine: boolean;
  isOpen: boolean;
  setIsOpen: (isOpen: boolean) => void;
}
