//! Follows the table's stream as Lambda's event source mapping does.
//!
//! Invariant: records of a shard are delivered in order, and reading continues only after the function has processed
//! them. After a start all records that the stream still has are delivered again: the functions must tolerate repeats.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aws_lambda_events::dynamodb::Event;
use aws_lambda_events::streams::DynamoDbEventResponse;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::ProvideErrorMetadata;
use aws_sdk_dynamodbstreams::types::{OperationType, Record, ShardIteratorType, StreamViewType};
use domain::error::Source;
use observe::log::reason;
use serde_json::{Map, Value, json};
use store::{Task, table};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::websocket::{Call, invoke};

/// Time limit of an invocation, as in the template.
pub const TIMEOUT: Duration = Duration::from_mins(1);
/// Delay between two reads of the stream, and before the first retry of a failed batch.
const PAUSE: Duration = Duration::from_millis(100);
/// Maximum delay between retries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Interval at which the shards are listed, because DynamoDB adds new ones.
const LIST_INTERVAL: Duration = Duration::from_secs(10);

/// Which records a function receives, and when: its event source mapping in the template.
#[derive(Debug, Clone, Copy)]
pub struct Mapping {
    /// Whether it receives a record with this `eventName` and sort key.
    pub receives: fn(&str, &str) -> bool,
    /// Whether it receives only the newest record of each task and page. Lambda does not do this, but after a start the
    /// function would do the same work again for each of a day's records.
    pub newest_only: bool,
    /// How long records are gathered before the function is invoked.
    pub window: Duration,
    /// Maximum number of records per invocation.
    pub batch: usize,
}

/// The mapping of `fan-out`.
pub const FAN_OUT: Mapping =
    Mapping { receives: table::wakes, newest_only: true, window: Duration::ZERO, batch: 100 };
/// The mapping of `notify`.
pub const NOTIFY: Mapping =
    Mapping { receives: table::notifies, newest_only: false, window: Duration::from_secs(3), batch: 1_000 };

/// A function that receives the records of a stream.
pub type Function = Call<Event, DynamoDbEventResponse>;

/// The task that follows a stream. Dropping it aborts the task.
#[derive(Debug)]
pub struct Tail {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Tail {
    /// Stops after the current attempt to deliver a batch.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.task).await;
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Follows a table's stream from its oldest record. Invokes a function with the records of its mapping.
///
/// Retries a failed batch until the function succeeds; later records of the stream wait.
#[must_use]
pub fn follow(client: Client, table: &str, mapping: Mapping, function: Function) -> Tail {
    let (stop, stopped) = watch::channel(false);
    let reader = Reader {
        client,
        table: table.to_owned(),
        mapping,
        function,
        stopped,
        arn: String::new(),
        shards: BTreeMap::new(),
        listed_at: None,
    };
    Tail { stop, task: tokio::spawn(reader.run()) }
}

/// A shard of the stream, and how far it has been read.
#[derive(Default)]
struct Shard {
    /// The shard before it, which must be read first.
    parent: Option<String>,
    iterator: Option<String>,
    /// Sequence number of the last record that was processed.
    processed: Option<String>,
    ended: bool,
}

struct Reader {
    client: Client,
    table: String,
    mapping: Mapping,
    function: Function,
    stopped: watch::Receiver<bool>,
    arn: String,
    shards: BTreeMap<String, Shard>,
    listed_at: Option<Instant>,
}

impl Reader {
    async fn run(mut self) {
        let mut pause = PAUSE;
        while !*self.stopped.borrow() {
            pause = match self.read_shards().await {
                Ok(()) => PAUSE,
                Err(error) => {
                    tracing::warn!(error = reason(&*error), "cannot read the stream");
                    LONGEST_PAUSE.min(pause * 2)
                }
            };
            self.sleep(pause).await;
        }
    }

    /// Sleeps, but returns early if the task is to stop.
    async fn sleep(&self, pause: Duration) {
        let mut stopped = self.stopped.clone();
        let _ = tokio::time::timeout(pause, stopped.wait_for(|stopped| *stopped)).await;
    }

    /// Reads every shard until it has no more records.
    async fn read_shards(&mut self) -> Result<(), Source> {
        if self.listed_at.is_none_or(|at| at.elapsed() >= LIST_INTERVAL) {
            self.list_shards().await?;
            self.listed_at = Some(Instant::now());
        }
        let ids: Vec<String> = self.shards.keys().cloned().collect();
        for id in ids {
            while self.is_readable(&id) {
                let Some(mut shard) = self.shards.remove(&id) else { break };
                let read = self.read(&id, &mut shard).await;
                self.shards.insert(id.clone(), shard);
                if !read? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Finds the table's stream and lists its shards.
    async fn list_shards(&mut self) -> Result<(), Source> {
        let streams = self.client.list_streams().table_name(&self.table).send().await?.streams;
        // A table has several streams if streaming was switched off and on; the labels are times.
        let latest = streams.unwrap_or_default().into_iter().max_by_key(|stream| stream.stream_label.clone());
        let arn = latest.and_then(|stream| stream.stream_arn).ok_or("the table has no stream")?;
        if arn != self.arn {
            self.shards.clear();
            self.arn = arn;
        }
        let mut listed = HashSet::new();
        let mut last = None;
        loop {
            let describe = self.client.describe_stream().stream_arn(&self.arn);
            let described = describe.set_exclusive_start_shard_id(last).send().await?.stream_description;
            let described = described.ok_or("the response has no description of the stream")?;
            for shard in described.shards.unwrap_or_default() {
                let Some(id) = shard.shard_id else { continue };
                self.shards.entry(id.clone()).or_default().parent = shard.parent_shard_id;
                listed.insert(id);
            }
            last = described.last_evaluated_shard_id;
            if last.is_none() {
                break;
            }
        }
        self.shards.retain(|id, _| listed.contains(id));
        Ok(())
    }

    /// Whether a shard may be read now. Its parent must be read to the end first, so that a record does not overtake an
    /// earlier one of the same item.
    fn is_readable(&self, id: &str) -> bool {
        let Some(shard) = self.shards.get(id) else { return false };
        let parent = shard.parent.as_ref().and_then(|parent| self.shards.get(parent));
        !shard.ended && parent.is_none_or(|parent| parent.ended) && !*self.stopped.borrow()
    }

    /// Reads a page of a shard and delivers it. Returns whether it had records; also false if the task is to stop.
    async fn read(&mut self, id: &str, shard: &mut Shard) -> Result<bool, Source> {
        let iterator = match shard.iterator.take() {
            Some(iterator) => iterator,
            None => self.iterator(id, shard).await?,
        };
        let page = self.client.get_records().shard_iterator(iterator).send().await?;
        let (mut records, mut next) = (page.records.unwrap_or_default(), page.next_shard_iterator);
        if !self.mapping.window.is_zero() && !received(&records, self.mapping).is_empty() {
            self.sleep(self.mapping.window).await;
            if let Some(iterator) = next.take() {
                let page = self.client.get_records().shard_iterator(iterator).send().await?;
                records.extend(page.records.unwrap_or_default());
                next = page.next_shard_iterator;
            }
        }
        for batch in received(&records, self.mapping).chunks(self.mapping.batch) {
            if !self.deliver(batch).await {
                return Ok(false);
            }
        }
        if let Some(last) = records.last() {
            shard.processed = sequence_number(last).map(ToOwned::to_owned);
        }
        shard.iterator = next;
        if shard.iterator.is_none() {
            // List its successors at the next read.
            shard.ended = true;
            self.listed_at = None;
        }
        Ok(!records.is_empty())
    }

    async fn iterator(&self, id: &str, shard: &mut Shard) -> Result<String, Source> {
        let kind = match shard.processed {
            Some(_) => ShardIteratorType::AfterSequenceNumber,
            None => ShardIteratorType::TrimHorizon,
        };
        let get = self.client.get_shard_iterator().stream_arn(&self.arn).shard_id(id);
        let response =
            get.shard_iterator_type(kind).set_sequence_number(shard.processed.clone()).send().await;
        if response.as_ref().is_err_and(|error| error.code() == Some("TrimmedDataAccessException")) {
            shard.processed = None;
        }
        Ok(response?.shard_iterator.ok_or("a shard has no iterator")?)
    }

    /// Invokes the function with a batch until it has processed all records. Returns false if the task must stop first.
    async fn deliver(&self, mut batch: &[&Record]) -> bool {
        let mut pause = PAUSE;
        while !*self.stopped.borrow() {
            let failed = match self.invoke(batch).await {
                Ok(response) => match first_failure(batch, &response) {
                    Some(failed) => failed,
                    None => return true,
                },
                Err(error) => {
                    tracing::warn!(%error, "the stream's function failed");
                    0
                }
            };
            if failed > 0 {
                (batch, pause) = (&batch[failed..], PAUSE);
            }
            self.sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
        false
    }

    async fn invoke(&self, batch: &[&Record]) -> Result<DynamoDbEventResponse, String> {
        let event = serde_json::from_value(event(&self.arn, batch)).map_err(|error| error.to_string())?;
        invoke(&self.function, event, TIMEOUT).await.map_err(|failure| failure.to_string())
    }
}

/// Returns the records that a function receives.
fn received(records: &[Record], mapping: Mapping) -> Vec<&Record> {
    let mut seen = HashSet::new();
    let is_wanted = |record: &&Record| {
        let change = record.event_name.as_ref().map_or("", |name| name.as_str());
        (mapping.receives)(change, key(record, "sk").unwrap_or_default())
    };
    let wanted = records.iter().rev().filter(is_wanted);
    let mut received: Vec<&Record> =
        wanted.filter(|record| !mapping.newest_only || seen.insert(task(record))).collect();
    received.reverse();
    received
}

fn task(record: &Record) -> Option<Task> {
    Task::of(key(record, "pk")?, key(record, "sk")?)
}

fn key<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.dynamodb.as_ref()?.keys.as_ref()?.get(name)?.as_s().ok().map(String::as_str)
}

fn sequence_number(record: &Record) -> Option<&str> {
    record.dynamodb.as_ref()?.sequence_number.as_deref()
}

/// Returns the index from which a batch must be retried; `None` if all records were processed. As in Lambda, a failure
/// that names no record of the batch means the whole batch.
fn first_failure(batch: &[&Record], response: &DynamoDbEventResponse) -> Option<usize> {
    let index = |id: Option<&str>| batch.iter().position(|record| sequence_number(record) == id).unwrap_or(0);
    response.batch_item_failures.iter().map(|failure| index(failure.item_identifier.as_deref())).min()
}

/// Returns the event that Lambda sends to a function for a stream of type `KEYS_ONLY`.
fn event(arn: &str, batch: &[&Record]) -> Value {
    let records: Vec<Value> = batch
        .iter()
        .map(|record| {
            let change = record.dynamodb.as_ref();
            let keys = change.and_then(|change| change.keys.as_ref()).into_iter().flatten();
            let keys =
                keys.filter_map(|(name, value)| Some((name.clone(), json!({ "S": value.as_s().ok()? }))));
            let created = change.and_then(|change| change.approximate_creation_date_time);
            let view = change.and_then(|change| change.stream_view_type.as_ref());
            json!({
                "eventID": record.event_id,
                "eventName": record.event_name.as_ref().map(OperationType::as_str),
                "eventVersion": record.event_version,
                "eventSource": record.event_source,
                "awsRegion": record.aws_region,
                "dynamodb": {
                    "ApproximateCreationDateTime": created.map_or(0.0, |created| created.as_secs_f64()),
                    "Keys": keys.collect::<Map<_, _>>(),
                    "SequenceNumber": sequence_number(record),
                    "SizeBytes": change.and_then(|change| change.size_bytes).unwrap_or_default(),
                    "StreamViewType": view.map(StreamViewType::as_str),
                },
                "eventSourceARN": arn,
            })
        })
        .collect();
    json!({ "Records": records })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lambda_events::streams::DynamoDbBatchItemFailure;
    use aws_sdk_dynamodbstreams::primitives::DateTime;
    use aws_sdk_dynamodbstreams::types::{AttributeValue, StreamRecord};
    use domain::id::{ConversationId, ConversationKind, Stamp};
    use domain::time::Timestamp;
    use store::{LOG, REACTION};

    fn record(number: &str, change: OperationType, pk: &str, sk: &str) -> Record {
        let stored = StreamRecord::builder()
            .approximate_creation_date_time(DateTime::from_secs(1_761_000_000))
            .keys("pk", AttributeValue::S(pk.to_owned()))
            .keys("sk", AttributeValue::S(sk.to_owned()))
            .sequence_number(number)
            .size_bytes(26)
            .stream_view_type(StreamViewType::KeysOnly);
        Record::builder()
            .event_id("c4ca4238a0b923820dcc509a6f75849b")
            .event_name(change)
            .event_version("1.1")
            .event_source("aws:dynamodb")
            .aws_region("us-east-1")
            .dynamodb(stored.build())
            .build()
    }

    fn log(number: &str, pk: &str) -> Record {
        record(number, OperationType::Insert, pk, &format!("{LOG}1"))
    }

    #[test]
    fn an_event_has_the_fields_that_lambda_sends() {
        let expected = json!({
            "Records": [{
                "eventID": "c4ca4238a0b923820dcc509a6f75849b",
                "eventName": "INSERT",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "us-east-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1_761_000_000.0,
                    "Keys": { "pk": { "S": "one" }, "sk": { "S": format!("{LOG}1") } },
                    "SequenceNumber": "111",
                    "SizeBytes": 26,
                    "StreamViewType": "KEYS_ONLY",
                },
                "eventSourceARN": "arn",
            }],
        });
        assert_eq!(event("arn", &[&log("111", "one")]), expected);
        assert!(serde_json::from_value::<Event>(expected).is_ok());
    }

    #[test]
    fn records_that_wake_no_function_are_skipped() {
        let [one, five] = [(); 2].map(|()| format!("C#{}", ConversationId::new(ConversationKind::Group)));
        let reaction = |message: i64| {
            let stamp = Stamp::first_of(Timestamp::from_millis(message));
            format!("{REACTION}{stamp}#alice")
        };
        let records = [
            log("1", &one),
            record("2", OperationType::Insert, "two", "other"),
            record("3", OperationType::Modify, "three", LOG),
            record("4", OperationType::Remove, "four", LOG),
            Record::builder().event_name(OperationType::Insert).build(),
            log("5", &five),
            log("6", &one),
            record("7", OperationType::Insert, &one, &reaction(1)),
            record("8", OperationType::Modify, &one, &reaction(1)),
            record("9", OperationType::Insert, &one, &reaction(2)),
        ];
        let numbers: Vec<_> = received(&records, FAN_OUT).into_iter().filter_map(sequence_number).collect();
        assert_eq!(numbers, ["5", "6", "8", "9"]);
    }

    #[test]
    fn each_new_message_and_each_removal_from_the_list_is_received() {
        let (message, waiting) = (format!("{}1", table::MESSAGE), format!("{}alice", table::WAITING_USER));
        let records = [
            record("1", OperationType::Insert, "one", &message),
            record("2", OperationType::Insert, "one", &message),
            record("3", OperationType::Modify, "one", &message),
            record("4", OperationType::Insert, "two", &waiting),
            record("5", OperationType::Remove, "two", &waiting),
            log("6", "one"),
        ];
        let numbers: Vec<_> = received(&records, NOTIFY).into_iter().filter_map(sequence_number).collect();
        assert_eq!(numbers, ["1", "2", "5"]);
    }

    #[test]
    fn a_batch_is_retried_from_its_first_failure() {
        let records = [log("1", "one"), log("2", "two"), log("3", "three")];
        let batch: Vec<_> = records.iter().collect();
        let retry_from = |failed: &[Option<&str>]| {
            let mut response = DynamoDbEventResponse::default();
            for id in failed {
                let mut failure = DynamoDbBatchItemFailure::default();
                failure.item_identifier = id.map(ToOwned::to_owned);
                response.batch_item_failures.push(failure);
            }
            first_failure(&batch, &response)
        };
        assert_eq!(retry_from(&[]), None);
        assert_eq!(retry_from(&[Some("3"), Some("2")]), Some(1));
        for unknown in [None, Some(""), Some("4")] {
            assert_eq!(retry_from(&[Some("3"), unknown]), Some(0), "{unknown:?}");
        }
    }
}
