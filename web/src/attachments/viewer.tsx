// Shows the pictures and videos of a conversation, one at a time, as large as the screen.

import type { Attachment, TimelineMessage } from "@tidings/client";
import { useSelected, useTidings } from "@tidings/client/react";
import { ChevronLeft, ChevronRight, Download, X, ZoomIn, ZoomOut } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import type { KeyboardEvent, PointerEvent, WheelEvent } from "react";

import { formatFull } from "../dates.js";
import { useModal } from "../modal.js";
import { usePerson } from "../people.js";
import { attempt, toast } from "../toasts.js";
import { pageDirection, partWords, words } from "../words/language.js";
import { isVisual } from "./describe.js";
import { save } from "./download.js";
import { placeholder } from "./thumb.js";
import "./viewer.css";

/** A picture or video, and where it is. */
interface Item {
  message: TimelineMessage;
  attachment: Attachment;
  at: number;
}

const MAX_SCALE = 8;
/** Pixels that a finger has to move to turn the page, or to close. */
const SWIPE_DISTANCE = 60;
/** Pixels by which an arrow key moves an enlarged picture. */
const STEP = 80;
const FIT = { scale: 1, x: 0, y: 0 };

const NO_MESSAGES: readonly TimelineMessage[] = [];

export default function Viewer(props: { conversation: string; messageKey: string; at: number; onClose: () => void }) {
  const client = useTidings();
  const timeline = useSelected((state) => state.timelines.get(props.conversation));
  const messages = timeline?.messages ?? NO_MESSAGES;
  const items: Item[] = messages.flatMap((message) =>
    message.attachments.map((attachment, at) => ({ message, attachment, at })).filter(({ attachment }) => isVisual(attachment)),
  );
  const [open, setOpen] = useState({ key: props.messageKey, at: props.at });
  const index = items.findIndex(({ message, at }) => message.key === open.key && at === open.at);
  const item = items[index];
  const [view, setView] = useState(FIT);
  const dialog = useModal();
  const pointers = useRef(new Map<number, { x: number; y: number }>());
  const gesture = useRef({ x: 0, y: 0, distance: 0, scale: 1 });

  useEffect(() => {
    // It was deleted meanwhile.
    if (!item) props.onClose();
    // Earlier pictures are loaded when the user comes near to them.
    else if (index === 0 && timeline?.hasOlder) client.loadOlder(props.conversation).catch(() => {});
  }, [item === undefined, index, timeline?.hasOlder]);
  if (!item) return null;

  const show = (to: number) => {
    const next = items[to];
    if (!next) return;
    setOpen({ key: next.message.key, at: next.at });
    setView(FIT);
  };
  /** Zooms, and keeps the point at a position (relative to the centre of the screen) where it is. */
  const zoom = (factor: number, at = { x: 0, y: 0 }) =>
    setView((view) => {
      const scale = Math.min(MAX_SCALE, Math.max(1, view.scale * factor));
      if (scale === 1) return FIT;
      const ratio = scale / view.scale;
      return { scale, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio };
    });
  const pan = (x: number, y: number) => setView((view) => ({ ...view, x: view.x + x, y: view.y + y }));
  const download = () => void attempt(save(item.attachment).then((isSaved) => !isSaved && toast(partWords.files.openedInTab)));

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLVideoElement) return;
    const isZoomed = view.scale > 1;
    // Newer pictures are where the text goes on.
    const forward = pageDirection() === "rtl" ? -1 : 1;
    const actions: Record<string, () => void> = {
      ArrowLeft: () => (isZoomed ? pan(STEP, 0) : show(index - forward)),
      ArrowRight: () => (isZoomed ? pan(-STEP, 0) : show(index + forward)),
      ArrowUp: () => isZoomed && pan(0, STEP),
      ArrowDown: () => isZoomed && pan(0, -STEP),
      Home: () => show(0),
      End: () => show(items.length - 1),
      "+": () => zoom(1.5),
      "=": () => zoom(1.5),
      "-": () => zoom(1 / 1.5),
      "0": () => setView(FIT),
      d: download,
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };
  const fromCentre = ({ clientX, clientY }: { clientX: number; clientY: number }) => ({
    x: clientX - innerWidth / 2,
    y: clientY - innerHeight / 2,
  });
  const onWheel = (event: WheelEvent) => zoom(Math.exp(-event.deltaY / 300), fromCentre(event));

  const onPointerDown = (event: PointerEvent) => {
    if (event.target instanceof Element && event.target.closest("button, video, figcaption")) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    gesture.current = { x: event.clientX, y: event.clientY, distance: spread(), scale: view.scale };
  };
  const onPointerMove = (event: PointerEvent) => {
    const before = pointers.current.get(event.pointerId);
    if (!before) return;
    pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.current.size === 2) {
      const distance = spread();
      zoom(distance / (gesture.current.distance || distance), fromCentre(event));
      gesture.current.distance = distance;
    } else if (view.scale > 1) {
      pan(event.clientX - before.x, event.clientY - before.y);
    }
  };
  const onPointerUp = (event: PointerEvent) => {
    if (!pointers.current.delete(event.pointerId) || pointers.current.size > 0) return;
    if (gesture.current.scale > 1 || view.scale > 1 || event.type === "pointercancel") return;
    const [x, y] = [event.clientX - gesture.current.x, event.clientY - gesture.current.y];
    const forward = pageDirection() === "rtl" ? -1 : 1;
    if (Math.abs(x) > SWIPE_DISTANCE && Math.abs(x) > Math.abs(y)) show(index + (x < 0 ? forward : -forward));
    else if (Math.abs(y) > SWIPE_DISTANCE && event.pointerType !== "mouse") props.onClose();
    else if (event.target === event.currentTarget && Math.abs(x) + Math.abs(y) < 8) props.onClose();
  };
  /** Distance of two fingers, in pixels. */
  const spread = () => {
    const [one, other] = [...pointers.current.values()];
    return one && other ? Math.hypot(one.x - other.x, one.y - other.y) : 0;
  };

  const { attachment, message } = item;
  const transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  return (
    <dialog
      ref={dialog}
      className="viewer"
      aria-label={partWords.files.pictures}
      onKeyDown={onKeyDown}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
    >
      <figure onPointerDown={onPointerDown} onPointerMove={onPointerMove} onPointerUp={onPointerUp} onPointerCancel={onPointerUp} onWheel={onWheel}>
        {attachment.kind === "video" ? (
          <video key={attachment.id} controls autoPlay playsInline src={attachment.url} poster={attachment.preview_url ?? undefined} />
        ) : (
          <FullPicture key={attachment.id} attachment={attachment} transform={transform} onDoubleClick={(event) => zoom(view.scale > 1 ? 0 : 2.5, fromCentre(event))} />
        )}
        <figcaption>
          <Sender id={message.sender_id} />, <time dateTime={message.sent_at}>{formatFull(message.sent_at)}</time>
          {attachment.alt && <span className="alt" dir="auto">{attachment.alt}</span>}
        </figcaption>
      </figure>
      <div className="viewer-bar">
        <span className="grow" role="status">
          {partWords.files.at(index + 1, items.length)}
        </span>
        {attachment.kind === "image" && (
          <>
            <button className="icon-button" aria-label={partWords.files.zoomOut} disabled={view.scale === 1} onClick={() => zoom(1 / 1.5)}>
              <ZoomOut aria-hidden />
            </button>
            <button className="icon-button" aria-label={partWords.files.zoomIn} disabled={view.scale === MAX_SCALE} onClick={() => zoom(1.5)}>
              <ZoomIn aria-hidden />
            </button>
          </>
        )}
        <button className="icon-button" aria-label={words.common.download} onClick={download}>
          <Download aria-hidden />
        </button>
        <button className="icon-button" aria-label={words.common.close} onClick={props.onClose}>
          <X aria-hidden />
        </button>
      </div>
      {index > 0 && (
        <button className="icon-button turn previous" aria-label={partWords.files.previous} onClick={() => show(index - 1)}>
          <ChevronLeft aria-hidden className="mirrored" />
        </button>
      )}
      {index < items.length - 1 && (
        <button className="icon-button turn next" aria-label={partWords.files.next} onClick={() => show(index + 1)}>
          <ChevronRight aria-hidden className="mirrored" />
        </button>
      )}
    </dialog>
  );
}

function Sender({ id }: { id: string }) {
  return <bdi>{usePerson(id).name}</bdi>;
}

/** The whole picture. Its preview shows until it is loaded. */
function FullPicture(props: { attachment: Attachment; transform: string; onDoubleClick: (event: React.MouseEvent) => void }) {
  const { attachment } = props;
  const [isLoaded, setIsLoaded] = useState(false);
  const background = attachment.preview_url ?? placeholder(attachment.thumbhash);
  const { width, height } = attachment;
  return (
    <img
      className={isLoaded ? "" : "loading"}
      src={attachment.url}
      alt={attachment.alt ?? words.files.picture(attachment.file_name)}
      draggable={false}
      {...(width && height ? { width, height } : {})}
      style={{ transform: props.transform, ...(background && !isLoaded ? { backgroundImage: `url("${background}")` } : {}) }}
      onLoad={() => setIsLoaded(true)}
      onError={() => toast(partWords.files.notLoaded)}
      onDoubleClick={props.onDoubleClick}
    />
  );
}
