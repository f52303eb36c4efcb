//! The authenticated user of a request.

use crate::id::{SessionId, UserId};
use crate::name::{Name, Picture};
use crate::time::Timestamp;

/// A user with a valid token.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The user's id.
    pub user: UserId,
    /// The token's `name`, if it has a usable one.
    pub name: Option<Name>,
    /// The token's `picture`, if it has a usable one.
    pub picture: Option<Picture>,
    /// When the token is no longer accepted: its `exp` and the leeway.
    pub expires: Timestamp,
    /// The session that the token was issued for, if the user registered here.
    pub session: Option<SessionId>,
}
