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
    /// The number of tokens that a call takes, at most `burst`.
    cost: i64,
}

/// Sends, edits, deletions, reactions and pins, changes of a user's own settings and marks as unread, per user and
/// conversation: five per second, beyond the burst. See [`writes`].
pub const WRITES: RateLimit = RateLimit::new("writes_full_at", 200, 50);
/// Typing signals, per user and conversation: one per second.
pub const TYPING: RateLimit = RateLimit::new("typing_full_at", 1_000, 10);
/// New conversations, groups and rooms, per user: one per ten seconds. See [`new_conversation`].
pub const CONVERSATIONS: RateLimit = RateLimit::new("new_full_at", 10_000, 100);
/// Changes of groups and rooms (details, participants, roles, joining, leaving), per user: one per second. See
/// [`changes`].
pub const CHANGES: RateLimit = RateLimit::new("changes_full_at", 1_000, 200);
/// Changes of a user's own presence: one per two seconds. Each is pushed to up to 50 peers.
pub const PRESENCE: RateLimit = RateLimit::new("presence_full_at", 2_000, 60);
/// Tickets for sockets, per user: one per two seconds.
pub const TICKETS: RateLimit = RateLimit::new("tickets_full_at", 2_000, 60);
/// Sockets, per user: one new one per two seconds. Each is announced to up to 50 peers.
pub const SOCKETS: RateLimit = RateLimit::new("sockets_full_at", 2_000, 60);
/// Open sockets of one user. Each event is pushed to all of them.
pub const MAX_SOCKETS: usize = 100;
/// Blocks and their removals, per user: one per two seconds.
pub const BLOCKS: RateLimit = RateLimit::new("blocks_full_at", 2_000, 60);
/// Changes of push subscriptions, per user: one per ten seconds.
pub const SUBSCRIPTIONS: RateLimit = RateLimit::new("subscriptions_full_at", 10_000, 30);
/// Test notifications, per user: one per 30 seconds. Each is sent to up to ten subscriptions.
pub const TEST_PUSHES: RateLimit = RateLimit::new("tests_full_at", 30_000, 10);
/// Searches for messages and for people, and pages of mentions, per user: one per second. A search for messages reads up
/// to thousands of them.
pub const SEARCHES: RateLimit = RateLimit::new("full_at", 1_000, 60);
/// Registrations, per client address: one per minute.
pub const REGISTRATIONS: RateLimit = RateLimit::new("full_at", 60_000, 10);
/// Logins, per client address: one per two seconds. Many users may share an address.
pub const LOGINS_FROM_ADDRESS: RateLimit = RateLimit::new("full_at", 2_000, 50);
/// Wrong passwords, per account and client address: one per 30 seconds. Also checks of the password of a user who is
/// authenticated already, right or wrong.
pub const PASSWORDS: RateLimit = RateLimit::new("full_at", 30_000, 10);
/// Wrong passwords, per account: one per 30 seconds. From a client address from which somebody has logged in to the
/// account before, only the wrong passwords from there count.
pub const PASSWORDS_OF_ACCOUNT: RateLimit = RateLimit::new("full_at", 30_000, 100);
/// Profile changes, per user: one per ten seconds. Each change is copied into the rows of all peers.
pub const PROFILE_CHANGES: RateLimit = RateLimit::new("full_at", 10_000, 20);
/// Refreshes of the token pair, per session: one per ten seconds.
pub const REFRESHES: RateLimit = RateLimit::new("refreshes_full_at", 10_000, 10);

/// Uploads, per user: one per 86 seconds, about 1,000 a day.
pub const UPLOADS: RateLimit = RateLimit::new("files_full_at", 86_000, 1_000);
/// The size of uploads, per user, in tokens of 1 MiB: one per 16 seconds, about 5 GiB a day. See [`upload_size`].
pub const UPLOAD_SIZE: RateLimit = RateLimit::new("bytes_full_at", 16_000, 5_120);

/// The tokens for messages and for typing signals of a user who joins a conversation. So leaving and joining again does
/// not give more of them than staying.
pub const TOKENS_OF_NEWCOMERS: i64 = 5;

/// The limit of a send, an edit, a deletion, a reaction or a pin in a conversation: one token, and one more for every
/// 200 participants.
#[must_use]
pub const fn writes(participants: u64) -> RateLimit {
    WRITES.costing(1 + participants / 200)
}

/// The limit of a change of a group or room: one token, and one more for every 50 participants.
#[must_use]
pub const fn changes(participants: u64) -> RateLimit {
    CHANGES.costing(1 + participants / 50)
}

/// The limit of the size of an upload: one token for each MiB that it begins.
#[must_use]
pub const fn upload_size(bytes: u64) -> RateLimit {
    UPLOAD_SIZE.costing(bytes.div_ceil(1024 * 1024))
}

/// The limit of a new conversation: one token, and one more for every 50 participants.
#[must_use]
pub const fn new_conversation(participants: u64) -> RateLimit {
    CONVERSATIONS.costing(1 + participants / 50)
}

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
    /// A limit whose calls take one token each.
    #[must_use]
    pub const fn new(bucket: &'static str, every: i64, burst: i64) -> Self {
        Self { bucket, every, burst, cost: 1 }
    }

    /// When a bucket will be full again that now holds this many tokens.
    #[must_use]
    pub const fn holding(self, tokens: i64, now: Timestamp) -> i64 {
        now.millis() + (self.burst - tokens) * self.every
    }

    /// The same bucket, for a call that takes several tokens: at most all.
    #[must_use]
    pub const fn costing(self, tokens: u64) -> Self {
        let cost = if tokens > self.burst.unsigned_abs() { self.burst } else { tokens.cast_signed() };
        Self { cost, ..self }
    }

    /// The limit of several such calls at once; of none, it takes nothing.
    #[must_use]
    pub const fn times(self, calls: u64) -> Self {
        self.costing(self.cost.unsigned_abs() * calls)
    }

    /// The milliseconds in which the tokens of a call are added again.
    #[must_use]
    pub const fn refill_millis(&self) -> i64 {
        self.cost * self.every
    }

    /// Returns how to take the call's tokens from a bucket that, when last read, was to be full at `known`.
    ///
    /// # Errors
    /// `RateLimited` if fewer are left.
    pub fn take(&self, known: Option<i64>, now: Timestamp) -> Result<Take, Error> {
        let now = now.millis();
        let latest = now + self.burst * self.every - self.refill_millis();
        match known.filter(|full_at| *full_at >= now) {
            None => Ok(Take::FromFull { full_at: now + self.refill_millis() }),
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

    const LIMIT: RateLimit = RateLimit::new("b", 1_000, 3);

    fn take(full_at: &mut Option<i64>, now: i64) -> Result<(), u64> {
        take_from(&LIMIT, full_at, now)
    }

    fn take_from(limit: &RateLimit, full_at: &mut Option<i64>, now: i64) -> Result<(), u64> {
        match limit.take(*full_at, Timestamp::from_millis(now)) {
            Ok(Take::FromFull { full_at: at }) => *full_at = Some(at),
            Ok(Take::FromPartial { from, to }) => {
                let at = full_at.as_mut().unwrap();
                assert!((from..=to).contains(at));
                *at += limit.refill_millis();
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

    #[test]
    fn a_call_may_take_several_tokens() {
        let (mut full_at, two) = (None, LIMIT.costing(2));
        assert_eq!(take_from(&two, &mut full_at, 10_000), Ok(()));
        assert_eq!(take_from(&two, &mut full_at, 10_000), Err(1));
        assert_eq!(take(&mut full_at, 10_000), Ok(()));
        assert_eq!(take_from(&two, &mut full_at, 10_000), Err(2));
        assert_eq!(take_from(&two, &mut full_at, 12_000), Ok(()));
        let mut full_at = None;
        assert_eq!(
            take_from(&LIMIT.costing(1_000), &mut full_at, 10_000),
            Ok(()),
            "never more than a full bucket"
        );
        assert_eq!(take(&mut full_at, 10_000), Err(1));
    }

    #[test]
    fn the_cost_grows_with_the_people_reached() {
        assert_eq!([2, 24, 1_000].map(|people| writes(people).refill_millis()), [200, 200, 6 * 200]);
        assert_eq!([2, 24, 1_000].map(|people| changes(people).refill_millis()), [1_000, 1_000, 21_000]);
    }
}
