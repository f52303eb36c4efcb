//! All rate limits.
//!
//! A limit is a token bucket, stored as one number: the time at which the bucket will be full again, in milliseconds.
//! The number is an attribute of an item that the limited call writes anyway, or of an item of its own.
//!
//! Invariant: a token is taken by a conditional write, so that parallel calls cannot take the same token.

use crate::error::Error;
use crate::time::Timestamp;

/// A token bucket.
#[derive(Debug, Clone, Copy)]
pub struct RateLimit {
    /// The attribute that stores when the bucket will be full again.
    pub bucket: &'static str,
    /// Milliseconds until one token is added.
    pub every: i64,
    /// The number of tokens in a full bucket.
    pub burst: i64,
}

/// Sends, edits and deletes, per user and conversation: five per second, beyond the burst.
pub const WRITES: RateLimit = RateLimit { bucket: "writes_full_at", every: 200, burst: 50 };
/// Typing signals, per user and conversation: one per second.
pub const TYPING: RateLimit = RateLimit { bucket: "typing_full_at", every: 1_000, burst: 10 };
/// New conversations, groups and rooms, per user: one per ten seconds.
pub const CONVERSATIONS: RateLimit = RateLimit { bucket: "new_full_at", every: 10_000, burst: 100 };
/// Registrations, per client address: one per minute.
pub const REGISTRATIONS: RateLimit = RateLimit { bucket: "full_at", every: 60_000, burst: 10 };
/// Logins, per client address: one per two seconds. Many users may share an address.
pub const LOGINS_FROM_ADDRESS: RateLimit = RateLimit { bucket: "full_at", every: 2_000, burst: 50 };
/// Password attempts, per login name or per user: one per 30 seconds.
pub const PASSWORDS: RateLimit = RateLimit { bucket: "full_at", every: 30_000, burst: 10 };
/// Profile changes, per user: one per ten seconds. Each change is copied into the rows of all peers.
pub const PROFILE_CHANGES: RateLimit = RateLimit { bucket: "full_at", every: 10_000, burst: 20 };
/// Refreshes of the token pair, per session: one per ten seconds.
pub const REFRESHES: RateLimit = RateLimit { bucket: "refreshes_full_at", every: 10_000, burst: 10 };

/// The state of a bucket that a write is conditioned on. In any other state, the write is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The bucket is full, or its state is unknown.
    FromFull {
        /// When the bucket will be full again, after the token is taken.
        full_at: i64,
    },
    /// The bucket is not full but has tokens: it will be full again between these times, both included.
    FromPartial {
        /// The current time.
        from: i64,
        /// The latest time for which a token is left.
        to: i64,
    },
}

impl RateLimit {
    /// Returns how to take a token from a bucket that, when last read, was to be full at `known`.
    ///
    /// # Errors
    /// `RateLimited` if no token is left.
    pub fn take(&self, known: Option<i64>, now: Timestamp) -> Result<Take, Error> {
        let now = now.millis();
        let latest = now + (self.burst - 1) * self.every;
        match known.filter(|full_at| *full_at >= now) {
            None => Ok(Take::FromFull { full_at: now + self.every }),
            Some(full_at) if full_at <= latest => Ok(Take::FromPartial { from: now, to: latest }),
            Some(full_at) => {
                let seconds = (full_at - latest).max(0).unsigned_abs().div_ceil(1000).max(1);
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
            Ok(Take::FromPartial { from, to }) => {
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
    fn a_bucket_allows_its_burst_and_then_one_call_per_interval() {
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
