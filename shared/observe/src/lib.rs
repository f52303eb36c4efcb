//! Observability: the meter of a request, the metrics, and the log.
//!
//! This crate must not depend on the table, the SDK or HTTP. The crates above it report their calls to the [`meter`].

pub mod log;
pub mod meter;
pub mod metrics;
