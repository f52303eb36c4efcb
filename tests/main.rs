//! The tests of the whole, by subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::similar_names, reason = "sent and send, pushed and pushes")]

mod accounts;
mod blocks;
mod budgets;
mod conventions;
mod cursors;
mod deleting;
mod direct;
mod durability;
mod foreign_tokens;
mod forms;
mod inputs;
mod large;
mod model;
mod pages;
mod people;
mod queue;
mod racing;
mod reading;
mod readme;
mod retries;
mod searching;
mod sockets;
mod stream;
mod structure;
mod sync;
mod tokens;
mod websocket;
