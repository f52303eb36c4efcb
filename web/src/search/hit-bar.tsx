// Goes through the results of a search, above the conversation that shows one of them.

import { ChevronDown, ChevronUp, X } from "lucide-react";

import { navigate } from "../route.js";
import type { Found } from "../text/found.js";
import { found } from "../text/found.js";
import { partWords } from "../words/language.js";

/** Which result is open, and ways to the next ones. Results may be in other conversations. */
export default function HitBar({ state: { hits, at }, onClose }: { state: Found; onClose: () => void }) {
  const go = (to: number) => {
    const next = hits[to];
    if (!next) return;
    found.set({ hits, at: to });
    navigate(next.conversation_id, next.id);
  };
  return (
    <div className="hit-bar" role="toolbar" aria-label={partWords.search.results}>
      <span className="grow" role="status">
        {partWords.search.result(at + 1, hits.length)}
      </span>
      <button className="icon-button small" aria-label={partWords.search.older} disabled={at === hits.length - 1} onClick={() => go(at + 1)}>
        <ChevronUp aria-hidden />
      </button>
      <button className="icon-button small" aria-label={partWords.search.newer} disabled={at === 0} onClick={() => go(at - 1)}>
        <ChevronDown aria-hidden />
      </button>
      <button className="icon-button small" aria-label={partWords.search.end} onClick={onClose}>
        <X aria-hidden />
      </button>
    </div>
  );
}
