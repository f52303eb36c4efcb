// Accounts of the server itself: signing in, and tokens that renew themselves.

import { TidingsError } from "./error.js";
import { Http } from "./http.js";
import type { CallOptions, TokenProvider } from "./http.js";
import type { LoggedIn, OwnUser, Tokens } from "./types.js";

/** The part of `localStorage` and `sessionStorage` that is used. */
export type KeyValue = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** Milliseconds before its end at which a token is renewed. */
const EARLY = 60_000;

interface Kept {
  access: string;
  refresh: string;
  /** By this machine's clock, in milliseconds. */
  until: number;
}

/** A session of a registered user. Its `token` is what `Tidings` takes. */
export class Session {
  readonly #http: Http;
  readonly #storage: KeyValue | undefined;
  readonly #name: string;
  #kept: Kept | undefined;
  #renewal: Promise<string> | undefined;

  /** With a storage, a session outlives a reload: `sessionStorage` for one tab, `localStorage` for all. */
  constructor(options: { url: string; storage?: KeyValue; fetch?: typeof fetch }) {
    this.#http = new Http(options.url, undefined, options.fetch);
    this.#storage = options.storage;
    this.#name = `tidings session ${options.url}`;
    this.#kept = this.#read();
  }

  /** Whether someone is signed in, as far as is known here. */
  get isSignedIn(): boolean {
    return (this.#read()) !== undefined;
  }

  /** Makes an account, and signs in. */
  async register(
    account: { username: string; email: string; password: string; full_name?: string },
    options?: CallOptions,
  ): Promise<OwnUser> {
    await this.#http.call("POST", "/api/auth/register", account, options);
    return this.login({ username: account.username, password: account.password }, options);
  }

  /** Signs in. */
  async login(
    who: { username: string; password: string } | { email: string; password: string },
    options?: CallOptions,
  ): Promise<OwnUser> {
    const tokens = await this.#http.call<LoggedIn>("POST", "/api/auth/login", who, options);
    this.#keep(tokens);
    return tokens.user;
  }

  /** Signs out, here at once, and at the server where it can be reached. */
  async logout(options?: CallOptions): Promise<void> {
    const kept = this.#read();
    this.#forget();
    if (kept) await this.#http.call("POST", "/api/auth/logout", { refresh_token: kept.refresh }, options);
  }

  /** The access token, renewed where it is about to end or was refused. */
  readonly token: TokenProvider = async (refused) => {
    const kept = this.#read();
    if (kept && kept.access !== refused && kept.until - EARLY > Date.now()) return kept.access;
    this.#renewal ??= this.#exclusively(() => this.#renew(refused)).finally(() => (this.#renewal = undefined));
    return this.#renewal;
  };

  async #renew(refused: string | undefined): Promise<string> {
    // Another tab may have been first.
    const kept = this.#read();
    if (!kept) throw new TidingsError("Nobody is signed in.", { code: "not_authenticated", status: 401 });
    if (kept.access !== refused && kept.until - EARLY > Date.now()) return kept.access;
    try {
      const tokens = await this.#http.call<Tokens>("POST", "/api/auth/refresh", { refresh_token: kept.refresh });
      // Unless somebody signed out meanwhile.
      if ((this.#read())?.refresh === kept.refresh) this.#keep(tokens);
      return tokens.access_token;
    } catch (error) {
      if (error instanceof TidingsError && error.status === 401) this.#forget();
      throw error;
    }
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#storage || typeof navigator === "undefined" || !navigator.locks) return work();
    return (await navigator.locks.request(this.#name, work)) as T;
  }

  #keep({ access_token: access, refresh_token: refresh, expires_in }: Tokens): void {
    this.#kept = { access, refresh, until: Date.now() + expires_in * 1000 };
    this.#storage?.setItem(this.#name, JSON.stringify(this.#kept));
  }

  #forget(): void {
    this.#kept = undefined;
    this.#storage?.removeItem(this.#name);
  }

  #read(): Kept | undefined {
    if (!this.#storage) return this.#kept;
    const text = this.#storage.getItem(this.#name);
    try {
      return text === null ? undefined : (JSON.parse(text) as Kept);
    } catch {
      return undefined;
    }
  }
}
