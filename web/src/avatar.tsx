// Avatars: a photo, or initials on a colour derived from the id.

import type { Status } from "@tidings/client";
import { Hash, Users } from "lucide-react";
import { useState } from "react";

import { webUrl } from "./urls.js";
import { words } from "./words/language.js";

/** Returns one of the style sheet's twelve hues (0-11) for a text. */
export function hue(text: string): number {
  // FNV-1a, so that similar ids get different hues.
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return (hash >>> 8) % 12;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

function initials(name: string): string {
  const parts = name.split(/\s+/u).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const ends = parts.length > 1 ? [parts[0], parts.at(-1)] : parts.slice(0, 1);
  const first = (word: string | undefined) => graphemes.segment(word ?? "").containing(0)?.segment ?? "";
  const letters = ends.map(first).map((letter) => letter.toLocaleUpperCase());
  // Letters with signs of their own, as in Devanagari, are too wide to stand side by side.
  if (letters.some((letter) => letter.normalize().length > 1)) letters.length = 1;
  // The separator keeps letters apart that would join, as in Arabic.
  return letters.join("\u200c") || "?";
}

/** An avatar. Screen readers only read the status, because the name is always next to it. */
export function Avatar(props: {
  id: string;
  name: string;
  photo?: string | null | undefined;
  kind?: "direct" | "group" | "room";
  status?: Status | undefined;
  size?: "small" | "large" | "huge";
}) {
  const [broken, setBroken] = useState<string | null>(null);
  const photo = props.photo ? webUrl(props.photo) : null;
  const kind = props.kind ?? "direct";
  return (
    <span className={`avatar ${props.size ?? ""} ${kind}`} data-hue={hue(props.id)}>
      {photo && photo !== broken ? (
        <img src={photo} alt="" referrerPolicy="no-referrer" loading="lazy" onError={() => setBroken(photo)} />
      ) : kind === "group" ? (
        <Users aria-hidden />
      ) : kind === "room" ? (
        <Hash aria-hidden />
      ) : (
        // Drawn, and no text: the name stands beside it.
        <span aria-hidden data-initials={initials(props.name)} />
      )}
      {props.status && props.status !== "offline" && (
        <span className={`dot ${props.status}`} role="img" aria-label={words.people.status[props.status]} />
      )}
    </span>
  );
}
