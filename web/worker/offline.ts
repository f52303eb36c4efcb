// Keeps the built page, so that it opens without a network.
//
// Invariant: the cache holds the files of one build, and `config.json`. Answers of the API never get there.

/** Milliseconds after which the page is opened from the cache, because the network is too slow. */
const PAGE_TIMEOUT = 5_000;

/** How the worker answers a request: `page` and `config` from the network first, `asset` from the cache first. */
export type Kind = "page" | "config" | "asset";

/** Tells which requests the worker answers; null leaves a request to the browser. */
export function kindOf(request: { method: string; url: string; mode: string }, origin: string): Kind | null {
  const { origin: own, pathname } = new URL(request.url);
  if (request.method !== "GET" || own !== origin) return null;
  if (request.mode === "navigate") return pathname === "/" ? "page" : null;
  if (pathname === "/config.json") return "config";
  return pathname.startsWith("/assets/") ? "asset" : null;
}

/** Answers a request that `kindOf` knows. */
export function answer(kind: Kind, request: Request, cache: Cache): Promise<Response> {
  if (kind === "asset") return fromCache(request, cache);
  return kind === "page" ? page(request, cache) : config(request, cache);
}

async function fromCache(request: Request, cache: Cache): Promise<Response> {
  // The names contain a hash of the content, so what is cached is what is meant.
  return (await cache.match(request)) ?? fetch(request);
}

async function page(request: Request, cache: Cache): Promise<Response> {
  const fetched = fetch(request);
  const cached = await cache.match("/");
  if (!cached) return fetched;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Response>((resolve) => {
    timer = setTimeout(() => resolve(cached), PAGE_TIMEOUT);
  });
  return Promise.race([fetched.catch(() => cached), late]).finally(() => clearTimeout(timer));
}

async function config(request: Request, cache: Cache): Promise<Response> {
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put("/config.json", response.clone());
    return response;
  } catch (error) {
    const cached = await cache.match("/config.json");
    if (!cached) throw error;
    return cached;
  }
}

/** Fills the cache of a build. Fails if a file of the build is missing. */
export async function fill(cache: Cache, files: readonly string[]): Promise<void> {
  const fetched = [new Request("/", { cache: "no-cache" }), ...files];
  await Promise.all([cache.addAll(fetched), cache.add(new Request("/config.json", { cache: "no-cache" })).catch(() => {})]);
}
