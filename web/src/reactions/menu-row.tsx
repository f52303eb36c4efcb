// The quick reactions at the top of a message's menu.

import type { TimelineMessage } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { Plus } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import type { KeyboardEvent } from "react";

import { pageDirection, partWords } from "../words/language.js";
import { QUICK_REACTIONS, hasReacted, toggleReaction } from "./toggle.js";

/** A row of menu items: the arrow keys left and right move within it, down leaves it. */
export function QuickReactionItems({ message, onMore }: { message: TimelineMessage; onMore: () => void }) {
  const client = useTidings();
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    const items = [...event.currentTarget.querySelectorAll<HTMLElement>("[role^=menuitem]")];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const forward = pageDirection() === "rtl" ? -1 : 1;
    const step = { ArrowRight: forward, ArrowLeft: -forward }[event.key];
    const menu = event.currentTarget.closest("[role=menu]");
    const all = [...(menu?.querySelectorAll<HTMLElement>("[role^=menuitem]") ?? [])];
    const next =
      step !== undefined ? items[(at + step + items.length) % items.length] : event.key === "ArrowDown" ? all[items.length] : undefined;
    if (!next) return;
    event.preventDefault();
    // Otherwise, the menu would go on to the next item in the row.
    event.stopPropagation();
    next.focus();
  };
  return (
    <DropdownMenu.Group className="quick-items" aria-label={partWords.reactions.quick} onKeyDownCapture={onKeyDown}>
      {QUICK_REACTIONS.map((emoji) => (
        <DropdownMenu.CheckboxItem
          key={emoji}
          aria-label={partWords.reactions.reactWith(emoji)}
          checked={hasReacted(message, emoji)}
          onCheckedChange={() => toggleReaction(client, message, emoji)}
        >
          {emoji}
        </DropdownMenu.CheckboxItem>
      ))}
      <DropdownMenu.Item className="more-reactions" aria-label={partWords.reactions.others} onSelect={onMore}>
        <Plus aria-hidden />
      </DropdownMenu.Item>
    </DropdownMenu.Group>
  );
}
