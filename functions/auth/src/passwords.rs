//! Passwords and their hashes: argon2id (RFC 9106) with 19 MiB, two passes and one lane.
//!
//! Invariant: passwords are never logged. An unknown account costs the same work as a known one, so that response times
//! do not reveal which accounts exist.

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

/// Length of a new password, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=128;
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The hash to verify against when there is no account. It matches no password.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmU$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// Limits concurrent hashes, because each needs 19 MiB. Further ones wait.
static HASHING_SLOTS: Semaphore = Semaphore::const_new(4);

/// A password in NFC (RFC 8265, section 4.2), because keyboards differ in how they encode the same character.
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

/// A new password: 8-128 characters (Unicode scalar values, counted before normalisation).
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
            Err("a password must have 8-128 characters")
        }
    }
}

/// Hashes a new password with a random salt.
///
/// # Errors
/// `Internal` if memory or randomness is unavailable.
pub(crate) async fn hash(NewPassword(password): NewPassword) -> Result<PasswordHash, Error> {
    run_hashing(move || {
        let hash = argon2()?.hash_password(password.0.as_bytes()).map_err(internal)?;
        Ok(PasswordHash(hash.to_string()))
    })
    .await
}

/// Verifies a password against a hash. `None` means that the account does not exist: the result is `false`, after the
/// same work.
///
/// # Errors
/// `Internal` if memory is unavailable or the hash is malformed.
pub(crate) async fn is_correct(hash: Option<&PasswordHash>, password: Password) -> Result<bool, Error> {
    let hash = hash.map_or(DUMMY_HASH, |PasswordHash(hash)| hash).to_owned();
    run_hashing(move || verify(&hash, &password)).await
}

fn verify(hash: &str, password: &Password) -> Result<bool, Error> {
    match argon2()?.verify_password(password.0.as_bytes(), hash) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(internal(error)),
    }
}

/// Runs the work on a blocking thread, so that it does not stall other requests.
async fn run_hashing<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let _slot = HASHING_SLOTS.acquire().await.map_err(Error::internal)?;
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
    async fn a_hash_matches_only_its_password() {
        let hash = hash(new("corre\u{301}ct horse")).await.unwrap();
        for (password, correct) in [("corréct horse", true), ("correct horse", false), ("", false)] {
            assert_eq!(
                is_correct(Some(&hash), password.to_owned().into()).await.unwrap(),
                correct,
                "{password}"
            );
        }
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_eq!(format!("{hash:?} {:?}", new("corréct horse")), "PasswordHash NewPassword(Password)");
    }

    #[tokio::test]
    async fn an_unknown_account_costs_the_same_work() {
        let hash = hash(new("long enough")).await.unwrap();
        let form = |hash: &str| {
            let parts: Vec<_> = hash.split('$').collect();
            (parts[..4].join("$"), parts[5].len())
        };
        assert_eq!(form(DUMMY_HASH), form(&hash.0));
        // A malformed hash would be an error, before any work is done.
        assert!(!is_correct(None, "long enough".to_owned().into()).await.unwrap());
    }

    #[test]
    fn a_new_password_has_8_to_128_characters() {
        for (text, fits) in [("é".repeat(8), true), ("é".repeat(7), false), ("x".repeat(128), true)] {
            assert_eq!(NewPassword::try_from(text.clone()).is_ok(), fits, "{text}");
        }
        assert!(NewPassword::try_from("x".repeat(129)).is_err());
    }
}
