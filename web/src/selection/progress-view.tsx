// How far a run is, or why it ended early.

import { partWords, words } from "../words/language.js";
import type { Progress } from "./in-turn.js";

/** `label` says what is being done; `failure` says what was done until the error. */
export function ProgressView(props: { progress: Progress; label: string; failure: string; onClose: () => void }) {
  const { done, total, error } = props.progress;
  return (
    <>
      {error === null ? (
        <label className="stack">
          {props.label}
          <progress max={total} value={done} />
        </label>
      ) : (
        <p className="error" role="alert">
          {props.failure} {error}
        </p>
      )}
      <div className="actions">
        <button className="secondary" autoFocus onClick={props.onClose}>
          {error === null ? partWords.selection.stop : words.common.close}
        </button>
      </div>
    </>
  );
}
