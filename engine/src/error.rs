//! How a request fails, as DynamoDB says it.
//!
//! Invariant: a request that failed has changed nothing, except that after [`Error::Broken`] its outcome is unknown.

use crate::json;

/// An error while opening a database, with an explanation.
pub type OpenError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// The request itself is at fault: an exception of DynamoDB, such as `ValidationException`.
    Refused { code: &'static str, message: String },
    /// The condition of a single write failed. Has the item that was found, as JSON, if the request asks for it.
    ConditionFailed { found: Option<Vec<u8>> },
    /// A transaction failed. Has one reason for each of its writes.
    Cancelled {
        reasons: Vec<Reason>,
        /// Whether a write of the same batch, which is not committed yet, may be the cause.
        may_depend_on_batch: bool,
    },
    /// SQLite failed.
    Broken(String),
}

/// The reason that a cancelled transaction gives for one of its writes.
#[derive(Debug)]
pub(crate) enum Reason {
    /// This write was not the cause.
    None,
    /// Its condition failed. Has the item that was found, as JSON, if the request asks for it.
    ConditionFailed { found: Option<Vec<u8>> },
    /// It cannot be applied to the item as it is.
    Invalid(String),
}

const CONDITION_FAILED: &str = "The conditional request failed";

/// Returns a `ValidationException`.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    refused("ValidationException", message)
}

/// Returns an exception of DynamoDB.
pub(crate) fn refused(code: &'static str, message: impl Into<String>) -> Error {
    Error::Refused { code, message: message.into() }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Error {
    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        if matches!(self, Self::Broken(_)) { 500 } else { 400 }
    }

    /// The JSON body.
    pub(crate) fn body(&self) -> Vec<u8> {
        let (code, message) = match self {
            Self::Refused { code, message } => (*code, message.as_str()),
            Self::ConditionFailed { .. } => ("ConditionalCheckFailedException", CONDITION_FAILED),
            Self::Cancelled { .. } => {
                ("TransactionCanceledException", "Transaction cancelled: see the cancellation reasons")
            }
            Self::Broken(message) => ("InternalServerError", message.as_str()),
        };
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"__type\":\"com.amazonaws.dynamodb.v20120810#");
        out.extend_from_slice(code.as_bytes());
        // A cancelled transaction spells the member differently.
        let name: &[u8] =
            if matches!(self, Self::Cancelled { .. }) { b"\",\"Message\":" } else { b"\",\"message\":" };
        out.extend_from_slice(name);
        json::text(&mut out, message);
        match self {
            Self::ConditionFailed { found: Some(item) } => json::member(&mut out, "Item", item),
            Self::Cancelled { reasons, .. } => {
                out.extend_from_slice(b",\"CancellationReasons\":[");
                json::list(&mut out, reasons, |out, reason| reason.write(out));
                out.push(b']');
            }
            _ => {}
        }
        out.push(b'}');
        out
    }
}

impl Reason {
    fn write(&self, out: &mut Vec<u8>) {
        let (code, message, item) = match self {
            Self::None => ("None", None, None),
            Self::ConditionFailed { found } => {
                ("ConditionalCheckFailed", Some(CONDITION_FAILED), found.as_ref())
            }
            Self::Invalid(message) => ("ValidationError", Some(message.as_str()), None),
        };
        out.extend_from_slice(b"{\"Code\":");
        json::text(out, code);
        if let Some(message) = message {
            out.extend_from_slice(b",\"Message\":");
            json::text(out, message);
        }
        if let Some(item) = item {
            json::member(out, "Item", item);
        }
        out.push(b'}');
    }
}
