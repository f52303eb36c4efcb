// The list of emoji that complete a name. The focus stays in the message field.

import { useEffect, useId, useRef, useState } from "react";

import { completeEmoji, remember } from "./emoji-data.js";
import type { Completion, Emoji } from "./emoji-data.js";
import { words } from "./words/language.js";

const MAX = 8;

export default function EmojiList(props: {
  completion: Completion;
  field: HTMLTextAreaElement;
  onPick: (emoji: string) => void;
  onClose: () => void;
}) {
  const { completion, field } = props;
  const id = useId();
  const [shown, setShown] = useState<readonly Emoji[]>([]);
  const [at, setAt] = useState(0);
  const pick = (emoji: Emoji | undefined) => {
    if (!emoji) return;
    remember(emoji);
    props.onPick(emoji.unicode);
  };
  useEffect(() => {
    let isCurrent = true;
    completeEmoji(completion.name, MAX).then(
      (emoji) => {
        if (!isCurrent) return;
        const exact = completion.isClosed ? emoji.find(({ shortcodes }) => shortcodes.includes(completion.name)) : undefined;
        if (exact) return pick(exact);
        setShown(completion.isClosed ? [] : emoji);
        setAt(0);
      },
      // Without the data there is nothing to offer.
      () => {},
    );
    return () => {
      isCurrent = false;
    };
  }, [completion.name, completion.isClosed]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing || shown.length === 0) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      setAt((at + (event.key === "ArrowDown" ? 1 : -1) + shown.length) % shown.length);
    } else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey) pick(shown[at]);
    else if (event.key === "Escape") props.onClose();
    else return;
    event.preventDefault();
    // The field would send the message.
    event.stopPropagation();
  };
  const handler = useRef(onKeyDown);
  handler.current = onKeyDown;
  useEffect(() => {
    const listener = (event: KeyboardEvent) => handler.current(event);
    field.addEventListener("keydown", listener);
    return () => field.removeEventListener("keydown", listener);
  }, [field]);
  useEffect(() => {
    if (shown.length === 0) return;
    field.setAttribute("aria-controls", id);
    field.setAttribute("aria-activedescendant", `${id}${at}`);
    return () => {
      field.removeAttribute("aria-controls");
      field.removeAttribute("aria-activedescendant");
    };
  }, [field, id, at, shown]);
  if (shown.length === 0) return null;
  return (
    <div id={id} className="completions" role="listbox" aria-label={words.emoji.emoji}>
      {shown.map((emoji, index) => (
        <div
          key={emoji.unicode}
          id={`${id}${index}`}
          role="option"
          aria-selected={index === at}
          // Keeps the focus in the field.
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => pick(emoji)}
        >
          <span className="emoji" aria-hidden>
            {emoji.unicode}
          </span>
          <span>:{emoji.shortcodes.find((code) => code.startsWith(completion.name)) ?? emoji.shortcodes[0]}:</span>
        </div>
      ))}
    </div>
  );
}
