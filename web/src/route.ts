// What the page shows, in the address: so that reloading, going back and links work.

import { useSyncExternalStore } from "react";

/** A conversation, and the message in it to jump to. */
export interface Route {
  conversation: string | null;
  message: string | null;
}

function read(hash: string): Route {
  const [, kind, conversation, , message] = hash.split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return "";
    }
  });
  return kind === "c" && conversation ? { conversation, message: message || null } : { conversation: null, message: null };
}

let hash = "";
let route = read("");

/** Where the page is now. */
export function current(): Route {
  if (hash !== location.hash) route = read((hash = location.hash));
  return route;
}

function subscribe(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}

/** Where the page is. */
export function useRoute(): Route {
  return useSyncExternalStore(subscribe, current);
}

/** The address of a conversation, or of a message in it. */
export function addressOf(conversation: string, message?: string): string {
  const address = `#/c/${encodeURIComponent(conversation)}`;
  return message ? `${address}/m/${encodeURIComponent(message)}` : address;
}

/** Goes to a conversation, or with null to the inbox alone. */
export function go(conversation: string | null, message?: string): void {
  location.hash = conversation === null ? "#/" : addressOf(conversation, message);
}

/** Takes the message out of the address, so that going there again is a step. */
export function settle(conversation: string): void {
  history.replaceState(null, "", addressOf(conversation));
  dispatchEvent(new HashChangeEvent("hashchange"));
}
