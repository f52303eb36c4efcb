// Lets users choose the square of a picture that becomes the picture of a person or group.

import { useEffect, useRef, useState } from "react";
import type { KeyboardEvent, PointerEvent } from "react";

import { Modal } from "../modal.js";
import { attempt } from "../toasts.js";
import { partWords, words } from "../words/language.js";
import "./crop.css";

/** Side of the resulting picture, in pixels. */
const RESULT_SIDE = 512;
const MAX_ZOOM = 4;
/** Part of the square by which an arrow key moves the picture. */
const STEP = 0.04;

export default function CropDialog(props: { file: File; onDone: (picture: Blob) => Promise<unknown>; onClose: () => void }) {
  const [bitmap, setBitmap] = useState<ImageBitmap | null>(null);
  const [isBroken, setIsBroken] = useState(false);
  const [isBusy, setIsBusy] = useState(false);
  // The centre of the square in the picture, as a part of the picture's size.
  const [place, setPlace] = useState({ x: 0.5, y: 0.5, zoom: 1 });
  const canvas = useRef<HTMLCanvasElement>(null);
  const last = useRef<{ x: number; y: number } | null>(null);

  useEffect(() => {
    createImageBitmap(props.file).then(setBitmap, () => setIsBroken(true));
  }, [props.file]);
  useEffect(() => {
    if (bitmap && canvas.current) draw(bitmap, canvas.current, place);
  }, [bitmap, place]);

  /** Moves the picture by parts of the square. */
  const move = (x: number, y: number) => {
    if (!bitmap) return;
    const side = sideOf(bitmap, place.zoom);
    setPlace(clamped(bitmap, { ...place, x: place.x - (x * side) / bitmap.width, y: place.y - (y * side) / bitmap.height }));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const moves: Record<string, [number, number]> = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
    const by = moves[event.key];
    if (!by) return;
    event.preventDefault();
    move(...by);
  };
  const onPointerMove = (event: PointerEvent<HTMLCanvasElement>) => {
    if (!last.current) return;
    const { clientWidth } = event.currentTarget;
    move((event.clientX - last.current.x) / clientWidth, (event.clientY - last.current.y) / clientWidth);
    last.current = { x: event.clientX, y: event.clientY };
  };
  const finish = async () => {
    const element = canvas.current;
    if (!element) return;
    setIsBusy(true);
    const picture = await new Promise<Blob | null>((resolve) => element.toBlob(resolve, "image/jpeg", 0.9));
    const isDone = picture && (await attempt(props.onDone(picture)));
    setIsBusy(false);
    if (isDone) props.onClose();
  };

  return (
    <Modal title={partWords.files.choosePart} onClose={props.onClose}>
      {isBroken ? (
        <p className="error" role="alert">
          {partWords.files.notAPicture}
        </p>
      ) : (
        <>
          <canvas
            ref={canvas}
            className="crop"
            width={RESULT_SIDE}
            height={RESULT_SIDE}
            tabIndex={0}
            role="img"
            aria-label={partWords.files.chosenPart}
            onKeyDown={onKeyDown}
            onPointerDown={(event) => {
              event.currentTarget.setPointerCapture(event.pointerId);
              last.current = { x: event.clientX, y: event.clientY };
            }}
            onPointerMove={onPointerMove}
            onPointerUp={() => (last.current = null)}
            onPointerCancel={() => (last.current = null)}
          />
          <label>
            {partWords.files.zoom}
            <input
              type="range"
              min={1}
              max={MAX_ZOOM}
              step={0.05}
              value={place.zoom}
              onChange={({ target }) => bitmap && setPlace(clamped(bitmap, { ...place, zoom: Number(target.value) }))}
            />
          </label>
        </>
      )}
      <div className="actions">
        <button className="secondary" onClick={props.onClose}>
          {words.common.cancel}
        </button>
        <button className="primary" disabled={!bitmap || isBusy} onClick={() => void finish()}>
          {partWords.files.usePicture}
        </button>
      </div>
    </Modal>
  );
}

interface Place {
  x: number;
  y: number;
  zoom: number;
}

/** Side of the square in the picture, in its pixels. */
const sideOf = ({ width, height }: ImageBitmap, zoom: number) => Math.min(width, height) / zoom;

/** Returns the nearest place that lies within the picture. */
function clamped(bitmap: ImageBitmap, { x, y, zoom }: Place): Place {
  const side = sideOf(bitmap, zoom);
  const within = (value: number, size: number) => Math.min(1 - side / 2 / size, Math.max(side / 2 / size, value));
  return { x: within(x, bitmap.width), y: within(y, bitmap.height), zoom };
}

function draw(bitmap: ImageBitmap, canvas: HTMLCanvasElement, { x, y, zoom }: Place): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const side = sideOf(bitmap, zoom);
  // JPEG has no transparency.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, RESULT_SIDE, RESULT_SIDE);
  context.imageSmoothingQuality = "high";
  const [left, top] = [x * bitmap.width - side / 2, y * bitmap.height - side / 2];
  context.drawImage(bitmap, left, top, side, side, 0, 0, RESULT_SIDE, RESULT_SIDE);
}
