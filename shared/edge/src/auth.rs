//! Who is calling: bearer tokens, signed with our secret or by an issuer elsewhere.
//!
//! Invariant: the algorithm is ours to choose, never the token's. HS256 goes with the shared secret alone, every other
//! one with the key that is for it alone; without a shared secret no HS256 token holds.

use std::time::Duration;

use domain::caller::Caller;
use domain::error::Error;
use domain::id::{Clock, SessionId, UserId};
use domain::name::{Name, Picture};
use domain::time::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::jwks::{Jwks, JwksUrl};
use crate::token::{Token, bytes, object};

/// Milliseconds by which the clocks of issuer and verifier may differ.
const LEEWAY: f64 = 30_000.0;
/// Fewest bytes of an HS256 secret (RFC 7518, section 3.2: as long as the hash).
pub const MIN_SECRET: usize = 32;

/// The claims that we read. `sub` is the user's id; `name` and `picture` fill the profile where they are usable.
#[derive(Deserialize)]
struct Claims {
    sub: UserId,
    /// Seconds; RFC 7519 allows parts of them.
    exp: f64,
    nbf: Option<f64>,
    #[serde(default)]
    iss: Value,
    #[serde(default)]
    aud: Value,
    #[serde(default)]
    name: Value,
    #[serde(default)]
    picture: Value,
    /// Only in tokens that the login here has issued. Not `sid`, which other issuers use.
    #[serde(default)]
    tidings_session: Option<SessionId>,
}

impl Claims {
    /// Whether they hold at a time (RFC 7519, sections 4.1.4 and 4.1.5).
    fn hold_at(&self, now: Timestamp) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a number of milliseconds has less than 53 bits")]
        let now = now.millis() as f64;
        now < self.exp * 1000.0 + LEEWAY && self.nbf.is_none_or(|nbf| nbf * 1000.0 <= now + LEEWAY)
    }

    /// Whether the token is meant for an audience, alone or among others (RFC 7519, section 4.1.3).
    fn are_for(&self, audience: &str) -> bool {
        match &self.aud {
            Value::String(only) => only == audience,
            Value::Array(all) => all.iter().any(|one| one == audience),
            _ => false,
        }
    }
}

impl From<Claims> for Caller {
    fn from(claims: Claims) -> Self {
        Self {
            user: claims.sub,
            session: claims.tidings_session,
            name: claims.name.as_str().and_then(Name::shortened),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a time too far away is cut to the last there is"
            )]
            expires: Timestamp::from_millis((claims.exp * 1000.0) as i64),
            picture: claims.picture.as_str().and_then(|url| Picture::try_from(url.to_owned()).ok()),
        }
    }
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

/// Checks tokens (RFC 7519), of our own secret and of an issuer elsewhere.
pub struct Verifier {
    secret: Option<DecodingKey>,
    elsewhere: Option<Jwks>,
    issuer: Option<String>,
    audience: Option<String>,
    clock: Clock,
}

impl Verifier {
    /// A verifier by the settings: HS256 where there is a secret, RS256, ES256 and `EdDSA` where there is a URL of
    /// keys; issuer and audience are enforced for all of them where given.
    #[must_use]
    pub fn new(
        secret: Option<&str>,
        keys: Option<JwksUrl>,
        issuer: Option<String>,
        audience: Option<String>,
        clock: Clock,
    ) -> Self {
        let secret = secret.map(|secret| DecodingKey::from_secret(secret.as_bytes()));
        Self { secret, elsewhere: keys.map(Jwks::at), issuer, audience, clock }
    }

    /// Lets time pass for the issuer's keys: they become so much older. For tests, which do not wait.
    pub fn grow_older(&self, by: Duration) {
        if let Some(keys) = &self.elsewhere {
            keys.grow_older(by);
        }
    }

    /// The user of a token.
    ///
    /// # Errors
    /// `NotAuthenticated` for a token that is malformed, expired, not yet valid, wrongly signed, of another
    /// algorithm, issuer or audience, or whose `sub` is not a user id. `Unavailable` where it takes the issuer's
    /// keys, and those could never be fetched.
    pub async fn verify(&self, token: &str) -> Result<Caller, Error> {
        let refused = || Error::NotAuthenticated("The token is not valid.");
        let token = Token::parse(token).ok_or_else(refused)?;
        let is_signed = match (token.algorithm, &self.secret, &self.elsewhere) {
            (Algorithm::HS256, Some(secret), _) => token.is_signed(Algorithm::HS256, secret),
            (Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA, _, Some(keys)) => {
                keys.have_signed(&token).await?
            }
            _ => false,
        };
        if !is_signed {
            return Err(refused());
        }
        let claims: Claims = bytes(token.payload).and_then(|json| object(&json)).ok_or_else(refused)?;
        let holds = claims.hold_at(self.clock.now())
            && self.issuer.as_ref().is_none_or(|issuer| claims.iss == issuer.as_str())
            && self.audience.as_ref().is_none_or(|audience| claims.are_for(audience));
        let caller = if holds { Caller::from(claims) } else { return Err(refused()) };
        // Nobody else's token is one of our sessions.
        let session = caller.session.filter(|_| token.algorithm == Algorithm::HS256);
        Ok(Caller { session, ..caller })
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
