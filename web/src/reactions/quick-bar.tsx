// The button beside a message that offers quick reactions. Loaded after the page.

import type { TimelineMessage } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { Plus, SmilePlus } from "lucide-react";
import { Popover } from "radix-ui";
import { useRef, useState } from "react";
import type { KeyboardEvent, PointerEvent } from "react";

import { landmark } from "../landmark.js";
import { pageDirection, partWords, words } from "../words/language.js";
import { QUICK_REACTIONS, hasReacted, toggleReaction } from "./toggle.js";

/** Milliseconds for which the pointer rests on the button before the bar opens by itself. */
const HOVER_DELAY = 250;

interface Props {
  message: TimelineMessage;
  /** Offers all emoji. */
  onReact: (message: TimelineMessage) => void;
}

export default function QuickBar({ message, onReact }: Props) {
  const client = useTidings();
  const [isOpen, setIsOpen] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  /** Whether the pointer opened it, which then also closes it, and moves no focus. */
  const isByHover = useRef(false);
  const show = (isShown: boolean) => {
    clearTimeout(timer.current);
    if (isShown) isByHover.current = false;
    setIsOpen(isShown);
  };
  const onHover = (isInside: boolean) => {
    clearTimeout(timer.current);
    if (isInside === isOpen || (!isInside && !isByHover.current)) return;
    timer.current = setTimeout(() => {
      if (isInside) isByHover.current = true;
      setIsOpen(isInside);
    }, HOVER_DELAY);
  };
  const hover = {
    onPointerEnter: (event: PointerEvent) => event.pointerType === "mouse" && onHover(true),
    onPointerLeave: (event: PointerEvent) => event.pointerType === "mouse" && onHover(false),
  };
  const pick = (emoji: string) => {
    show(false);
    toggleReaction(client, message, emoji);
  };
  const onArrow = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const buttons = [...event.currentTarget.querySelectorAll("button")];
    const forward = pageDirection() === "rtl" ? -step : step;
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    buttons[(at + forward + buttons.length) % buttons.length]?.focus();
  };
  return (
    <Popover.Root open={isOpen} onOpenChange={show}>
      <Popover.Trigger
        className="react-button"
        aria-label={words.reactions.react}
        // Not a second tab stop of each message: the menu has the same reactions.
        tabIndex={-1}
        {...hover}
        onClick={(event) => {
          // Otherwise, a click on what has just opened by itself would close it.
          if (!isOpen || !isByHover.current) return;
          event.preventDefault();
          isByHover.current = false;
        }}
      >
        <SmilePlus aria-hidden />
      </Popover.Trigger>
      <Popover.Portal container={landmark()}>
        <Popover.Content
          className="quick-bar"
          side="top"
          sideOffset={2}
          collisionPadding={8}
          aria-label={partWords.reactions.quick}
          onOpenAutoFocus={(event) => isByHover.current && event.preventDefault()}
          onCloseAutoFocus={(event) => isByHover.current && event.preventDefault()}
          onKeyDown={onArrow}
          {...hover}
        >
          {QUICK_REACTIONS.map((emoji) => (
            <button
              key={emoji}
              aria-label={partWords.reactions.reactWith(emoji)}
              aria-pressed={hasReacted(message, emoji)}
              onClick={() => pick(emoji)}
            >
              {emoji}
            </button>
          ))}
          <button
            className="more-reactions"
            aria-label={partWords.reactions.others}
            onClick={() => {
              show(false);
              onReact(message);
            }}
          >
            <Plus aria-hidden />
          </button>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}
