// Emoji to choose from; loaded when it is first opened, with its data.

import Database from "emoji-picker-element/database";
import dataSource from "emoji-picker-element-data/en/cldr-native/data.json?url";
import { useEffect, useState } from "react";

const GROUPS = [
  ["😀", "Smileys"],
  ["👋", "People"],
  ["🐻", "Nature"],
  ["🍎", "Food"],
  ["✈️", "Places"],
  ["⚽", "Activities"],
  ["💡", "Objects"],
  ["🔣", "Symbols"],
  ["🏁", "Flags"],
] as const;
/** The data's numbers of these groups; 2 is skin tones and the like. */
const NUMBERS = [0, 1, 3, 4, 5, 6, 7, 8, 9];

let database: Database | undefined;

/** A grid of emoji, by group or by word. */
export default function EmojiPicker({ onPick, onClose }: { onPick: (emoji: string) => void; onClose: () => void }) {
  const [group, setGroup] = useState(0);
  const [text, setText] = useState("");
  const [shown, setShown] = useState<readonly { unicode: string; annotation: string }[] | null>(null);
  const [isBroken, setIsBroken] = useState(false);

  useEffect(() => {
    database ??= new Database({ dataSource, locale: "en" });
    let isWanted = true;
    const query = text.trim();
    const found = query.length > 1 ? database.getEmojiBySearchQuery(query) : database.getEmojiByGroup(NUMBERS[group] ?? 0);
    found.then(
      (emoji) => isWanted && setShown(emoji.flatMap((e) => ("unicode" in e ? [e] : []))),
      () => isWanted && setIsBroken(true),
    );
    return () => {
      isWanted = false;
    };
  }, [group, text]);

  return (
    <div
      className="emoji-picker"
      role="dialog"
      aria-label="Emoji"
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <input
        type="search"
        aria-label="Search emoji"
        placeholder="Search emoji"
        autoFocus
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <div className="emoji-groups" role="group" aria-label="Groups">
        {GROUPS.map(([emoji, name], at) => (
          <button
            key={name}
            aria-label={name}
            title={name}
            aria-pressed={group === at && text === ""}
            onClick={() => {
              setText("");
              setGroup(at);
            }}
          >
            {emoji}
          </button>
        ))}
      </div>
      <div className="emoji-grid" aria-busy={shown === null && !isBroken}>
        {isBroken && <p className="muted">The emoji could not be loaded.</p>}
        {shown?.length === 0 && <p className="muted">Nothing found.</p>}
        {shown?.map(({ unicode, annotation }) => (
          <button key={unicode} aria-label={annotation} title={annotation} onClick={() => onPick(unicode)}>
            {unicode}
          </button>
        ))}
      </div>
    </div>
  );
}
