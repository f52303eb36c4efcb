// What is typed and not sent yet, by user and conversation: kept, so that nothing is lost.

const name = (user: string, conversation: string) => `tidings draft ${user} ${conversation}`;

/** What was typed. */
export function draft(user: string, conversation: string): string {
  try {
    return localStorage.getItem(name(user, conversation)) ?? "";
  } catch {
    return "";
  }
}

/** Keeps what is typed. */
export function keepDraft(user: string, conversation: string, text: string): void {
  try {
    if (text === "") localStorage.removeItem(name(user, conversation));
    else localStorage.setItem(name(user, conversation), text);
  } catch {
    // Without storage it holds while the conversation is open.
  }
}
