//! Committing: a change is one transaction, and a lost response is not a refusal.
//!
//! Invariant: a request with an unknown outcome is retried unchanged, with the same `ClientRequestToken`, so it takes
//! effect at most once. Only a definite cancellation is returned to the caller, who may then build another request.
//! Nothing is sent once the attempt is [`MAX_AGE`] old, or [`MAX_STALL`] while DynamoDB says that the transaction is in
//! progress: its events are stamped after it begins, and readers wait only a limited time for late events.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsError, TransactWriteItemsInput};
use aws_sdk_dynamodb::types::CancellationReason;
use domain::error::Error;
use domain::id;
use observe::meter;
use observe::metrics::Metric;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::client::{MAX_AGE, MAX_STALL, Store};
use crate::failure::is_transient;
use crate::item::Item;
use crate::write::Write;

/// Writes that commit together or not at all. Each has a target, which identifies it in a refusal.
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

    /// Adds writes with the same target.
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

/// The targets of the writes whose conditions failed, each with the item as it is, if it exists.
pub(crate) type Refusals<T> = Vec<(T, Option<Item>)>;

/// The item that was found where the write of a target was refused.
pub(crate) fn refused_item<T: PartialEq>(refusals: Refusals<T>, target: &T) -> Option<Item> {
    refusals.into_iter().find(|(refused, _)| refused == target).and_then(|(_, item)| item)
}

/// The outcome of a transaction.
pub(crate) enum Commit<T = (), D = ()> {
    /// All writes took effect.
    Done(D),
    /// No write took effect, because a condition failed.
    Refused(Refusals<T>),
}

/// For each write of a cancelled transaction: the item, if it exists, where the condition failed; `None` elsewhere.
type Found = Vec<Option<Option<Item>>>;

impl Store {
    /// Commits a transaction.
    ///
    /// # Errors
    /// `Unavailable` if the database throttles, reports conflicts or does not answer until the attempt, which began at
    /// `began`, is too old. The transaction may then have taken effect, but never in part. `Internal` for any other
    /// failure.
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

    /// Commits writes. Returns `None` if they took effect.
    async fn commit_writes(&self, writes: Vec<Write>, began: Instant) -> Result<Option<Found>, Error> {
        let items = writes.into_iter().map(|write| write.build(&self.table)).collect::<Result<Vec<_>, _>>();
        let request = TransactWriteItemsInput::builder()
            .set_transact_items(Some(items.map_err(Error::internal)?))
            .client_request_token(id::request_token());
        let mut backoff = Backoff::default();
        if began.elapsed() >= MAX_AGE {
            return Err(Error::Unavailable("conditions kept failing until the attempt was too old".into()));
        }
        loop {
            let Err(error) = self.once.call(request.clone()).await else { return Ok(None) };
            if reasons(&error).iter().any(|reason| reason.code.as_deref() == Some("TransactionConflict")) {
                meter::count(Metric::Conflicts);
            }
            if let Some(found) = failed_conditions(&error) {
                return Ok(Some(found));
            }
            if !should_retry(&error) {
                return Err(Error::internal(error));
            }
            let limit = if is_in_progress(&error) { MAX_STALL } else { MAX_AGE };
            if began.elapsed() + backoff.longest() >= limit {
                return Err(Error::Unavailable(error.into()));
            }
            meter::count(Metric::Retries);
            backoff.pause().await;
        }
    }
}

/// Whether DynamoDB is still working on an earlier attempt with the same token.
fn is_in_progress(error: &SdkError<TransactWriteItemsError>) -> bool {
    error.as_service_error().is_some_and(TransactWriteItemsError::is_transaction_in_progress_exception)
}

/// Returns why each write of a cancelled transaction did not take effect; nothing for another error.
fn reasons(error: &SdkError<TransactWriteItemsError>) -> &[CancellationReason] {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        _ => &[],
    }
}

/// Returns the items found if a condition failed. A cancellation only because of a conflict is not a refusal.
fn failed_conditions(error: &SdkError<TransactWriteItemsError>) -> Option<Found> {
    let found = reasons(error).iter().map(|reason| {
        let has_failed = reason.code.as_deref() == Some("ConditionalCheckFailed");
        has_failed.then(|| reason.item.clone().map(Item::from))
    });
    let found: Found = found.collect();
    found.iter().any(Option::is_some).then_some(found)
}

/// Whether to retry the same request: it may succeed later, or its response was lost.
fn should_retry(error: &SdkError<TransactWriteItemsError>) -> bool {
    if error.as_service_error().is_some_and(TransactWriteItemsError::is_transaction_canceled_exception) {
        let transient = ["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
        let mut codes = reasons(error).iter().map(|reason| reason.code.as_deref().unwrap_or("None"));
        return codes.all(|code| transient.contains(&code));
    }
    is_transient(error)
}
