// Turns a push into the notification that the service worker shows.

/** The content of a push, as the server sends it. */
interface Payload {
  notification?: {
    title?: string;
    body?: string;
    navigate?: string;
    tag?: string;
    app_badge?: number;
    dir?: NotificationDirection;
  };
  conversation_id?: string | null;
  message_id?: string | null;
}

/** The data of a notification, by which the page closes it once the conversation was read. */
export interface NotificationData {
  /** The address that a click opens. */
  navigate: string;
  conversation_id: string | null;
  message_id: string | null;
}

/** A notification to show. */
export interface Shown {
  title: string;
  /** `renotify` is missing in TypeScript's types: without it, a notification that takes another's place is silent. */
  options: NotificationOptions & { tag: string; renotify: true; data: NotificationData };
  /** The number to show on the installed page; undefined leaves it as it is. */
  badge: number | undefined;
}

/** Names the icon and the small monochrome picture of notifications. */
export interface Pictures {
  icon: string;
  badge: string;
}

function parse(text: string | undefined): Payload {
  try {
    const payload: unknown = JSON.parse(text ?? "");
    return typeof payload === "object" && payload !== null ? payload : {};
  } catch {
    return {};
  }
}

/**
 * Describes the notification for a push. Each push leads to one, because browsers end subscriptions that show none.
 * `untitled` is the title of a push that has none.
 */
export function describePush(text: string | undefined, pictures: Pictures, untitled = "New message"): Shown {
  const { notification, conversation_id = null, message_id = null } = parse(text);
  const { title, body = "", tag, navigate = "/", dir = "auto", app_badge } = notification ?? {};
  return {
    title: title || untitled,
    options: {
      ...pictures,
      body,
      dir,
      // Browsers refuse to notify again without a tag.
      tag: tag || "tidings",
      renotify: true,
      data: { navigate, conversation_id, message_id },
    },
    badge: typeof app_badge === "number" ? app_badge : undefined,
  };
}

/** Returns the address a click leads to: within the page, whatever the push says. */
export function addressOf(data: unknown, origin: string): string {
  const { navigate } = (data ?? {}) as Partial<NotificationData>;
  try {
    const url = new URL(navigate ?? "/", origin);
    return url.origin === origin && url.pathname === "/" ? url.href : `${origin}/`;
  } catch {
    return `${origin}/`;
  }
}
