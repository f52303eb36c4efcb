// Parts of the page that are not in its first load. They are fetched ahead when the browser is idle, so that they open
// at once and offline; a part that is needed earlier is fetched then.

import { useEffect, useState } from "react";
import type { ComponentType, ReactNode } from "react";

import { ErrorBoundary } from "./error-boundary.js";
import { toast } from "./toasts.js";
import { loadPartWords, words } from "./words/language.js";

/** Milliseconds to wait before each further attempt. */
const RETRY_DELAYS = [500, 1_500];

const fetchers: (() => Promise<unknown>)[] = [];

/** Fetches something ahead that a part of the page needs later. */
export function fetchAhead(fetch: () => Promise<unknown>): void {
  fetchers.push(fetch);
}

/**
 * Returns a view that renders a part once it is fetched, and a substitute of the same size until then, or if it cannot
 * be fetched.
 */
export function lazyView<P extends object>(
  load: () => Promise<{ default: ComponentType<P> }>,
  Substitute: ComponentType<P>,
): (props: P) => ReactNode {
  let Part: ComponentType<P> | undefined;
  const fetch = async () => {
    Part ??= await withWords(load);
  };
  fetchers.push(fetch);
  return function LazyView(props) {
    // Only to render again: the part may also be fetched ahead.
    const [, setIsFetched] = useState(Part !== undefined);
    useEffect(() => {
      let isMounted = true;
      withRetries(fetch).then(() => isMounted && setIsFetched(true), () => {});
      return () => {
        isMounted = false;
      };
    }, []);
    return Part ? <Part {...props} /> : <Substitute {...props} />;
  };
}

/** Returns a view that renders a part once it is fetched. If that fails repeatedly, it tells the user and closes. */
export function lazyPart<P extends { onClose: () => void }>(
  load: () => Promise<{ default: ComponentType<P> }>,
): (props: P) => ReactNode {
  let Part: ComponentType<P> | undefined;
  const fetch = async () => {
    Part ??= await withWords(load);
  };
  fetchers.push(fetch);
  return function LazyPart(props) {
    const [isFetched, setIsFetched] = useState(Part !== undefined);
    const fail = (text: string) => {
      toast(text);
      props.onClose();
    };
    useEffect(() => {
      if (isFetched) return;
      let isMounted = true;
      withRetries(fetch).then(
        () => isMounted && setIsFetched(true),
        () => isMounted && fail(words.page.notLoaded),
      );
      return () => {
        isMounted = false;
      };
    }, []);
    if (!Part || !isFetched) return null;
    return (
      <ErrorBoundary onError={() => fail(words.page.partBroke)}>
        <Part {...props} />
      </ErrorBoundary>
    );
  };
}

/** Loads a part and its words. */
async function withWords<P>(load: () => Promise<{ default: ComponentType<P> }>): Promise<ComponentType<P>> {
  const [part] = await Promise.all([load(), loadPartWords()]);
  return part.default;
}

async function withRetries(fetch: () => Promise<void>): Promise<void> {
  for (const delay of RETRY_DELAYS) {
    try {
      return await fetch();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }
  return fetch();
}

/** Fetches all parts when the browser is idle and, in case that fails, again when it is back online. */
export function useFetchAhead(): void {
  useEffect(() => {
    const fetchAll = async () => {
      // One after the other, because parts add parts of their own.
      for (let at = 0; at < fetchers.length; at += 1) await fetchers[at]?.().catch(() => {});
    };
    // Safari has no idle callbacks.
    const onIdle = window.requestIdleCallback ?? ((work: () => void) => setTimeout(work, 2_000));
    const fetchWhenIdle = () => void onIdle(() => void fetchAll());
    fetchWhenIdle();
    addEventListener("online", fetchWhenIdle);
    return () => removeEventListener("online", fetchWhenIdle);
  }, []);
}
