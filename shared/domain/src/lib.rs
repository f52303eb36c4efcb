//! The domain types and rules of Tidings: ids, times, texts, names, messages, conversations, users, events, errors and
//! limits.
//!
//! This crate does no I/O. It must not depend on the database's SDK, HTTP frameworks, or the crates above it.

pub mod account;
pub mod address;
pub mod attachment;
pub mod caller;
pub mod content;
pub mod conversation;
pub mod custom;
pub mod delivery;
pub mod draft;
pub mod error;
pub mod event;
pub mod fields;
pub mod has;
pub mod id;
pub mod invisible;
pub mod limits;
pub mod links;
pub mod message;
pub mod name;
pub mod notification;
pub mod page_size;
pub mod people;
pub mod presence;
pub mod reactions;
pub mod search;
pub mod session;
pub mod settings;
pub mod text;
pub mod time;
pub mod user;
pub mod web_push;
