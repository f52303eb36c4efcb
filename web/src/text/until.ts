// Cuts off a parsed message, so that a folded one costs no more than it shows.

import type { Block, Inline } from "./parse.js";

/** Returns the blocks up to a position in the message, in UTF-16 units. Formatting that goes beyond it is kept. */
export function until(blocks: readonly Block[], end: number): Block[] {
  return blocks
    .filter(({ at }) => at < end)
    .map((block) => {
      if (block.kind === "fence") return { ...block, text: block.text.slice(0, end - block.at) };
      if (block.kind !== "list") return { ...block, children: inlineUntil(block.children, end) };
      const items = block.items.filter(({ at }) => at < end).map((item) => ({ ...item, children: inlineUntil(item.children, end) }));
      return { ...block, items };
    });
}

function inlineUntil(parts: readonly Inline[], end: number): Inline[] {
  return parts
    .filter(({ at }) => at < end)
    .map((part) => ("children" in part ? { ...part, children: inlineUntil(part.children, end) } : { ...part, text: part.text.slice(0, end - part.at) }));
}
