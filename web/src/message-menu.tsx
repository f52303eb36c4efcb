// The menu of a message.

import { useTidings } from "@tidings/client/react";
import { ChevronDown, CircleCheck, Copy, Download, Eye, Forward, Link, Pencil, Pin, PinOff, Reply, RotateCcw, SmilePlus, Trash2 } from "lucide-react";
import { DropdownMenu } from "radix-ui";

import { saveAll } from "./attachments/download.js";
import { copyText } from "./clipboard.js";
import { landmark } from "./landmark.js";
import type { MenuProps } from "./message-actions.js";
import { canPin } from "./pins/pins.js";
import { QuickReactionItems } from "./reactions/menu-row.js";
import { linkTo } from "./route.js";
import { selection, toggleSelected } from "./selection/selection.js";
import { attempt, toast } from "./toasts.js";
import { pageDirection, partWords, words } from "./words/language.js";

export default function MessageMenu(props: MenuProps) {
  const { message, isMine } = props;
  const client = useTidings();
  const isSent = message.status === "sent";
  const copy = async (text: string, done: string) => {
    await copyText(text);
    toast(done);
  };
  const link = new URL(linkTo(message.conversation_id, message.id), location.href).href;
  return (
    <DropdownMenu.Root dir={pageDirection()} modal={false} open={props.isOpen} onOpenChange={props.setIsOpen}>
      <DropdownMenu.Trigger className="menu-button" aria-label={words.message.actions}>
        <ChevronDown aria-hidden />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal container={landmark()}>
        {/* On phones, where the menu is a sheet at the bottom. */}
        <div className="sheet-backdrop" onClick={() => props.setIsOpen(false)} />
      </DropdownMenu.Portal>
      <DropdownMenu.Portal container={landmark()}>
        <DropdownMenu.Content
          className="menu message-menu"
          align="end"
          sideOffset={4}
          collisionPadding={8}
          onCloseAutoFocus={(event) => {
            if (selection.current === null) return;
            // The menu's button is not shown while messages are selected.
            event.preventDefault();
            document.querySelector<HTMLElement>(`article[data-message="${CSS.escape(message.id)}"]`)?.focus({ preventScroll: true });
          }}
          onPointerDownOutside={(event) => {
            // The backdrop closes the menu with the click. Otherwise, that would hit what is below.
            if ((event.target as Element).matches(".sheet-backdrop")) event.preventDefault();
          }}
        >
          {isSent && (
            <>
              <QuickReactionItems message={message} onMore={() => props.onReact(message)} />
              <DropdownMenu.Item onSelect={() => props.onReply(message)}>
                <Reply aria-hidden className="mirrored" /> {partWords.message.reply}
              </DropdownMenu.Item>
              <DropdownMenu.Item onSelect={() => props.onForward(message)}>
                <Forward aria-hidden className="mirrored" /> {partWords.message.forward}
              </DropdownMenu.Item>
              <DropdownMenu.Item onSelect={() => toggleSelected(message.conversation_id, message.id)}>
                <CircleCheck aria-hidden /> {words.selection.select}
              </DropdownMenu.Item>
            </>
          )}
          {message.message_text && (
            <DropdownMenu.Item onSelect={() => void attempt(copy(message.message_text, partWords.message.copied))}>
              <Copy aria-hidden /> {partWords.message.copyText}
            </DropdownMenu.Item>
          )}
          {isSent && (
            <DropdownMenu.Item onSelect={() => void attempt(copy(link, partWords.message.linkCopied))}>
              <Link aria-hidden /> {partWords.message.copyLink}
            </DropdownMenu.Item>
          )}
          {isSent && message.attachments.length > 0 && (
            <DropdownMenu.Item onSelect={() => void attempt(saveAll(message.attachments))}>
              <Download aria-hidden /> {words.common.download}
            </DropdownMenu.Item>
          )}
          {isSent && canPin(props.row) && (
            <DropdownMenu.Item
              onSelect={() => void attempt(message.pinned_at === null ? client.pin(message.id) : client.unpin(message.id))}
            >
              {message.pinned_at === null ? <Pin aria-hidden /> : <PinOff aria-hidden />}
              {message.pinned_at === null ? partWords.settings.pin : partWords.settings.unpin}
            </DropdownMenu.Item>
          )}
          {isMine && (
            <DropdownMenu.Item onSelect={() => props.onEdit(message)}>
              <Pencil aria-hidden /> {words.common.edit}
            </DropdownMenu.Item>
          )}
          {message.reactions.length > 0 && (
            <DropdownMenu.Item onSelect={() => props.onReactions(message)}>
              <SmilePlus aria-hidden /> {words.message.reactions}
            </DropdownMenu.Item>
          )}
          {isMine && isSent && (
            <DropdownMenu.Item onSelect={() => props.onReceipts(message)}>
              <Eye aria-hidden /> {partWords.message.readBy}
            </DropdownMenu.Item>
          )}
          {message.status === "failed" && <Retry id={message.id} />}
          <DropdownMenu.Item className="danger" onSelect={() => props.onDelete(message)}>
            <Trash2 aria-hidden /> {partWords.message.deleteThis}
          </DropdownMenu.Item>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

function Retry({ id }: { id: string }) {
  const client = useTidings();
  return (
    <DropdownMenu.Item onSelect={() => void attempt(client.retry(id))}>
      <RotateCcw aria-hidden /> {words.common.tryAgain}
    </DropdownMenu.Item>
  );
}
