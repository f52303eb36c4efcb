// Tests requests, errors and sessions.

import { expect, test, vi } from "vitest";

import { Api, Session, TidingsError } from "../src/index.js";
import { Http } from "../src/http.js";

type FakeResponse = { status?: number; body?: unknown; headers?: Record<string, string> };

/** A fetch that returns responses one after the other, and repeats the last. Undefined is a network failure. */
function fakeFetch(...responses: (FakeResponse | undefined)[]): { fetch: typeof fetch; seen: Request[] } {
  const seen: Request[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    seen.push(new Request(input, init));
    const response = responses.length > 1 ? responses.shift() : responses[0];
    if (!response) throw new TypeError("fetch failed");
    const { status = 200, body = { success: true, data: null }, headers = {} } = response;
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
  };
  return { fetch, seen };
}

async function failure(response: FakeResponse | undefined): Promise<TidingsError> {
  const { fetch } = fakeFetch(response);
  const error: unknown = await new Api(new Http("http://x/", () => "t", fetch)).me().catch((error: unknown) => error);
  expect(error).toBeInstanceOf(TidingsError);
  return error as TidingsError;
}

test("an error carries every field of the response", async () => {
  const errors = [{ field: "message_text", message: "It is too long." }];
  const body = { success: false, code: "invalid_request", detail: "Too long.", message: "Too long.", errors };
  const error = await failure({ status: 400, body, headers: { "x-request-id": "r7" } });
  expect(error).toMatchObject({ code: "invalid_request", status: 400, retryable: false, requestId: "r7", fields: errors });
  expect(error.message).toBe("Too long.");
});

test("a gateway error without a code gets its code from the status", async () => {
  const outcome = async (status: number) => {
    const error = await failure({ status, body: '{"message":"Service Unavailable"}' });
    return [error.code, error.retryable];
  };
  expect(await outcome(401)).toEqual(["not_authenticated", false]);
  expect(await outcome(403)).toEqual(["forbidden", false]);
  expect(await outcome(404)).toEqual(["not_found", false]);
  expect(await outcome(413)).toEqual(["too_large", false]);
  expect(await outcome(429)).toEqual(["rate_limited", true]);
  expect(await outcome(431)).toEqual(["too_large", false]);
  expect(await outcome(500)).toEqual(["internal", true]);
  expect(await outcome(502)).toEqual(["unavailable", true]);
  expect(await outcome(503)).toEqual(["unavailable", true]);
  expect(await outcome(504)).toEqual(["unavailable", true]);
});

test("no response, or a captive portal's page, is a network error", async () => {
  for (const response of [undefined, { body: "<html>Welcome!</html>" }, { body: { hello: 1 } }]) {
    expect(await failure(response)).toMatchObject({ code: "network", status: 0, retryable: true });
  }
});

test("Retry-After is seconds or a date", async () => {
  const after = async (header: string) =>
    (await failure({ status: 503, headers: { "retry-after": header } })).retryAfterMs;
  expect(await after("3")).toBe(3_000);
  expect(await after("Thu, 01 Jan 1970 00:00:00 GMT")).toBe(0);
  expect(await after("soon")).toBeUndefined();
});

test("a call that times out is a network error", async () => {
  vi.useFakeTimers();
  const hangingFetch: typeof fetch = (_, init) =>
    new Promise((_, reject) => init?.signal?.addEventListener("abort", () => reject(init.signal?.reason)));
  const call = expect(new Api(new Http("http://x", () => "t", hangingFetch)).me()).rejects.toMatchObject({ code: "network" });
  await vi.advanceTimersByTimeAsync(30_000);
  await call;
  vi.useRealTimers();
});

test("ids are escaped in paths", async () => {
  const { fetch, seen } = fakeFetch({});
  await new Api(new Http("http://x", () => "t", fetch)).user("a|b@c:d");
  expect(new URL(seen[0]?.url ?? "").pathname).toBe("/api/users/a%7Cb%40c%3Ad");
});

test("a failing token provider is a retryable error", async () => {
  const { fetch } = fakeFetch({});
  const token = () => Promise.reject(new Error("The sign-in service is down."));
  await expect(new Api(new Http("http://x", token, fetch)).me()).rejects.toMatchObject({ retryable: true });
});

test("lists continue until there is no next page, even after an empty page", async () => {
  const page = (data: unknown[], next_cursor: string | null) => ({ body: { success: true, data, next_cursor } });
  const { fetch, seen } = fakeFetch(page([1, 2], "a"), page([], "b"), page([3], null));
  const found: unknown[] = [];
  for await (const hit of new Api(new Http("http://x", () => "t", fetch)).search('"a b" & c')) found.push(hit);
  expect(found).toEqual([1, 2, 3]);
  expect(seen.map(({ url }) => new URL(url).searchParams.get("cursor"))).toEqual([null, "a", "b"]);
  expect(new URL(seen[2]?.url ?? "").searchParams.get("q")).toBe('"a b" & c');
});

const tokens = (n: number) => ({
  body: {
    success: true,
    data: { access_token: `access ${n}`, refresh_token: `refresh ${n}`, token_type: "bearer", expires_in: 900, user: {} },
  },
});

test("a session signs in, renews its token once for concurrent callers, and signs out", async () => {
  const { fetch, seen } = fakeFetch(tokens(1), tokens(2), {});
  const stored = new Map<string, string>();
  const storage = {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
    removeItem: (key: string) => void stored.delete(key),
  };
  const session = new Session({ url: "http://x", storage, fetch });
  expect(session.isSignedIn).toBe(false);
  await session.login({ username: "alice", password: "try tidings" });
  expect(await session.token()).toBe("access 1");
  expect(await Promise.all([session.token("access 1"), session.token("access 1")])).toEqual(["access 2", "access 2"]);
  const reloaded = new Session({ url: "http://x", storage, fetch });
  expect([reloaded.isSignedIn, await reloaded.token()]).toEqual([true, "access 2"]);
  await session.logout();
  expect(session.isSignedIn).toBe(false);
  await expect(session.token()).rejects.toMatchObject({ code: "not_authenticated" });
  expect(seen.map(({ url }) => new URL(url).pathname)).toEqual(["/api/auth/login", "/api/auth/refresh", "/api/auth/logout"]);
});

test("an ended session is cleared; one that cannot be renewed right now is kept", async () => {
  const ended = { status: 401, body: { success: false, code: "not_authenticated", detail: "Ended." } };
  const { fetch } = fakeFetch(tokens(1), undefined, ended);
  const session = new Session({ url: "http://x", fetch });
  await session.login({ username: "alice", password: "try tidings" });
  await expect(session.token("access 1")).rejects.toMatchObject({ code: "network" });
  expect(session.isSignedIn).toBe(true);
  await expect(session.token("access 1")).rejects.toMatchObject({ code: "not_authenticated" });
  expect(session.isSignedIn).toBe(false);
});

test("a wrong password neither renews the token nor counts as two attempts", async () => {
  const { fetch, seen } = fakeFetch({ status: 401, body: { code: "not_authenticated", detail: "Wrong." } });
  const asked: (string | undefined)[] = [];
  const token = (refused?: string) => {
    asked.push(refused);
    return refused === undefined ? "t" : "renewed";
  };
  const api = new Api(new Http("http://x", token, fetch));
  await expect(api.changePassword("wrong", "new password")).rejects.toMatchObject({ status: 401 });
  await expect(api.deleteAccount("wrong")).rejects.toMatchObject({ status: 401 });
  expect([seen.length, asked]).toEqual([2, [undefined, undefined]]);
});

test("a session ends when another tab signs in somebody else, and leaves the other session alone", async () => {
  const items = new Map<string, string>();
  const storage = {
    getItem: (name: string) => items.get(name) ?? null,
    setItem: (name: string, value: string) => void items.set(name, value),
    removeItem: (name: string) => void items.delete(name),
  };
  const pair = (id: string) => ({ access_token: `a-${id}`, refresh_token: `r-${id}`, expires_in: 900, user: { id } });
  const { fetch, seen } = fakeFetch(
    { body: { success: true, data: pair("alice") } },
    { body: { success: true, data: pair("bob") } },
  );
  const first = new Session({ url: "http://x", storage, fetch });
  await first.login({ username: "alice", password: "p" });
  const second = new Session({ url: "http://x", storage, fetch });
  expect(await second.token()).toBe("a-alice");
  await second.login({ username: "bob", password: "p" });
  expect([first.isSignedIn, second.isSignedIn]).toEqual([false, true]);
  await expect(first.token()).rejects.toMatchObject({ status: 401 });
  await first.logout();
  expect(await second.token()).toBe("a-bob");
  expect(seen.length).toBe(2);
});
