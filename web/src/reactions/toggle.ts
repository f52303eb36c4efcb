// Reactions to messages: the quick ones, and how they are toggled.

import { loadOptimistic } from "@tidings/client";
import type { Tidings, TimelineMessage } from "@tidings/client";

import { fetchAhead } from "../lazy.js";
import { attempt } from "../toasts.js";

// So that the first reaction shows at once.
fetchAhead(loadOptimistic);

/** Reactions that are offered first. A double click is the first of them. */
export const QUICK_REACTIONS = ["👍", "❤️", "😂", "😮", "😢", "🙏"] as const;

/** Whether a message can be reacted to, forwarded and pinned. */
export const isMarkable = ({ status, is_deleted }: TimelineMessage): boolean => status === "sent" && !is_deleted;

/** Whether the user has reacted with an emoji. */
export const hasReacted = ({ reactions }: TimelineMessage, emoji: string): boolean =>
  reactions.some((reaction) => reaction.emoji === emoji && reaction.me);

/** Adds the user's reaction or, if it is there, removes it. */
export function toggleReaction(client: Tidings, message: TimelineMessage, emoji: string): void {
  void attempt(hasReacted(message, emoji) ? client.unreact(message.id, emoji) : client.react(message.id, emoji));
}
