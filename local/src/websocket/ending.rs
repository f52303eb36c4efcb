//! Why sockets end: the code and the reason that both the client and the disconnect function are given.

use std::borrow::Cow;

use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// The end of a socket.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) code: u16,
    pub(super) reason: Cow<'static, str>,
    /// Whether the gateway ends it, so the client must be told.
    ours: bool,
}

impl Ending {
    /// Too long idle, too old, or the gateway stops.
    pub(super) const GOING_AWAY: Self = Self::ours(1001, "Going away");
    /// The management API was asked to.
    pub(super) const DELETED: Self = Self::ours(1000, "Connection Closed Normally");
    /// A binary frame, which API Gateway does not take.
    pub(super) const BINARY: Self = Self::ours(1003, "Binary frames are not supported");
    /// The client is gone without a word.
    pub(super) const LOST: Self =
        Self { code: 1006, reason: Cow::Borrowed("Connection closed abnormally"), ours: false };

    const TOO_BIG: Self = Self::ours(1009, "Message too big");
    const NOT_UTF8: Self = Self::ours(1007, "Text frames must be UTF-8");
    const VIOLATION: Self = Self::ours(1002, "Protocol error");

    const fn ours(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason), ours: true }
    }

    /// The client has sent a close frame.
    pub(super) fn by_client(frame: Option<CloseFrame>) -> Self {
        let (code, reason) = match frame {
            Some(frame) => (frame.code.into(), frame.reason.as_str().to_owned().into()),
            None => (1005, "Client-side close frame status not set".into()),
        };
        Self { code, reason, ours: false }
    }

    /// Reading has failed.
    pub(super) fn by_error(error: &Error) -> Self {
        match error {
            Error::Capacity(_) => Self::TOO_BIG,
            Error::Utf8(_) => Self::NOT_UTF8,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::LOST,
            Error::Protocol(_) => Self::VIOLATION,
            _ => Self::LOST,
        }
    }

    /// The close frame to send, where the client has not sent one.
    pub(super) fn frame(&self) -> Option<CloseFrame> {
        let reason = self.reason.as_ref().into();
        self.ours.then(|| CloseFrame { code: self.code.into(), reason })
    }
}
