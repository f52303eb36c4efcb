// The page's own part of the stored state, so that it can be shown without the server: the names of people, and the
// blocked users.

import { blocked } from "./blocked.js";
import { showPeople, storedPeople } from "./people.js";
import type { Profile } from "./people.js";

interface Stored {
  people: [string, Profile][];
  blocked: string[];
}

/** Reads and shows them. */
export const storedNames = {
  get: (): Stored => ({ people: storedPeople(), blocked: [...blocked.current] }),
  show: (saved: unknown): void => {
    const { people, blocked: ids } = saved as Stored;
    showPeople(people);
    blocked.set(new Set(ids));
  },
};
