//! How often things may be done: every limit in one place.
//!
//! A limit is a token bucket, kept as the one number "when it will be full again" (in milliseconds), on an item that
//! the limited call writes anyway. It is taken from in the call's own transaction, so parallel calls cannot take the
//! same token twice.

use crate::error::Error;
use crate::time::Timestamp;

/// A token bucket.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    /// The attribute that says when it is full again.
    pub bucket: &'static str,
    /// Milliseconds until one token is back.
    pub every: i64,
    /// Tokens when it is full.
    pub burst: i64,
}

/// Sends, edits and deletes, per user and conversation: five a second for as long as they like.
pub const WRITES: RateLimit = RateLimit { bucket: "writes_full_at", every: 200, burst: 50 };
/// Typing signals, per user and conversation: one a second.
pub const TYPING: RateLimit = RateLimit { bucket: "typing_full_at", every: 1_000, burst: 10 };
/// New conversations, groups and rooms, per user: one in ten seconds.
pub const CONVERSATIONS: RateLimit = RateLimit { bucket: "new_full_at", every: 10_000, burst: 100 };
/// Accounts registered from an address: one a minute.
pub const REGISTRATIONS: RateLimit = RateLimit { bucket: "full_at", every: 60_000, burst: 10 };
/// Logins from an address: one in two seconds. Many people may share one.
pub const LOGINS_FROM_ADDRESS: RateLimit = RateLimit { bucket: "full_at", every: 2_000, burst: 50 };
/// Passwords tried on an account, by the name it is signed in with or by its user: one in half a minute.
pub const PASSWORDS: RateLimit = RateLimit { bucket: "full_at", every: 30_000, burst: 10 };
/// Changes of a profile, per user: one in ten seconds. Each is written into the rows of all whom they write with.
pub const PROFILE_CHANGES: RateLimit = RateLimit { bucket: "full_at", every: 10_000, burst: 20 };
/// New pairs of tokens, per session: one in ten seconds.
pub const REFRESHES: RateLimit = RateLimit { bucket: "refreshes_full_at", every: 10_000, burst: 10 };

/// Which state of a bucket a write is made for: it is refused where the bucket is in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// It is full, or nothing is known of it. Full again at this time.
    FromFull {
        /// When the token is back.
        full_at: i64,
    },
    /// It is not, and has tokens: full again between these times, both included.
    FromRest {
        /// Now.
        from: i64,
        /// The latest at which one is left.
        to: i64,
    },
}

impl RateLimit {
    /// How to take a token, where the bucket was last seen to be full at `known`.
    ///
    /// # Errors
    /// `RateLimited` where none is left.
    pub fn take(&self, known: Option<i64>, now: Timestamp) -> Result<Take, Error> {
        let now = now.millis();
        let last = now + (self.burst - 1) * self.every;
        match known.filter(|full_at| *full_at >= now) {
            None => Ok(Take::FromFull { full_at: now + self.every }),
            Some(full_at) if full_at <= last => Ok(Take::FromRest { from: now, to: last }),
            Some(full_at) => {
                let seconds = (full_at - last).max(0).unsigned_abs().div_ceil(1000).max(1);
                Err(Error::RateLimited(seconds))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { bucket: "b", every: 1_000, burst: 3 };

    fn take(full_at: &mut Option<i64>, now: i64) -> Result<(), u64> {
        match LIMIT.take(*full_at, Timestamp::from_millis(now)) {
            Ok(Take::FromFull { full_at: at }) => *full_at = Some(at),
            Ok(Take::FromRest { from, to }) => {
                let at = full_at.as_mut().unwrap();
                assert!((from..=to).contains(at));
                *at += LIMIT.every;
            }
            Err(Error::RateLimited(seconds)) => return Err(seconds),
            Err(other) => panic!("{other}"),
        }
        Ok(())
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_at_a_time() {
        let mut full_at = None;
        for _ in 0..3 {
            assert_eq!(take(&mut full_at, 10_000), Ok(()));
        }
        assert_eq!(take(&mut full_at, 10_000), Err(1));
        assert_eq!(take(&mut full_at, 10_999), Err(1));
        assert_eq!(take(&mut full_at, 11_000), Ok(()));
        assert_eq!(take(&mut full_at, 11_000), Err(1));
        assert_eq!(take(&mut full_at, 60_000), Ok(()));
        assert_eq!(full_at, Some(61_000), "a full bucket does not fill further");
    }
}
