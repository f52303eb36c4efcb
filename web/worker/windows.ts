// Which window a click on a notification opens.

/** A window of this origin. */
export interface Window {
  readonly url: string;
  readonly focused: boolean;
  readonly visibilityState: string;
  focus(): Promise<unknown>;
  postMessage(message: unknown): void;
}

/** The messages of the service worker to the page. */
export type WorkerMessage =
  /** Asks a window to go to an address. */
  | { kind: "open"; url: string }
  /** A notification was shown; what it tells of may have been read already. */
  | { kind: "notified" };

/** Returns the window of the page that the user has used last; undefined if there is none. */
export function preferred<W extends Window>(windows: readonly W[], origin: string): W | undefined {
  const pages = windows.filter(({ url }) => {
    const { origin: own, pathname } = new URL(url);
    return own === origin && pathname === "/";
  });
  return pages.find(({ focused }) => focused) ?? pages.find(({ visibilityState }) => visibilityState === "visible") ?? pages[0];
}

/** Shows an address in a window of the page, or in a new one. */
export async function show(
  url: string,
  windows: readonly Window[],
  origin: string,
  open: (url: string) => Promise<unknown>,
): Promise<void> {
  const window = preferred(windows, origin);
  if (!window) {
    await open(url);
    return;
  }
  // Before the focus, which the browser may refuse.
  window.postMessage({ kind: "open", url } satisfies WorkerMessage);
  await window.focus();
}
