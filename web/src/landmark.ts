// The element in which menus are rendered.

/** The page's main part: screen readers find what is in a landmark. */
export const landmark = (): HTMLElement | null => document.querySelector<HTMLElement>("main");
