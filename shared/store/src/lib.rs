//! The store: one DynamoDB table, the items in it, and the transactions that change them.
//!
//! The crate knows nothing of the HTTP of clients (routes, requests, responses), access tokens or WebSocket frames.
//!
//! | item | partition key | sort key | file |
//! | --- | --- | --- | --- |
//! | profile | `U#user` | `PROFILE` | `profiles.rs` |
//! | numbers of a user's rows in the inbox, archived and pinned, and rate limits | `U#user` | `TOTALS` | `inbox.rs` |
//! | inbox row | `U#user` | `C#conversation` | `inbox.rs` |
//! | account of a registered user | `U#user` | `ACCOUNT` | `accounts.rs` |
//! | guard: reserves a username or an e-mail address, and what it looks like | `N#kind#folded` | `GUARD` | `accounts.rs` |
//! | session: a family of refresh tokens | `U#user` | `F#session` | `sessions.rs` |
//! | entry of the user directory | `S#first character` | `word#user` | `directory.rs` |
//! | bucket of a rate limit | `L#operation#subject` | `BUCKET` | `buckets.rs` |
//! | client address from which an account was logged in to | `L#failures#address#account` | `TRUSTED` | `buckets.rs` |
//! | block | `U#user` | `B#other` | `blocks.rs` |
//! | presence | `U#user` | `PRESENCE` | `presences.rs` |
//! | up to ten push subscriptions | `U#user` | `DEVICES` | `subscriptions.rs` |
//! | newest message that the user was notified of | `U#user` | `N#conversation` | `notifying.rs` |
//! | user whose notifications wait while they are active | `WAITING` | `H#user` | `notifying.rs` |
//! | user of a room who is notified of every message | `C#conversation` | `B#user` | `notifying.rs` |
//! | a user's sockets (WebSocket connections) | `U#user` | `SOCKETS` | `connections.rs` |
//! | ticket for a socket | `U#user` | `K#ticket` | `connections.rs` |
//! | event | `Q#user` | `E#stamp` | `queue.rs` |
//! | saved tags of delivered events | `Q#user` | `D#digest` | `delivered.rs` |
//! | pack of messages for search | `A#id` | `PACK` | `archives.rs` |
//! | index of the packs of a user's small conversations | `U#user` | `ARCHIVE` | `archives.rs` |
//! | index of the packs of a conversation | `C#conversation` | `A#INDEX` | `archives.rs` |
//! | mark of an edited message, for these packs | `C#conversation` | `A#E#stamp` | `archives.rs` |
//! | message | `C#conversation` | `M#stamp` | `messages.rs` |
//! | receipt: a move of a read watermark | `C#conversation` | `R#user#stamp` (where the watermark stood before); in a direct conversation `R#0#stamp`, `R#1#stamp` | `moves.rs` |
//! | group or room | `C#conversation` | `META` | `participants.rs` |
//! | participant | `C#conversation` | `P#user` | `participants.rs` |
//! | list of the pinned messages | `C#conversation` | `PINS` | `annotating.rs` |
//! | reactions of a user to a message of a large conversation | `C#conversation` | `X#stamp#user` | `reacting.rs` |
//! | content of a deleted message | `C#conversation` | `D#stamp` | `deleting.rs` |
//! | name of a room, and its entry in the list of rooms; what the name looks like | `ROOMS` | `N#name#digest` | `room_names.rs` |
//! | entry of a large conversation's change log | `C#conversation` | `L#number` | `change_log.rs` |
//! | checkpoint of the fan-out of that log | `C#conversation` | `FANOUT` | `change_log.rs` |
//! | rename that the fan-out continues | `U#user` | `L#PROFILE#version` | `change_log.rs` |
//! | send key: the idempotency key of a send | `C#conversation` | `K#user#client_message_id` | `sending.rs` |
//!
//! Index "inbox" (`pk`, `activity`) orders the visible rows; index "counts" (`pk`, `unread`) holds the rows with unread
//! messages. In AWS both lag behind the table, so nothing that must be exact relies on them alone.
//!
//! Invariant: only this crate formats keys, so a key has one format everywhere. Every change commits in one
//! transaction, so it takes effect entirely or not at all; the fan-out of a large conversation, and of a new name to
//! other users' rows, follows in transactions of its own.
#![allow(
    clippy::must_use_candidate,
    reason = "boxed methods return futures, which are `must_use` themselves"
)]

mod account_changes;
mod accounts;
mod annotating;
mod archives;
mod attempts;
mod backoff;
mod blocks;
mod buckets;
pub mod bypass;
mod change_log;
mod changing;
mod charging;
mod client;
mod connections;
mod database;
mod deleting;
mod delivered;
mod details;
mod directory;
mod editing;
mod failure;
mod fan_out;
mod groups;
mod held_files;
mod inbox;
mod inbox_pages;
mod item;
mod item_reader;
#[cfg(test)]
mod keys;
mod membership;
mod mentions;
mod messages;
mod metering;
mod moves;
mod news;
mod notifying;
mod opening;
mod overview;
mod pack;
mod pack_cache;
mod pages;
mod participants;
mod partition;
mod polling;
mod presences;
mod profiles;
mod publishing;
mod queue;
mod reacting;
mod reads;
mod room_names;
mod rooms;
mod search_hits;
mod search_sources;
mod searching;
mod sending;
mod sessions;
mod settings;
mod subscriptions;
pub mod table;
mod transact;
mod typed_json;
mod typing;
mod user_archive;
mod write;

pub use accounts::Registered;
pub use annotating::Pinned;
pub use blocks::Blocked;
pub use buckets::Admission;
pub use change_log::{LOG, REACTION, Task};
pub use changing::Changed;
pub use client::{Store, WINDOW_MILLIS};
pub use connections::TICKET_LIFE;
pub use details::Details;
pub use directory::PeoplePosition;
pub use fan_out::{ChangeBatch, FannedOut};
pub use groups::NewGroup;
pub use held_files::HeldFiles;
pub use inbox_pages::{InboxFilter, InboxPage, InboxPosition, Unread};
pub use messages::PageBounds;
pub use notifying::{Candidates, Cause, Decision, Receiver};
pub use opening::Opened;
pub use overview::{Overview, ParticipantView};
pub use pages::PageOfMessages;
pub use polling::{Poll, QueuePosition};
pub use reads::{Marked, Receipt, Target};
pub use rooms::{RoomPosition, RoomUser, RoomUserPosition, RoomView};
pub use search_hits::Hit;
pub use searching::{SearchPage, SearchProgress};
pub use sending::Sent;
