// Marks mentions in the text of a message.

import type { Message } from "@tidings/client";
import { useMe } from "@tidings/client/react";
import { useCallback } from "react";
import type { ReactNode } from "react";

import { nameOf, usePeople } from "../people.js";
import { EVERYONE, EVERYONE_NAME, splitAtMentions } from "./text.js";
import type { Mention } from "./text.js";

/** Whether a message mentions a user. */
export const mentionsUser = ({ mentions, mention_all, sender_id }: Message, user: string | undefined): boolean =>
  sender_id !== user && (mention_all || (user !== undefined && mentions.includes(user)));

/** Returns a function that marks the message's mentions in a part of its text. */
export function useMentions(message: Message): (text: string) => ReactNode {
  const me = useMe();
  const { mentions, mention_all: all } = message;
  const people = usePeople(mentions);
  return useCallback(
    (text: string) => {
      if (!text.includes("@")) return text;
      const named = mentions.flatMap((id): Mention[] => {
        const name = id === me?.id ? nameOf(me) : people.get(id)?.name;
        return name === undefined ? [] : [{ id, name }];
      });
      if (all) named.push({ id: EVERYONE, name: EVERYONE_NAME });
      return splitAtMentions(text, named).map((part, at) =>
        part.mention ? (
          <bdi key={at} className={`mention ${part.mention.id === me?.id || part.mention.id === EVERYONE ? "of-me" : ""}`}>
            {part.text}
          </bdi>
        ) : (
          part.text
        ),
      );
    },
    [mentions, all, people, me],
  );
}
