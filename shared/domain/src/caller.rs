//! The authenticated user behind a request.

use crate::id::{SessionId, UserId};
use crate::name::{Name, Picture};
use crate::time::Timestamp;

/// A user whose token held.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Their id.
    pub user: UserId,
    /// The token's `name`, where it has a usable one.
    pub name: Option<Name>,
    /// The token's `picture`, where it has a usable one.
    pub picture: Option<Picture>,
    /// When the token expires.
    pub expires: Timestamp,
    /// The session that the token was issued for, where its user registered here.
    pub session: Option<SessionId>,
}
