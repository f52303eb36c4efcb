//! Parsing JSON Web Tokens (RFC 7515), before any key has verified them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny};

/// The members of a header that we read (RFC 7515, section 4).
///
/// Invariant: a key is never taken from the token itself (`jwk`, `jku`, `x5c`), because a forger could put one there.
#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    kid: Option<String>,
    /// Whether it requires extensions. None are supported.
    #[serde(default, deserialize_with = "is_present")]
    crit: bool,
}

fn is_present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

/// Decodes base64url without padding (RFC 7515, section 2); non-canonical encodings are refused.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Parses a JSON object. Refuses duplicates of known members, and arrays, which serde alone would accept.
pub(crate) fn object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    let is_object = json.trim_ascii_start().first() == Some(&b'{');
    is_object.then(|| serde_json::from_slice(json).ok()).flatten()
}

/// A parsed token (RFC 7515, section 7.1). Nothing in it can be trusted until a key has verified it.
pub(crate) struct Token<'a> {
    /// The algorithm it names.
    pub(crate) algorithm: Algorithm,
    /// The key it names.
    pub(crate) kid: Option<String>,
    signed: &'a [u8],
    signature: &'a str,
    /// The claims, in base64url.
    pub(crate) payload: &'a str,
}

impl<'a> Token<'a> {
    /// Parses a token; `None` if it is malformed, names an unknown algorithm, or requires an extension.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = object(&bytes(header)?)?;
        let is_valid = !payload.contains('.') && !header.crit;
        is_valid.then_some(Self {
            algorithm: header.alg,
            kid: header.kid,
            signed: signed.as_bytes(),
            signature,
            payload,
        })
    }

    /// A token with only these parts, to test signatures over any bytes.
    #[cfg(test)]
    pub(crate) fn over(signed: &'a [u8], algorithm: Algorithm, signature: &'a str) -> Self {
        Self { algorithm, kid: None, signed, signature, payload: "" }
    }

    /// Whether a key signed the token with an algorithm, which must be the one that the token names.
    pub(crate) fn is_signed(&self, algorithm: Algorithm, key: &DecodingKey) -> bool {
        // jsonwebtoken panics without a provider. Installing it again is an error that can be ignored.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        self.algorithm == algorithm
            && jsonwebtoken::crypto::verify(self.signature, self.signed, key, algorithm).unwrap_or(false)
    }
}
