//! Sessions of those who registered here: from a login until a logout, a stolen token or 30 idle days.
//!
//! Invariant: nothing secret is stored. A refresh token says whose it is, of which session and generation, and is
//! signed; the store knows at which generation a session stands. The same generation gives the same pair of tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::Error;
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;
use crate::user::Profile;

/// Seconds that an access token holds.
pub const ACCESS_LIFE: i64 = 15 * 60;
/// Seconds that a session lasts without a refresh.
pub const SESSION_LIFE: i64 = 30 * 24 * 3600;
/// Milliseconds for which a refresh token that was just replaced gives its successor again: for answers that were
/// lost, and for two tabs at once.
pub const GRACE: i64 = 30_000;
/// What refresh tokens are called in their signatures.
const KIND: &str = "refresh";

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

/// What a refresh token says beside its user.
#[derive(Serialize, Deserialize)]
struct Content(SessionId, u64);

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

impl RefreshToken {
    /// Reads a token.
    ///
    /// # Errors
    /// `NotAuthenticated` where it was not issued here, or with a secret that is no longer in use.
    pub fn open(app: &App, token: &str) -> Result<Self, Error> {
        let opened = app.cursors.open_with_user(KIND, token);
        let (user, Content(session, generation)) = opened.ok_or_else(refused)?;
        Ok(Self { user, session, generation })
    }
}

/// The one refusal of refresh tokens, whatever is wrong with them.
pub(crate) fn refused() -> Error {
    Error::NotAuthenticated("The session has ended. Log in again.")
}

/// A pair of tokens, as the API shows it (RFC 6749, section 5.1).
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tokens {
    access_token: String,
    token_type: &'static str,
    /// Seconds that the access token still holds.
    expires_in: i64,
    refresh_token: String,
}

impl Session {
    /// The tokens of this generation: always the same, as long as the profile's name is.
    ///
    /// # Errors
    /// `Internal` where signing fails.
    pub fn tokens(&self, app: &App, profile: &Profile) -> Result<Tokens, Error> {
        let expires = Timestamp::from_millis(self.rotated_at.millis() + ACCESS_LIFE * 1000);
        let name = profile.shown_name().map(String::from);
        let content = Content(self.id.clone(), self.generation);
        // Without a secret of ours all users are another issuer's.
        let signer = app.signer.as_ref().ok_or(Error::NotFound("There is no such route."))?;
        Ok(Tokens {
            access_token: signer.sign(&self.user, name.as_deref(), Some(&self.id), expires)?,
            token_type: "bearer",
            expires_in: (expires.seconds() - app.store.now().seconds()).clamp(0, ACCESS_LIFE),
            refresh_token: app.cursors.seal_with_user(&self.user, KIND, &content)?,
        })
    }
}
