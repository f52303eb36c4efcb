// Touch screens.

/** Whether the main pointer is a mouse or the like, and so the keyboard probably a real one. */
export const hasFinePointer = (): boolean => matchMedia("(pointer: fine)").matches;
