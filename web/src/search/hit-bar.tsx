// Goes through the results of a search, above the conversation that shows one of them.

import { ChevronDown, ChevronUp, X } from "lucide-react";

import { useObservable } from "../observable.js";
import { navigate } from "../route.js";
import { found } from "../text/found.js";
import { words } from "../words/language.js";

/** Which result is open, and ways to the next ones. Results may be in other conversations. */
export function HitBar({ conversation }: { conversation: string }) {
  const state = useObservable(found);
  const hit = state?.hits[state.at];
  if (!state || hit?.conversation_id !== conversation) return null;
  const { hits, at } = state;
  const go = (to: number) => {
    const next = hits[to];
    if (!next) return;
    found.set({ hits, at: to });
    navigate(next.conversation_id, next.id);
  };
  return (
    <div className="hit-bar" role="toolbar" aria-label={words.search.results}>
      <span className="grow" role="status">
        {words.search.result(at + 1, hits.length)}
      </span>
      <button className="icon-button small" aria-label={words.search.older} disabled={at === hits.length - 1} onClick={() => go(at + 1)}>
        <ChevronUp aria-hidden />
      </button>
      <button className="icon-button small" aria-label={words.search.newer} disabled={at === 0} onClick={() => go(at - 1)}>
        <ChevronDown aria-hidden />
      </button>
      <button className="icon-button small" aria-label={words.search.end} onClick={() => found.set(null)}>
        <X aria-hidden />
      </button>
    </div>
  );
}
