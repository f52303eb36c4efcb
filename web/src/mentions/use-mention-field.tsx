// The message field's part in mentions: offers participants after an "@", and knows whom the text mentions.

import type { Conversation, TimelineMessage } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { useEffect, useId, useRef, useState } from "react";
import type { KeyboardEvent, ReactNode, RefObject } from "react";
import { flushSync } from "react-dom";

import { loadDraftMentions, saveDraftMentions } from "../drafts.js";
import { lazyPart } from "../lazy.js";
import { knownName } from "../people.js";
import { findCandidates, forgetCandidates } from "./candidates.js";
import type { Candidate } from "./candidates.js";
import { EVERYONE, EVERYONE_NAME, mentionsIn, queryAt } from "./text.js";
import type { Mention } from "./text.js";

const MentionList = lazyPart(() => import("./mention-list.js"));

/** The fields of a message that say whom it mentions. */
interface Mentioned {
  mentions: string[];
  mention_all: boolean;
}

/** The state and the actions that the composer uses. */
export interface MentionField {
  /** The open list, or null. */
  list: ReactNode;
  /** Attributes of the message field. */
  attributes: Record<string, string | undefined>;
  /** Handles a key that belongs to the open list. Returns whether it did. */
  onKeyDown: (event: KeyboardEvent) => boolean;
  /** Call it when the text or the caret has changed. */
  follow: () => void;
  close: () => void;
  /** The mentions of a text, as far as they differ from those of the message being edited. */
  of: (text: string) => Partial<Mentioned>;
}

interface Options {
  row: Conversation;
  me: string;
  editing: TimelineMessage | null;
  field: RefObject<HTMLTextAreaElement | null>;
  /** Replaces the text. */
  type: (text: string) => void;
}

export function useMentionField({ row, me, editing, field, type }: Options): MentionField {
  const client = useTidings();
  const listId = useId();
  const id = row.conversation_id;
  const [found, setFound] = useState<{ at: number; candidates: readonly Candidate[] } | null>(null);
  const [active, setActive] = useState(0);
  // Those who were chosen, whether or not the text still mentions them.
  const chosen = useRef<Mention[]>([]);
  /** Counts searches, of which only the last one shows. */
  const search = useRef(0);
  /** The "@" whose list was closed or used. */
  const settled = useRef(-1);

  const close = () => {
    search.current += 1;
    setFound(null);
  };
  useEffect(() => {
    chosen.current = editing ? mentionsOf(editing) : loadDraftMentions(me, id);
    close();
  }, [editing?.key, me, id]);
  useEffect(() => forgetCandidates(client, row), [client, id, row.participant_count]);

  const follow = () => {
    const element = field.current;
    const query = element && element.selectionStart === element.selectionEnd ? queryAt(element.value, element.selectionStart) : null;
    if (!query || query.at !== settled.current) settled.current = -1;
    if (!query || query.at === settled.current) return close();
    const mine = (search.current += 1);
    findCandidates(client, row, query.text).then(
      (candidates) => {
        if (mine !== search.current) return;
        setFound(candidates.length > 0 ? { at: query.at, candidates } : null);
        setActive(0);
      },
      // Without the list, the text can be written nevertheless.
      () => mine === search.current && setFound(null),
    );
  };

  const choose = ({ id: user, name }: Candidate) => {
    const element = field.current;
    if (!element || !found) return;
    const { value, selectionStart } = element;
    const inserted = `@${name} `;
    const rest = value.slice(selectionStart).replace(/^ /, "");
    chosen.current = [...chosen.current.filter((one) => one.id !== user), { id: user, name }];
    if (!editing) saveDraftMentions(me, id, chosen.current);
    settled.current = found.at;
    close();
    // The caret must be behind the name before the next key.
    flushSync(() => type(value.slice(0, found.at) + inserted + rest));
    element.focus();
    const caret = found.at + inserted.length;
    element.setSelectionRange(caret, caret);
  };

  const onKeyDown = (event: KeyboardEvent): boolean => {
    if (!found) return false;
    const { length } = found.candidates;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      setActive((active + step + length) % length);
    } else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey) {
      const candidate = found.candidates[active];
      if (candidate) choose(candidate);
    } else if (event.key === "Escape") {
      settled.current = found.at;
      close();
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  };

  const of = (text: string): Partial<Mentioned> => {
    const ids = mentionsIn(text, chosen.current).map((one) => one.id);
    const before: Mentioned = editing ?? { mentions: [], mention_all: false };
    // Those whose name has changed since stay mentioned.
    const kept = before.mentions.filter((user) => !chosen.current.some((one) => one.id === user));
    const mentions = [...kept, ...ids.filter((user) => user !== EVERYONE)];
    const mention_all = ids.includes(EVERYONE);
    // Only what changes is sent: the server refuses to mention those who have left.
    const isSame = mentions.length === before.mentions.length && mentions.every((user) => before.mentions.includes(user));
    return { ...(isSame ? {} : { mentions }), ...(mention_all === before.mention_all ? {} : { mention_all }) };
  };

  return {
    list: found && (
      <MentionList
        id={listId}
        candidates={found.candidates}
        active={active}
        onActive={setActive}
        onChoose={choose}
        onClose={close}
      />
    ),
    attributes: {
      "aria-autocomplete": "list",
      "aria-controls": found ? listId : undefined,
      "aria-activedescendant": found ? `${listId}-${active}` : undefined,
    },
    onKeyDown,
    follow,
    close,
    of,
  };
}

/** The mentions that the text of a message shows. */
function mentionsOf({ mentions, mention_all, message_text }: TimelineMessage): Mention[] {
  const named = mentions.flatMap((id): Mention[] => {
    const name = knownName(id);
    return name === undefined ? [] : [{ id, name }];
  });
  if (mention_all) named.push({ id: EVERYONE, name: EVERYONE_NAME });
  return mentionsIn(message_text, named);
}
