//! The table's stream: large conversations whose logs have grown.
//!
//! Invariant: a record says no more than that there is something to do; what there is the conversation's own
//! checkpoint tells.

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

/// Conversations that are worked on at once. Each writes to many participants side by side already.
const SIDE_BY_SIDE: usize = 4;

/// Brings each conversation of a batch up to date, once, and names the records of those that failed: Lambda goes on
/// from the first of them. What it then hands over again is done already, and costs a read.
///
/// # Errors
/// None: what fails is in the answer.
pub async fn handle(app: App, event: Event) -> Result<DynamoDbEventResponse, String> {
    meter::note_field("route", "stream");
    meter::note_field("records", event.records.len());
    let mut woken: BTreeMap<ConversationId, Vec<EventRecord>> = BTreeMap::new();
    for record in event.records {
        if let Some(conversation) = conversation(&record) {
            woken.entry(conversation).or_default().push(record);
        }
    }
    let outcomes = stream::iter(woken).map(|(conversation, records)| {
        let app = &app;
        async move { (fan_out(app, &conversation).await, conversation, records) }
    });
    let mut response = DynamoDbEventResponse::default();
    let mut outcomes = outcomes.buffer_unordered(SIDE_BY_SIDE);
    while let Some((outcome, conversation, records)) = outcomes.next().await {
        let Err(error) = outcome else { continue };
        meter::failed(&error);
        let reason = reason(&error);
        tracing::error!(%conversation, code = error.code(), error = reason, "a conversation is not up to date");
        response.batch_item_failures.extend(records.into_iter().map(failure));
    }
    Ok(response)
}

/// Fans the changes of a large conversation out to all of its participants, from its checkpoint on. Running it again, or
/// twice at once, changes nothing.
///
/// # Errors
/// `Unavailable` where the database is, or an entry of the log cannot be read yet.
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
        // The batches after the first are younger.
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

/// The conversation that a record is of, if its log has grown.
fn conversation(record: &EventRecord) -> Option<ConversationId> {
    let text = |name| match record.change.keys.get(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    };
    let (pk, sk) = (text("pk")?, text("sk")?);
    if table::wakes(&record.event_name, sk) { logged_conversation(pk, sk) } else { None }
}
