// Where the API is. A page that is hosted elsewhere says so in `config.json`, beside the page.

/** The content of `config.json`. */
export interface Config {
  /** Base URL of the API, without `/api`; by default the page's origin. */
  url: string;
  /** URL of the socket API; by default `/ws` of `url`. Null disables sockets. */
  socketUrl?: string | null;
}

/** Milliseconds after which the page starts without the file. */
const TIMEOUT = 5_000;

/** Loads the configuration. Without the file, the API is where the page is. */
export async function loadConfig(): Promise<Config> {
  const { origin } = location;
  try {
    const response = await fetch("config.json", { cache: "no-cache", signal: AbortSignal.timeout(TIMEOUT) });
    // Hosts of single-page applications may answer with the page itself, which is not JSON.
    return response.ok ? { url: origin, ...((await response.json()) as Partial<Config>) } : { url: origin };
  } catch {
    return { url: origin };
  }
}
