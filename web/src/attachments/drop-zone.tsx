// Lets users drop files onto the conversation.

import { Upload } from "lucide-react";
import { useEffect, useState } from "react";
import type { DragEvent, ReactNode } from "react";

import { words } from "../words/language.js";
import { takeFiles } from "./tray-state.js";

const hasFiles = (data: DataTransfer | null) => data?.types.includes("Files") ?? false;

/** Shows what a drop does while files are dragged over its children. */
export function DropZone(props: { conversation: string; label: string; isDisabled: boolean; children: ReactNode }) {
  const { conversation, isDisabled } = props;
  // How many nested elements the pointer has entered.
  const [depth, setDepth] = useState(0);
  useEffect(() => {
    // A file that is dropped beside it would replace the page.
    const refuse = (event: globalThis.DragEvent) => {
      if (hasFiles(event.dataTransfer)) event.preventDefault();
    };
    addEventListener("dragover", refuse);
    addEventListener("drop", refuse);
    return () => {
      removeEventListener("dragover", refuse);
      removeEventListener("drop", refuse);
    };
  }, []);
  const enter = (event: DragEvent) => {
    if (hasFiles(event.dataTransfer) && !isDisabled) setDepth(depth + 1);
  };
  const leave = (event: DragEvent) => {
    if (hasFiles(event.dataTransfer)) setDepth(Math.max(0, depth - 1));
  };
  const drop = (event: DragEvent) => {
    setDepth(0);
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    if (!isDisabled) takeFiles(conversation, event.dataTransfer);
  };
  return (
    <section className="conversation" aria-label={props.label} onDragEnter={enter} onDragLeave={leave} onDrop={drop}>
      {props.children}
      {depth > 0 && (
        <div className="drop-hint">
          <Upload aria-hidden />
          <span>{words.conversation.dropFiles}</span>
        </div>
      )}
    </section>
  );
}
