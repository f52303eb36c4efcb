// Dialog that lists the keys of the chat.

import { Fragment } from "react";

import { KEYS } from "../keyboard/shortcuts.js";
import { Modal } from "../modal.js";

/** Macs have another key in the place of Ctrl. */
const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

export default function KeysDialog({ onClose }: { onClose: () => void }) {
  return (
    <Modal title="Keyboard shortcuts" onClose={onClose}>
      {KEYS.map(({ title, keys }) => (
        <section key={title} className="stack">
          <h3>{title}</h3>
          <dl className="keys">
            {keys.map(([key, what]) => (
              <Fragment key={key}>
                <dt>
                  <kbd dir="ltr">{isMac ? key.replaceAll("Ctrl", "⌘").replaceAll("Alt", "⌥") : key}</kbd>
                </dt>
                <dd>{what}</dd>
              </Fragment>
            ))}
          </dl>
        </section>
      ))}
    </Modal>
  );
}
