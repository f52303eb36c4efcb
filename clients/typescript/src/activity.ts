// Tells the server that somebody is using this page, so that the user's other devices stay silent.
//
// Invariant: all tabs together say so at most once a minute. The tab that has said so takes it back when it is hidden.

import type { Tidings } from "./client.js";
import type { StoredPushSubscription } from "./generated/types.gen.js";
import type { KeyValue } from "./session.js";
import type { Presence } from "./types.js";

/** Milliseconds for which the server holds notifications back, and between two reports. */
const INTERVAL = 60_000;
/** Milliseconds after which it is looked up again whether the user has devices to notify. */
const DEVICES_MAX_AGE = 600_000;
/** The events that show that somebody is using the page. */
const INPUTS = ["pointerdown", "keydown", "wheel"];

/** Reports the activity of a client's user. */
export class Activity {
  readonly #client: Tidings;
  readonly #storage: KeyValue;
  /** The user's presence when this tab reported them as active; undefined if it did not, or has taken it back. */
  #reported: Presence | undefined;
  #reporting: Promise<void> = Promise.resolve();
  #hasDevices = false;
  #devicesSeenAt = 0;
  /** The key under which the storage keeps the time of the last report. */
  #name: string | undefined;

  /** The storage must be shared by all tabs: `localStorage`. */
  constructor(client: Tidings, storage: KeyValue) {
    this.#client = client;
    this.#storage = storage;
  }

  /** Reports until the signal is aborted. Then nothing of the user is left in the storage. */
  start(signal: AbortSignal): void {
    const onInput = () => this.#onInput();
    for (const name of INPUTS) addEventListener(name, onInput, { capture: true, passive: true, signal });
    const onVisibility = () => {
      if (document.visibilityState === "hidden") void this.#takeBack();
    };
    document.addEventListener("visibilitychange", onVisibility, { signal });
    addEventListener("pagehide", () => this.#close(), { signal });
    signal.addEventListener("abort", () => this.#name !== undefined && this.#storage.removeItem(this.#name));
  }

  /** To be called when this browser was subscribed, because it may be the user's first device. */
  onSubscribed(): void {
    this.#devicesSeenAt = 0;
  }

  #onInput(): void {
    const { me } = this.#client.store.state;
    if (!me || document.visibilityState !== "visible") return;
    const name = (this.#name = `tidings active ${me.id}`);
    if (Math.abs(Date.now() - Number(this.#storage.getItem(name))) < INTERVAL) return;
    this.#storage.setItem(name, String(Date.now()));
    // A lost report leads to a notification too many.
    this.#reporting = this.#report(me.id).catch(() => {});
  }

  async #report(me: string): Promise<void> {
    await this.#lookForDevices();
    if (!this.#hasDevices) return;
    const own = await this.#presence(me);
    if (!own || document.visibilityState !== "visible") return;
    this.#reported = own;
    await this.#say(own, true);
  }

  /** Most users have no device to notify, and then nothing is reported. */
  async #lookForDevices(): Promise<void> {
    if (Math.abs(Date.now() - this.#devicesSeenAt) < DEVICES_MAX_AGE) return;
    const { http } = this.#client.api;
    this.#hasDevices = (await http.call<StoredPushSubscription[]>("GET", "/api/push/subscriptions")).length > 0;
    this.#devicesSeenAt = Date.now();
  }

  /**
   * Returns the user's own presence, which a report must repeat; undefined while it is offline: then the user is
   * invisible, or the server does not know of this page yet.
   */
  async #presence(me: string): Promise<Presence | undefined> {
    const [own] = await this.#client.api.presence([me]);
    return own?.status === "offline" ? undefined : own;
  }

  async #takeBack(): Promise<void> {
    await this.#reporting;
    if (!this.#reported) return;
    // The status may have changed since.
    const own = await this.#presence(this.#reported.user_id).catch(() => undefined);
    if (!this.#reported || document.visibilityState !== "hidden") return;
    this.#reported = undefined;
    if (own) await this.#say(own, false).catch(() => {});
  }

  /** There is no time to look up the status. */
  #close(): void {
    const own = this.#reported;
    this.#reported = undefined;
    if (own) this.#say(own, false).catch(() => {});
  }

  async #say({ status, current_conversation_id: viewed }: Presence, is_active: boolean): Promise<void> {
    const viewing = viewed !== null && is_active ? { current_conversation_id: viewed } : {};
    const options = { keepalive: !is_active };
    await this.#client.api.http.call("PUT", "/api/presence", { status, ...viewing, is_active }, options);
  }
}
