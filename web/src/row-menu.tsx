// The menu of a row in the inbox.

import type { Conversation, NotifyLevel } from "@tidings/client";
import { useConversation, useTidings } from "@tidings/client/react";
import { Archive, ArchiveRestore, Bell, BellOff, Check, ChevronRight, MailOpen, Mail, Pin, PinOff } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";

import { LEVELS, changeRow, isUnread, muteFor, mutes, toggleUnread } from "./conversation-settings.js";
import { landmark } from "./landmark.js";
import { titleOf } from "./people.js";
import type { OpenMenu } from "./row-menu-trigger.js";
import { pageDirection, partWords } from "./words/language.js";

export default function RowMenu({ at, onClose }: { at: OpenMenu; onClose: () => void }) {
  const row = useConversation(at.conversation);
  if (!row) return null;
  // The row may have moved to another list.
  const focusRow = (event: Event) => {
    event.preventDefault();
    const find = (selector: string) => document.querySelector<HTMLElement>(`.inbox ${selector}`);
    const next = at.row.isConnected ? at.row : (find("a.row") ?? find(".archive-bar button") ?? find(".archive-link"));
    next?.focus({ preventScroll: true });
  };
  return (
    <DropdownMenu.Root open modal={false} dir={pageDirection()} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <DropdownMenu.Trigger asChild>
        <span className="menu-anchor" style={{ left: at.x, top: at.y }} aria-hidden tabIndex={-1} />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal container={landmark()}>
        <DropdownMenu.Content
          className="menu"
          align="start"
          collisionPadding={8}
          aria-label={titleOf(row)}
          aria-labelledby={undefined}
          onCloseAutoFocus={focusRow}
          onContextMenu={(event) => event.preventDefault()}
        >
          <Items row={row} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

function Items({ row }: { row: Conversation }) {
  const client = useTidings();
  return (
    <>
      {row.last_message_id !== null && (
        <DropdownMenu.Item onSelect={() => toggleUnread(client, row)}>
          {isUnread(row) ? <MailOpen aria-hidden /> : <Mail aria-hidden />}
          {isUnread(row) ? partWords.settings.markRead : partWords.settings.markUnread}
        </DropdownMenu.Item>
      )}
      {!row.is_archived && (
        <DropdownMenu.Item onSelect={() => changeRow(client, row, { pinned: row.pinned_at === null })}>
          {row.pinned_at === null ? <Pin aria-hidden /> : <PinOff aria-hidden />}
          {row.pinned_at === null ? partWords.settings.pin : partWords.settings.unpin}
        </DropdownMenu.Item>
      )}
      {row.muted_until === null ? (
        <SubMenu icon={<BellOff aria-hidden />} label={partWords.settings.mute}>
          {mutes().map(({ label, ms }) => (
            <DropdownMenu.Item key={label} onSelect={() => changeRow(client, row, { muted_until: muteFor(ms) })}>
              {label}
            </DropdownMenu.Item>
          ))}
        </SubMenu>
      ) : (
        <DropdownMenu.Item onSelect={() => changeRow(client, row, { muted_until: null })}>
          <Bell aria-hidden /> {partWords.settings.unmute}
        </DropdownMenu.Item>
      )}
      <SubMenu icon={<Bell aria-hidden />} label={partWords.settings.notifications}>
        <DropdownMenu.RadioGroup
          value={row.notify}
          onValueChange={(level) => changeRow(client, row, { notify: level as NotifyLevel })}
        >
          {LEVELS.map((level) => (
            <DropdownMenu.RadioItem key={level} value={level}>
              <span className="menu-check">
                <DropdownMenu.ItemIndicator>
                  <Check aria-hidden />
                </DropdownMenu.ItemIndicator>
              </span>
              {partWords.settings.levels[level]}
            </DropdownMenu.RadioItem>
          ))}
        </DropdownMenu.RadioGroup>
      </SubMenu>
      <DropdownMenu.Item onSelect={() => changeRow(client, row, { archived: !row.is_archived })}>
        {row.is_archived ? <ArchiveRestore aria-hidden /> : <Archive aria-hidden />}
        {row.is_archived ? partWords.settings.unarchive : partWords.settings.archive}
      </DropdownMenu.Item>
    </>
  );
}

function SubMenu({ icon, label, children }: { icon: ReactNode; label: string; children: ReactNode }) {
  return (
    <DropdownMenu.Sub>
      <DropdownMenu.SubTrigger>
        {icon}
        <span className="grow">{label}</span>
        <ChevronRight aria-hidden className="mirrored" />
      </DropdownMenu.SubTrigger>
      <DropdownMenu.Portal container={landmark()}>
        <DropdownMenu.SubContent className="menu" collisionPadding={8} sideOffset={2} alignOffset={-6}>
          {children}
        </DropdownMenu.SubContent>
      </DropdownMenu.Portal>
    </DropdownMenu.Sub>
  );
}
