// Public API of the package.

export { Tidings, loadOptimistic } from "./client.js";
export type { EditOptions, EventOf, EventType, TidingsOptions } from "./client.js";
export type { OfflineOptions } from "./offline.js";
export { Session } from "./session.js";
export type { KeyValue } from "./session.js";
export { Api } from "./api.js";
export type { HistoryQuery, InboxQuery, MentionsQuery, SearchQuery } from "./api.js";
export { TidingsError } from "./error.js";
export type { ErrorCode, FieldError } from "./error.js";
export type { CallOptions, Page, TokenProvider } from "./http.js";
export { randomId } from "./random-id.js";
export { Store } from "./store.js";
export type { Connection, State, Timeline, TimelineMessage } from "./state.js";
export { indexedDbStorage, memoryStorage } from "./storage.js";
export type { OutboxStorage } from "./storage.js";
export type { OutboxEntry, OutgoingFile } from "./outbox-entry.js";
export type { SocketConstructor } from "./socket.js";
export { loadUploading } from "./outgoing-files.js";
export type { Prepared } from "./prepare.js";
export type { TabTools } from "./tabs.js";
export type * from "./types.js";
