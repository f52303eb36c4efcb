//! Why an invocation fails.

use std::fmt;

/// Size limit of an event and of an answer, in bytes (Lambda's quota for synchronous invocations).
pub const PAYLOAD: usize = 6 * 1024 * 1024;
/// Why an invocation has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The function returned an error, with this `errorMessage`.
    Error(String),
    /// The function did not start, ended before it answered, or returned an invalid answer.
    Broken(String),
    /// The function exceeded its time limit.
    Timeout,
    /// The event is larger than [`PAYLOAD`].
    TooLarge,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(message) => write!(f, "the function returned an error: {message}"),
            Self::Broken(reason) => f.write_str(reason),
            Self::Timeout => f.write_str("the function timed out"),
            Self::TooLarge => f.write_str("the event is larger than 6 MB"),
        }
    }
}

impl Failure {
    /// Returns the function's error message without a prefix, because the socket gateway compares it.
    pub(super) fn message(self) -> String {
        match self {
            Self::Error(message) => message,
            other => other.to_string(),
        }
    }
}
