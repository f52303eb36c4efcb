// The page's side of push notifications: the service worker, the subscription, and closing what was read.
//
// Invariant: while this browser is subscribed, the service worker alone shows notifications, so that each is shown once,
// however many windows are open.

import type { Tidings } from "@tidings/client";
import { Activity, Push } from "@tidings/client/push";
import type { Tested } from "@tidings/client/push";

import type { NotificationData } from "../../worker/notification.js";
import type { WorkerMessage } from "../../worker/windows.js";
import { leaveTitle } from "../../worker/words.js";
import { local } from "../browser-storage.js";
import { changeSettings, settings } from "../settings.js";
import { partWords } from "../words/language.js";
import { pushState } from "./current.js";

const pushes = new WeakMap<Tidings, Push>();
let activity: Activity | undefined;

function pushOf(client: Tidings): Push {
  const push = pushes.get(client) ?? new Push(client.api, register);
  pushes.set(client, push);
  return push;
}

/** Registers the service worker, and waits until it can be used. */
async function register(): Promise<ServiceWorkerRegistration> {
  const registration = await navigator.serviceWorker.register("/sw.js", { updateViaCache: "none" });
  const worker = registration.installing ?? registration.waiting;
  if (!registration.active && worker) await activated(worker);
  return registration;
}

function activated(worker: ServiceWorker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.addEventListener("statechange", () => {
      if (worker.state === "activated") resolve();
      if (worker.state === "redundant") reject(new Error("The service worker could not be installed."));
    });
  });
}

/** Tells the service worker the words of the current language. */
export async function leaveWords(): Promise<void> {
  // Without them, the worker's notifications are English.
  if ("caches" in window) await leaveTitle(partWords.notifications.newMessage).catch(() => {});
}

/** Brings the subscription up to date, and follows the service worker and the client until the signal is aborted. */
export async function start(client: Tidings, signal: AbortSignal): Promise<void> {
  if ("serviceWorker" in navigator && import.meta.env.PROD) {
    navigator.serviceWorker.addEventListener("message", ({ data }) => onMessage(client, data as WorkerMessage), { signal });
    navigator.serviceWorker.startMessages();
    // For pages that open without a network, whether or not the user wants notifications.
    void register().catch(() => {});
    closeWhatIsRead(client, signal);
  }
  await resume(client, signal);
  addEventListener("online", () => pushState.current === "failed" && void resume(client, signal), { signal });
  if (pushState.current === "unavailable" || signal.aborted) return;
  activity = new Activity(client, local);
  activity.start(signal);
}

async function resume(client: Tidings, signal: AbortSignal): Promise<void> {
  const state = await pushOf(client)
    .resume(settings.current.notifications, { signal })
    .catch(() => "failed" as const);
  if (!signal.aborted) pushState.set(state);
}

function onMessage(client: Tidings, message: WorkerMessage): void {
  if (message.kind === "open") {
    location.hash = new URL(message.url).hash || "#/";
    return;
  }
  void closeRead(client).catch(() => {});
  // The worker has set the badge to what was unread when the notification was sent.
  void navigator.setAppBadge?.(client.store.state.unmutedUnread).catch(() => {});
}

/** Closes the notifications of what is read here or elsewhere, until the signal is aborted. */
function closeWhatIsRead(client: Tidings, signal: AbortSignal): void {
  const { store } = client;
  const tidy = () => void closeRead(client).catch(() => {});
  const stops = [
    client.on("message.read", ({ data }) => data.user_id === store.state.me?.id && tidy()),
    client.on("conversation.deleted", ({ data }) => void close(data.conversation_id).catch(() => {})),
  ];
  // Conversations that were read before this page was opened.
  const stop = store.subscribe(() => {
    if (!store.state.isComplete) return;
    stop();
    tidy();
  });
  if (store.state.isComplete) tidy();
  signal.addEventListener("abort", () => [...stops, stop].forEach((stop) => stop()));
}

/** Closes the notifications whose messages are read. */
async function closeRead({ store }: Tidings): Promise<void> {
  for (const notification of await shown()) {
    const { conversation_id: id, message_id: message } = (notification.data ?? {}) as Partial<NotificationData>;
    if (id && message && store.hasRead(id, message)) notification.close();
  }
}

/** Closes the notifications of a conversation, by default all of them. */
async function close(tag?: string): Promise<void> {
  for (const notification of await shown(tag)) notification.close();
}

async function shown(tag?: string): Promise<Notification[]> {
  const registration = await navigator.serviceWorker?.getRegistration();
  return (await registration?.getNotifications(tag === undefined ? {} : { tag })) ?? [];
}

/** Turns notifications on. To be called in response to a click: the browser asks the user, unless it has before. */
export async function turnOn(client: Tidings): Promise<void> {
  const push = pushOf(client);
  const state = await push.subscribe().catch(() => "failed" as const);
  // Without pushes, open pages show notifications; nothing has asked for the permission then.
  const permission = !("Notification" in window)
    ? "denied"
    : state === "unsupported"
      ? await Notification.requestPermission()
      : Notification.permission;
  pushState.set(state);
  activity?.onSubscribed();
  changeSettings({ notifications: permission === "granted" });
}

/** Turns notifications off in this browser. */
export async function turnOff(client: Tidings): Promise<void> {
  changeSettings({ notifications: false });
  await pushOf(client).unsubscribe();
  if (pushState.current === "on" || pushState.current === "failed") pushState.set("off");
}

/** Sends a notification to all of the user's browsers, and renews this one's subscription if it has ended. */
export async function sendTest(client: Tidings): Promise<Tested> {
  const push = pushOf(client);
  const tested = await push.test();
  if (tested.removed > 0) pushState.set(await push.resume(true));
  return tested;
}

/** Ends the subscription before the user signs out, and leaves nothing of theirs on the screen. */
export async function end(client: Tidings): Promise<void> {
  await Promise.all([pushOf(client).unsubscribe(), close(), navigator.clearAppBadge?.()]);
}
