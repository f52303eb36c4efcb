//! The attempts of a call whose transaction others can get ahead of: how long it pauses between them, and when it gives
//! up.
//!
//! Invariant: each attempt begins anew after a definite refusal and stamps its events only then. So the maximum age of an
//! attempt, which readers of queues rely on, limits an attempt and not the call.

use std::time::Duration;

use domain::error::Error;
use domain::id;
use observe::meter;
use observe::metrics::Metric;
use tokio::time::Instant;

/// How long a call makes attempts. Its last one may take [`crate::client::MAX_AGE`] more, which is still within the
/// time-out of a function, 15 s.
const TIME_LIMIT: Duration = Duration::from_secs(9);
/// The longest pause after the second refusal; it grows fourfold with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause of all.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The attempts of one call.
pub(crate) struct Attempts {
    call_began: Instant,
    began: Instant,
    refusals: u32,
}

impl Attempts {
    /// Begins a call and its first attempt.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { call_began: now, began: now, refusals: 0 }
    }

    /// When the current attempt began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Begins the next attempt after a definite refusal. The second attempt follows at once, as most refusals only tell
    /// the call what it did not know. A call that is refused again has competitors: it pauses for a random time (full
    /// jitter), whose limit grows with the refusals, so that only a few of them try at the same time. Returns whether it
    /// has paused: then others have probably committed since, and what the refusal has shown is old.
    ///
    /// # Errors
    /// `Unavailable` if the call has made attempts for too long.
    pub(crate) async fn refused(&mut self) -> Result<bool, Error> {
        self.refusals += 1;
        let longest = longest_pause(self.refusals);
        let pause = jitter(longest);
        if self.call_began.elapsed() + pause >= TIME_LIMIT {
            return Err(Error::Unavailable("others kept getting ahead of the call".into()));
        }
        if !longest.is_zero() {
            meter::count(Metric::Retries);
            tokio::time::sleep(pause).await;
        }
        self.began = Instant::now();
        Ok(!longest.is_zero())
    }
}

/// The longest pause after this many refusals.
fn longest_pause(refusals: u32) -> Duration {
    match refusals {
        0 | 1 => Duration::ZERO,
        _ => FIRST_PAUSE.saturating_mul(4_u32.saturating_pow(refusals - 2)).min(MAX_PAUSE),
    }
}

/// A random time of up to `longest`.
fn jitter(longest: Duration) -> Duration {
    let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(id::random() % micros.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_refusals() {
        let millis: Vec<_> = (1..8).map(|refusals| longest_pause(refusals).as_millis()).collect();
        assert_eq!(millis, [0, 100, 400, 1_600, 2_000, 2_000, 2_000]);
        assert_eq!(longest_pause(u32::MAX), MAX_PAUSE);
        assert!((0..100).all(|_| jitter(FIRST_PAUSE) < FIRST_PAUSE) && jitter(Duration::ZERO).is_zero());
    }
}
