//! What the functions of Tidings share.
//!
//! In reading order: [`app`] is what a function holds; [`http`], [`auth`], [`jwks`], [`error`] and [`page`] are the edge;
//! [`id`], [`time`], [`user`], [`account`], [`session`], [`people`], [`conversation`], [`message`], [`event`] and
//! [`text`] are the domain, without I/O; [`limits`] says how often things may be done; [`store`] is the one table,
//! with the key, the queries and the transactions of each item; [`meter`] counts what they cost; [`metrics`] and [`log`] are
//! what operators see.

pub mod account;
pub mod app;
pub mod auth;
pub mod conversation;
pub mod error;
pub mod event;
pub mod http;
pub mod id;
pub mod jwks;
pub mod limits;
pub mod log;
pub mod message;
pub mod meter;
pub mod metrics;
pub mod page;
pub mod people;
pub mod presence;
pub mod push;
pub mod session;
pub mod socket;
pub mod store;
pub mod text;
pub mod time;
pub mod user;
