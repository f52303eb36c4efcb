// The menu of a message.

import { useTidings } from "@tidings/client/react";
import { ChevronDown, Copy, Download, Eye, Pencil, Reply, RotateCcw, Trash2 } from "lucide-react";
import { DropdownMenu } from "radix-ui";

import { saveAll } from "./attachments/download.js";
import { copyText } from "./clipboard.js";
import type { MenuProps } from "./message-actions.js";
import { attempt, toast } from "./toasts.js";

export default function MessageMenu(props: MenuProps) {
  const { message, isMine } = props;
  const isSent = message.status === "sent";
  const copy = async () => {
    await copyText(message.message_text);
    toast("Copied.");
  };
  return (
    <DropdownMenu.Root modal={false} open={props.isOpen} onOpenChange={props.setIsOpen}>
      <DropdownMenu.Trigger className="menu-button" aria-label="Message actions">
        <ChevronDown aria-hidden />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="end" sideOffset={4} collisionPadding={8}>
          {isSent && (
            <DropdownMenu.Item onSelect={() => props.onReply(message)}>
              <Reply aria-hidden className="mirrored" /> Reply
            </DropdownMenu.Item>
          )}
          {message.message_text && (
            <DropdownMenu.Item onSelect={() => void attempt(copy())}>
              <Copy aria-hidden /> Copy text
            </DropdownMenu.Item>
          )}
          {isSent && message.attachments.length > 0 && (
            <DropdownMenu.Item onSelect={() => void attempt(saveAll(message.attachments))}>
              <Download aria-hidden /> Download
            </DropdownMenu.Item>
          )}
          {isMine && (
            <DropdownMenu.Item onSelect={() => props.onEdit(message)}>
              <Pencil aria-hidden /> Edit
            </DropdownMenu.Item>
          )}
          {isMine && isSent && (
            <DropdownMenu.Item onSelect={() => props.onReceipts(message)}>
              <Eye aria-hidden /> Read by
            </DropdownMenu.Item>
          )}
          {message.status === "failed" && <Retry id={message.id} />}
          <DropdownMenu.Item className="danger" onSelect={() => props.onDelete(message)}>
            <Trash2 aria-hidden /> Delete…
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
      <RotateCcw aria-hidden /> Try again
    </DropdownMenu.Item>
  );
}
