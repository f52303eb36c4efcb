// The English words of the page. Their type is what every other language has to provide.
//
// A word with a name or number in it is a function, because languages put them in different places. `Node` parameters
// are names that the page shows in an element of their own.

import type { ReactNode as Node } from "react";

import { number, plural } from "./formats.js";

/** Returns the server's text as it is. */
const detail = (text: string): string => text;

export const members = (count: number) => plural(count, { one: "# member", other: "# members" });

export const en = {
  /** The name of the product. */
  tidings: "Tidings",

  /** Words that several parts use. */
  common: {
    cancel: "Cancel",
    close: "Close",
    discard: "Discard",
    download: "Download",
    dismiss: "Dismiss",
    edit: "Edit",
    loading: "Loading",
    loadingMore: "Loading…",
    name: "Name",
    save: "Save",
    searching: "Searching…",
    showMore: "Show more",
    tryAgain: "Try again",
    you: "You",
  },

  /** Error messages by the code of the API or the client. English pages show the server's own texts. */
  errors: {
    network: "Can’t reach the server. Try again in a moment.",
    forbidden: "You are not allowed to do this.",
    files_lost: "The files of this message are no longer in this browser.",
    upload_failed: "A file could not be uploaded. Try again.",
    upload_refused: "A file could not be uploaded. Try again.",
    already_exists: detail,
    blocked: detail,
    conflict: detail,
    internal: detail,
    invalid_request: detail,
    not_a_participant: detail,
    not_an_admin: detail,
    not_authenticated: detail,
    not_found: detail,
    not_the_sender: detail,
    not_uploaded: detail,
    rate_limited: detail,
    too_large: detail,
    unavailable: detail,
    unsupported_media_type: detail,
  },

  people: {
    deleted: "Deleted user",
    unnamed: "Unnamed",
    status: {
      online: "online",
      away: "away",
      do_not_disturb: "do not disturb",
      offline: "offline",
    },
    lastSeen: (ago: string) => `last seen ${ago}`,
  },

  /** The page as a whole. */
  page: {
    sessionEnded: "Your session has ended. Please sign in again.",
    somethingWrong: "Something went wrong",
    partFailed: "This part of the page has failed. Your messages are safe.",
    reload: "Reload the page",
    notLoaded: "This could not be loaded. Check your connection, or reload the page.",
    partBroke: "Something went wrong.",
    welcome: "Welcome to Tidings",
    select: "Select a conversation",
    startFirst: "Start your first conversation with a person, a group or a room.",
    startNew: "Or start a new one with a person, a group or a room.",
    newConversation: "New conversation",
    notFound: "Conversation not found",
    notFoundWhy: "It may have been deleted, or you are no longer a member.",
    backToInbox: "Back to inbox",
    editFailed: (why: string) => `Could not edit the message: ${why}`,
  },

  /** Notices while the server is unreachable. */
  offline: {
    offline: "You are offline.",
    /** `time` is a time, or a date and time. */
    asOf: (time: string) => `Showing messages as of ${time}.`,
    sentLater: "What you write is sent when you are back online.",
    tryNow: "Try now",
    notHere: "These messages are not on this device. They are loaded when you are back online.",
    olderNotHere: "Older messages are loaded when you are back online.",
  },

  signIn: {
    motto: "Message people, groups and rooms.",
    tryDemo: "Try the demo as",
    bothSides: (one: Node, other: Node): Node => <>To see both sides of a chat, open {one} and {other} in separate windows.</>,
    createAccount: "Create an account",
    signIn: "Sign in",
    hasAccount: "Already have an account?",
    hasNone: "No account yet?",
    register: "Register",
    username: "Username",
    usernameOrEmail: "Username or e-mail address",
    email: "E-mail address",
    password: "Password",
    wait: "Please wait…",
    create: "Create account",
    wrong: "The name or the password is wrong.",
  },

  inbox: {
    inbox: "Inbox",
    profile: "Profile and settings",
    search: "Search",
    searchHere: "Search here",
    searchConversation: "Search in this conversation",
    searchAll: "Search conversations and messages",
    clearSearch: "Clear search",
    scope: (title: Node): Node => <>In {title}</>,
    filter: "Filter",
    filters: { all: "All", unread: "Unread", people: "People", groups: "Groups", rooms: "Rooms" },
    archived: "Archived",
    backToAll: "Back to all conversations",
    archivedConversations: "Archived conversations",
    noArchived: "No archived conversations.",
    unreachable: "Can’t reach the server.",
    empty: "No conversations yet. Start one with the pen above.",
    noMatch: "No conversations match this filter.",
    conversations: "Conversations",
  },

  /** A row of the inbox. */
  row: {
    pinned: "Pinned",
    muted: "Muted",
    mentioned: "You were mentioned",
    unread: "unread",
    markedUnread: "Marked as unread",
    typing: "typing…",
    typingPerson: (name: Node): Node => <>{name} is typing…</>,
    typingPeople: (count: number) => plural(count, { one: "# person is typing…", other: "# people are typing…" }),
    draft: "Draft:",
    noMessages: "No messages yet",
    you: "You:",
    attachment: "Attachment",
    messageDeleted: "Message deleted",
  },

  /** Descriptions of files, and of messages without a text. */
  kinds: {
    image: "Photo",
    video: "Video",
    voice: "Voice message",
    audio: "Audio",
    file: "File",
  },

  /** A conversation's menu, and its settings. */
  settings: {
    mutes: { hour: "For 1 hour", hours: "For 8 hours", week: "For 1 week", always: "Always" },
    notMuted: "Not muted",
    mutedUntil: (time: string) => `Until ${time}`,
  },

  conversation: {
    details: "Details",
    room: (count: number) => `Room, ${members(count)}`,
    group: (count: number) => `Group, ${members(count)}`,
    blocked: "blocked",
    waiting: "waiting for the network",
    here: (status: string) => `${status}, in this conversation`,
    typingPerson: (name: Node): Node => <>{name} is typing</>,
    typingPeople: (count: number) => plural(count, { one: "# person is typing", other: "# people are typing" }),
    messages: "Messages",
    noMessages: "No messages yet. Say hello!",
    newMessages: "New messages",
    jumpToLatest: "Jump to latest",
    /** Continues a date, for screen readers. */
    jumpFromDate: ": jump to a date",
    jumpToMention: "Jump to the next mention",
    dropFiles: "Drop files to attach them",
  },

  composer: {
    youBlocked: (name: Node): Node => <>You have blocked {name}.</>,
    attach: "Attach files",
    filesToAttach: "Files to attach",
    messageTo: (name: string) => `Message to ${name}`,
    message: "Message",
    editMessage: "Edit message",
    replyTo: (name: Node): Node => <>Reply to {name}</>,
    record: "Record a voice message",
    send: "Send",
    over: (count: number) => plural(count, { one: "# character over the limit", other: "# characters over the limit" }),
    left: (count: number) => plural(count, { one: "# character left", other: "# characters left" }),
  },

  emoji: {
    emoji: "Emoji",
  },

  message: {
    actions: "Message actions",
    /** The name of a message for screen readers. */
    spoken: (name: string, time: string, text: string) => `${name}, ${time}: ${text}`,
    forwarded: "Forwarded",
    deleted: "This message was deleted",
    pinned: "Pinned",
    edited: "edited",
    editedAt: (time: string) => `Edited ${time}`,
    notSent: "Not sent.",
    editNotSaved: (why: string) => `Edit not saved: ${why}`,
    sending: "Sending",
    failed: "Not sent",
    read: "Read",
    sent: "Sent",
    readByCount: (count: number) => `Read by ${number(count)}`,
    sentReadBy: "Sent, read by",
    notAvailable: "Message not available",
    earlier: "Earlier message",
    reactions: "Reactions",
    readMore: "Read more",
  },

  /** Changes to a group or room, shown between the messages. */
  notices: {
    youJoined: "You joined",
    joined: (name: Node): Node => <>{name} joined</>,
    youLeft: "You left",
    left: (name: Node): Node => <>{name} left</>,
    youAdded: (name: Node): Node => <>You added {name}</>,
    addedYou: (name: Node): Node => <>{name} added you</>,
    added: (by: Node, name: Node): Node => <>{by} added {name}</>,
    youRemoved: (name: Node): Node => <>You removed {name}</>,
    removedYou: (name: Node): Node => <>{name} removed you</>,
    removed: (by: Node, name: Node): Node => <>{by} removed {name}</>,
    youWereAdded: "You were added",
    youCreated: {
      direct: "You started this conversation",
      group: "You created this group",
      room: "You created this room",
    },
    nameChanged: (name: Node): Node => <>Name changed to {name}</>,
    descriptionChanged: "Description changed",
    pictureChanged: "Picture changed",
    nowAdmin: "You are now an admin",
    noLongerAdmin: "You are no longer an admin",
  },

  selection: {
    select: "Select",
    /** Stands before the name of a message, for screen readers. */
    selected: "Selected.",
    count: (count: number) => `${number(count)} selected`,
    upTo: (max: number) => `Up to ${number(max)} messages at a time.`,
  },

  details: {
    unblock: "Unblock",
  },

  reactions: {
    react: "React",
    /** The name of a chip for screen readers. */
    chip: (emoji: string, count: number, withYou: boolean) => `${emoji} ${number(count)}${withYou ? ", including you" : ""}`,
    /** The last entry of a list of names. */
    more: (count: number) => `${number(count)} more`,
  },

  mentions: {
    title: "Mentions",
    unread: (count: string) => `Mentions, ${count} unread`,
  },

  pins: {
    pinned: "Pinned messages",
    /** Stands before the text of the message, for screen readers. */
    before: "Pinned message: ",
    count: (count: number) => (count === 1 ? "Pinned message" : `${number(count)} pinned messages`),
  },

  files: {
    andMore: (name: string, count: number) => `${name} and ${number(count)} more`,
    keepOpen: "Keep this page open: the files are too large to be stored until they are sent.",
    video: (name: string) => `Video ${name}`,
    picture: (name: string) => `Picture ${name}`,
    openVideo: (name: string) => `Open video: ${name}`,
    openPicture: (name: string) => `Open picture: ${name}`,
    upload: (name: string) => `Upload of ${name}`,
    cancelSending: "Cancel sending",
    cannotShow: "This attachment can’t be shown",
    empty: (name: string) => `“${name}” is empty or a folder.`,
    tooMany: (count: number) => `A message has up to ${number(count)} files.`,
  },

  /** The user's settings. */
  account: {
    language: "Language",
    matchBrowser: "Match browser",
    languageNotLoaded: "The language could not be loaded. Check your connection.",
  },
};

/** The words of a language. The compiler refuses a language that lacks one. */
export type Words = typeof en;
