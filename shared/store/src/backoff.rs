//! Pauses between attempts.

use std::time::Duration;

use domain::id;

/// Pauses with jitter, whose limit grows from 10 to 100 ms, so that conflicting writers do not collide again.
#[derive(Default)]
pub(crate) struct Backoff {
    pauses: u32,
}

impl Backoff {
    /// The longest that the next pause may take.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_millis(10 << self.pauses.min(4)).min(Duration::from_millis(100))
    }

    /// Waits a random time before the next attempt.
    pub(crate) async fn pause(&mut self) {
        let longest = u64::try_from(self.longest().as_micros()).unwrap_or(u64::MAX);
        self.pauses += 1;
        tokio::time::sleep(Duration::from_micros(longest / 4 + id::random() % (longest * 3 / 4))).await;
    }
}
