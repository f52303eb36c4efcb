// Completes `:name` in the message field to an emoji.

import { useEffect, useState } from "react";
import type { RefObject } from "react";

import type { Completion } from "./emoji-data.js";
import { lazyPart } from "./lazy.js";

const EmojiList = lazyPart(() => import("./emoji-list.js"));

/** A colon after a space, and the beginning of a name. */
const NAME = /(?:^|[\s(])(:[\p{Ll}\d_+-]{2,30}:?)$/u;

/** Shows a list of emoji while the text before the caret ends with a name. `onPick` replaces a part of the text. */
export function EmojiCompletion(props: {
  field: RefObject<HTMLTextAreaElement | null>;
  text: string;
  onPick: (from: number, to: number, emoji: string) => void;
}) {
  const { field, text, onPick } = props;
  const [completion, setCompletion] = useState<Completion | null>(null);
  useEffect(() => {
    const to = field.current?.selectionEnd ?? text.length;
    const typed = NAME.exec(text.slice(0, to))?.[1];
    const isClosed = typed?.endsWith(":") ?? false;
    setCompletion(typed ? { name: typed.replaceAll(":", ""), isClosed, from: to - typed.length, to } : null);
  }, [field, text]);
  if (!completion || !field.current) return null;
  return (
    <EmojiList
      completion={completion}
      field={field.current}
      onPick={(emoji) => onPick(completion.from, completion.to, emoji)}
      onClose={() => setCompletion(null)}
    />
  );
}
