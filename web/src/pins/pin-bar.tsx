// The bar below a conversation's header with the newest pinned message.

import type { Conversation } from "@tidings/client";
import { List, Pin } from "lucide-react";
import { useState } from "react";

import { shortText } from "../attachments/describe.js";
import { lazyPart } from "../lazy.js";
import { navigate } from "../route.js";
import { number } from "../words/formats.js";
import { words } from "../words/language.js";
import { usePins } from "./pins.js";

const PinsDialog = lazyPart(() => import("../dialogs/pins.js"));

/** Shows the newest pinned message, to which a click jumps, and opens the list of all. */
export function PinBar({ row }: { row: Conversation }) {
  const pins = usePins(row.conversation_id);
  const [isOpen, setIsOpen] = useState(false);
  const [newest] = pins;
  return (
    <>
      {newest && (
        <aside className="pin-bar" aria-label={words.pins.pinned}>
          <button className="pin-newest" onClick={() => navigate(row.conversation_id, newest.id)}>
            <Pin aria-hidden />
            <span className="hidden">{words.pins.before}</span>
            <span className="pin-text" dir="auto">
              {shortText(newest)}
            </span>
          </button>
          <button
            className="icon-button"
            aria-label={words.pins.count(pins.length)}
            title={words.pins.pinned}
            onClick={() => setIsOpen(true)}
          >
            {pins.length > 1 && <span className="pin-count">{number(pins.length)}</span>}
            <List aria-hidden className="mirrored" />
          </button>
        </aside>
      )}
      {isOpen && <PinsDialog row={row} pins={pins} onClose={() => setIsOpen(false)} />}
    </>
  );
}
