// The area below the messages: the composer or, while messages are selected, the bar with their actions.

import type { Conversation, Message } from "@tidings/client";
import { useSelected, useTidings } from "@tidings/client/react";
import { useEffect, useRef, useState } from "react";
import type { ReactNode } from "react";

import { composerField } from "../keyboard/focus.js";
import { lazyPart } from "../lazy.js";
import { useObservable } from "../observable.js";
import { hasFinePointer } from "../touch.js";
import { words } from "../words/language.js";
import { deselect, endSelecting, selectedIn, selection } from "./selection.js";

const SelectionBar = lazyPart(() => import("./bar.js"));
const ForwardDialog = lazyPart(() => import("../dialogs/forward.js"));
const DeleteDialog = lazyPart(() => import("./delete.js"));

/** Shows the composer, its children, or hides it: an unfinished edit is kept. */
export function SelectionArea({ row, children }: { row: Conversation; children: ReactNode }) {
  const id = row.conversation_id;
  const count = selectedIn(useObservable(selection), id).size;
  // Not of the bar, which goes when the last message is deselected: a run in a dialog then still has to end.
  const [dialog, setDialog] = useState<{ kind: "forward" | "delete"; messages: readonly Message[] } | null>(null);
  useUpkeep(id);
  useEscape(count > 0);
  const wasSelecting = useRef(false);
  useEffect(() => {
    // The bar that had the focus has gone.
    const isLost = wasSelecting.current && count === 0 && document.activeElement === document.body;
    if (isLost && hasFinePointer()) composerField()?.focus();
    wasSelecting.current = count > 0;
  }, [count]);
  return (
    <>
      <span className="hidden" role="status">
        {count > 0 && words.selection.count(count)}
      </span>
      <div className="compose-area" hidden={count > 0}>
        {children}
      </div>
      {count > 0 && (
        <SelectionBar
          row={row}
          label={words.selection.count(count)}
          onForward={(messages) => setDialog({ kind: "forward", messages })}
          onDelete={(messages) => setDialog({ kind: "delete", messages })}
          onClose={endSelecting}
        />
      )}
      {dialog?.kind === "forward" && <ForwardDialog messages={dialog.messages} onClose={() => setDialog(null)} />}
      {dialog?.kind === "delete" && <DeleteDialog row={row} messages={dialog.messages} onClose={() => setDialog(null)} />}
    </>
  );
}

/** Deselects messages that are deleted, and all when the conversation is left. */
function useUpkeep(conversation: string): void {
  const client = useTidings();
  const timeline = useSelected((state) => state.timelines.get(conversation));
  useEffect(() => {
    // Messages that are hidden from the user are not in the store. Those that are not shown, but loaded, are.
    deselect((id) => client.store.message(conversation, id)?.is_deleted ?? true);
  }, [client, conversation, timeline]);
  useEffect(() => endSelecting, [conversation]);
}

/** Lets Escape end the selection, wherever the focus is, except in fields and in what covers the page. */
function useEscape(isSelecting: boolean): void {
  useEffect(() => {
    if (!isSelecting) return;
    const onKeyDown = (event: KeyboardEvent) => {
      const isElsewhere = event.target instanceof Element && event.target.closest("input[type=search], textarea");
      if (event.key !== "Escape" || event.defaultPrevented || isElsewhere) return;
      if (document.querySelector("dialog[open], [role=menu]")) return;
      event.preventDefault();
      endSelecting();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, [isSelecting]);
}
