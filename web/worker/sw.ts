// The service worker: shows notifications, and opens the page without a network. The build puts it into one file.

import { addressOf, describePush } from "./notification.js";
import type { Pictures } from "./notification.js";
import { answer, fill, kindOf } from "./offline.js";
import { show } from "./windows.js";
import type { WorkerMessage } from "./windows.js";
import { leftTitle } from "./words.js";

declare const self: ServiceWorkerGlobalScope;
/** Values that the build inserts: the addresses of its files, a digest of them, and the pictures for notifications. */
declare const BUILD: { files: readonly string[]; digest: string; pictures: Pictures };

const PREFIX = "tidings page ";
const CACHE = PREFIX + BUILD.digest;
const { origin } = self.location;

const windows = () => self.clients.matchAll({ type: "window", includeUncontrolled: true });

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => fill(cache, BUILD.files)));
  // Calls of the API need not wait for the worker. Only some browsers have routes.
  const { addRoutes } = event as { addRoutes?: (routes: object) => Promise<void> };
  void addRoutes?.call(event, { condition: { urlPattern: "/api/*" }, source: "network" }).catch(() => {});
});

// Until the last window of an earlier build is closed, the worker of that build goes on with its own cache.
self.addEventListener("activate", (event) => event.waitUntil(removeOldCaches()));

async function removeOldCaches(): Promise<void> {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

self.addEventListener("fetch", (event) => {
  const kind = kindOf(event.request, origin);
  if (!kind) return;
  const { request } = event;
  // The browser may refuse the storage.
  event.respondWith(caches.open(CACHE).then((cache) => answer(kind, request, cache), () => fetch(request)));
});

self.addEventListener("push", (event) => event.waitUntil(onPush(event.data?.text())));

async function onPush(text: string | undefined): Promise<void> {
  const { title, options, badge } = describePush(text, BUILD.pictures, await leftTitle().catch(() => undefined));
  await self.registration.showNotification(title, options);
  // Only pages that are installed have a badge.
  if (badge !== undefined) await self.navigator.setAppBadge?.(badge).catch(() => {});
  for (const window of await windows()) window.postMessage({ kind: "notified" } satisfies WorkerMessage);
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(onClick(addressOf(event.notification.data, origin)));
});

async function onClick(url: string): Promise<void> {
  await show(url, await windows(), origin, (url) => self.clients.openWindow(url));
}

// The page stores the new subscription at its next start: the worker has no token.
self.addEventListener("pushsubscriptionchange", (event) => {
  const { oldSubscription } = event as ExtendableEvent & { oldSubscription?: PushSubscription | null };
  if (!oldSubscription) return;
  const { applicationServerKey } = oldSubscription.options;
  const options = { userVisibleOnly: true, applicationServerKey };
  (event as ExtendableEvent).waitUntil(self.registration.pushManager.subscribe(options));
});
