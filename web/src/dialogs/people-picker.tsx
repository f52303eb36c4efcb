// Finding people by their names.

import type { User } from "@tidings/client";
import { useConversations, useMe, useTidings } from "@tidings/client/react";
import { useEffect, useState } from "react";
import type { ReactNode } from "react";

import { Avatar } from "../avatar.js";
import { titleOf } from "../people.js";
import { attempt } from "../toasts.js";

/** Someone who may be picked. */
export interface Pick {
  id: string;
  name: string;
  about: string | null;
  photo: string | null;
}

const pick = (user: User): Pick => ({
  id: user.id,
  name: user.full_name ?? user.username ?? user.id,
  about: user.username ? `@${user.username}` : null,
  photo: user.avatar_url,
});

/** A field, and those who are found; before anything is typed, those one writes with. */
export function PeoplePicker(props: { without?: ReadonlySet<string>; action: (person: Pick) => ReactNode }) {
  const client = useTidings();
  const me = useMe();
  const rows = useConversations();
  const [text, setText] = useState("");
  const [found, setFound] = useState<readonly Pick[] | null>(null);
  const query = text.trim();

  useEffect(() => {
    setFound(null);
    if (query === "") return;
    const stop = new AbortController();
    const search = async () => {
      const people: Pick[] = [];
      for await (const user of client.api.users(query, { signal: stop.signal, limit: 20 })) {
        people.push(pick(user));
        if (people.length === 20) break;
      }
      setFound(people);
    };
    const timer = setTimeout(() => void attempt(search()), 200);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [client, query]);

  const known = rows.flatMap((row) =>
    row.type === "direct" && row.other_user_id
      ? [{ id: row.other_user_id, name: titleOf(row), about: null, photo: row.photo_url }]
      : [],
  );
  const shown = (query === "" ? known.slice(0, 30) : (found ?? [])).filter(
    ({ id }) => id !== me?.id && !props.without?.has(id),
  );
  return (
    <div className="picker">
      <input
        type="search"
        dir="auto"
        autoComplete="off"
        aria-label="Find people"
        placeholder="Find people by name or username"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <ul className="list">
        {shown.map((person) => (
          <li key={person.id}>
            <Avatar id={person.id} name={person.name} photo={person.photo} size="small" />
            <span className="grow">
              <bdi>{person.name}</bdi>
              {person.about && <span className="muted small-text">{person.about}</span>}
            </span>
            {props.action(person)}
          </li>
        ))}
      </ul>
      <p className="muted" role="status">
        {query !== "" && found?.length === 0 && "Nobody by this name."}
      </p>
    </div>
  );
}
