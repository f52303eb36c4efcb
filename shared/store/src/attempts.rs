//! The attempts of a call whose transaction others can get ahead of: how long it pauses between them, and when it gives
//! up.
//!
//! Invariant: each attempt begins anew after a definite refusal and stamps its events only then. So the maximum age of an
//! attempt, which readers of queues rely on, limits an attempt and not the call.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use domain::error::Error;
use domain::id::{self, ConversationId};
use observe::meter;
use observe::metrics::Metric;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

/// How long a call makes attempts. Its last one sends nothing after [`crate::client::MAX_AGE`] more, which is still
/// within the timeout of a function, 15 s. If DynamoDB says that the transaction is in progress, it goes on until
/// [`crate::client::MAX_STALL`]: then Lambda may end the call.
const TIME_LIMIT: Duration = Duration::from_secs(9);
/// The longest pause after the second refusal; it grows fourfold with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause of all.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// A queue of the calls of one process that change the same conversation.
type Queue = Arc<Mutex<()>>;

/// Lets calls of one process whose attempts were refused try one after the other, in the order in which they came. In
/// Lambda a process has one call at a time, so only the pauses keep calls apart there.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<std::sync::Mutex<HashMap<ConversationId, Weak<Mutex<()>>>>>);

impl Turns {
    /// Returns the queue of a conversation, which lasts as long as a call holds it.
    fn of(&self, conversation: &ConversationId) -> Queue {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(conversation).and_then(Weak::upgrade) {
            return queue;
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Queue::default();
        queues.insert(conversation.clone(), Arc::downgrade(&queue));
        queue
    }
}

/// The attempts of one call.
pub(crate) struct Attempts<'a> {
    turns: &'a Turns,
    conversation: ConversationId,
    /// The call's turn in its process, from the first refusal on.
    turn: Option<OwnedMutexGuard<()>>,
    call_began: Instant,
    began: Instant,
    refusals: u32,
}

impl<'a> Attempts<'a> {
    /// Begins a call that changes a conversation, and its first attempt.
    pub(crate) fn new(turns: &'a Turns, conversation: &ConversationId) -> Self {
        let now = Instant::now();
        Self {
            turns,
            conversation: conversation.clone(),
            turn: None,
            call_began: now,
            began: now,
            refusals: 0,
        }
    }

    /// When the current attempt began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Begins the next attempt after a definite refusal, when it is the call's turn in its process. The second attempt
    /// follows without a pause, as most refusals only tell the call what it did not know. A call that is refused again
    /// has competitors. If they are in other processes, it pauses for a random time (full jitter), whose limit grows with
    /// the refusals, so that only a few of them try at the same time; those of its own process wait behind it. Returns
    /// whether it has waited: then others have probably committed since, and what the refusal has shown is old.
    ///
    /// # Errors
    /// `Unavailable` if the call has made attempts for too long.
    pub(crate) async fn refused(&mut self) -> Result<bool, Error> {
        self.refusals += 1;
        let late = || Error::Unavailable("others kept getting ahead of the call".into());
        let deadline = self.call_began + TIME_LIMIT;
        let queue = self.turns.of(&self.conversation);
        // The map's own reference is weak: beside this one and the turn's, each is that of a call that waits.
        let is_alone = Arc::strong_count(&queue) <= 1 + usize::from(self.turn.is_some());
        let longest = if is_alone { longest_pause(self.refusals) } else { Duration::ZERO };
        let (pause, mut has_waited) = (jitter(longest), !longest.is_zero());
        if Instant::now() + pause >= deadline {
            return Err(late());
        }
        if has_waited {
            meter::count(Metric::Retries);
            tokio::time::sleep(pause).await;
        }
        if self.turn.is_none() {
            self.turn = queue.clone().try_lock_owned().ok();
        }
        if self.turn.is_none() {
            has_waited = true;
            self.turn = Some(timeout_at(deadline, queue.lock_owned()).await.map_err(|_| late())?);
        }
        self.began = Instant::now();
        Ok(has_waited)
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
