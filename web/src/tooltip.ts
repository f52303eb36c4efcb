// Shows what buttons are for that have an icon only: their accessible name, beside the pointer's or keyboard's position.
//
// One element serves the whole page. Screen readers do not read it, because they read the button's name.

/** Milliseconds before a tooltip appears. */
const DELAY = 500;
/** Buttons whose name is not written on them. */
const BUTTONS = ".icon-button[aria-label], .send[aria-label], .me[aria-label], .menu-button[aria-label], .emoji-groups [aria-label]";
/** Pixels between a button and its tooltip, and between that and the edge of the window. */
const GAP = 6;

let tip: HTMLElement | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;
let target: Element | null = null;

function hide(): void {
  clearTimeout(timer);
  target = null;
  if (tip?.matches(":popover-open")) tip.hidePopover();
}

function show(button: Element): void {
  const name = button.getAttribute("aria-label");
  if (!name || !button.isConnected) return;
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "tooltip";
    tip.popover = "manual";
    tip.setAttribute("aria-hidden", "true");
    document.body.append(tip);
  }
  tip.textContent = name;
  tip.showPopover();
  const at = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = Math.min(Math.max(GAP, at.left + (at.width - width) / 2), innerWidth - width - GAP);
  const isBelow = at.bottom + GAP + height < innerHeight;
  tip.style.left = `${left}px`;
  tip.style.top = `${isBelow ? at.bottom + GAP : at.top - GAP - height}px`;
}

function schedule(element: EventTarget | null): void {
  const button = element instanceof Element ? element.closest(BUTTONS) : null;
  if (button === target) return;
  hide();
  if (!button) return;
  target = button;
  timer = setTimeout(() => show(button), DELAY);
}

/** Begins to show tooltips. */
export function startTooltips(): void {
  document.addEventListener("pointerover", (event) => event.pointerType === "mouse" && schedule(event.target));
  document.addEventListener("focusin", ({ target }) => schedule(target instanceof Element && target.matches(":focus-visible") ? target : null));
  for (const type of ["pointerdown", "keydown", "scroll", "focusout"]) document.addEventListener(type, hide, true);
  document.addEventListener("pointerleave", hide);
}
