//! The handler of the table's stream: fans out the changes of large conversations, the reactions in them, and the new
//! names of users with many peers.
//!
//! Invariant: a record is only a wake-up call. What is left to do follows from the conversation's checkpoint, or from the
//! position in the user's profile, so a repeated or late record does no harm. A call fans out the changes that were committed
//! when it began; each later change has a record of its own. After [`TIME_LIMIT`] it stops and reports the records that are
//! left.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use domain::delivery::Delivery;
use domain::error::Error;
use domain::id::ConversationId;
use edge::app::App;
use futures_util::stream::{self, StreamExt};
use observe::log::reason;
use observe::meter;
use observe::metrics::Metric;
use serde_dynamo::AttributeValue;
use store::{ChangeBatch, FannedOut, Task, table};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// How many tasks are done concurrently. Each already writes to many users at once.
const CONCURRENT_TASKS: usize = 4;
/// How long a call fans out: less than the function's timeout in the template, 60 s, so that it can still report the
/// records that are left.
const TIME_LIMIT: Duration = Duration::from_secs(50);

/// Does each task of a batch of records once, and reports the records of those that failed. Lambda retries from the
/// first of these on; a conversation that is up to date then costs a query of its participants and one read.
///
/// # Errors
/// None: failures are in the response.
pub async fn handle(app: App, event: Event) -> Result<DynamoDbEventResponse, String> {
    handle_until(app, event, Instant::now() + TIME_LIMIT).await
}

/// Does what [`handle`] does, but ends at this time.
///
/// # Errors
/// None: failures are in the response.
pub async fn handle_until(app: App, event: Event, end: Instant) -> Result<DynamoDbEventResponse, String> {
    meter::note_field("route", "stream");
    meter::note_field("records", event.records.len());
    let mut records_of: BTreeMap<Task, Vec<EventRecord>> = BTreeMap::new();
    for record in event.records {
        if let Some(task) = task(&record) {
            records_of.entry(task).or_default().push(record);
        }
    }
    let outcomes = stream::iter(records_of).map(|(task, records)| {
        let app = &app;
        async move {
            let outcome = timeout_at(end, perform(app, &task)).await;
            let late = |_| Err(Error::Unavailable("the time for the fan-out was over".into()));
            (outcome.unwrap_or_else(late), task, records)
        }
    });
    let mut response = DynamoDbEventResponse::default();
    let mut outcomes = outcomes.buffer_unordered(CONCURRENT_TASKS);
    while let Some((outcome, task, records)) = outcomes.next().await {
        let Err(error) = outcome else { continue };
        meter::failed(&error);
        let (code, reason) = (error.code(), reason(&error));
        match &task {
            Task::Changes(conversation) => {
                tracing::error!(%conversation, code, error = reason, "a conversation is not up to date");
            }
            Task::Reactions(message) => {
                tracing::error!(%message, code, error = reason, "the reactions to a message are not up to date");
            }
            Task::Rename(user) => tracing::error!(%user, code, error = reason, "a name is not up to date"),
        }
        response.batch_item_failures.extend(records.into_iter().map(failure));
    }
    Ok(response)
}

async fn perform(app: &App, task: &Task) -> Result<(), Error> {
    match task {
        Task::Changes(conversation) => fan_out(app, conversation).await,
        Task::Reactions(message) => app.store.log_reactions(message).await,
        Task::Rename(user) => {
            while app.store.continue_rename(user).await? {}
            Ok(())
        }
    }
}

/// Fans out the changes of a large conversation to all its participants, from its checkpoint to the newest change when
/// the call begins. Idempotent, also when run concurrently.
///
/// # Errors
/// `Unavailable` if the database is, or a log entry cannot be read yet.
pub async fn fan_out(app: &App, conversation: &ConversationId) -> Result<(), Error> {
    meter::note(conversation);
    let mut goal = None;
    while let Some(batch) = app.store.next_batch(conversation).await? {
        let is_first = goal.is_none();
        let newest = *goal.get_or_insert(batch.newest());
        // Pushes run beside the writes: no queue waits for the pushes of others.
        let (deliveries, mut committed) = mpsc::unbounded_channel();
        let pushes =
            stream::poll_fn(|context| committed.poll_recv(context)).for_each_concurrent(None, |delivery| {
                let app = app.clone();
                async move { app.push.deliver(&app.store, delivery).await }
            });
        let (written, ()) = tokio::join!(write(app, &batch, deliveries), pushes);
        written?;
        // The first batch has the oldest change, and so the greatest lag.
        if is_first && let Some(since) = batch.since() {
            meter::measure_between(Metric::FanOutLag, since, app.store.now());
        }
        if batch.reaches(newest) {
            break;
        }
    }
    Ok(())
}

/// Writes a batch to the rows and queues of all participants, and moves the checkpoint past it. Sends on what is to be
/// pushed.
async fn write(
    app: &App,
    batch: &ChangeBatch,
    deliveries: mpsc::UnboundedSender<Delivery>,
) -> Result<(), Error> {
    for users in batch.receivers() {
        let FannedOut { delivery, failure } = app.store.fan_out_to(batch, users).await?;
        // The receiving end is polled until this one is dropped.
        let _ = deliveries.send(delivery);
        failure.map_or(Ok(()), Err)?;
    }
    app.store.complete_batch(batch).await
}

fn failure(record: EventRecord) -> DynamoDbBatchItemFailure {
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = record.change.sequence_number;
    failure
}

/// The task of a record, if its item hands one over.
fn task(record: &EventRecord) -> Option<Task> {
    let text = |name| match record.change.keys.get(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    };
    let (pk, sk) = (text("pk")?, text("sk")?);
    if table::wakes(&record.event_name, sk) { Task::of(pk, sk) } else { None }
}
