//! API Gateway's limits.

use std::time::Duration;

/// Size limit of a frame's payload, in bytes. Larger messages are sent in several frames.
pub const FRAME: usize = 32 * 1024;
/// Size limit of a message in either direction, in bytes.
pub const MESSAGE: usize = 128 * 1024;
/// Maximum number of bytes queued for a client that does not read.
pub const BUFFER: usize = 128 * 1024;
/// Maximum number of messages queued for a client that does not read.
pub const BUFFERED: usize = 64;

/// API Gateway's limits of time and concurrency, which tests can lower.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A socket without activity is closed after this time.
    pub idle: Duration,
    /// Any socket is closed after this time.
    pub life: Duration,
    /// Time limit of a function.
    pub integration: Duration,
    /// How long a client may take to read the remaining messages and to close.
    pub closing: Duration,
    /// Maximum number of messages of one connection that are read before their functions have ended.
    pub unprocessed: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: Duration::from_mins(10),
            life: Duration::from_hours(2),
            integration: Duration::from_secs(29),
            closing: Duration::from_secs(5),
            unprocessed: 16,
        }
    }
}
