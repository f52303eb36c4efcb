//! Charging: a change takes its tokens from a bucket in the caller's `TOTALS`, in its own transaction.
//!
//! Invariant: a limit costs no call of its own. A transaction that writes the caller's `TOTALS` anyway takes the tokens
//! with that write; with rate limits off, nothing is added.

use domain::error::Error;
use domain::id::UserId;
use domain::limits::RateLimit;

use crate::client::Store;
use crate::inbox;
use crate::item::full_at;
use crate::transact::{Refusals, Transaction};
use crate::write::Write;

/// Identifies the write of the caller's `TOTALS` in a refusal.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Target {
    Totals,
    #[default]
    Other,
}

/// When the bucket of a limit in the caller's `TOTALS` is full again, as far as a refusal has shown it.
#[derive(Clone, Copy, Default)]
pub(crate) struct KnownBucket(Option<i64>);

impl KnownBucket {
    /// Takes the state of the bucket from a refusal, if the caller's `TOTALS` were refused.
    pub(crate) fn learn(&mut self, refusals: &Refusals<Target>, limit: &RateLimit) {
        if let Some((_, item)) = refusals.iter().find(|(target, _)| *target == Target::Totals) {
            self.0 = item.as_ref().and_then(|item| full_at(item, limit));
        }
    }
}

impl Store {
    /// Builds a transaction that also takes the caller's tokens, unless rate limits are off.
    ///
    /// # Errors
    /// `RateLimited` if too few tokens are left.
    pub(crate) fn charged(
        &self,
        caller: &UserId,
        limit: &RateLimit,
        known: KnownBucket,
        writes: Vec<Write>,
    ) -> Result<Transaction<Target>, Error> {
        let mut transaction = Transaction::new();
        if !self.limited || limit.refill_millis() == 0 {
            transaction.add_all(Target::Other, writes);
            return Ok(transaction);
        }
        let key = inbox::totals_key(caller);
        let (mut own, others): (Vec<_>, Vec<_>) = writes.into_iter().partition(|write| *write.key() == key);
        let own = own.pop().unwrap_or_else(|| Write::update(key));
        transaction.add(Target::Totals, self.limit(own, limit, known.0)?);
        transaction.add_all(Target::Other, others);
        Ok(transaction)
    }
}
