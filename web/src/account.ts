// Who is signed in to this window. Each window has its own session, so that two users can chat side by side.

import { Session, Tidings } from "@tidings/client";

/** A demo user, which the local stack creates. */
export interface DemoUser {
  id: string;
  name: string;
  token: string;
}

// Where the server is: by default where the page is, as with the local stack. Set when the page is built.
const url = import.meta.env.VITE_TIDINGS_URL ?? location.origin;
const socketUrl = import.meta.env.VITE_TIDINGS_SOCKET_URL;
const DEMO_TOKEN = "tidings person";

/** The session of a registered user. */
export const session = new Session({ url, storage: sessionStorage });

/** Returns the demo users; none outside of the local stack. */
export async function demoUsers(): Promise<DemoUser[]> {
  try {
    const response = await fetch("/_local/people");
    return response.ok ? ((await response.json()) as { data: DemoUser[] }).data : [];
  } catch {
    return [];
  }
}

/** Creates a client for the signed-in user; null if nobody is signed in. */
export function createClient(): Tidings | null {
  const token = sessionStorage.getItem(DEMO_TOKEN);
  if (token !== null) return new Tidings({ url, socketUrl, token: () => token });
  return session.isSignedIn ? new Tidings({ url, socketUrl, token: session.token }) : null;
}

/** Whether the signed-in user has a password. Demo users have none. */
export function hasPassword(): boolean {
  return sessionStorage.getItem(DEMO_TOKEN) === null;
}

/** Signs in as a demo user. */
export function signInAs(user: DemoUser): void {
  sessionStorage.setItem(DEMO_TOKEN, user.token);
}

export async function signOut(): Promise<void> {
  const isDemo = !hasPassword();
  sessionStorage.removeItem(DEMO_TOKEN);
  // If the server is unreachable, the session expires there by itself.
  if (!isDemo) await session.logout().catch(() => {});
}
