//! Links to files: short capabilities, which need no database to make or to check.
//!
//! Invariant: a link names one file and one day, and its signature covers both. Whoever has no link can make none; one
//! that is two days old is worth nothing.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;

use crate::id::{Clock, FileId, ORDERED};

/// The path of files below the public URL. Their ids follow it.
pub const FILES_PATH: &str = "/api/attachments/";
/// The seconds of a day.
const DAY: i64 = 86_400;
/// Length of a signature in a link, in bytes.
const TAG: usize = 16;

/// Makes and checks links to files.
#[derive(Clone)]
pub struct Links {
    /// The public URL, without a slash at its end.
    base: Arc<str>,
    /// The first key signs; all of them verify.
    keys: Arc<[hmac::Key]>,
    clock: Clock,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Links {
    /// Makes links below a public URL. Derives their keys from `TIDINGS_SECRET` and, during a rotation, from the secret
    /// before it.
    #[must_use]
    pub fn new(public_url: &str, secrets: &[&[u8]], clock: Clock) -> Self {
        let key = |secret: &&[u8]| {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, b"tidings link").as_ref())
        };
        let keys: Vec<hmac::Key> = secrets.iter().map(key).collect();
        Self { base: public_url.trim_end_matches('/').into(), keys: keys.into(), clock }
    }

    /// The public URL, without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A link to a file: the same for a day (UTC), valid until the end of the next.
    #[must_use]
    pub fn to(&self, file: &FileId) -> String {
        let day = self.today();
        let tag = self.keys.first().map(|key| tag(key, file, day)).unwrap_or_default();
        let mut token = [0; 4 + TAG];
        token[..4].copy_from_slice(&day.to_be_bytes());
        token[4..].copy_from_slice(&tag);
        format!("{}{FILES_PATH}{file}?t={}", self.base, ORDERED.encode(token))
    }

    /// Whether the token of a link is valid now for a file.
    #[must_use]
    pub fn is_valid(&self, file: &FileId, token: &str) -> bool {
        let Some(token) = ORDERED.decode(token).ok().and_then(|token| <[u8; 4 + TAG]>::try_from(token).ok())
        else {
            return false;
        };
        let [a, b, c, d, signature @ ..] = token;
        let day = u32::from_be_bytes([a, b, c, d]);
        // Another machine's clock may be a little ahead at midnight.
        let is_current = (self.today().saturating_sub(1)..=self.today() + 1).contains(&day);
        let is_signed =
            |key| constant_time::verify_slices_are_equal(&signature, &tag(key, file, day)).is_ok();
        is_current && self.keys.iter().any(is_signed)
    }

    fn today(&self) -> u32 {
        u32::try_from(self.clock.now().seconds().div_euclid(DAY)).unwrap_or_default()
    }
}

fn tag(key: &hmac::Key, file: &FileId, day: u32) -> [u8; TAG] {
    let mut context = hmac::Context::with_key(key);
    context.update(&day.to_be_bytes());
    context.update(file.to_string().as_bytes());
    let mut tag = [0; TAG];
    tag.copy_from_slice(&context.sign().as_ref()[..TAG]);
    tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const MIDNIGHT: i64 = 20_000 * DAY * 1000;

    fn at(millis: i64, secrets: &[&[u8]]) -> Links {
        Links::new("https://chat.example/", secrets, Clock::frozen_at(Timestamp::from_millis(millis)))
    }

    fn token(link: &str) -> &str {
        link.split_once("?t=").unwrap().1
    }

    #[test]
    fn a_link_is_the_same_all_day_and_valid_until_the_end_of_the_next() {
        let file: FileId = format!("d{}{}", "0".repeat(24), Clock::default().stamp()).parse().unwrap();
        let (first, last) = (at(MIDNIGHT, &[b"one"]), at(MIDNIGHT + 86_399_999, &[b"one"]));
        let link = first.to(&file);
        assert_eq!(link, last.to(&file));
        assert!(link.starts_with(&format!("https://chat.example/api/attachments/{file}?t=")), "{link}");
        let day = 86_400_000;
        assert!(!at(MIDNIGHT - day - 1, &[b"one"]).is_valid(&file, token(&link)), "two days early");
        assert!(at(MIDNIGHT - 1, &[b"one"]).is_valid(&file, token(&link)), "a clock that is behind");
        assert!(at(MIDNIGHT + 2 * day - 1, &[b"one"]).is_valid(&file, token(&link)));
        assert!(!at(MIDNIGHT + 2 * day, &[b"one"]).is_valid(&file, token(&link)), "two days old");
        assert!(at(MIDNIGHT, &[b"two", b"one"]).is_valid(&file, token(&link)), "after a rotation");
        assert!(!at(MIDNIGHT, &[b"two"]).is_valid(&file, token(&link)), "another secret");
    }

    #[test]
    fn a_link_that_is_altered_anywhere_is_invalid() {
        let links = at(MIDNIGHT, &[b"one"]);
        let file: FileId = format!("d{}{}", "0".repeat(24), Clock::default().stamp()).parse().unwrap();
        let link = links.to(&file);
        let token = token(&link);
        for index in 0..token.len() {
            for other in ['0', 'A', 'z', '_'] {
                let mut altered: Vec<char> = token.chars().collect();
                if altered[index] != other {
                    altered[index] = other;
                    let altered: String = altered.into_iter().collect();
                    assert!(!links.is_valid(&file, &altered), "{altered}");
                }
            }
        }
        let other = FileId { stamp: file.stamp.plus(1), ..file.clone() };
        assert!(!links.is_valid(&other, token));
        assert!(!links.is_valid(&file, ""));
        assert!(!links.is_valid(&file, &format!("{token}0")));
    }
}
