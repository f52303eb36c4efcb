//! The keys of an issuer elsewhere: a JSON Web Key Set (RFC 7517), fetched when it is needed and kept for a while.
//!
//! Invariants: a key is for one algorithm, which follows from its kind. However many tokens come, and whatever keys
//! they name, there is one fetch at a time, and none so soon after another. Keys once had serve until newer ones are.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use domain::error::{Error, Source};
use http_body_util::{BodyExt, Limited};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout};

use crate::token::{Token, bytes, object};

/// How long keys are taken to be the issuer's current ones.
const FRESH: Duration = Duration::from_mins(10);
/// How long nothing is fetched after a fetch, successful or not.
const COOL_DOWN: Duration = Duration::from_secs(30);
/// The same while there are no keys at all, and so nobody gets in.
const COOL_DOWN_WITHOUT: Duration = Duration::from_secs(5);
/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most bytes of a key set.
const MAX_BYTES: usize = 256 * 1024;
/// Most keys that one token is tried on: those that share an id, or where it names none.
const MAX_TRIED: usize = 8;
/// Fewest bits of an RSA modulus (RFC 7518, section 3.3).
const MIN_RSA_BITS: usize = 2048;
/// Bytes of a coordinate on P-256 (RFC 7518, section 6.2.1.2) and of an Ed25519 key (RFC 8037, section 2).
const COORDINATE: usize = 32;

/// Where a key set is: `https`, or `http` at a loopback address.
#[derive(Debug, Clone)]
pub struct JwksUrl(http::Uri);

impl FromStr for JwksUrl {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = "a key set is at an https URL, or at an http URL of this machine";
        let url: http::Uri = text.parse().map_err(|_| malformed)?;
        let host = url.host().unwrap_or_default();
        let is_allowed = match url.scheme_str() {
            Some("https") => !host.is_empty(),
            Some("http") => is_loopback(host),
            _ => false,
        };
        if is_allowed { Ok(Self(url)) } else { Err(malformed) }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The members of a key (RFC 7517, section 4, and RFC 7518, section 6) that we read.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A public key with the one algorithm it is for.
struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    public: DecodingKey,
}

impl Key {
    /// Reads a key; `None` for one that we have no use for: of another kind, for something else, or too weak.
    fn parse(json: &str) -> Option<Self> {
        let jwk: Jwk = object(json.as_bytes())?;
        let member = |text: &Option<String>| bytes(text.as_deref()?);
        let coordinate = |text| member(text).filter(|bytes| bytes.len() == COORDINATE);
        let (algorithm, name, public) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => {
                let (n, e) = (member(&jwk.n)?, member(&jwk.e)?);
                let key = DecodingKey::from_rsa_raw_components(&n, &e);
                (bits(&n) >= MIN_RSA_BITS).then_some((Algorithm::RS256, "RS256", key))?
            }
            ("EC", Some("P-256")) => {
                // An uncompressed point (SEC 1, section 2.3.3).
                let point = [&[4][..], &coordinate(&jwk.x)?, &coordinate(&jwk.y)?].concat();
                (Algorithm::ES256, "ES256", DecodingKey::from_ec_der(&point))
            }
            ("OKP", Some("Ed25519")) => {
                (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_der(&coordinate(&jwk.x)?))
            }
            _ => return None,
        };
        let is_for_this = jwk.alg.is_none_or(|alg| alg == name)
            && jwk.r#use.is_none_or(|r#use| r#use == "sig")
            && jwk.key_ops.is_none_or(|operations| operations.iter().any(|one| one == "verify"));
        is_for_this.then_some(Self { kid: jwk.kid, algorithm, public })
    }
}

/// Bits of a number, big-endian.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    8 * (number.len() - zeros) - first
}

/// The keys of an issuer that we have a use for.
struct KeySet(Vec<Key>);

impl KeySet {
    /// Reads a key set; keys that we have no use for are left out (RFC 7517, section 5).
    fn parse(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Listed {
            keys: Vec<Box<RawValue>>,
        }
        let listed: Listed = object(json)?;
        Some(Self(listed.keys.iter().filter_map(|key| Key::parse(key.get())).collect()))
    }

    /// Whether one of the keys has signed a token; `None` where the key may be one that we have not heard of: the
    /// one it names is not here or, where it names none, no key for its algorithm has signed it.
    fn have_signed(&self, token: &Token) -> Option<bool> {
        let is_meant =
            |key: &&Key| key.algorithm == token.algorithm && (token.kid.is_none() || key.kid == token.kid);
        let mut meant = self.0.iter().filter(is_meant).take(MAX_TRIED).peekable();
        let is_known = token.kid.is_some() && meant.peek().is_some();
        let is_signed = meant.any(|key| token.is_signed(key.algorithm, &key.public));
        (is_signed || is_known).then_some(is_signed)
    }
}

/// What has been fetched, and when that may be done again.
#[derive(Default)]
struct Had {
    keys: Option<Arc<KeySet>>,
    fresh_until: Option<Instant>,
    quiet_until: Option<Instant>,
}

/// The key set of an issuer, as it was lately.
#[derive(Clone)]
pub struct Jwks(Arc<Shared>);

struct Shared {
    url: JwksUrl,
    had: RwLock<Had>,
    /// Held by the one fetch there is.
    flight: Arc<Mutex<()>>,
}

impl Jwks {
    /// The key set at a URL, of which nothing is fetched yet.
    #[must_use]
    pub fn at(url: JwksUrl) -> Self {
        Self(Arc::new(Shared { url, had: RwLock::default(), flight: Arc::default() }))
    }

    /// Lets time pass: what has been fetched becomes so much older. For tests, which do not wait.
    pub(crate) fn grow_older(&self, by: Duration) {
        let mut had = self.0.had.write().unwrap_or_else(PoisonError::into_inner);
        had.fresh_until = had.fresh_until.and_then(|until| until.checked_sub(by));
        had.quiet_until = had.quiet_until.and_then(|until| until.checked_sub(by));
    }

    /// Whether the issuer has signed a token. Waits for a fetch at most once where nothing is amiss: the first time,
    /// when the keys are old, and when the token's key is not among them.
    ///
    /// # Errors
    /// `Unavailable` where the keys could never be fetched.
    pub(crate) async fn have_signed(&self, token: &Token<'_>) -> Result<bool, Error> {
        let keys = match self.had() {
            (Some(keys), true) => keys,
            (Some(_), false) => {
                // Who comes while another one asks goes on with the old keys.
                if let Ok(flight) = self.0.flight.clone().try_lock_owned() {
                    self.fetch(flight).await;
                }
                self.keys()?
            }
            (None, _) => self.fetched().await?,
        };
        match keys.have_signed(token) {
            Some(verdict) => Ok(verdict),
            None => Ok(self.fetched().await?.have_signed(token).unwrap_or(false)),
        }
    }

    /// The keys, and whether they are fresh.
    fn had(&self) -> (Option<Arc<KeySet>>, bool) {
        let had = self.0.had.read().unwrap_or_else(PoisonError::into_inner);
        (had.keys.clone(), had.fresh_until.is_some_and(|until| Instant::now() < until))
    }

    fn keys(&self) -> Result<Arc<KeySet>, Error> {
        self.had().0.ok_or_else(|| Error::Unavailable("the issuer's keys could not be fetched".into()))
    }

    /// The keys after a fetch, be it another's; as they are where it is too soon for one.
    async fn fetched(&self) -> Result<Arc<KeySet>, Error> {
        let flight = self.0.flight.clone().lock_owned().await;
        self.fetch(flight).await;
        self.keys()
    }

    /// Fetches the keys, unless it is too soon. A caller who goes away does not end it: it would begin anew for each.
    async fn fetch(&self, flight: OwnedMutexGuard<()>) {
        let quiet_until = self.0.had.read().unwrap_or_else(PoisonError::into_inner).quiet_until;
        if quiet_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let shared = Arc::clone(&self.0);
        let fetching = tokio::spawn(async move {
            let _flight = flight;
            let answer = timeout(PATIENCE, download(&shared.url)).await;
            let keys = answer.unwrap_or_else(|_| Err("no answer in time".into()));
            shared.take_in(keys);
        });
        let _ = fetching.await;
    }
}

impl Shared {
    fn take_in(&self, fetched: Result<KeySet, Source>) {
        let now = Instant::now();
        let mut had = self.had.write().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Ok(keys) => {
                had.keys = Some(Arc::new(keys));
                had.fresh_until = Some(now + FRESH);
            }
            Err(error) => tracing::warn!(error, url = %self.url.0, "the issuer's keys could not be fetched"),
        }
        had.quiet_until = Some(now + if had.keys.is_some() { COOL_DOWN } else { COOL_DOWN_WITHOUT });
    }
}

/// Fetches a key set, from that URL alone: a redirect is a failure.
async fn download(url: &JwksUrl) -> Result<KeySet, Source> {
    // A connection of its own: one kept for so long is seldom still good. The certificates are read once.
    let connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build();
    let mut request = HttpRequest::get(url.0.to_string())?;
    request.headers_mut().insert("accept", "application/jwk-set+json, application/json");
    let response = connector.call(request).await?;
    if response.status().as_u16() != 200 {
        return Err(format!("status {}", response.status()).into());
    }
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await?.to_bytes();
    KeySet::parse(&body).ok_or_else(|| "not a key set".into())
}

#[cfg(test)]
mod tests;
