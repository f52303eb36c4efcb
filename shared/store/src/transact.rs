//! Committing: one transaction is the whole truth, and a lost answer is not a refusal.
//!
//! Invariant: a request whose outcome is unknown is repeated as it is, with the same `ClientRequestToken`, so it takes
//! effect once. Only a definite cancellation is returned to the caller, who may then build another request. Nothing is
//! sent once the attempt is [`MAX_AGE`] old: events are stamped when it begins, and readers wait no longer.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use domain::error::Error;
use domain::id;
use observe::meter;
use observe::metrics::Metric;
use tokio::time::Instant;

use crate::client::{MAX_AGE, Store};
use crate::failure::is_transient;
use crate::item::{Item, Write};

/// Writes that commit together or not at all. Each has a target, which says what it is about, so that a refusal can be
/// understood.
pub(crate) struct Transaction<T = ()> {
    targets: Vec<T>,
    writes: Vec<Write>,
}

impl<T> Transaction<T> {
    pub(crate) fn new() -> Self {
        Self { targets: Vec::new(), writes: Vec::new() }
    }

    pub(crate) fn add(&mut self, target: T, write: Write) {
        self.targets.push(target);
        self.writes.push(write);
    }

    /// Adds writes that are all about the same.
    pub(crate) fn add_all(&mut self, target: T, writes: impl IntoIterator<Item = Write>)
    where
        T: Clone,
    {
        writes.into_iter().for_each(|write| self.add(target.clone(), write));
    }
}

impl From<Vec<Write>> for Transaction {
    fn from(writes: Vec<Write>) -> Self {
        Self { targets: vec![(); writes.len()], writes }
    }
}

/// The targets whose conditions failed, each with the item found there, if there is one.
pub(crate) type Refusals<T> = Vec<(T, Option<Item>)>;

/// The outcome of a transaction.
pub(crate) enum Commit<T = (), D = ()> {
    /// All of it took effect.
    Done(D),
    /// None of it did: a condition failed.
    Refused(Refusals<T>),
}

/// The item found by each write of a cancelled transaction whose condition failed; `None` for the other writes.
type Found = Vec<Option<Option<Item>>>;

impl Store {
    /// Commits a transaction.
    ///
    /// # Errors
    /// `Unavailable` where the database throttles, conflicts or does not answer until the attempt, which began at
    /// `began`, is too old; whether it took effect is then unknown, but never half of it.
    pub(crate) async fn commit<T>(
        &self,
        transaction: Transaction<T>,
        began: Instant,
    ) -> Result<Commit<T>, Error> {
        let Transaction { targets, writes } = transaction;
        let Some(found) = self.commit_writes(writes, began).await? else { return Ok(Commit::Done(())) };
        let refusals = targets.into_iter().zip(found).filter_map(|(target, found)| Some((target, found?)));
        Ok(Commit::Refused(refusals.collect()))
    }

    /// Commits writes; `None` once they have.
    async fn commit_writes(&self, writes: Vec<Write>, began: Instant) -> Result<Option<Found>, Error> {
        let items = writes.into_iter().map(|write| write.build(&self.table)).collect::<Result<Vec<_>, _>>();
        let request = self
            .once
            .transact_write_items()
            .set_transact_items(Some(items.map_err(Error::internal)?))
            .client_request_token(id::request_token());
        let mut backoff = Backoff::default();
        if began.elapsed() >= MAX_AGE {
            return Err(Error::Unavailable("the transaction was refused until it was too old".into()));
        }
        loop {
            let Err(error) = Box::pin(request.clone().send()).await else { return Ok(None) };
            if let Some(found) = failed_conditions(&error) {
                return Ok(Some(found));
            }
            if !may_succeed_later(&error) {
                return Err(Error::internal(error));
            }
            if began.elapsed() + backoff.longest() >= MAX_AGE {
                return Err(Error::Unavailable(error.into()));
            }
            meter::count(Metric::Retries);
            backoff.pause().await;
        }
    }
}

/// The items found, if a condition failed. A cancellation for a conflict alone is no refusal.
fn failed_conditions(error: &SdkError<TransactWriteItemsError>) -> Option<Found> {
    let SdkError::ServiceError(service) = error else { return None };
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = service.err() else { return None };
    let reasons = cancelled.cancellation_reasons.as_deref().unwrap_or_default();
    let found = reasons.iter().map(|reason| {
        let has_failed = reason.code.as_deref() == Some("ConditionalCheckFailed");
        has_failed.then(|| reason.item.clone())
    });
    let found: Found = found.collect();
    found.iter().any(Option::is_some).then_some(found)
}

/// Whether the same request may succeed later, or its answer was lost.
fn may_succeed_later(error: &SdkError<TransactWriteItemsError>) -> bool {
    if let SdkError::ServiceError(service) = error
        && let TransactWriteItemsError::TransactionCanceledException(cancelled) = service.err()
    {
        let transient = ["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
        let reasons = cancelled.cancellation_reasons.as_deref().unwrap_or_default();
        return reasons.iter().all(|reason| transient.contains(&reason.code.as_deref().unwrap_or("None")));
    }
    is_transient(error)
}

/// Pauses of up to 10 to 100 ms, growing, with jitter, so that conflicting writers do not meet again.
#[derive(Default)]
struct Backoff {
    pauses: u32,
}

impl Backoff {
    fn longest(&self) -> Duration {
        Duration::from_millis(10 << self.pauses.min(4)).min(Duration::from_millis(100))
    }

    async fn pause(&mut self) {
        let most = u64::try_from(self.longest().as_micros()).unwrap_or(u64::MAX);
        self.pauses += 1;
        tokio::time::sleep(Duration::from_micros(most / 4 + id::random() % (most * 3 / 4))).await;
    }
}
