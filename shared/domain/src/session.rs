//! Sessions of users who registered here. A session lasts from a login until a logout, a change of the password in
//! another session, the reuse of a replaced refresh token, or 30 days without a refresh.
//!
//! Invariant: the store holds no secret, so reading it does not help to forge a token. A refresh token is signed and
//! contains its user, session and generation; the store holds the current generation of each session. The same
//! generation always has the same pair of tokens.

use crate::error::Error;
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// Seconds for which an access token is valid.
pub const ACCESS_LIFE: i64 = 15 * 60;
/// Seconds for which a session lasts without a refresh.
pub const SESSION_LIFE: i64 = 30 * 24 * 3600;
/// Milliseconds for which a refresh token that was just replaced still returns its successor, in case the response was
/// lost or two tabs refresh at once.
pub const GRACE: i64 = 30_000;

/// A session at one of its generations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The user.
    pub user: UserId,
    /// The id of the session.
    pub id: SessionId,
    /// How often its tokens have been replaced.
    pub generation: u64,
    /// When its tokens were last replaced, or when it began.
    pub rotated_at: Timestamp,
}

/// A refresh token with a valid signature.
#[derive(Debug, Clone)]
pub struct RefreshToken {
    /// The user of the session.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// The generation that it was issued for.
    pub generation: u64,
}

/// The error for every refresh token that is refused. It is always the same, so that it does not reveal the reason.
#[must_use]
pub fn session_ended() -> Error {
    Error::NotAuthenticated("The session has ended. Log in again.")
}
