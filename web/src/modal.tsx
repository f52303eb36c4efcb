// Modal dialogs. The native <dialog> element traps the focus and restores it.
//
// Invariant: while a dialog is open, the rest of the page can neither be clicked nor read by screen readers. What has to
// be shown in the meantime is rendered into `topDialog`.

import { X } from "lucide-react";
import { useId, useLayoutEffect, useRef } from "react";
import type { ReactNode, RefObject } from "react";

import { opener, returnFocus } from "./keyboard/focus.js";
import { observable } from "./observable.js";
import { words } from "./words/language.js";

/** The open dialog. */
export const topDialog = observable<HTMLElement | null>(null);

/** Shows a dialog as modal while its view is mounted. Dialogs may open each other. */
export function useModal(): RefObject<HTMLDialogElement | null> {
  const dialog = useRef<HTMLDialogElement>(null);
  // A layout effect, because a dialog that has left the page cannot give the focus back.
  useLayoutEffect(() => {
    const element = dialog.current;
    const below = topDialog.current;
    const from = opener();
    element?.showModal();
    topDialog.set(element);
    return () => {
      element?.close();
      if (topDialog.current === element) topDialog.set(below);
      // The browser cannot, if the opener was an item of a menu that has closed.
      returnFocus(element, from);
    };
  }, []);
  return dialog;
}

/** A modal dialog. The close button, Escape and a click on the backdrop close it. */
export function Modal(props: { title: string; onClose: () => void; children: ReactNode }) {
  const dialog = useModal();
  const title = useId();
  return (
    <dialog
      ref={dialog}
      className="modal"
      aria-labelledby={title}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
      onMouseDown={(event) => event.target === dialog.current && props.onClose()}
    >
      <div className="modal-body">
        <header>
          <h2 id={title} dir="auto">
            {props.title}
          </h2>
          <button className="icon-button" aria-label={words.common.close} onClick={props.onClose}>
            <X aria-hidden />
          </button>
        </header>
        {props.children}
      </div>
    </dialog>
  );
}
