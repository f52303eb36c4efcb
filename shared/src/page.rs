//! Pages of lists: limits, offsets and cursors.
//!
//! Invariant: a cursor holds only for the user and the list it was issued for. It is opaque and signed; what the
//! database calls its last evaluated key never leaves the process.

use aws_lc_rs::{constant_time, hmac};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::id::{ORDERED, UserId};
use base64::Engine as _;

/// How many entries a page may have: 1-100, 50 unless told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Limit(u8);

impl Limit {
    /// The number.
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
            _ => Err("a limit is a number from 1 to 100"),
        }
    }
}

/// How many entries to pass over: 0-10,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Offset(u16);

impl Offset {
    /// The number.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl TryFrom<i64> for Offset {
    type Error = &'static str;
    fn try_from(number: i64) -> Result<Self, Self::Error> {
        match u16::try_from(number) {
            Ok(number @ 0..=10_000) => Ok(Self(number)),
            _ => Err("an offset is a number from 0 to 10,000"),
        }
    }
}

const VERSION: u8 = 1;
const TAG: usize = 16;

/// The key that signs cursors, derived from the one secret.
pub struct CursorKey(hmac::Key);

impl CursorKey {
    /// Derives the key from `TIDINGS_SECRET`.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, b"tidings cursor").as_ref()))
    }

    /// A cursor of a user's list at a position.
    ///
    /// # Errors
    /// `Internal` where the position does not serialise.
    pub fn seal<T: Serialize>(&self, user: &UserId, list: &str, position: &T) -> Result<String, Error> {
        let mut bytes = vec![VERSION];
        serde_json::to_writer(&mut bytes, position).map_err(Error::internal)?;
        let tag = self.tag(user, list, &bytes);
        bytes.extend_from_slice(&tag.as_ref()[..TAG]);
        Ok(ORDERED.encode(bytes))
    }

    /// The position in a cursor.
    ///
    /// # Errors
    /// `Invalid` for a cursor that was altered, or issued for another user or list.
    pub fn open<T: DeserializeOwned>(&self, user: &UserId, list: &str, cursor: &str) -> Result<T, Error> {
        let refused = || Error::field("cursor", "The cursor is not one of this list.");
        let bytes = ORDERED.decode(cursor).map_err(|_| refused())?;
        let (body, tag) = bytes.split_last_chunk::<TAG>().ok_or_else(refused)?;
        let expected = self.tag(user, list, body);
        constant_time::verify_slices_are_equal(tag, &expected.as_ref()[..TAG]).map_err(|_| refused())?;
        match body.split_first() {
            Some((&VERSION, position)) => serde_json::from_slice(position).map_err(|_| refused()),
            _ => Err(refused()),
        }
    }

    fn tag(&self, user: &UserId, list: &str, body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        // Neither a user id nor a list's name holds a zero byte.
        for part in [user.as_str().as_bytes(), list.as_bytes()] {
            context.update(part);
            context.update(&[0]);
        }
        context.update(body);
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_holds_for_its_user_and_list_only() {
        let key = CursorKey::derive(b"secret");
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
        let other = CursorKey::derive(b"another secret");
        assert!(other.open::<(String, u8)>(&alice, "inbox", &cursor).is_err());
    }
}
