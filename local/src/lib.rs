//! Tidings on one machine: the functions behind one port, in front of an embedded DynamoDB.
//!
//! [`stack`] starts and stops all parts:
//!
//! - [`engine`]: the database
//! - [`gateway`]: the main port with the functions' routes
//! - [`server`]: HTTP with time limits for slow clients
//! - [`websocket`]: the WebSocket half of API Gateway
//! - [`stream`]: follows the table's stream, as Lambda does
//! - [`lambda`]: runs functions outside this process, and has the HTTP half of API Gateway for them
//! - [`storage`]: S3, for the files of messages
//! - [`sweeping`]: runs `sweep` and the lifecycle of the storage, every hour
//! - `metrics`: shows metrics, as CloudWatch does
//! - [`secrets`]: generates secrets at the first start
//! - [`web`]: serves the chat page
//! - [`console`]: prints the start-up lines and a line per request
//! - [`demo`]: creates the demo data
//! - [`options`]: the command line

pub mod console;
pub mod demo;
mod eager;
pub mod engine;
pub mod gateway;
pub mod lambda;
mod metrics;
pub mod options;
pub mod secrets;
pub mod server;
pub mod stack;
pub mod storage;
pub mod stream;
pub mod sweeping;
pub mod web;
pub mod websocket;
