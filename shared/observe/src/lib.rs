//! What operators see: the meter of a request, the metrics, and the log.
//!
//! It must not know the table, the SDK or HTTP: whoever makes a call reports it to the [`meter`].

pub mod log;
pub mod meter;
pub mod metrics;
