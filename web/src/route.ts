// The page's state in the URL's hash, so that reload, back and links work.

import { useSyncExternalStore } from "react";

/** The open conversation, and the message in it to jump to. */
export interface Route {
  conversation: string | null;
  message: string | null;
}

function parse(hash: string): Route {
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
let route = parse("");

/** Returns the current route: the same object until it changes. */
export function currentRoute(): Route {
  if (hash !== location.hash) route = parse((hash = location.hash));
  return route;
}

function subscribe(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}

/** Returns the current route, and renders again when it changes. */
export function useRoute(): Route {
  return useSyncExternalStore(subscribe, currentRoute);
}

/** Returns the link to a conversation, or to a message in it. */
export function linkTo(conversation: string, message?: string): string {
  const link = `#/c/${encodeURIComponent(conversation)}`;
  return message ? `${link}/m/${encodeURIComponent(message)}` : link;
}

/** Opens a conversation, or the inbox alone if null. */
export function navigate(conversation: string | null, message?: string): void {
  location.hash = conversation === null ? "#/" : linkTo(conversation, message);
}

/** The part of the browser's `Navigation` that the page uses. Not all browsers have it. */
interface BrowserHistory {
  entries(): readonly { url: string | null }[];
  currentEntry: { index: number } | null;
}

/** Goes back to the inbox. If that is where the user came from, the browser's way back then leads on from there. */
export function backToInbox(): void {
  const { navigation } = window as { navigation?: BrowserHistory };
  const before = navigation?.entries()[(navigation.currentEntry?.index ?? 0) - 1]?.url;
  if (before && parse(new URL(before).hash).conversation === null) history.back();
  else navigate(null);
}

/** Removes the message from the URL, so that following the same link again jumps again. */
export function clearMessage(conversation: string): void {
  history.replaceState(null, "", linkTo(conversation));
  dispatchEvent(new HashChangeEvent("hashchange"));
}
