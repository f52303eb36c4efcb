//! Tidings on one machine: the functions behind one port, in front of an embedded DynamoDB.
//!
//! [`stack`] puts it together: [`engine`] is the database, [`gateway`] the HTTP half of API Gateway, [`websocket`] the
//! other half, [`stream`] what Lambda does for the table's stream, `metrics` what CloudWatch does, [`lambda`] runs
//! functions outside this process, [`secrets`] is what a first start generates, [`web`] the chat page, [`console`] what a
//! developer sees, [`demo`] the people to try it with.

pub mod console;
pub mod demo;
pub mod engine;
pub mod gateway;
pub mod lambda;
mod metrics;
pub mod options;
pub mod secrets;
pub mod stack;
pub mod stream;
pub mod web;
pub mod websocket;
