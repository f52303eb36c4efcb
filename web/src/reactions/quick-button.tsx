// Stands for the button with quick reactions until that is loaded.

import type { TimelineMessage } from "@tidings/client";
import { SmilePlus } from "lucide-react";

import { lazyView } from "../lazy.js";
import { words } from "../words/language.js";

interface Props {
  message: TimelineMessage;
  /** Offers all emoji. */
  onReact: (message: TimelineMessage) => void;
}

/** The button beside a message that offers quick reactions. */
export const QuickButton = lazyView(() => import("./quick-bar.js"), Substitute);

function Substitute({ message, onReact }: Props) {
  return (
    <button className="react-button" aria-label={words.reactions.react} tabIndex={-1} onClick={() => onReact(message)}>
      <SmilePlus aria-hidden />
    </button>
  );
}
