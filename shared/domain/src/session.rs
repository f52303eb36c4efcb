//! Sessions of those who registered here: from a login until a logout, a stolen token or 30 idle days.
//!
//! Invariant: nothing secret is stored. A refresh token says whose it is, of which session and generation, and is
//! signed; the store knows at which generation a session stands. The same generation gives the same pair of tokens.

use crate::error::Error;
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// Seconds that an access token holds.
pub const ACCESS_LIFE: i64 = 15 * 60;
/// Seconds that a session lasts without a refresh.
pub const SESSION_LIFE: i64 = 30 * 24 * 3600;
/// Milliseconds for which a refresh token that was just replaced gives its successor again: for answers that were
/// lost, and for two tabs at once.
pub const GRACE: i64 = 30_000;

/// A session at one of its generations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub user: UserId,
    /// Its id.
    pub id: SessionId,
    /// How often its tokens have been replaced.
    pub generation: u64,
    /// When they were, or when it began.
    pub rotated_at: Timestamp,
}

/// A refresh token whose signature holds.
#[derive(Debug, Clone)]
pub struct RefreshToken {
    /// Whose it is.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// The generation that it was issued for.
    pub generation: u64,
}

/// The one answer to every refresh token that is not accepted, so that it does not say why.
#[must_use]
pub fn session_ended() -> Error {
    Error::NotAuthenticated("The session has ended. Log in again.")
}
