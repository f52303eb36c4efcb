// Dialog that lists the keys of the chat.

import { Fragment } from "react";

import { Modal } from "../modal.js";
import { partWords } from "../words/language.js";
import "./keys.css";

/** Macs have other keys in the place of Ctrl and Alt. */
const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

/** Returns the keys in groups. */
function groups(): readonly { title: string; keys: readonly (readonly [keys: string, what: string])[] }[] {
  const { keys } = partWords;
  const [ctrl, alt] = isMac ? ["⌘", "⌥"] : [keys.ctrl, keys.alt];
  return [
    {
      title: keys.everywhere,
      keys: [
        [`${ctrl} K`, keys.find],
        [`${ctrl} /`, keys.show],
        [`${alt} ↑ · ${alt} ↓`, keys.neighbour],
        [`${alt} ${keys.shift} ↑ · ${alt} ${keys.shift} ↓`, keys.neighbourUnread],
        [`F6 · ${keys.shift} F6`, keys.region],
        [keys.anyLetter, keys.write],
      ],
    },
    {
      title: keys.messages,
      keys: [
        ["↑ · ↓", keys.neighbourMessage],
        [keys.enter, keys.actions],
        ["X", keys.select],
        [`${keys.shift} ↑ · ${keys.shift} ↓`, keys.selectSeveral],
        [`${keys.pageUp} · ${keys.pageDown}`, keys.scroll],
        [keys.escape, keys.backToWriting],
      ],
    },
    {
      title: keys.writing,
      keys: [
        ["↑", keys.editLast],
        [keys.smile, keys.findEmoji],
        [keys.formats, keys.format],
        [keys.escape, keys.cancel],
      ],
    },
  ];
}

export default function KeysDialog({ onClose }: { onClose: () => void }) {
  return (
    <Modal title={partWords.keys.title} onClose={onClose}>
      {groups().map(({ title, keys }) => (
        <section key={title} className="stack">
          <h3>{title}</h3>
          <dl className="keys">
            {keys.map(([key, what]) => (
              <Fragment key={key}>
                <dt>
                  <kbd dir="auto">{key}</kbd>
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
