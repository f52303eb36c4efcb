// The emoji: names, groups, skin tones, and those used last. Loaded on first use.

import Database from "emoji-picker-element/database";
import dataSource from "emoji-picker-element-data/en/emojibase/data.json?url";

import { local } from "./browser-storage.js";
import { EMOJI_KEY } from "./settings.js";

/** An emoji in the user's skin tone. */
export interface Emoji {
  unicode: string;
  name: string;
  shortcodes: readonly string[];
}

/** The name to complete, and its place in the text. */
export interface Completion {
  name: string;
  /** Whether there is a colon after the name, too: the emoji then takes its place at once. */
  isClosed: boolean;
  from: number;
  to: number;
}

/** How many of those used last are kept. */
const MAX_RECENT = 32;
/** Hands in all tones, from none to the darkest. */
export const TONES: readonly string[] = ["✋", "✋🏻", "✋🏼", "✋🏽", "✋🏾", "✋🏿"];

let database: Database | undefined;

/** The choices of the user. */
interface Choices {
  recent: readonly Emoji[];
  /** 0 is no tone. */
  tone: number;
}

function loadChoices(): Choices {
  try {
    return { recent: [], tone: 0, ...(JSON.parse(local.getItem(EMOJI_KEY) ?? "{}") as Partial<Choices>) };
  } catch {
    return { recent: [], tone: 0 };
  }
}

const save = (choices: Choices) => local.setItem(EMOJI_KEY, JSON.stringify(choices));

/** Emoji used last, the latest first. */
export const recentEmoji = (): readonly Emoji[] => loadChoices().recent;
export const skinTone = (): number => loadChoices().tone;
export const setSkinTone = (tone: number): void => save({ ...loadChoices(), tone });

/** Remembers that an emoji was used. */
export function remember(emoji: Emoji): void {
  const { recent, tone } = loadChoices();
  save({ recent: [emoji, ...recent.filter(({ unicode }) => unicode !== emoji.unicode)].slice(0, MAX_RECENT), tone });
}

type Found = Awaited<ReturnType<Database["getEmojiBySearchQuery"]>>;

/** Characters that are emoji by themselves need no selector that says so. */
const plain = (unicode: string) => unicode.replace(/^(\p{Emoji_Presentation})\ufe0f$/u, "$1");

function inTone(found: Found, tone: number): Emoji[] {
  return found.flatMap((emoji) => {
    if (!("unicode" in emoji)) return [];
    const skin = tone > 0 ? emoji.skins?.find((each) => each.tone === tone) : undefined;
    return [{ unicode: plain(skin?.unicode ?? emoji.unicode), name: emoji.annotation, shortcodes: emoji.shortcodes ?? [] }];
  });
}

async function ask(question: (database: Database) => Promise<Found>): Promise<Emoji[]> {
  database ??= new Database({ dataSource, locale: "en" });
  try {
    return inTone(await question(database), skinTone());
  } catch (error) {
    // The next question tries again.
    database = undefined;
    throw error;
  }
}

/** Returns the emoji of a group of the data. */
export const emojiOfGroup = (group: number): Promise<Emoji[]> => ask((database) => database.getEmojiByGroup(group));

/** Finds emoji by words. */
export const findEmoji = (query: string): Promise<Emoji[]> => ask((database) => database.getEmojiBySearchQuery(query));

/** Finds emoji whose short names begin with a text, the shortest name first, and then those that words lead to. */
export async function completeEmoji(start: string, count: number): Promise<Emoji[]> {
  const found = await findEmoji(start.replaceAll("_", " "));
  const best = ({ shortcodes }: Emoji) =>
    Math.min(...shortcodes.filter((code) => code.startsWith(start)).map((code) => code.length), 1_000);
  return found.toSorted((one, other) => best(one) - best(other)).slice(0, count);
}
