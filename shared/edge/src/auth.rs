//! Authentication: bearer tokens, signed with our secret or by an external issuer.
//!
//! Invariant: the verifier chooses the algorithm, never the token; otherwise a forger could pick a weaker one. HS256 is
//! verified with the shared secret only, and each public key serves one algorithm. Without a shared secret every HS256
//! token is refused.

use std::time::Duration;

use async_recursion::async_recursion as boxed;
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

/// Allowed clock difference between issuer and verifier, in milliseconds.
const LEEWAY: f64 = 30_000.0;
/// Minimum length of an HS256 secret, in bytes (RFC 7518, section 3.2: as long as the hash).
pub const MIN_SECRET: usize = 32;

/// The claims that we read. `sub` is the user id. `name` and `picture` fill the profile if they are usable.
#[derive(Deserialize)]
struct Claims {
    sub: UserId,
    /// In seconds; RFC 7519 allows fractions.
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
    /// Set only in tokens issued by our own login. The name is not `sid`, because other issuers use that.
    #[serde(default)]
    tidings_session: Option<SessionId>,
}

impl Claims {
    /// Checks `exp` and `nbf` at a time, with leeway (RFC 7519, sections 4.1.4 and 4.1.5).
    fn are_valid_at(&self, now: Timestamp) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds has fewer than 53 bits")]
        let now = now.millis() as f64;
        now < self.exp * 1000.0 + LEEWAY && self.nbf.is_none_or(|nbf| nbf * 1000.0 <= now + LEEWAY)
    }

    /// Whether `aud` names an audience, alone or among others (RFC 7519, section 4.1.3).
    fn have_audience(&self, audience: &str) -> bool {
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
                reason = "a time out of range saturates to the nearest possible one"
            )]
            expires: Timestamp::from_millis((claims.exp * 1000.0 + LEEWAY) as i64),
            picture: claims.picture.as_str().and_then(|url| Picture::try_from(url.to_owned()).ok()),
        }
    }
}

/// The claims of a token signed here.
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

/// Verifies tokens (RFC 7519) that were signed with our secret or by an external issuer.
pub struct Verifier {
    secret: Option<DecodingKey>,
    jwks: Option<Jwks>,
    issuer: Option<String>,
    audience: Option<String>,
    clock: Clock,
}

impl Verifier {
    /// A verifier that accepts HS256 if there is a secret, and RS256, ES256 and `EdDSA` if there is a key set. Issuer
    /// and audience, if given, are enforced for every token.
    #[must_use]
    pub fn new(
        secret: Option<&str>,
        keys: Option<JwksUrl>,
        issuer: Option<String>,
        audience: Option<String>,
        clock: Clock,
    ) -> Self {
        let secret = secret.map(|secret| DecodingKey::from_secret(secret.as_bytes()));
        Self { secret, jwks: keys.map(Jwks::at), issuer, audience, clock }
    }

    /// Makes the issuer's cached keys older by a duration, for tests that cannot wait.
    pub fn age_keys(&self, by: Duration) {
        if let Some(keys) = &self.jwks {
            keys.age(by);
        }
    }

    /// Verifies a token and returns its caller.
    ///
    /// # Errors
    /// `NotAuthenticated` if the token is malformed, expired, not yet valid, wrongly signed, of another algorithm,
    /// issuer or audience, or its `sub` is not a user id. `Unavailable` if verifying needs the issuer's keys and no
    /// fetch has succeeded yet.
    #[boxed]
    pub async fn verify(&self, token: &str) -> Result<Caller, Error> {
        let refused = || Error::NotAuthenticated("The token is not valid.");
        let token = Token::parse(token).ok_or_else(refused)?;
        let is_signed = match (token.algorithm, &self.secret, &self.jwks) {
            (Algorithm::HS256, Some(secret), _) => token.is_signed(Algorithm::HS256, secret),
            (Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA, _, Some(keys)) => {
                keys.verify(&token).await?
            }
            _ => false,
        };
        if !is_signed {
            return Err(refused());
        }
        let claims: Claims = bytes(token.payload).and_then(|json| object(&json)).ok_or_else(refused)?;
        let is_valid = claims.are_valid_at(self.clock.now())
            && self.issuer.as_ref().is_none_or(|issuer| claims.iss == issuer.as_str())
            && self.audience.as_ref().is_none_or(|audience| claims.have_audience(audience));
        let caller = if is_valid { Caller::from(claims) } else { return Err(refused()) };
        // Only HS256 tokens are ours: an external issuer must not name one of our sessions.
        let session = caller.session.filter(|_| token.algorithm == Algorithm::HS256);
        Ok(Caller { session, ..caller })
    }
}

/// Signs tokens (RFC 7519, HS256) that a [`Verifier`] with the same secret accepts.
pub struct Signer {
    key: EncodingKey,
    issuer: Option<String>,
    audience: Option<String>,
}

impl Signer {
    /// A signer whose tokens carry the issuer and the audience, if given.
    #[must_use]
    pub fn hs256(secret: &[u8], issuer: Option<&str>, audience: Option<&str>) -> Self {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let own = |text: &str| text.to_owned();
        Self { key: EncodingKey::from_secret(secret), issuer: issuer.map(own), audience: audience.map(own) }
    }

    /// Signs a token for a user that expires at a time (rounded down to seconds). Deterministic: the same arguments
    /// return the same token.
    ///
    /// # Errors
    /// `Internal` if signing fails.
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

/// Signs an HS256 token for a user that expires at a time, without issuer and audience.
///
/// # Errors
/// `Internal` if signing fails.
pub fn sign(secret: &[u8], user: &UserId, name: Option<&str>, expires: Timestamp) -> Result<String, Error> {
    Signer::hs256(secret, None, None).sign(user, name, None, expires)
}
