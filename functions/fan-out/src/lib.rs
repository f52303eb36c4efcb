//! The handler of the table's stream: fans out the changes of large conversations.
//!
//! Invariant: a record is only a wake-up call. What is left to fan out follows from the conversation's checkpoint, so a
//! repeated or late record does no harm.

use std::collections::BTreeMap;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use domain::error::Error;
use domain::id::ConversationId;
use edge::app::App;
use futures_util::stream::{self, StreamExt};
use observe::log::reason;
use observe::meter;
use observe::metrics::Metric;
use serde_dynamo::AttributeValue;
use store::{FannedOut, logged_conversation, table};

/// How many conversations are fanned out concurrently. Each already writes to many participants at once.
const CONCURRENT_CONVERSATIONS: usize = 4;

/// Fans out each conversation of a batch of records once, and reports the records of those that failed. Lambda retries
/// from the first of these on; a conversation that is already done then costs one read.
///
/// # Errors
/// None: failures are in the response.
pub async fn handle(app: App, event: Event) -> Result<DynamoDbEventResponse, String> {
    meter::note_field("route", "stream");
    meter::note_field("records", event.records.len());
    let mut records_of: BTreeMap<ConversationId, Vec<EventRecord>> = BTreeMap::new();
    for record in event.records {
        if let Some(conversation) = conversation(&record) {
            records_of.entry(conversation).or_default().push(record);
        }
    }
    let outcomes = stream::iter(records_of).map(|(conversation, records)| {
        let app = &app;
        async move { (fan_out(app, &conversation).await, conversation, records) }
    });
    let mut response = DynamoDbEventResponse::default();
    let mut outcomes = outcomes.buffer_unordered(CONCURRENT_CONVERSATIONS);
    while let Some((outcome, conversation, records)) = outcomes.next().await {
        let Err(error) = outcome else { continue };
        meter::failed(&error);
        let reason = reason(&error);
        tracing::error!(%conversation, code = error.code(), error = reason, "a conversation is not up to date");
        response.batch_item_failures.extend(records.into_iter().map(failure));
    }
    Ok(response)
}

/// Fans out the changes of a large conversation to all its participants, from its checkpoint on. Idempotent, also when
/// run concurrently.
///
/// # Errors
/// `Unavailable` if the database is, or a log entry cannot be read yet.
pub async fn fan_out(app: &App, conversation: &ConversationId) -> Result<(), Error> {
    meter::note(conversation);
    let mut is_first = true;
    while let Some(batch) = app.store.next_batch(conversation).await? {
        for users in batch.receivers() {
            let FannedOut { delivery, failure } = app.store.fan_out_to(&batch, users).await?;
            app.push.deliver(&app.store, delivery).await;
            failure.map_or(Ok(()), Err)?;
        }
        app.store.complete_batch(&batch).await?;
        // The first batch has the oldest change, and so the greatest lag.
        if is_first && let Some(since) = batch.since() {
            meter::measure_between(Metric::FanOutLag, since, app.store.now());
        }
        is_first = false;
    }
    Ok(())
}

fn failure(record: EventRecord) -> DynamoDbBatchItemFailure {
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = record.change.sequence_number;
    failure
}

/// The conversation of a record, if the record is a new entry of its log.
fn conversation(record: &EventRecord) -> Option<ConversationId> {
    let text = |name| match record.change.keys.get(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    };
    let (pk, sk) = (text("pk")?, text("sk")?);
    if table::wakes(&record.event_name, sk) { logged_conversation(pk, sk) } else { None }
}
