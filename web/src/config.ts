// The address of the API. By default it is the page's own origin; `config.json` beside the page can name another one.

/** The content of `config.json`. */
export interface Config {
  /** Base URL of the API, without `/api`. */
  url: string;
  /** URL of the socket API; by default `/ws` of `url`. Null disables sockets. */
  socketUrl?: string | null;
}

/** Milliseconds after which the page starts without the file. */
const TIMEOUT = 5_000;

/** Loads the configuration. */
export async function loadConfig(): Promise<Config> {
  const here: Config = { url: location.origin };
  try {
    const response = await fetch("config.json", { cache: "no-cache", signal: AbortSignal.timeout(TIMEOUT) });
    // Hosts of single-page applications may answer with the page itself, which is not JSON.
    return response.ok ? { ...here, ...((await response.json()) as Partial<Config>) } : here;
  } catch {
    return here;
  }
}
