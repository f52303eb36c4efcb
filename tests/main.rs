//! The tests of the whole, by subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod blocks;
mod budgets;
mod conventions;
mod cursors;
mod deleting;
mod direct;
mod durability;
mod forms;
mod inputs;
mod model;
mod pages;
mod racing;
mod reading;
mod readme;
mod retries;
mod searching;
mod structure;
mod tokens;
mod websocket;
