// Where the API is: by default where the page is, as with the local stack. A page that is hosted elsewhere is built for an
// API, or names it in `config.json` beside the page.

/** The content of `config.json`. */
export interface Config {
  /** Base URL of the API, without `/api`. */
  url: string;
  /** URL of the socket API; by default `/ws` of `url`. Null disables sockets. */
  socketUrl?: string | null;
}

/** Milliseconds after which the page starts without the file. */
const TIMEOUT = 5_000;

/** Loads the configuration. What the file does not contain was set when the page was built. */
export async function loadConfig(): Promise<Config> {
  const { VITE_TIDINGS_URL: url = location.origin, VITE_TIDINGS_SOCKET_URL: socketUrl } = import.meta.env;
  const built: Config = { url, ...(socketUrl === undefined ? {} : { socketUrl }) };
  try {
    const response = await fetch("config.json", { cache: "no-cache", signal: AbortSignal.timeout(TIMEOUT) });
    // Hosts of single-page applications may answer with the page itself, which is not JSON.
    return response.ok ? { ...built, ...((await response.json()) as Partial<Config>) } : built;
  } catch {
    return built;
  }
}
