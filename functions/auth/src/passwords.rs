//! Passwords and their hashes: argon2id (RFC 9106) with 19 MiB, two passes and one lane.
//!
//! Invariant: a password is neither shown nor logged, and an unknown account costs the same work as a known one.

use std::fmt;

use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use domain::account::PasswordHash;
use domain::error::Error;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use unicode_normalization::UnicodeNormalization;

/// Characters of a new password.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=128;
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// What a password is compared with where there is no account. No password has this hash.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmU$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// Hashes are computed by so many at once, for each takes 19 MiB; the others wait.
static AT_WORK: Semaphore = Semaphore::const_new(4);

/// A password as someone typed it, in NFC (RFC 8265, section 4.2): keyboards differ in how they send one character.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(from = "String")]
#[schemars(inline, extend("format" = "password"))]
pub(crate) struct Password(String);

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text.nfc().collect())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// A password that may be set: 8-128 characters (Unicode scalar values, as typed).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("format" = "password", "minLength" = LENGTHS.start(), "maxLength" = LENGTHS.end()))]
pub(crate) struct NewPassword(Password);

impl TryFrom<String> for NewPassword {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if LENGTHS.contains(&text.chars().count()) {
            Ok(Self(text.into()))
        } else {
            Err("a password has 8-128 characters")
        }
    }
}

/// The hash of a new password, with a salt of its own.
///
/// # Errors
/// `Internal` where there is no memory or no randomness.
pub(crate) async fn hash(NewPassword(password): NewPassword) -> Result<PasswordHash, Error> {
    computed(move || {
        let hash = argon2()?.hash_password(password.0.as_bytes()).map_err(internal)?;
        Ok(PasswordHash(hash.to_string()))
    })
    .await
}

/// Whether a password is the one of a hash; `None` stands for that of an account that does not exist, and takes as
/// long.
///
/// # Errors
/// `Internal` where there is no memory, or the hash is none.
pub(crate) async fn is_right(hash: Option<&PasswordHash>, password: Password) -> Result<bool, Error> {
    let hash = hash.map_or(NOBODY, |PasswordHash(hash)| hash).to_owned();
    computed(move || verify(&hash, &password)).await
}

fn verify(hash: &str, password: &Password) -> Result<bool, Error> {
    match argon2()?.verify_password(password.0.as_bytes(), hash) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(internal(error)),
    }
}

/// Does the work off the threads that serve.
async fn computed<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let _turn = AT_WORK.acquire().await.map_err(Error::internal)?;
    spawn_blocking(work).await.map_err(Error::internal)?
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|e| Error::internal(e.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn internal(error: password_hash::Error) -> Error {
    Error::internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(text: &str) -> NewPassword {
        NewPassword::try_from(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_hash_knows_its_password() {
        let hash = hash(new("corre\u{301}ct horse")).await.unwrap();
        for (password, right) in [("corréct horse", true), ("correct horse", false), ("", false)] {
            assert_eq!(is_right(Some(&hash), password.to_owned().into()).await.unwrap(), right, "{password}");
        }
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(format!("{hash:?} {:?}", new("corréct horse")), "PasswordHash NewPassword(Password)");
    }

    #[tokio::test]
    async fn nobody_costs_the_same_work() {
        let hash = hash(new("long enough")).await.unwrap();
        let form = |hash: &str| {
            let parts: Vec<_> = hash.split('$').collect();
            (parts[..4].join("$"), parts[5].len())
        };
        assert_eq!(form(NOBODY), form(&hash.0));
        // A hash that is not well-formed would be an error, before any work is done.
        assert!(!is_right(None, "long enough".to_owned().into()).await.unwrap());
    }

    #[test]
    fn a_new_password_has_a_length() {
        for (text, fits) in [("é".repeat(8), true), ("é".repeat(7), false), ("x".repeat(128), true)] {
            assert_eq!(NewPassword::try_from(text.clone()).is_ok(), fits, "{text}");
        }
        assert!(NewPassword::try_from("x".repeat(129)).is_err());
    }
}
