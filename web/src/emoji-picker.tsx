// Emoji picker. Loaded on first use, together with its data.

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
/** Numbers of these groups in the data. Group 2 is left out: it contains skin tones and hair styles. */
const GROUP_NUMBERS = [0, 1, 3, 4, 5, 6, 7, 8, 9];

let database: Database | undefined;

/** A grid of emoji, by group or search term. */
export default function EmojiPicker({ onPick, onClose }: { onPick: (emoji: string) => void; onClose: () => void }) {
  const [group, setGroup] = useState(0);
  const [text, setText] = useState("");
  const [shown, setShown] = useState<readonly { unicode: string; annotation: string }[] | null>(null);
  const [isBroken, setIsBroken] = useState(false);

  useEffect(() => {
    database ??= new Database({ dataSource, locale: "en" });
    let isCurrent = true;
    const query = text.trim();
    const found = query.length > 1 ? database.getEmojiBySearchQuery(query) : database.getEmojiByGroup(GROUP_NUMBERS[group] ?? 0);
    found.then(
      (emoji) => {
        if (!isCurrent) return;
        setIsBroken(false);
        setShown(emoji.flatMap((e) => ("unicode" in e ? [e] : [])));
      },
      () => {
        // The next search or group tries again.
        database = undefined;
        if (isCurrent) setIsBroken(true);
      },
    );
    return () => {
      isCurrent = false;
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
      <div className="emoji-groups" role="group" aria-label="Categories">
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
        {isBroken && <p className="muted">Could not load the emoji.</p>}
        {shown?.length === 0 && <p className="muted">No emoji found.</p>}
        {shown?.map(({ unicode, annotation }) => (
          <button key={unicode} aria-label={annotation} title={annotation} onClick={() => onPick(unicode)}>
            {unicode}
          </button>
        ))}
      </div>
    </div>
  );
}
