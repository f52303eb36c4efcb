// The user who is signed in. An account is signed in to all windows, a demo user to one, so that two can chat side by
// side.

import { Session, Tidings } from "@tidings/client";

import { blocked } from "./blocked.js";
import { local, perWindow } from "./browser-storage.js";
import { loadConfig } from "./config.js";
import type { Config } from "./config.js";
import { forgetDrafts } from "./drafts.js";
import { clearPeople } from "./people.js";
import { openProfile } from "./profile-card.js";
import { EMOJI_KEY } from "./settings.js";
import { storedNames } from "./stored-names.js";
import { found } from "./text/found.js";

/** A demo user, which the local stack creates. */
export interface DemoUser {
  id: string;
  name: string;
  token: string;
}

const DEMO_TOKEN = "tidings person";

let config: Config;
/** The session of a registered user. */
export let session: Session;

/** Finds out where the API is. To be awaited before anything else is called. */
export async function start(): Promise<void> {
  config = await loadConfig();
  session = new Session({ url: config.url, storage: local });
}

/** Returns the demo users; none outside of the local stack. */
export async function demoUsers(): Promise<DemoUser[]> {
  try {
    const response = await fetch(new URL("/_local/people", config.url));
    return response.ok ? ((await response.json()) as { data: DemoUser[] }).data : [];
  } catch {
    return [];
  }
}

/** The demo user whom a link asks to sign in as. */
export const wantedDemoUser = (): string | null => new URLSearchParams(location.search).get("as");

/** Creates a client for the signed-in user; null if nobody is signed in to this window. */
export function createClient(): Tidings | null {
  const token = perWindow.getItem(DEMO_TOKEN);
  if (token !== null) return new Tidings({ ...config, token: () => token });
  if (!session.isSignedIn || wantedDemoUser() !== null) return null;
  // Demo users leave nothing in the browser.
  return new Tidings({ ...config, token: session.token, offline: { user: () => session.user, more: storedNames } });
}

/** Whether the signed-in user has a password. Demo users have none. */
export function hasPassword(): boolean {
  return perWindow.getItem(DEMO_TOKEN) === null;
}

/** Whether the session has ended in another window. */
export const hasEnded = (): boolean => hasPassword() && !session.isSignedIn;

/** Signs in as a demo user. */
export function signInAs(user: DemoUser): void {
  perWindow.setItem(DEMO_TOKEN, user.token);
}

/** Ends the session, and keeps what the user has written. */
export async function endSession(): Promise<void> {
  const isDemo = !hasPassword();
  perWindow.removeItem(DEMO_TOKEN);
  clearPeople();
  blocked.set(new Set());
  found.set(null);
  openProfile.set(null);
  // If the server is unreachable, the session expires there by itself.
  if (!isDemo) await session.logout().catch(() => {});
}

/** Ends the session, and removes everything of the user from this browser. */
export async function signOut(client: Tidings): Promise<void> {
  const user = client.store.state.me?.id;
  const ended = endSession();
  // Nothing can be done if the browser refuses to delete it.
  const forgotten = client.forget().catch(() => {});
  if (user !== undefined) forgetDrafts(user);
  local.removeItem(EMOJI_KEY);
  await Promise.all([ended, forgotten]);
}
