// The button that jumps to the oldest unread message that mentions the user.

import type { Conversation } from "@tidings/client";

import { CountBadge } from "../count-badge.js";
import { words } from "../words/language.js";

/** `isAlone`: no other button is below it. */
export function JumpToMention({ row, isAlone, onJump }: { row: Conversation; isAlone: boolean; onJump: (message: string) => void }) {
  const { first_mention_id: first, mention_count: count } = row;
  if (first === null) return null;
  return (
    <button className={`to-latest to-mention ${isAlone ? "alone" : ""}`} aria-label={words.conversation.jumpToMention} onClick={() => onJump(first)}>
      <span aria-hidden>@</span>
      <CountBadge count={count} />
    </button>
  );
}
