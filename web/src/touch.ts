// Touch screens: their keyboards, and gestures on messages.

import { useRef, useState } from "react";
import type { MouseEvent, MouseEventHandler, PointerEvent, PointerEventHandler, TouchEvent, TouchEventHandler } from "react";

import { pageDirection } from "./words/language.js";

/** Whether the main pointer is a mouse or the like, and so the keyboard probably a real one. */
export const hasFinePointer = (): boolean => matchMedia("(pointer: fine)").matches;

/** Milliseconds after which a touch is a long press. */
const LONG_PRESS = 450;
/** Pixels within which a finger counts as still. */
const STILL = 10;
/** Pixels after which letting go is a swipe. */
const SWIPE = 64;

/** Whether an event is from the element itself, and not from a menu that it has opened elsewhere in the page. */
const isInside = ({ currentTarget, target }: PointerEvent | MouseEvent) => target instanceof Node && currentTarget.contains(target);

/** Handlers for an element, and by how many pixels it has been swiped so far. */
export interface Gestures {
  offset: number;
  handlers: Record<"onPointerDown" | "onPointerMove" | "onPointerUp" | "onPointerCancel", PointerEventHandler> &
    Record<"onClickCapture", MouseEventHandler> &
    Record<"onTouchEnd", TouchEventHandler>;
}

/**
 * Recognizes a long press, and a swipe towards the end of the line. The element needs `touch-action: pan-y`, so that
 * the browser leaves horizontal movements to the page.
 */
export function useGestures(onLongPress: () => void, onSwipe: () => void): Gestures {
  const [offset, setOffset] = useState(0);
  const touch = useRef<{ x: number; y: number; timer: ReturnType<typeof setTimeout> } | null>(null);
  /** Whether the touch was a gesture, so that it is no click as well. */
  const isGesture = useRef(false);

  const end = () => {
    clearTimeout(touch.current?.timer);
    touch.current = null;
    setOffset(0);
  };
  const onPointerDown = (event: PointerEvent) => {
    end();
    isGesture.current = false;
    if (!isInside(event)) return;
    if (event.pointerType === "mouse" || !event.isPrimary) return;
    if (event.target instanceof Element && event.target.closest("input, video, audio")) return;
    const timer = setTimeout(() => {
      end();
      isGesture.current = true;
      onLongPress();
    }, LONG_PRESS);
    touch.current = { x: event.clientX, y: event.clientY, timer };
  };
  const onPointerMove = (event: PointerEvent) => {
    if (!touch.current) return;
    const forward = pageDirection() === "rtl" ? -1 : 1;
    const along = (event.clientX - touch.current.x) * forward;
    const across = Math.abs(event.clientY - touch.current.y);
    if (Math.abs(along) > STILL || across > STILL) clearTimeout(touch.current.timer);
    if (across > SWIPE / 2) end();
    else if (along > STILL) setOffset(Math.min(along, SWIPE * 1.3) * forward);
  };
  const onPointerUp = () => {
    const isSwipe = Math.abs(offset) >= SWIPE;
    end();
    if (!isSwipe) return;
    isGesture.current = true;
    onSwipe();
  };
  // Otherwise, the browser would click as well, and the focus would leave the menu, which closes it.
  const onTouchEnd = (event: TouchEvent) => {
    if (isGesture.current && event.cancelable) event.preventDefault();
  };
  const onClickCapture = (event: MouseEvent) => {
    if (!isGesture.current || !isInside(event)) return;
    event.preventDefault();
    event.stopPropagation();
  };
  return { offset, handlers: { onPointerDown, onPointerMove, onPointerUp, onPointerCancel: end, onClickCapture, onTouchEnd } };
}
