//! End-to-end tests, one file per subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]
#![allow(clippy::similar_names, reason = "sent and send, pushed and pushes")]

mod accounts;
mod attachments;
mod blocks;
mod budgets;
mod bypass;
mod conventions;
mod costs;
mod crowds;
mod cursors;
mod custom;
mod deleting;
mod demo;
mod direct;
mod durability;
mod editing;
mod faults;
mod foreign_tokens;
mod forms;
mod functions;
mod groups;
mod inputs;
mod large;
mod layers;
mod limits;
mod mentions;
mod model;
mod notifications;
mod observability;
mod openapi;
mod page;
mod pages;
mod people;
mod permissions;
mod queue;
mod racing;
mod reactions;
mod reading;
mod readme;
mod retries;
mod roles;
mod rooms;
mod searching;
mod settings;
mod sizes;
mod slow_clients;
mod sockets;
mod stream;
mod structure;
mod sync;
mod tokens;
mod websocket;

/// As in `tidings`: the tests run the same stack.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
