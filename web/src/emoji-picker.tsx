// Emoji picker. Loaded on first use, together with its data.

import { useEffect, useRef, useState } from "react";
import type { KeyboardEvent, RefObject } from "react";

import { TONES, emojiOfGroup, findEmoji, recentEmoji, remember, setSkinTone, skinTone } from "./emoji-data.js";
import type { Emoji } from "./emoji-data.js";
import { focusItem, useTabStop } from "./keyboard/tab-stop.js";
import { partWords, words } from "./words/language.js";
import "./emoji-picker.css";

/** The groups, and their numbers in the data. Group 2 is left out: it contains skin tones and hair styles. */
const GROUPS = [
  ["🕘", "recent", -1],
  ["😀", "smileys", 0],
  ["👋", "people", 1],
  ["🐻", "nature", 3],
  ["🍎", "food", 4],
  ["✈️", "places", 5],
  ["⚽", "activities", 6],
  ["💡", "objects", 7],
  ["🔣", "symbols", 8],
  ["🏁", "flags", 9],
] as const;

/** Emoji that are rendered at once: a little more than the grid shows without scrolling. */
const STEP = 64;

/** A grid of emoji, by group or search term. */
export default function EmojiPicker({ onPick, onClose }: { onPick: (emoji: string) => void; onClose: () => void }) {
  const [group, setGroup] = useState<number>(recentEmoji().length > 0 ? -1 : 0);
  const [text, setText] = useState("");
  const [tone, setTone] = useState(skinTone);
  const { shown, isBroken } = useShown(group, text.trim(), tone);
  const rendered = useInSteps(shown);
  const box = useRef<HTMLDivElement>(null);
  const groups = useRef<HTMLDivElement>(null);
  const grid = useRef<HTMLDivElement>(null);
  useTabStop(groups, "button", { layout: "row", prefer: "[aria-pressed=true]" });
  useTabStop(grid, "button", { layout: "grid" });
  useClickOutside(box, onClose);

  const pick = (emoji: Emoji) => {
    remember(emoji);
    onPick(emoji.unicode);
  };
  const onSearchKey = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const first = grid.current?.querySelector("button");
    if (!first || (event.key !== "ArrowDown" && event.key !== "Enter")) return;
    event.preventDefault();
    if (event.key === "Enter") first.click();
    else focusItem(first);
  };
  return (
    <div
      ref={box}
      className="emoji-picker"
      role="dialog"
      aria-label={words.emoji.emoji}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        onClose();
      }}
    >
      <div className="emoji-top">
        <input
          type="search"
          aria-label={partWords.emoji.search}
          placeholder={partWords.emoji.search}
          autoFocus
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onSearchKey}
        />
        <select
          aria-label={partWords.emoji.skinTone}
          value={tone}
          onChange={(event) => {
            setSkinTone(Number(event.target.value));
            setTone(Number(event.target.value));
          }}
        >
          {TONES.map((hand, at) => (
            <option key={hand} value={at}>
              {hand}
            </option>
          ))}
        </select>
      </div>
      <div ref={groups} className="emoji-groups" role="group" aria-label={partWords.emoji.categories}>
        {GROUPS.map(([emoji, name, number]) => (
          <button
            key={name}
            aria-label={partWords.emoji.groups[name]}
            aria-pressed={group === number && text === ""}
            onClick={() => {
              setText("");
              setGroup(number);
            }}
          >
            {emoji}
          </button>
        ))}
      </div>
      <div ref={grid} className="emoji-grid" aria-busy={shown === null && !isBroken}>
        {isBroken && <p className="muted">{partWords.emoji.notLoaded}</p>}
        {shown?.length === 0 && <p className="muted">{group < 0 && text === "" ? partWords.emoji.noneUsed : partWords.emoji.noneFound}</p>}
        {rendered.map((emoji) => (
          <button key={emoji.unicode} aria-label={emoji.name} title={emoji.name} onClick={() => pick(emoji)}>
            {emoji.unicode}
          </button>
        ))}
      </div>
    </div>
  );
}

/** Returns the emoji to show; null while they are loading. */
function useShown(group: number, query: string, tone: number): { shown: readonly Emoji[] | null; isBroken: boolean } {
  const [shown, setShown] = useState<readonly Emoji[] | null>(null);
  const [isBroken, setIsBroken] = useState(false);
  useEffect(() => {
    let isCurrent = true;
    const found = query.length > 1 ? findEmoji(query) : group < 0 ? Promise.resolve(recentEmoji()) : emojiOfGroup(group);
    found.then(
      (emoji) => {
        if (!isCurrent) return;
        setIsBroken(false);
        setShown(emoji);
      },
      () => isCurrent && setIsBroken(true),
    );
    return () => {
      isCurrent = false;
    };
  }, [group, query, tone]);
  return { shown, isBroken };
}

/** Returns the first emoji and, a step after the other, the rest, because hundreds at once would keep the page from reacting. */
function useInSteps(all: readonly Emoji[] | null): readonly Emoji[] {
  const [state, setState] = useState({ all, count: STEP });
  if (state.all !== all) setState({ all, count: STEP });
  const isComplete = all === null || state.count >= all.length;
  useEffect(() => {
    if (isComplete) return;
    const timer = setTimeout(() => setState({ all, count: state.count + STEP }));
    return () => clearTimeout(timer);
  }, [all, isComplete, state.count]);
  return all?.slice(0, state.count) ?? [];
}

/** Closes when the user clicks elsewhere. The button that has opened the picker closes it itself. */
function useClickOutside(box: RefObject<HTMLElement | null>, onClose: () => void): void {
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const onPointerDown = ({ target }: PointerEvent) => {
      if (!(target instanceof Element) || box.current?.contains(target) || target.closest("[aria-expanded=true]")) return;
      close.current();
    };
    document.addEventListener("pointerdown", onPointerDown, true);
    return () => document.removeEventListener("pointerdown", onPointerDown, true);
  }, [box]);
}
