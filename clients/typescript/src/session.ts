// Signing in with an account of the server, and renewing its tokens.

import { TidingsError } from "./error.js";
import { Http } from "./http.js";
import type { CallOptions, TokenProvider } from "./http.js";
import type { LoggedIn, OwnUser, Tokens } from "./types.js";

/** A store like `localStorage` or `sessionStorage`. */
export type KeyValue = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** Milliseconds before expiry at which a token is renewed. */
const RENEW_BEFORE_EXPIRY = 60_000;

interface StoredTokens {
  /** Id of the user they belong to. */
  user: string;
  access: string;
  refresh: string;
  /** When `access` expires, in milliseconds by the local clock. */
  until: number;
}

/** A session of a registered user. Pass its `token` to `Tidings`. */
export class Session {
  readonly #http: Http;
  readonly #storage: KeyValue | undefined;
  readonly #name: string;
  #tokens: StoredTokens | undefined;
  /** Id of the signed-in user. Another tab may sign in somebody else, with the same storage. */
  #user: string | undefined;
  #renewal: Promise<string> | undefined;

  /**
   * With a storage, the session survives a reload: `sessionStorage` for one tab, `localStorage` for all tabs. If another
   * tab signs in somebody else, the session has ended for this one.
   */
  constructor(options: { url: string; storage?: KeyValue; fetch?: typeof fetch }) {
    this.#http = new Http(options.url, undefined, options.fetch);
    this.#storage = options.storage;
    this.#name = `tidings session ${options.url}`;
    this.#user = this.#read()?.user;
  }

  /** Whether there are tokens; the server may have ended the session. */
  get isSignedIn(): boolean {
    return this.#read() !== undefined;
  }

  /** Id of the signed-in user; undefined if nobody is, as far as this browser knows. */
  get user(): string | undefined {
    return this.#read()?.user;
  }

  /** Creates an account and signs in. */
  async register(
    account: { username: string; email: string; password: string; full_name?: string },
    options?: CallOptions,
  ): Promise<OwnUser> {
    await this.#http.call("POST", "/api/auth/register", account, options);
    return this.login({ username: account.username, password: account.password }, options);
  }

  /** Signs in with a username or an e-mail address. */
  async login(
    credentials: { username: string; password: string } | { email: string; password: string },
    options?: CallOptions,
  ): Promise<OwnUser> {
    const tokens = await this.#http.call<LoggedIn>("POST", "/api/auth/login", credentials, options);
    this.#user = tokens.user.id;
    this.#store(tokens, tokens.user.id);
    return tokens.user;
  }

  /** Discards the tokens at once, then ends the session at the server. Throws if the server does not confirm it. */
  async logout(options?: CallOptions): Promise<void> {
    const stored = this.#read();
    this.#user = undefined;
    if (!stored) return;
    this.#clear();
    await this.#http.call("POST", "/api/auth/logout", { refresh_token: stored.refresh }, options);
  }

  /** Returns the access token, and renews it if it is about to expire or was refused. */
  readonly token: TokenProvider = async (refused) => {
    const valid = this.#valid(refused);
    if (valid) return valid;
    this.#renewal ??= this.#exclusively(() => this.#renew(refused)).finally(() => (this.#renewal = undefined));
    return this.#renewal;
  };

  /** Returns the access token, unless it is about to expire or was refused. */
  #valid(refused: string | undefined): string | undefined {
    const { access, until = 0 } = this.#read() ?? {};
    return access !== refused && until - RENEW_BEFORE_EXPIRY > Date.now() ? access : undefined;
  }

  async #renew(refused: string | undefined): Promise<string> {
    // Another tab may have renewed it already.
    const valid = this.#valid(refused);
    if (valid) return valid;
    const stored = this.#read();
    if (!stored) throw new TidingsError("Not signed in.", { code: "not_authenticated", status: 401 });
    try {
      const tokens = await this.#http.call<Tokens>("POST", "/api/auth/refresh", { refresh_token: stored.refresh });
      // The user may have signed out in the meantime.
      if (this.#read()?.refresh === stored.refresh) this.#store(tokens, stored.user);
      return tokens.access_token;
    } catch (error) {
      if (error instanceof TidingsError && error.status === 401) this.#clear();
      throw error;
    }
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#storage || typeof navigator === "undefined" || !navigator.locks) return work();
    return (await navigator.locks.request(this.#name, work)) as T;
  }

  #store({ access_token: access, refresh_token: refresh, expires_in }: Tokens, user: string): void {
    this.#tokens = { user, access, refresh, until: Date.now() + expires_in * 1000 };
    this.#storage?.setItem(this.#name, JSON.stringify(this.#tokens));
  }

  #clear(): void {
    this.#tokens = undefined;
    this.#storage?.removeItem(this.#name);
  }

  #read(): StoredTokens | undefined {
    if (!this.#storage) return this.#tokens;
    try {
      const tokens = JSON.parse(this.#storage.getItem(this.#name) ?? "") as StoredTokens;
      return this.#user === undefined || tokens.user === this.#user ? tokens : undefined;
    } catch {
      return undefined;
    }
  }
}
