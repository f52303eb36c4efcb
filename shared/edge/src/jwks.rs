//! The keys of an external issuer: a JSON Web Key Set (RFC 7517), fetched on demand and cached.
//!
//! Invariant: each key serves one algorithm, which follows from its type; otherwise a token could choose a weaker one.
//!
//! Invariant: one fetch runs at a time, and a cool-down follows each, however many tokens arrive and whatever keys they
//! name; otherwise forged tokens could flood the issuer. Cached keys stay in use until a later fetch succeeds.

use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use domain::error::{Error, Source};
use domain::web_push::is_loopback;
use http_body_util::{BodyExt, Limited};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout};

use crate::token::{Token, bytes, object};

/// How long fetched keys count as current.
const FRESH: Duration = Duration::from_mins(10);
/// The pause after a fetch, successful or not.
const COOL_DOWN: Duration = Duration::from_secs(30);
/// The pause while there are no keys, so that callers are not locked out for longer than necessary.
const COOL_DOWN_WITHOUT: Duration = Duration::from_secs(5);
/// The time limit of a fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum size of a key set, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// The most keys to try on one token, when several share the id that it names or it names none.
const MAX_TRIED: usize = 8;
/// Minimum length of an RSA modulus, in bits (RFC 7518, section 3.3).
const MIN_RSA_BITS: usize = 2048;
/// Length of a P-256 coordinate (RFC 7518, section 6.2.1.2) and of an Ed25519 key (RFC 8037, section 2), in bytes.
const COORDINATE: usize = 32;

/// The URL of a key set: `https`, or `http` with a loopback host.
#[derive(Debug, Clone)]
pub struct JwksUrl(http::Uri);

impl FromStr for JwksUrl {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = "a key set needs an https URL, or an http URL with a loopback host";
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

/// The members of a JSON Web Key that we read (RFC 7517, section 4, and RFC 7518, section 6).
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

/// A public key and its only algorithm.
struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    public: DecodingKey,
}

impl Key {
    /// Parses a key; `None` if it is malformed, too weak, of an unsupported type, or not for verifying signatures.
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

/// The bit length of a big-endian number.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    8 * (number.len() - zeros) - first
}

/// The usable keys of an issuer.
struct KeySet(Vec<Key>);

impl KeySet {
    /// Parses a key set and skips unusable keys (RFC 7517, section 5).
    fn parse(json: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Box<RawValue>>,
        }
        let document: Document = object(json)?;
        Some(Self(document.keys.iter().filter_map(|key| Key::parse(key.get())).collect()))
    }

    /// Whether one of the keys signed a token. `None` if a newer key may have signed it: the key that the token names
    /// is missing here or, if it names none, no key for its algorithm verifies it.
    fn verify(&self, token: &Token) -> Option<bool> {
        let matches =
            |key: &&Key| key.algorithm == token.algorithm && (token.kid.is_none() || key.kid == token.kid);
        let mut candidates = self.0.iter().filter(matches).take(MAX_TRIED).peekable();
        let is_known = token.kid.is_some() && candidates.peek().is_some();
        let is_signed = candidates.any(|key| token.is_signed(key.algorithm, &key.public));
        (is_signed || is_known).then_some(is_signed)
    }
}

/// The fetched keys, and when the next fetch is due and allowed.
#[derive(Default)]
struct Cache {
    keys: Option<Arc<KeySet>>,
    fresh_until: Option<Instant>,
    cool_down_until: Option<Instant>,
}

/// The cached key set of an issuer.
#[derive(Clone)]
pub struct Jwks(Arc<Shared>);

struct Shared {
    url: JwksUrl,
    cache: RwLock<Cache>,
    /// Held during a fetch, so that only one runs at a time.
    fetch_lock: Arc<Mutex<()>>,
}

impl Jwks {
    /// The key set at a URL. Fetches nothing yet.
    #[must_use]
    pub fn at(url: JwksUrl) -> Self {
        Self(Arc::new(Shared { url, cache: RwLock::default(), fetch_lock: Arc::default() }))
    }

    /// Makes the cache older by a duration, for tests that cannot wait.
    pub(crate) fn age(&self, by: Duration) {
        let mut cache = self.0.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.fresh_until = cache.fresh_until.and_then(|until| until.checked_sub(by));
        cache.cool_down_until = cache.cool_down_until.and_then(|until| until.checked_sub(by));
    }

    /// Whether the issuer signed a token. Usually waits for one fetch at most: the first time, when the keys are stale,
    /// or when the token's key is not among them.
    ///
    /// # Errors
    /// `Unavailable` if no fetch has succeeded yet.
    pub(crate) async fn verify(&self, token: &Token<'_>) -> Result<bool, Error> {
        let keys = match self.cached() {
            (Some(keys), true) => keys,
            (Some(_), false) => {
                // While another caller fetches, use the stale keys.
                if let Ok(guard) = self.0.fetch_lock.clone().try_lock_owned() {
                    self.fetch(guard).await;
                }
                self.keys()?
            }
            (None, _) => self.refreshed().await?,
        };
        match keys.verify(token) {
            Some(verdict) => Ok(verdict),
            None => Ok(self.refreshed().await?.verify(token).unwrap_or(false)),
        }
    }

    /// The cached keys, and whether they are fresh.
    fn cached(&self) -> (Option<Arc<KeySet>>, bool) {
        let cache = self.0.cache.read().unwrap_or_else(PoisonError::into_inner);
        (cache.keys.clone(), cache.fresh_until.is_some_and(|until| Instant::now() < until))
    }

    fn keys(&self) -> Result<Arc<KeySet>, Error> {
        self.cached().0.ok_or_else(|| Error::Unavailable("the issuer's keys could not be fetched".into()))
    }

    /// Waits for a fetch, possibly another caller's, and returns the keys. During the cool-down it returns the cached
    /// ones.
    async fn refreshed(&self) -> Result<Arc<KeySet>, Error> {
        let guard = self.0.fetch_lock.clone().lock_owned().await;
        self.fetch(guard).await;
        self.keys()
    }

    /// Fetches the keys, unless the cool-down lasts. The fetch continues when its caller goes away: otherwise each
    /// caller that gives up early would start it again.
    async fn fetch(&self, guard: OwnedMutexGuard<()>) {
        let cool_down_until = self.0.cache.read().unwrap_or_else(PoisonError::into_inner).cool_down_until;
        if cool_down_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let shared = Arc::clone(&self.0);
        let fetching = tokio::spawn(async move {
            let _guard = guard;
            let response = timeout(FETCH_TIMEOUT, download(&shared.url)).await;
            let keys = response.unwrap_or_else(|_| Err("the fetch timed out".into()));
            shared.update(keys);
        });
        let _ = fetching.await;
    }
}

impl Shared {
    fn update(&self, fetched: Result<KeySet, Source>) {
        let now = Instant::now();
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Ok(keys) => {
                cache.keys = Some(Arc::new(keys));
                cache.fresh_until = Some(now + FRESH);
            }
            Err(error) => tracing::warn!(error, url = %self.url.0, "the issuer's keys could not be fetched"),
        }
        let pause = if cache.keys.is_some() { COOL_DOWN } else { COOL_DOWN_WITHOUT };
        cache.cool_down_until = Some(now + pause);
    }
}

/// Fetches a key set from this URL only: a redirect is an error.
async fn download(url: &JwksUrl) -> Result<KeySet, Source> {
    // Opens a new connection each time: one kept since the last fetch would rarely still be open. The root
    // certificates are read once.
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
