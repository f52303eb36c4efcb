// The box of a message that shows whether it is selected.

import type { TimelineMessage } from "@tidings/client";

import { words } from "../words/language.js";
import { toggleSelected } from "./selection.js";

/** Pointers reach the whole message instead, so this is for keyboards and screen readers. */
export function SelectBox({ message, isSelected }: { message: TimelineMessage; isSelected: boolean }) {
  return (
    <input
      type="checkbox"
      className="select-box"
      aria-label={words.selection.select}
      checked={isSelected}
      onChange={() => toggleSelected(message.conversation_id, message.id)}
    />
  );
}
