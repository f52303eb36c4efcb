// Push notifications to this browser. An entry of its own, because only pages need it, and not at once.
//
// Invariant: a subscription that the server has belongs to the user who is signed in now. So it is stored again at each
// start, and removed before the user signs out.

import type { Api } from "./api.js";
import type { TidingsError } from "./error.js";
import type { PushKey, Subscribed, Tested } from "./generated/types.gen.js";
import type { CallOptions } from "./http.js";

export { Activity } from "./activity.js";
export type { Tested };

/**
 * Whether this browser gets notifications: `unsupported` by the browser (or by a page without https), `unavailable` on
 * this server, `blocked` by the user in the browser, `off` or `on`.
 */
export type PushState = "unsupported" | "unavailable" | "blocked" | "off" | "on";

/** Whether this browser has push notifications. iPhones and iPads have them only in pages that are installed. */
const isPushSupported = (): boolean =>
  "serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis;

/** The push subscription of this browser. */
export class Push {
  readonly #api: Api;
  readonly #registration: () => Promise<ServiceWorkerRegistration>;
  /** The id that the server has given the subscription. */
  #id: string | undefined;
  #state: PushState = "off";

  /** `registration` returns the registration of the service worker that shows the notifications. */
  constructor(api: Api, registration: () => Promise<ServiceWorkerRegistration>) {
    this.#api = api;
    this.#registration = registration;
  }

  /** The state after the last call of `resume`, `subscribe` or `unsubscribe`. */
  get state(): PushState {
    return this.#state;
  }

  /**
   * To be called at each start. If the user wants notifications and has permitted them, renews the subscription where
   * the server's key has changed or the browser has lost it, and stores it for the signed-in user.
   */
  async resume(isWanted: boolean, options?: CallOptions): Promise<PushState> {
    if (!isPushSupported()) return (this.#state = "unsupported");
    const key = await this.#key(options);
    if (key === null) return (this.#state = "unavailable");
    if (Notification.permission === "denied") return (this.#state = "blocked");
    if (!isWanted || Notification.permission !== "granted") return (this.#state = "off");
    return this.#subscribe(key, options);
  }

  /** Subscribes this browser. To be called in response to a click, because the browser may ask the user. */
  async subscribe(options?: CallOptions): Promise<PushState> {
    if (!isPushSupported()) return (this.#state = "unsupported");
    // Before anything else: browsers forget the click while something else is awaited.
    const permission = await Notification.requestPermission();
    const key = await this.#key(options);
    if (key === null) return (this.#state = "unavailable");
    if (permission === "granted") return this.#subscribe(key, options);
    return (this.#state = permission === "denied" ? "blocked" : "off");
  }

  /** Ends the subscription. To be called before the user signs out, while there is a token. */
  async unsubscribe(options?: CallOptions): Promise<void> {
    if (!isPushSupported()) return;
    const subscription = await (await this.#registration()).pushManager.getSubscription();
    const id = this.#id;
    this.#id = undefined;
    if (this.#state === "on") this.#state = "off";
    if (!subscription) return;
    try {
      const known = id ?? (await this.#store(subscription, options));
      await this.#api.http.call("DELETE", `/api/push/subscriptions/${encodeURIComponent(known)}`, undefined, options);
    } catch {
      // The server removes it with the next notification, which the push service refuses.
    }
    await subscription.unsubscribe();
  }

  /** Sends a notification to all of the user's subscriptions. */
  test(options?: CallOptions): Promise<Tested> {
    return this.#api.http.call("POST", "/api/push/test", undefined, options);
  }

  /** Returns the server's key; null if it sends no notifications. Never kept, because an operator may change it. */
  async #key(options: CallOptions | undefined): Promise<string | null> {
    try {
      return (await this.#api.http.call<PushKey>("GET", "/api/push/key", undefined, options)).public_key;
    } catch (error) {
      // Not `instanceof`: this entry shares no code with the main one, which would be split then.
      if ((error as Partial<TidingsError>).status === 404) return null;
      throw error;
    }
  }

  async #subscribe(key: string, options: CallOptions | undefined): Promise<PushState> {
    const { pushManager } = await this.#registration();
    let subscription = await pushManager.getSubscription();
    if (subscription && base64url(subscription.options.applicationServerKey) !== key) {
      await subscription.unsubscribe();
      subscription = null;
    }
    subscription ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    this.#id = await this.#store(subscription, options);
    return (this.#state = "on");
  }

  /** Stores the subscription at the server. Returns its id. */
  async #store(subscription: PushSubscription, options: CallOptions | undefined): Promise<string> {
    // The server accepts no further fields.
    const { endpoint, keys: { p256dh, auth } = {} } = subscription.toJSON();
    const body = { endpoint, keys: { p256dh, auth } };
    return (await this.#api.http.call<Subscribed>("PUT", "/api/push/subscriptions", body, options)).id;
  }
}

function base64url(bytes: ArrayBuffer | null): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes ?? new ArrayBuffer(0))));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
