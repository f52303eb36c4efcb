//! The table's stream, followed as Lambda's event source mapping does.
//!
//! Invariant: a record is passed only once its function has taken it, and within a shard in order. After a start
//! everything that is kept comes again, each item's partition once per look: whoever follows must not mind.

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
use store::table;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::websocket::{Call, invoke};

/// Records that a function is given at once, as in the template.
pub const BATCH: usize = 100;
/// How long one call of the function may take, as in the template.
pub const TIMEOUT: Duration = Duration::from_mins(1);
/// How long the stream rests where it had nothing new, and a failed batch at first.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a batch that fails again and again rests at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often shards are looked for: DynamoDB opens new ones.
const SURVEY: Duration = Duration::from_secs(10);

/// A function at the end of a stream.
pub type Function = Call<Event, DynamoDbEventResponse>;

/// A stream being followed. Dropped, it is not followed any further, at once.
#[derive(Debug)]
pub struct Tail {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Tail {
    /// Stops once the batch under way has been tried.
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

/// Follows a table's stream from the oldest record that is kept, and hands a function what Lambda's filter lets pass.
///
/// What the function fails at is given to it again, until it succeeds; what comes later waits.
#[must_use]
pub fn follow(client: Client, table: &str, function: Function) -> Tail {
    let (stop, stopped) = watch::channel(false);
    let reader = Reader {
        client,
        table: table.to_owned(),
        function,
        stopped,
        arn: String::new(),
        shards: BTreeMap::new(),
        surveyed: None,
    };
    Tail { stop, task: tokio::spawn(reader.run()) }
}

/// A part of the stream, and how far it was read.
#[derive(Default)]
struct Shard {
    /// The one before it, which is read first.
    parent: Option<String>,
    iterator: Option<String>,
    /// The last record that was taken.
    taken: Option<String>,
    ended: bool,
}

struct Reader {
    client: Client,
    table: String,
    function: Function,
    stopped: watch::Receiver<bool>,
    arn: String,
    shards: BTreeMap<String, Shard>,
    surveyed: Option<Instant>,
}

impl Reader {
    async fn run(mut self) {
        let mut pause = PAUSE;
        while !*self.stopped.borrow() {
            pause = match self.look().await {
                Ok(()) => PAUSE,
                Err(error) => {
                    tracing::warn!(error = reason(&*error), "the stream cannot be read");
                    LONGEST_PAUSE.min(pause * 2)
                }
            };
            self.rest(pause).await;
        }
    }

    /// Waits, unless it is to stop.
    async fn rest(&self, pause: Duration) {
        let mut stopped = self.stopped.clone();
        let _ = tokio::time::timeout(pause, stopped.wait_for(|stopped| *stopped)).await;
    }

    /// Reads every shard to its end.
    async fn look(&mut self) -> Result<(), Source> {
        if self.surveyed.is_none_or(|at| at.elapsed() >= SURVEY) {
            self.survey().await?;
            self.surveyed = Some(Instant::now());
        }
        let ids: Vec<String> = self.shards.keys().cloned().collect();
        for id in ids {
            while self.is_open(&id) {
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

    /// Finds the stream and its shards.
    async fn survey(&mut self) -> Result<(), Source> {
        let streams = self.client.list_streams().table_name(&self.table).send().await?.streams;
        // One that was switched off and on has several; the labels are times.
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
            let described = described.ok_or("the stream is not described")?;
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

    /// Whether a shard may be read: a record must not overtake an earlier one of its item, in the shard before.
    fn is_open(&self, id: &str) -> bool {
        let Some(shard) = self.shards.get(id) else { return false };
        let parent = shard.parent.as_ref().and_then(|parent| self.shards.get(parent));
        !shard.ended && parent.is_none_or(|parent| parent.ended) && !*self.stopped.borrow()
    }

    /// Reads a page of a shard and hands it over; whether there was anything in it.
    async fn read(&mut self, id: &str, shard: &mut Shard) -> Result<bool, Source> {
        let iterator = match shard.iterator.take() {
            Some(iterator) => iterator,
            None => self.iterator(id, shard).await?,
        };
        let page = self.client.get_records().shard_iterator(iterator).send().await?;
        let records = page.records.unwrap_or_default();
        let wanted = newest(&records);
        for batch in wanted.chunks(BATCH) {
            if !self.hand_over(batch).await {
                return Ok(false);
            }
        }
        if let Some(last) = records.last() {
            shard.taken = number(last).map(ToOwned::to_owned);
        }
        shard.iterator = page.next_shard_iterator;
        if shard.iterator.is_none() {
            // Its successors are listed now.
            shard.ended = true;
            self.surveyed = None;
        }
        Ok(!records.is_empty())
    }

    async fn iterator(&self, id: &str, shard: &mut Shard) -> Result<String, Source> {
        let kind = match shard.taken {
            Some(_) => ShardIteratorType::AfterSequenceNumber,
            None => ShardIteratorType::TrimHorizon,
        };
        let get = self.client.get_shard_iterator().stream_arn(&self.arn).shard_id(id);
        let got = get.shard_iterator_type(kind).set_sequence_number(shard.taken.clone()).send().await;
        if got.as_ref().is_err_and(|error| error.code() == Some("TrimmedDataAccessException")) {
            shard.taken = None;
        }
        Ok(got?.shard_iterator.ok_or("a shard has no iterator")?)
    }

    /// Gives a batch to the function until it has taken all of it; `false` where it is to stop before that.
    async fn hand_over(&self, mut batch: &[&Record]) -> bool {
        let mut pause = PAUSE;
        while !*self.stopped.borrow() {
            let from = match self.invoke(batch).await {
                Ok(response) => match first_failure(batch, &response) {
                    Some(from) => from,
                    None => return true,
                },
                Err(error) => {
                    tracing::warn!(%error, "the stream's function failed");
                    0
                }
            };
            if from > 0 {
                (batch, pause) = (&batch[from..], PAUSE);
            }
            self.rest(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
        false
    }

    async fn invoke(&self, batch: &[&Record]) -> Result<DynamoDbEventResponse, String> {
        let event = serde_json::from_value(event(&self.arn, batch)).map_err(|error| error.to_string())?;
        invoke(&self.function, event, TIMEOUT).await.map_err(|failure| failure.to_string())
    }
}

/// The records that wake the function, without those that a later one of the same partition makes needless.
fn newest(records: &[Record]) -> Vec<&Record> {
    let mut seen = HashSet::new();
    let wakes = |record: &&Record| {
        let change = record.event_name.as_ref().map_or("", |name| name.as_str());
        table::wakes(change, key(record, "sk").unwrap_or_default())
    };
    let mut newest: Vec<&Record> =
        records.iter().rev().filter(wakes).filter(|record| seen.insert(key(record, "pk"))).collect();
    newest.reverse();
    newest
}

fn key<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.dynamodb.as_ref()?.keys.as_ref()?.get(name)?.as_s().ok().map(String::as_str)
}

fn number(record: &Record) -> Option<&str> {
    record.dynamodb.as_ref()?.sequence_number.as_deref()
}

/// Where a batch has to be tried again from; `None` where all of it was taken. As Lambda has it, a failure that names
/// no record of the batch is one of the whole batch.
fn first_failure(batch: &[&Record], response: &DynamoDbEventResponse) -> Option<usize> {
    let place = |name: Option<&str>| batch.iter().position(|record| number(record) == name).unwrap_or(0);
    response.batch_item_failures.iter().map(|failure| place(failure.item_identifier.as_deref())).min()
}

/// What Lambda hands to a function for records that hold their items' keys alone.
fn event(arn: &str, batch: &[&Record]) -> Value {
    let records: Vec<Value> = batch
        .iter()
        .map(|record| {
            let change = record.dynamodb.as_ref();
            let keys = change.and_then(|change| change.keys.as_ref()).into_iter().flatten();
            let keys =
                keys.filter_map(|(name, value)| Some((name.clone(), json!({ "S": value.as_s().ok()? }))));
            let made = change.and_then(|change| change.approximate_creation_date_time);
            let view = change.and_then(|change| change.stream_view_type.as_ref());
            json!({
                "eventID": record.event_id,
                "eventName": record.event_name.as_ref().map(OperationType::as_str),
                "eventVersion": record.event_version,
                "eventSource": record.event_source,
                "awsRegion": record.aws_region,
                "dynamodb": {
                    "ApproximateCreationDateTime": made.map_or(0.0, |made| made.as_secs_f64()),
                    "Keys": keys.collect::<Map<_, _>>(),
                    "SequenceNumber": number(record),
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
    use store::LOG;

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
    fn what_wakes_nobody_is_passed_over() {
        let records = [
            log("1", "one"),
            record("2", OperationType::Insert, "two", "other"),
            record("3", OperationType::Modify, "three", LOG),
            record("4", OperationType::Remove, "four", LOG),
            Record::builder().event_name(OperationType::Insert).build(),
            log("5", "five"),
            log("6", "one"),
        ];
        let numbers: Vec<_> = newest(&records).into_iter().filter_map(number).collect();
        assert_eq!(numbers, ["5", "6"]);
    }

    #[test]
    fn the_first_failure_is_the_one_to_go_on_from() {
        let records = [log("1", "one"), log("2", "two"), log("3", "three")];
        let batch: Vec<_> = records.iter().collect();
        let after = |failed: &[Option<&str>]| {
            let mut response = DynamoDbEventResponse::default();
            for name in failed {
                let mut failure = DynamoDbBatchItemFailure::default();
                failure.item_identifier = name.map(ToOwned::to_owned);
                response.batch_item_failures.push(failure);
            }
            first_failure(&batch, &response)
        };
        assert_eq!(after(&[]), None);
        assert_eq!(after(&[Some("3"), Some("2")]), Some(1));
        for whole in [None, Some(""), Some("4")] {
            assert_eq!(after(&[Some("3"), whole]), Some(0), "{whole:?}");
        }
    }
}
