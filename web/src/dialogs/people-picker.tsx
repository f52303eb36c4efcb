// A search field for people, with an action on each result.

import type { User } from "@tidings/client";
import { useConversations, useMe, useTidings } from "@tidings/client/react";
import { useEffect, useState } from "react";

import { Avatar } from "../avatar.js";
import { nameOf, titleOf } from "../people.js";
import { afterTyping, firstOf } from "../search/ask.js";
import { attempt } from "../toasts.js";
import { hasFinePointer } from "../touch.js";
import { partWords } from "../words/language.js";

/** Maximum number of people that a search lists. */
const MAX_FOUND = 20;

/** A person in the list. */
export interface Candidate {
  id: string;
  name: string;
  about: string | null;
  photo: string | null;
}

const toCandidate = (user: User): Candidate => ({
  id: user.id,
  name: nameOf(user),
  about: user.username ? `@${user.username}` : null,
  photo: user.avatar_url,
});

/** Lists search results or, before anything is typed, people the user has direct conversations with. */
export function PeoplePicker(props: {
  exclude?: ReadonlySet<string>;
  /** The action of a click on a person. */
  action: { label: string; isDisabled?: boolean; run: (person: Candidate) => void };
  /** Whether the field gets the focus when the dialog opens. On touch screens, the keyboard would cover the list. */
  takesFocus?: boolean;
}) {
  const client = useTidings();
  const me = useMe();
  const rows = useConversations();
  const [text, setText] = useState("");
  const [found, setFound] = useState<readonly Candidate[] | null>(null);
  const query = text.trim();

  useEffect(() => {
    setFound(null);
    if (query === "") return;
    const search = async (signal: AbortSignal) => {
      const people = await firstOf(client.api.users(query, { signal, limit: MAX_FOUND }), MAX_FOUND);
      setFound(people.map(toCandidate));
    };
    return afterTyping((signal) => attempt(search(signal)));
  }, [client, query]);

  const contacts = rows.flatMap((row) =>
    row.type === "direct" && row.other_user_id
      ? [{ id: row.other_user_id, name: titleOf(row), about: null, photo: row.photo_url }]
      : [],
  );
  const shown = (query === "" ? contacts.slice(0, 30) : (found ?? [])).filter(
    ({ id }) => id !== me?.id && !props.exclude?.has(id),
  );
  return (
    <div className="picker">
      <input
        // The dialog looks for the attribute, which React does not set.
        ref={(input) => void (props.takesFocus && hasFinePointer() && input?.setAttribute("autofocus", ""))}
        type="search"
        dir="auto"
        autoComplete="off"
        aria-label={partWords.newConversation.findPeople}
        placeholder={partWords.newConversation.findPeopleBy}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <ul className="list">
        {shown.map((person) => (
          <li key={person.id}>
            <button
              type="button"
              className="candidate"
              disabled={props.action.isDisabled}
              onClick={() => props.action.run(person)}
            >
              <Avatar id={person.id} name={person.name} photo={person.photo} size="small" />
              <span className="hidden">{props.action.label} </span>
              <span className="grow">
                <bdi>{person.name}</bdi>
                {person.about && <bdi className="muted small-text">{person.about}</bdi>}
              </span>
              <span className="secondary" aria-hidden>
                {props.action.label}
              </span>
            </button>
          </li>
        ))}
      </ul>
      <p className="muted" role="status">
        {query !== "" && found?.length === 0 && partWords.newConversation.noPeople}
        {query === "" && contacts.length === 0 && partWords.newConversation.typeName}
      </p>
    </div>
  );
}
