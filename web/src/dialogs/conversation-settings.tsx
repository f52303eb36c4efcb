// The user's own settings of a conversation, in its details.

import type { Conversation, NotifyLevel } from "@tidings/client";
import { useTidings } from "@tidings/client/react";

import { LEVELS, changeRow, describeMute, isUnread, muteFor, mutes, toggleUnread } from "../conversation-settings.js";
import { partWords } from "../words/language.js";

export function ConversationSettings({ row }: { row: Conversation }) {
  const client = useTidings();
  const isMuted = row.muted_until !== null;
  const mute = (choice: string) => {
    if (choice === "off") changeRow(client, row, { muted_until: null });
    else changeRow(client, row, { muted_until: muteFor(Number(choice)) });
  };
  return (
    <section className="stack" aria-label={partWords.settings.yours}>
      <label className="inline">
        <span className="grow">{partWords.settings.mute}</span>
        <select value={isMuted ? "on" : "off"} onChange={(event) => mute(event.target.value)}>
          {isMuted && <option value="on">{describeMute(row)}</option>}
          <option value="off">{isMuted ? partWords.settings.unmute : partWords.settings.off}</option>
          {mutes().map(({ label, ms }) => (
            <option key={label} value={ms}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <label className="inline">
        <span className="grow">{partWords.settings.notifications}</span>
        <select value={row.notify} onChange={(event) => changeRow(client, row, { notify: event.target.value as NotifyLevel })}>
          {LEVELS.map((level) => (
            <option key={level} value={level}>
              {partWords.settings.levels[level]}
            </option>
          ))}
        </select>
      </label>
      <label className="inline">
        <span className="grow">{partWords.settings.pinned}</span>
        <input
          type="checkbox"
          role="switch"
          checked={row.pinned_at !== null}
          onChange={(event) => changeRow(client, row, { pinned: event.target.checked })}
        />
      </label>
      <label className="inline">
        <span className="grow">{partWords.settings.archived}</span>
        <input
          type="checkbox"
          role="switch"
          checked={row.is_archived}
          onChange={(event) => changeRow(client, row, { archived: event.target.checked })}
        />
      </label>
      {row.last_message_id !== null && (
        <button className="secondary" onClick={() => toggleUnread(client, row)}>
          {isUnread(row) ? partWords.settings.markRead : partWords.settings.markUnread}
        </button>
      )}
    </section>
  );
}
