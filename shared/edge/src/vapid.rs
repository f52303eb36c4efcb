//! The key pair with which this server identifies itself to push services (RFC 8292).
//!
//! Invariant: the pair is made once and kept. A browser's subscription is bound to its public key, so another pair loses
//! every subscription.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::error::{Error, Source};
use domain::time::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// Seconds for which a token is valid: at most a day (RFC 8292, section 2).
const LIFE: i64 = 12 * 3600;
/// Length of a private key, in bytes.
const PRIVATE: usize = 32;

/// A key pair, and whom push services can contact about it.
pub(crate) struct Vapid {
    signing: EncodingKey,
    /// The public key, in base64url.
    pub(crate) public: String,
    subject: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: i64,
    sub: &'a str,
}

impl Vapid {
    /// Reads a private key: 32 bytes, in base64url or as 64 hexadecimal digits. `subject` is a `mailto:` or `https:` URL.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub(crate) fn new(key: &str, subject: &str) -> Result<Self, Source> {
        if !subject.starts_with("mailto:") && !subject.starts_with("https://") {
            return Err("the subject is a mailto: or https: URL".into());
        }
        let malformed = "the key has 32 bytes, in base64url or as 64 hexadecimal digits";
        let private = bytes(key).filter(|bytes| bytes.len() == PRIVATE).ok_or(malformed)?;
        let rejected = "the key is no private key of P-256";
        let public = PrivateKey::from_private_key(&ECDH_P256, &private).map_err(|_| rejected)?;
        let public = public.compute_public_key().map_err(|_| rejected)?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &private,
            public.as_ref(),
        );
        let document = pair.map_err(|_| rejected)?.to_pkcs8v1().map_err(|_| rejected)?;
        Ok(Self {
            signing: EncodingKey::from_ec_der(document.as_ref()),
            public: URL_SAFE_NO_PAD.encode(public.as_ref()),
            subject: subject.to_owned(),
        })
    }

    /// The `Authorization` header of a notification to the service with this origin.
    ///
    /// # Errors
    /// `Internal` if signing fails.
    pub(crate) fn authorization(&self, origin: &str, now: Timestamp) -> Result<String, Error> {
        let claims = Claims { aud: origin, exp: now.seconds() + LIFE, sub: &self.subject };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.signing);
        Ok(format!("vapid t={}, k={}", token.map_err(Error::internal)?, self.public))
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.len() == 2 * PRIVATE && text.is_ascii() {
        return (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect();
    }
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The application server's pair of RFC 8291, appendix A.
    const PRIVATE_KEY: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    const PUBLIC_KEY: &str =
        "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";

    #[test]
    fn a_key_can_be_written_in_two_ways() {
        let hexadecimal = "c9f58f89813e9f8e872e71f42aa64e1757c9254dcc62b72ddc010bb4043ea11c";
        for key in [PRIVATE_KEY, &format!("{PRIVATE_KEY}="), hexadecimal] {
            assert_eq!(Vapid::new(key, "mailto:a@b.example").unwrap().public, PUBLIC_KEY);
        }
        let zero = "0".repeat(64);
        for key in ["", "x", &zero, &"f".repeat(64), &"g".repeat(64), &PRIVATE_KEY[1..]] {
            assert!(Vapid::new(key, "mailto:a@b.example").is_err(), "{key}");
        }
        assert!(Vapid::new(PRIVATE_KEY, "a@b.example").is_err());
    }
}
