// Who is signed in in this window. Each window has its own, so that two people can sit side by side.

import { Session, Tidings } from "@tidings/client";

/** One of the people that the local stack makes to try it with. */
export interface Person {
  id: string;
  name: string;
  token: string;
}

const url = location.origin;
const DEMO = "tidings person";

/** The session of a registered user. */
export const session = new Session({ url, storage: sessionStorage });

/** The demo's people, or nobody. */
export async function people(): Promise<Person[]> {
  try {
    const response = await fetch("/_local/people");
    return response.ok ? ((await response.json()) as { data: Person[] }).data : [];
  } catch {
    return [];
  }
}

/** A client for whoever is signed in; null where nobody is. */
export function client(): Tidings | null {
  const token = sessionStorage.getItem(DEMO);
  if (token !== null) return new Tidings({ url, token: () => token });
  return session.isSignedIn ? new Tidings({ url, token: session.token }) : null;
}

/** Whether whoever is signed in has a session of their own: one with a password to change. */
export function hasSession(): boolean {
  return sessionStorage.getItem(DEMO) === null;
}

/** Signs in as one of the demo's people. */
export function become(person: Person): void {
  sessionStorage.setItem(DEMO, person.token);
}

/** Signs out. */
export async function leave(): Promise<void> {
  const isDemo = !hasSession();
  sessionStorage.removeItem(DEMO);
  // Signed out here in any case; the server forgets an abandoned session by itself.
  if (!isDemo) await session.logout().catch(() => {});
}
