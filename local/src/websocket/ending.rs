//! Why sockets end: the close code and reason, which both the client and the disconnect function receive.

use std::borrow::Cow;

use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// The close code and reason of a socket.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) code: u16,
    pub(super) reason: Cow<'static, str>,
    /// Whether the gateway closes the socket, and so must send a close frame.
    ours: bool,
}

impl Ending {
    /// The socket was idle too long or is too old, or the gateway stops.
    pub(super) const GOING_AWAY: Self = Self::ours(1001, "Going away");
    /// The management API closed the connection.
    pub(super) const DELETED: Self = Self::ours(1000, "Connection Closed Normally");
    /// The client sent a binary frame, which API Gateway does not accept.
    pub(super) const BINARY: Self = Self::ours(1003, "Binary frames are not supported");
    /// The client disappeared without a close frame.
    pub(super) const LOST: Self =
        Self { code: 1006, reason: Cow::Borrowed("Connection closed abnormally"), ours: false };

    const TOO_BIG: Self = Self::ours(1009, "Message too big");
    const NOT_UTF8: Self = Self::ours(1007, "Text frames must be UTF-8");
    const VIOLATION: Self = Self::ours(1002, "Protocol error");

    const fn ours(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason), ours: true }
    }

    /// Returns the ending for a client's close frame.
    pub(super) fn by_client(frame: Option<CloseFrame>) -> Self {
        let (code, reason) = match frame {
            Some(frame) => (frame.code.into(), frame.reason.as_str().to_owned().into()),
            None => (1005, "Client-side close frame status not set".into()),
        };
        Self { code, reason, ours: false }
    }

    /// Returns the ending for a failed read.
    pub(super) fn by_error(error: &Error) -> Self {
        match error {
            Error::Capacity(_) => Self::TOO_BIG,
            Error::Utf8(_) => Self::NOT_UTF8,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::LOST,
            Error::Protocol(_) => Self::VIOLATION,
            _ => Self::LOST,
        }
    }

    /// Returns the close frame to send; `None` if the client closed the socket or is gone.
    pub(super) fn frame(&self) -> Option<CloseFrame> {
        let reason = self.reason.as_ref().into();
        self.ours.then(|| CloseFrame { code: self.code.into(), reason })
    }
}
