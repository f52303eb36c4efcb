// The regions of the page, between which F6 moves.

/** A region, and what in it gets the focus: the first of these that is displayed. */
const REGIONS: readonly { box: string; focus: readonly string[] }[] = [
  { box: ".inbox", focus: [".inbox .rows [tabindex='0'], .inbox .found [tabindex='0']", "#search"] },
  { box: ".conversation-bar", focus: [".conversation-bar .who"] },
  { box: ".timeline", focus: [".timeline article[tabindex='0']", ".timeline .scroller"] },
  { box: ".selection-bar", focus: [".selection-bar button[tabindex='0']"] },
  { box: ".composer", focus: [".composer textarea", ".composer button"] },
];

const isDisplayed = (element: HTMLElement) => element.getClientRects().length > 0;

/** Moves the focus to the next region that is displayed, or to the previous one. */
export function moveToRegion(direction: 1 | -1): void {
  const shown = REGIONS.flatMap(({ box, focus }) => {
    const target = focus.map((selector) => document.querySelector<HTMLElement>(selector)).find((each) => each && isDisplayed(each));
    return target ? [{ box, target }] : [];
  });
  const at = shown.findIndex(({ box }) => document.activeElement?.closest(box));
  const next = at < 0 ? (direction > 0 ? 0 : shown.length - 1) : (at + direction + shown.length) % shown.length;
  shown[next]?.target.focus();
}
