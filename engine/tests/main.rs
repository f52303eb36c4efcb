//! Tests of the engine through its only interface: operations and JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails the test")]

mod converting;
mod differential;
mod durability;
mod engines;
mod operations;
mod random;
