//! Who is calling: bearer tokens.
//!
//! Invariant: the algorithm is ours to choose, never the token's. Without a shared secret no HS256 token holds.

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::Error;
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;
use crate::user::{Name, Picture};

/// Seconds by which the clocks of issuer and verifier may differ.
const LEEWAY: u64 = 30;
/// Fewest bytes of an HS256 secret (RFC 7518, section 3.2: as long as the hash).
pub const MIN_SECRET: usize = 32;

/// The claims that we read. `sub` is the user's id; `name` and `picture` fill the profile where they are usable.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// Checked to be a number of seconds; RFC 7519 allows parts of them.
    exp: f64,
    #[serde(default)]
    name: serde_json::Value,
    #[serde(default)]
    picture: serde_json::Value,
    /// Only in tokens that the login here has issued. Not `sid`, which other issuers use.
    #[serde(default)]
    tidings_session: Option<SessionId>,
}

/// The claims of a token that we sign.
#[derive(Serialize)]
struct OwnClaims<'a> {
    sub: &'a str,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tidings_session: Option<&'a SessionId>,
}

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

/// Checks tokens (RFC 7519) with a shared secret.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// A verifier for HS256 tokens; issuer and audience are enforced where given.
    #[must_use]
    pub fn hs256(secret: &[u8], issuer: Option<&str>, audience: Option<&str>) -> Self {
        // jsonwebtoken panics at its first use without a provider; installing it twice is an error to ignore.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.validate_aud = audience.is_some();
        let mut required = vec!["exp", "sub"];
        if let Some(issuer) = issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        Self { key: DecodingKey::from_secret(secret), validation }
    }

    /// The user of a token.
    ///
    /// # Errors
    /// `NotAuthenticated` for a token that is malformed, expired, not yet valid, wrongly signed, of another
    /// algorithm, or whose `sub` is not a user id.
    pub fn verify(&self, token: &str) -> Result<Caller, Error> {
        let refused = Error::NotAuthenticated("The token is not valid.");
        let Ok(token) = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation) else {
            return Err(refused);
        };
        let claims = token.claims;
        Ok(Caller {
            user: claims.sub.parse().map_err(|_| refused)?,
            name: claims.name.as_str().and_then(Name::shortened),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a time too far away is cut to the last there is"
            )]
            expires: Timestamp::from_millis((claims.exp * 1000.0) as i64),
            session: claims.tidings_session,
            picture: claims.picture.as_str().and_then(|url| Picture::try_from(url.to_owned()).ok()),
        })
    }
}

/// Signs tokens (RFC 7519, HS256) that a [`Verifier`] of the same secret accepts.
pub struct Signer {
    key: EncodingKey,
    issuer: Option<String>,
    audience: Option<String>,
}

impl Signer {
    /// A signer whose tokens name an issuer and an audience where these are given.
    #[must_use]
    pub fn hs256(secret: &[u8], issuer: Option<&str>, audience: Option<&str>) -> Self {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let own = |text: &str| text.to_owned();
        Self { key: EncodingKey::from_secret(secret), issuer: issuer.map(own), audience: audience.map(own) }
    }

    /// A token for a user, valid until a time (cut to seconds). The same arguments give the same token.
    ///
    /// # Errors
    /// `Internal` where signing fails.
    pub fn sign(
        &self,
        user: &UserId,
        name: Option<&str>,
        session: Option<&SessionId>,
        expires: Timestamp,
    ) -> Result<String, Error> {
        let claims = OwnClaims {
            sub: user.as_str(),
            exp: expires.seconds(),
            name,
            iss: self.issuer.as_deref(),
            aud: self.audience.as_deref(),
            tidings_session: session,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key).map_err(Error::internal)
    }
}

/// An HS256 token for a user, valid until a time, without issuer and audience.
///
/// # Errors
/// `Internal` where signing fails.
pub fn sign(secret: &[u8], user: &UserId, name: Option<&str>, expires: Timestamp) -> Result<String, Error> {
    Signer::hs256(secret, None, None).sign(user, name, None, expires)
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = value.and_then(|value| value.split_once(' '));
        match bearer {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                app.verifier.verify(token.trim())
            }
            _ => Err(Error::NotAuthenticated("Send a token: Authorization: Bearer …")),
        }
    }
}
