//! Committing: one transaction is the whole truth, and a lost answer is not a refusal.
//!
//! A request whose fate is unknown is repeated as it is, with the same `ClientRequestToken`, so it takes effect
//! once. Only a definite cancellation comes back to the caller, who may then build another request. Nothing is
//! sent once the attempt is [`MAX_AGE`] old: events are stamped when it begins, and readers wait no longer.

use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::CancellationReason;
use tokio::time::Instant;

use super::Store;
use super::item::{Item, Write};
use crate::error::Error;
use crate::id;
use crate::meter;
use crate::metrics::Metric;

/// The oldest attempt that is still sent.
pub(super) const MAX_AGE: Duration = Duration::from_secs(5);

/// Why one write of a refused transaction was in its way.
pub(super) enum Verdict {
    /// It was not.
    Fine,
    /// Its condition failed; with the item found, if there is one.
    Refused(Option<Item>),
}

/// How a transaction ended.
pub(super) enum Commit {
    /// All of it took effect.
    Done,
    /// None of it did: a condition failed. One verdict for each write.
    Refused(Vec<Verdict>),
}

impl Store {
    /// Commits writes together, or none of them.
    ///
    /// # Errors
    /// `Unavailable` where the database throttles, conflicts or keeps silent until the attempt, which began at
    /// `began`, is too old; whether it took effect is then unknown, but never half of it.
    pub(super) async fn commit(&self, writes: Vec<Write>, began: Instant) -> Result<Commit, Error> {
        let items = writes.into_iter().map(|write| write.build(&self.table)).collect::<Result<Vec<_>, _>>();
        let request = self
            .once
            .transact_write_items()
            .set_transact_items(Some(items.map_err(Error::internal)?))
            .client_request_token(id::request_token());
        let mut wait = Backoff::default();
        if began.elapsed() >= MAX_AGE {
            return Err(Error::Unavailable("refused again and again".into()));
        }
        loop {
            let Err(error) = Box::pin(request.clone().send()).await else { return Ok(Commit::Done) };
            if let Some(verdicts) = refusal(&error) {
                return Ok(Commit::Refused(verdicts));
            }
            if !may_pass(&error) {
                return Err(Error::internal(error));
            }
            if began.elapsed() + wait.longest() >= MAX_AGE {
                return Err(Error::Unavailable(error.into()));
            }
            meter::count(Metric::Retries);
            wait.pause().await;
        }
    }
}

/// The verdicts, if a condition failed. A cancellation for a conflict alone is no refusal.
fn refusal(error: &SdkError<TransactWriteItemsError>) -> Option<Vec<Verdict>> {
    let SdkError::ServiceError(service) = error else { return None };
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = service.err() else { return None };
    let reasons = cancelled.cancellation_reasons.as_deref().unwrap_or_default();
    let failed = |reason: &CancellationReason| reason.code.as_deref() == Some("ConditionalCheckFailed");
    let verdict = |reason: &CancellationReason| {
        if failed(reason) { Verdict::Refused(reason.item.clone()) } else { Verdict::Fine }
    };
    reasons.iter().any(failed).then(|| reasons.iter().map(verdict).collect())
}

/// Whether the same request may do better later, or its answer was lost.
fn may_pass(error: &SdkError<TransactWriteItemsError>) -> bool {
    if let SdkError::ServiceError(service) = error
        && let TransactWriteItemsError::TransactionCanceledException(cancelled) = service.err()
    {
        let passing = ["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
        let reasons = cancelled.cancellation_reasons.as_deref().unwrap_or_default();
        return reasons.iter().all(|reason| passing.contains(&reason.code.as_deref().unwrap_or("None")));
    }
    is_passing(error)
}

/// Whether a call failed for want of capacity or of an answer, rather than for what it asked.
pub(super) fn is_passing<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            service.raw().status().is_server_error()
                || ["TransactionInProgressException", "RequestLimitExceeded", "LimitExceededException"]
                    .contains(&code)
                || code.contains("Throttl")
                || code.contains("ThroughputExceeded")
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    }
}

/// Pauses of 10 to 100 ms that grow, with full jitter: conflicting writers must not meet again.
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
