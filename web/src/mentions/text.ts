// Mentions in text: "@" and a name. Which users a message mentions is sent apart; the text only shows it.

/** Stands for all participants, in place of a user's id, which has no such character. */
export const EVERYONE = "*";
/** The name of all participants. */
export const EVERYONE_NAME = "everyone";

/** A user, or everyone, who was chosen as a mention. */
export interface Mention {
  id: string;
  name: string;
}

/** A part of a text; `mention` is set if it mentions somebody. */
export interface Part {
  text: string;
  mention?: Mention;
}

const escape = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

/** Splits a text at the mentions of some users. Of names that begin alike, the longest counts. */
export function splitAtMentions(text: string, mentions: readonly Mention[]): Part[] {
  const names = [...new Set(mentions.map(({ name }) => name))].sort((one, other) => other.length - one.length);
  if (names.length === 0) return [{ text }];
  const pattern = new RegExp(`@(${names.map(escape).join("|")})(?![\\p{L}\\p{N}\\p{M}_])`, "gu");
  const parts: Part[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const mention = mentions.find(({ name }) => name === match[1]);
    if (!mention) continue;
    parts.push({ text: text.slice(end, match.index) }, { text: match[0], mention });
    end = match.index + match[0].length;
  }
  parts.push({ text: text.slice(end) });
  return parts.filter((part) => part.text !== "");
}

/** Returns those of the mentions that a text contains. */
export function mentionsIn(text: string, mentions: readonly Mention[]): Mention[] {
  const found = new Map<string, Mention>();
  for (const { mention } of splitAtMentions(text, mentions)) if (mention) found.set(mention.id, mention);
  // Of users with the same name, all who were chosen are mentioned.
  return mentions.filter(({ name }) => [...found.values()].some((one) => one.name === name));
}

/** The name being typed after an "@": its position, and the text up to the caret. */
export interface Query {
  at: number;
  text: string;
}

/** Maximum length of what is looked for, and how many spaces it may contain. */
const MAX_QUERY = 40;
const MAX_SPACES = 3;

/** Returns what is being typed after the last "@" before the caret, if it may become a mention. */
export function queryAt(text: string, caret: number): Query | null {
  const before = text.slice(0, caret);
  const at = before.lastIndexOf("@");
  if (at < 0 || /[\p{L}\p{N}_]$/u.test(before.slice(0, at))) return null;
  const query = before.slice(at + 1);
  const isQuery = query.length <= MAX_QUERY && !/^\s|\n/.test(query) && query.split(" ").length <= MAX_SPACES + 1;
  return isQuery ? { at, text: query } : null;
}
