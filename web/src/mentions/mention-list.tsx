// The participants that the message field offers after an "@". Loaded after the page.

import { Users } from "lucide-react";
import { useEffect, useRef } from "react";

import { Avatar } from "../avatar.js";
import { partWords } from "../words/language.js";
import type { Candidate } from "./candidates.js";
import { EVERYONE } from "./text.js";

export default function MentionList(props: {
  id: string;
  candidates: readonly Candidate[];
  active: number;
  onActive: (at: number) => void;
  onChoose: (candidate: Candidate) => void;
  onClose: () => void;
}) {
  const list = useRef<HTMLUListElement>(null);
  const { id, candidates, active } = props;
  // Some browsers return a promise, which is no cleanup.
  useEffect(() => void list.current?.children[active]?.scrollIntoView({ block: "nearest" }), [active]);
  const count = candidates.length;
  return (
    <>
      <ul ref={list} id={id} className="mention-list" role="listbox" aria-label={partWords.mentions.people}>
        {candidates.map((candidate, at) => (
          <li
            key={candidate.id}
            id={`${id}-${at}`}
            role="option"
            aria-selected={at === active}
            onPointerMove={() => at !== active && props.onActive(at)}
            // Otherwise, the field would lose the focus, and phones would hide the keyboard.
            onPointerDown={(event) => event.preventDefault()}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => props.onChoose(candidate)}
          >
            {candidate.id === EVERYONE ? (
              <span className="everyone" aria-hidden>
                <Users />
              </span>
            ) : (
              <Avatar id={candidate.id} name={candidate.name} photo={candidate.photo} size="small" />
            )}
            <span className="grow">
              <bdi>{candidate.name}</bdi>
            </span>
            {candidate.id === EVERYONE && <span className="muted small-text">{partWords.mentions.all}</span>}
          </li>
        ))}
      </ul>
      <p className="hidden" role="status">
        {partWords.mentions.count(count)}
      </p>
    </>
  );
}
