//! The edge: HTTP requests, tokens, cursors, sockets, pushes, and the start of a function.
//!
//! It turns requests into domain values and results into responses. It must not know the table's keys and items, or any
//! route except the paths of files and pictures.
#![allow(
    clippy::must_use_candidate,
    reason = "boxed methods return futures, which are `must_use` themselves"
)]

pub mod app;
pub mod auth;
pub mod boundary;
pub mod bucket;
mod claims;
mod encryption;
pub mod extract;
pub mod files;
pub mod jwks;
pub mod page;
pub mod pictures;
mod plain_http;
pub mod problem;
pub mod push;
pub mod reply;
pub mod run;
pub mod sending;
mod signing;
mod sniffing;
pub mod socket;
pub mod sweeping;
mod token;
pub mod tokens;
mod vapid;
pub mod web_push;
