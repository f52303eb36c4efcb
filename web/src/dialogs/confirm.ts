// How parts of a dialog ask whether the user is sure.

/** Asks for confirmation: what will happen, and what the button says. Runs the action if the user agrees. */
export type Confirm = (text: string, label: string, action: () => Promise<unknown>) => void;
