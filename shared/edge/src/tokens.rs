//! The token pairs of sessions: issuing them, and opening the refresh token.

use domain::error::Error;
use domain::id::SessionId;
use domain::session::{ACCESS_LIFE, RefreshToken, Session, session_ended};
use domain::time::Timestamp;
use domain::user::Profile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::Signer;
use crate::page::CursorKey;

/// The purpose that refresh tokens are signed for.
const KIND: &str = "refresh";

/// The signed content of a refresh token besides its user: session and generation.
#[derive(Serialize, Deserialize)]
struct Content(SessionId, u64);

/// Verifies a refresh token and reads its content.
///
/// # Errors
/// `NotAuthenticated` if it was not issued here, or its secret is no longer in use.
pub fn open_refresh_token(keys: &CursorKey, token: &str) -> Result<RefreshToken, Error> {
    let opened = keys.open_with_user(KIND, token);
    let (user, Content(session, generation)) = opened.ok_or_else(session_ended)?;
    Ok(RefreshToken { user, session, generation })
}

/// A pair of tokens (RFC 6749, section 5.1).
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tokens {
    access_token: String,
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: i64,
    refresh_token: String,
}

impl Tokens {
    /// Issues the token pair for the current generation of a session. Deterministic: the same generation and profile
    /// name return the same tokens.
    ///
    /// # Errors
    /// `NotFound` if this deployment signs no tokens, `Internal` if signing fails.
    pub fn issue(
        signer: Option<&Signer>,
        keys: &CursorKey,
        session: &Session,
        profile: &Profile,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let expires = Timestamp::from_millis(session.rotated_at.millis() + ACCESS_LIFE * 1000);
        let name = profile.shown_name().map(String::from);
        let content = Content(session.id.clone(), session.generation);
        // Without a shared secret, all users come from an external issuer.
        let signer = signer.ok_or(Error::NotFound("There is no such route."))?;
        Ok(Self {
            access_token: signer.sign(&session.user, name.as_deref(), Some(&session.id), expires)?,
            token_type: "bearer",
            expires_in: (expires.seconds() - now.seconds()).clamp(0, ACCESS_LIFE),
            refresh_token: keys.seal_with_user(&session.user, KIND, &content)?,
        })
    }
}
