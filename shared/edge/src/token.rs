//! JSON Web Tokens in their parts (RFC 7515), before any key has verified them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny};

/// The members of a header (RFC 7515, section 4) that we read. Of the others none is asked for a key: not `jwk`, not
/// `jku`, not `x5c`.
#[derive(Deserialize)]
struct Head {
    alg: Algorithm,
    kid: Option<String>,
    /// Whether it demands extensions. We know none.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

fn is_there<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

/// Reads base64url without padding, in its one form (RFC 7515, section 2).
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Reads a JSON object whose members that we know appear once; serde would take an array for one as well.
pub(crate) fn object<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    let is_object = json.trim_ascii_start().first() == Some(&b'{');
    is_object.then(|| serde_json::from_slice(json).ok()).flatten()
}

/// A token in its parts (RFC 7515, section 7.1), none of which is to be believed before a key has been asked.
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
    /// Takes a token apart; `None` for what is none, names an algorithm that nobody knows, or demands an extension.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (head, payload) = signed.split_once('.')?;
        let head: Head = object(&bytes(head)?)?;
        let whole = !payload.contains('.') && !head.crit;
        whole.then_some(Self {
            algorithm: head.alg,
            kid: head.kid,
            signed: signed.as_bytes(),
            signature,
            payload,
        })
    }

    /// A token of those parts alone, for signatures over anything.
    #[cfg(test)]
    pub(crate) fn over(signed: &'a [u8], algorithm: Algorithm, signature: &'a str) -> Self {
        Self { algorithm, kid: None, signed, signature, payload: "" }
    }

    /// Whether a key has signed it by an algorithm, which must be the one it names.
    pub(crate) fn is_signed(&self, algorithm: Algorithm, key: &DecodingKey) -> bool {
        // jsonwebtoken panics at its first use without a provider; installing it twice is an error to ignore.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        self.algorithm == algorithm
            && jsonwebtoken::crypto::verify(self.signature, self.signed, key, algorithm).unwrap_or(false)
    }
}
