//! Paging: limits, offsets and cursors.
//!
//! Invariant: a cursor is valid only for the user and the list it was issued for, because its signature covers both. It
//! is opaque to clients, and DynamoDB's `LastEvaluatedKey` never leaves the process.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use domain::error::Error;
use domain::id::{ORDERED, UserId};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The most entries a page may have: 1-100, by default 50.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(inline, extend("minimum" = 1, "maximum" = Self::MAX, "default" = Self::default().get()))]
pub struct Limit(u8);

impl Limit {
    /// The highest limit.
    pub const MAX: usize = 100;

    /// The number of entries.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<i64> for Limit {
    type Error = &'static str;
    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match u8::try_from(number) {
            Ok(number @ 1..=100) => Ok(Self(number)),
            _ => Err("a limit must be a number from 1 to 100"),
        }
    }
}

/// The query of a list: which page to return.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListPage {
    #[allow(missing_docs, reason = "its type describes it in the API document")]
    #[serde(default)]
    pub limit: Limit,
    /// The `next_cursor` of the previous page.
    pub cursor: Option<String>,
}

/// The highest offset.
const MAX_OFFSET: u16 = 10_000;

/// The number of entries to skip: 0-10,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(inline, extend("minimum" = 0, "maximum" = MAX_OFFSET, "default" = 0))]
pub struct Offset(u16);

impl Offset {
    /// The number of entries.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl TryFrom<i64> for Offset {
    type Error = &'static str;
    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match u16::try_from(number) {
            Ok(number @ 0..=MAX_OFFSET) => Ok(Self(number)),
            _ => Err("an offset must be a number from 0 to 10,000"),
        }
    }
}

const VERSION: u8 = 1;
const TAG: usize = 16;

/// The keys of cursors, tickets, refresh tokens and ids of uploads, derived from secrets. The first key signs; all of
/// them verify.
pub struct CursorKey {
    keys: Vec<(u8, hmac::Key)>,
}

/// Why a cursor was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadCursor {
    /// It was altered, or issued for another user or list.
    Foreign,
    /// Its key is not, or no longer, in use.
    Retired,
}

impl From<BadCursor> for Error {
    fn from(_: BadCursor) -> Self {
        Self::field("cursor", "The cursor is not valid for this list.")
    }
}

impl CursorKey {
    /// Derives the keys from `TIDINGS_SECRET` and, during a rotation, from the secret before it.
    #[must_use]
    pub fn derive(secrets: &[&[u8]]) -> Self {
        let key = |secret: &&[u8]| {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
            let id = hmac::sign(&secret, b"tidings key id").as_ref()[0];
            (id, hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, b"tidings cursor").as_ref()))
        };
        Self { keys: secrets.iter().map(key).collect() }
    }

    /// Signs a position in a user's list as a cursor.
    ///
    /// # Errors
    /// `Internal` if the position cannot be serialised.
    pub fn seal<T: Serialize>(&self, user: &UserId, list: &str, position: &T) -> Result<String, Error> {
        self.seal_bytes(user, list, &serde_json::to_vec(position).map_err(Error::internal)?)
    }

    /// Verifies a cursor and returns its position.
    ///
    /// # Errors
    /// `Invalid` if the cursor was altered, issued for another user or list, or signed with a key no longer in use.
    pub fn open<T: DeserializeOwned>(&self, user: &UserId, list: &str, cursor: &str) -> Result<T, Error> {
        let position = self.open_bytes(user, list, cursor)?;
        serde_json::from_slice(&position).map_err(|_| BadCursor::Foreign.into())
    }

    /// Like [`seal`](Self::seal), with the user id added, for tokens that a client sends without an access token.
    ///
    /// # Errors
    /// `Internal` if the content cannot be serialised.
    pub fn seal_with_user<T: Serialize>(
        &self,
        user: &UserId,
        kind: &str,
        content: &T,
    ) -> Result<String, Error> {
        let sealed = self.seal(user, kind, content)?;
        Ok(ORDERED.encode(format!("{user} {sealed}")))
    }

    /// Verifies a token of [`seal_with_user`](Self::seal_with_user) and returns its user and content; `None` if it is
    /// not valid.
    #[must_use]
    pub fn open_with_user<T: DeserializeOwned>(&self, kind: &str, token: &str) -> Option<(UserId, T)> {
        let text = String::from_utf8(ORDERED.decode(token).ok()?).ok()?;
        let (user, sealed) = text.split_once(' ')?;
        let user: UserId = user.parse().ok()?;
        let content = self.open(&user, kind, sealed).ok()?;
        Some((user, content))
    }

    /// Signs a position given as bytes. The cursor has the version, the key's id, the position, and the first 16 bytes
    /// of an HMAC-SHA-256 over the user, the list and all before it.
    ///
    /// # Errors
    /// `Internal` if there is no key.
    pub fn seal_bytes(&self, user: &UserId, list: &str, position: &[u8]) -> Result<String, Error> {
        let (id, key) = self.keys.first().ok_or_else(|| Error::internal("no key to sign cursors with"))?;
        let mut bytes = Vec::with_capacity(position.len() + 2 + TAG);
        bytes.extend_from_slice(&[VERSION, *id]);
        bytes.extend_from_slice(position);
        let tag = tag(key, user, list, &bytes);
        bytes.extend_from_slice(&tag.as_ref()[..TAG]);
        Ok(ORDERED.encode(bytes))
    }

    /// Verifies a cursor of [`seal_bytes`](Self::seal_bytes) and returns its position.
    ///
    /// # Errors
    /// The reason why the cursor was refused.
    pub fn open_bytes(&self, user: &UserId, list: &str, cursor: &str) -> Result<Vec<u8>, BadCursor> {
        let bytes = ORDERED.decode(cursor).map_err(|_| BadCursor::Foreign)?;
        let (body, signature) = bytes.split_last_chunk::<TAG>().ok_or(BadCursor::Foreign)?;
        let [VERSION, id, position @ ..] = body else { return Err(BadCursor::Foreign) };
        // Two secrets have the same id once in 256 rotations.
        let mut keys = self.keys.iter().filter(|(known, _)| known == id).peekable();
        keys.peek().ok_or(BadCursor::Retired)?;
        let is_signed_with = |key: &hmac::Key| {
            let expected = tag(key, user, list, body);
            constant_time::verify_slices_are_equal(signature, &expected.as_ref()[..TAG]).is_ok()
        };
        if keys.any(|(_, key)| is_signed_with(key)) { Ok(position.to_vec()) } else { Err(BadCursor::Foreign) }
    }
}

fn tag(key: &hmac::Key, user: &UserId, list: &str, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    // A zero byte ends each part: neither user ids nor list names contain one.
    for part in [user.as_str().as_bytes(), list.as_bytes()] {
        context.update(part);
        context.update(&[0]);
    }
    context.update(body);
    context.sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_valid_only_for_its_user_and_list() {
        let key = CursorKey::derive(&[b"secret"]);
        let (alice, bob): (UserId, UserId) = ("alice".parse().unwrap(), "bob".parse().unwrap());
        let cursor = key.seal(&alice, "inbox", &("there", 7)).unwrap();
        assert_eq!(key.open::<(String, u8)>(&alice, "inbox", &cursor).unwrap(), ("there".to_owned(), 7));
        for (user, list, cursor) in [
            (&bob, "inbox", cursor.clone()),
            (&alice, "blocked", cursor.clone()),
            (&alice, "inbox", format!("{cursor}-")),
            (&alice, "inbox", cursor[1..].to_owned()),
            (&alice, "inbox", cursor.replacen('7', "8", 1) + "x"),
            (&alice, "inbox", String::new()),
        ] {
            assert!(key.open::<(String, u8)>(user, list, &cursor).is_err(), "{cursor}");
        }
        let rotated = CursorKey::derive(&[b"new secret", b"secret"]);
        assert!(rotated.open::<(String, u8)>(&alice, "inbox", &cursor).is_ok());
        let other = CursorKey::derive(&[b"another secret"]);
        assert!(other.open::<(String, u8)>(&alice, "inbox", &cursor).is_err());
        assert_eq!(other.open_bytes(&alice, "inbox", &cursor), Err(BadCursor::Retired));
    }

    #[test]
    fn a_rotation_to_a_key_with_the_same_id_keeps_cursors_valid() {
        let id = |secret: &[u8]| CursorKey::derive(&[secret]).keys[0].0;
        let old = b"secret".as_slice();
        let new = (0..100_000)
            .map(|n| format!("new secret {n}"))
            .find(|new| id(new.as_bytes()) == id(old))
            .unwrap();
        let alice: UserId = "alice".parse().unwrap();
        let cursor = CursorKey::derive(&[old]).seal_bytes(&alice, "inbox", b"there").unwrap();
        let rotated = CursorKey::derive(&[new.as_bytes(), old]);
        assert_eq!(rotated.open_bytes(&alice, "inbox", &cursor), Ok(b"there".to_vec()));
        let after = CursorKey::derive(&[new.as_bytes()]);
        assert_eq!(after.open_bytes(&alice, "inbox", &cursor), Err(BadCursor::Foreign));
    }
}
