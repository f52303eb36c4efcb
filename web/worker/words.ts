// The words of notifications. The page leaves them in the user's language, which the worker does not know.

const CACHE = "tidings words";
const KEY = "/words/new-message";

/** Keeps the title of a notification that says nothing about its message. */
export async function leaveTitle(title: string): Promise<void> {
  await (await caches.open(CACHE)).put(KEY, new Response(title));
}

/** Returns the title that the page has left; undefined if there is none. */
export async function leftTitle(): Promise<string | undefined> {
  return (await (await caches.open(CACHE)).match(KEY))?.text();
}
