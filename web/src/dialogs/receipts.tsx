// Dialog that lists who has read a message.

import type { Conversation, Receipt, TimelineMessage } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { useEffect, useState } from "react";

import { Avatar } from "../avatar.js";
import { formatFull } from "../dates.js";
import { Modal } from "../modal.js";
import { usePerson } from "../people.js";
import { describeError } from "../toasts.js";
import { partWords } from "../words/language.js";

export default function ReceiptsDialog(props: { row: Conversation; message: TimelineMessage; onClose: () => void }) {
  const client = useTidings();
  const [receipts, setReceipts] = useState<Receipt[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    client.api.receipts(props.message.id, { signal: stop.signal }).then(setReceipts, (error: unknown) => {
      if (!stop.signal.aborted) setError(describeError(error));
    });
    return () => stop.abort();
  }, [client, props.message.id]);
  return (
    <Modal title={partWords.message.readBy} onClose={props.onClose}>
      {error && <p className="error">{error}</p>}
      {receipts?.length === 0 && <p className="muted">{partWords.receipts.nobody}</p>}
      <ul className="list">
        {receipts?.map((receipt) => <Reader key={receipt.user_id} receipt={receipt} />)}
      </ul>
    </Modal>
  );
}

function Reader({ receipt }: { receipt: Receipt }) {
  const { name, photo } = usePerson(receipt.user_id);
  return (
    <li>
      <Avatar id={receipt.user_id} name={name} photo={photo} size="small" />
      <span className="grow">
        <bdi>{name}</bdi>
        <span className="muted small-text">{formatFull(receipt.read_at)}</span>
      </span>
    </li>
  );
}
