// A name that opens the person's profile.

import type { ReactNode } from "react";

import { usePerson } from "./people.js";
import { openProfile } from "./profile-card.js";

/** A name, or what is shown in its place, that opens the profile. A deleted user has none. */
export function PersonName({ id, look, children }: { id: string; look: string; children?: ReactNode }) {
  const { name, isDeleted } = usePerson(id);
  const content = children ?? <bdi>{name}</bdi>;
  if (isDeleted) return <span className={look}>{content}</span>;
  return (
    <button type="button" className={`person ${look}`} onClick={() => openProfile.set(id)}>
      {content}
    </button>
  );
}
