// The files of a conversation, newest first.

import type { Attachment, Conversation, Hit } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { useEffect, useRef, useState } from "react";

import { linkTo } from "../route.js";
import { attempt } from "../toasts.js";
import { partWords, words } from "../words/language.js";
import { isVisual } from "./describe.js";
import { FileLink, withoutVideo } from "./gallery.js";
import { Picture } from "./picture.js";

/** Messages that are loaded at a time. */
const PAGE_SIZE = 40;

interface Item {
  message: string;
  attachment: Attachment;
}

/** Lists what was sent. A picture leads to its message. */
export function Media({ row, onClose }: { row: Conversation; onClose: () => void }) {
  const client = useTidings();
  const id = row.conversation_id;
  const [items, setItems] = useState<readonly Item[]>([]);
  const [state, setState] = useState<"loading" | "more" | "done">("loading");
  const hits = useRef<AsyncGenerator<Hit, void, undefined>>(undefined);

  const loadMore = async () => {
    setState("loading");
    const found = hits.current;
    let next = await found?.next();
    const page: Item[] = [];
    for (let count = 1; next && !next.done; count += 1) {
      const { id: message, attachments } = next.value;
      page.push(...(attachments ?? []).map((attachment) => ({ message, attachment })));
      if (count === PAGE_SIZE) break;
      next = await found?.next();
    }
    if (hits.current !== found) return;
    setItems((items) => [...items, ...page]);
    setState(!next || next.done ? "done" : "more");
  };
  const load = () =>
    void attempt(loadMore()).then((isLoaded) => {
      if (!isLoaded) setState("more");
    });
  useEffect(() => {
    setItems([]);
    hits.current = client.search("has:attachment", { conversation_id: id, limit: PAGE_SIZE });
    load();
    return () => void (hits.current = undefined);
  }, [client, id]);

  const pictures = items.filter(({ attachment }) => isVisual(attachment));
  const files = items.filter(({ attachment }) => !isVisual(attachment));
  return (
    <div className="media" aria-busy={state === "loading"}>
      {pictures.length > 0 && (
        <ul className="media-grid" aria-label={partWords.details.picturesAndVideos}>
          {pictures.map(({ message, attachment }) => (
            <li key={attachment.id}>
              <a href={linkTo(id, message)} aria-label={attachment.alt ?? attachment.file_name} onClick={onClose}>
                <Picture attachment={withoutVideo(attachment)} />
              </a>
            </li>
          ))}
        </ul>
      )}
      {files.length > 0 && (
        <ul className="media-files" aria-label={partWords.details.files}>
          {files.map(({ attachment }) => (
            <li key={attachment.id}>
              <FileLink attachment={attachment} />
            </li>
          ))}
        </ul>
      )}
      <p className="muted" role="status">
        {state === "loading" ? words.common.loadingMore : items.length === 0 && state === "done" ? partWords.details.noFiles : ""}
      </p>
      {state === "more" && (
        <button className="link" onClick={load}>
          {words.common.showMore}
        </button>
      )}
    </div>
  );
}
