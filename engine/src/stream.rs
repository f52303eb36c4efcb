//! The records of streams, and the operations that read them.
//!
//! A stream has one shard, which never ends. Records have increasing numbers, and are kept for a day.

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::error::{Error, invalid, refused};
use crate::json;
use crate::storage::Stored;
use crate::table::{Stream, Table, Tables, find};
use crate::value::{Item, item_json, item_size};

/// How long a record is kept, in milliseconds.
const LIFE: i64 = 24 * 3600 * 1000;
/// Maximum number of records in a response.
const PAGE: usize = 1000;
/// Maximum size of the records of a response, in bytes.
const PAGE_SIZE: usize = 1 << 20;
const SHARD: &str = "shardId-00000000000000000001-00000001";
/// Sequence numbers have at least 21 digits.
const FIRST_NUMBER: u128 = 100_000_000_000_000_000_000;
/// The beginning of a table's ARN, before its name.
pub(crate) const ARN: &str = "arn:aws:dynamodb:local:000000000000:table/";

/// Creates the SQL table of all streams.
pub(crate) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS records (number INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT, change TEXT,
         keys BLOB, image BLOB, size INTEGER, created INTEGER)",
    )
}

/// Returns the ARN of a table's stream.
pub(crate) fn arn(table: &Table, stream: &Stream) -> String {
    format!("{ARN}{}/stream/{}", table.source.name, stream.label)
}

/// A change of an item.
pub(crate) struct Change<'a> {
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub(crate) name: &'static str,
    /// The item, before or after the change.
    pub(crate) item: &'a Item,
    pub(crate) new: Option<&'a Stored>,
    /// When it happened, in milliseconds since 1970.
    pub(crate) at: i64,
}

/// Adds a record to a table's stream.
pub(crate) fn record(
    connection: &Connection,
    table: &Table,
    stream: &Stream,
    change: &Change<'_>,
) -> Result<(), Error> {
    let image = change.new.filter(|_| stream.images);
    let keys = || table.source.keys.iter().filter_map(|name| change.item.get_key_value(name.as_str()));
    let size = item_size(keys()) + image.map_or(0, |image| image.size);
    let sql =
        "INSERT INTO records (stream, change, keys, image, size, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let image = image.map(|image| &image.json);
    connection.prepare_cached(sql)?.execute(params![
        arn(table, stream),
        change.name,
        item_json(keys()),
        image,
        size,
        change.at
    ])?;
    Ok(())
}

/// Deletes records that are older than a day.
pub(crate) fn trim(connection: &Connection, now: i64) -> Result<(), Error> {
    let sql = "DELETE FROM records WHERE number < (SELECT coalesce(
        (SELECT number FROM records WHERE created > ?1 ORDER BY number LIMIT 1),
        (SELECT max(number) + 1 FROM records)))";
    connection.prepare_cached(sql)?.execute([now - LIFE])?;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ListStreams {
    table_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct DescribeStream {
    stream_arn: String,
    exclusive_start_shard_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct GetShardIterator {
    stream_arn: String,
    shard_id: String,
    shard_iterator_type: IteratorType,
    sequence_number: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum IteratorType {
    TrimHorizon,
    AfterSequenceNumber,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct GetRecords {
    shard_iterator: String,
    limit: Option<usize>,
}

fn stream<'a>(tables: &'a Tables, wanted: &str) -> Result<(&'a Table, &'a Stream), Error> {
    let streams = tables.values().filter_map(|table| Some((&**table, table.stream.as_ref()?)));
    let mut found = streams.filter(|(table, stream)| arn(table, stream) == wanted);
    found.next().ok_or_else(|| refused("ResourceNotFoundException", "Requested resource not found: Stream"))
}

impl ListStreams {
    pub(crate) fn run(self, tables: &Tables) -> Result<Json, Error> {
        let table = find(tables, &self.table_name)?;
        let streams: Vec<Json> = table
            .stream
            .iter()
            .map(|stream| {
                json!({"StreamArn": arn(table, stream), "StreamLabel": stream.label, "TableName": self.table_name})
            })
            .collect();
        Ok(json!({ "Streams": streams }))
    }
}

impl DescribeStream {
    pub(crate) fn run(self, tables: &Tables) -> Result<Json, Error> {
        let (table, stream) = stream(tables, &self.stream_arn)?;
        let shard = json!({"ShardId": SHARD, "SequenceNumberRange": {"StartingSequenceNumber": FIRST_NUMBER.to_string()}});
        let shards = if self.exclusive_start_shard_id.is_none() { vec![shard] } else { Vec::new() };
        Ok(json!({"StreamDescription": {
            "StreamArn": self.stream_arn,
            "StreamLabel": stream.label,
            "StreamStatus": "ENABLED",
            "StreamViewType": view(stream),
            "TableName": table.source.name,
            "Shards": shards,
        }}))
    }
}

/// The type of a stream's records.
pub(crate) fn view(stream: &Stream) -> &'static str {
    if stream.images { "NEW_IMAGE" } else { "KEYS_ONLY" }
}

impl GetShardIterator {
    pub(crate) fn run(self, tables: &Tables) -> Result<Json, Error> {
        stream(tables, &self.stream_arn)?;
        if self.shard_id != SHARD {
            return Err(refused("ResourceNotFoundException", "Requested resource not found: Shard"));
        }
        let after = match (self.shard_iterator_type, self.sequence_number) {
            (IteratorType::TrimHorizon, None) => 0,
            (IteratorType::AfterSequenceNumber, Some(number)) => {
                let number = number.parse().ok().and_then(|number: u128| number.checked_sub(FIRST_NUMBER));
                let number = number.and_then(|number| i64::try_from(number).ok());
                number.ok_or_else(|| invalid("Invalid SequenceNumber"))?
            }
            _ => return Err(invalid("SequenceNumber must be given for AFTER_SEQUENCE_NUMBER only")),
        };
        Ok(json!({ "ShardIterator": iterator(&self.stream_arn, after) }))
    }
}

/// The iterator for the records of a stream after a number.
fn iterator(arn: &str, after: i64) -> String {
    format!("{arn}|{after}")
}

impl GetRecords {
    pub(crate) fn run(self, connection: &Connection, tables: &Tables) -> Result<Vec<u8>, Error> {
        let parts = self.shard_iterator.rsplit_once('|');
        let parts = parts.and_then(|(arn, after)| Some((arn, after.parse::<i64>().ok()?)));
        let (arn, after) = parts.ok_or_else(|| invalid("Invalid ShardIterator"))?;
        let (_, stream) = stream(tables, arn)?;
        let limit = self.limit.unwrap_or(PAGE);
        if limit == 0 || limit > PAGE {
            return Err(invalid(format!("Limit must be between 1 and {PAGE}")));
        }
        let sql = "SELECT number, change, keys, image, size, created FROM records
                   WHERE number > ?1 AND stream = ?2 ORDER BY number LIMIT ?3";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query((after, arn, limit))?;
        let (mut last, mut size) = (after, 0);
        let mut out = b"{\"Records\":[".to_vec();
        while let Some(row) = rows.next()? {
            size += row.get::<_, usize>(4)?;
            if size > PAGE_SIZE && last > after {
                break;
            }
            if last > after {
                out.push(b',');
            }
            last = row.get(0)?;
            write_record(&mut out, row, view(stream))?;
        }
        out.push(b']');
        out.extend_from_slice(b",\"NextShardIterator\":");
        json::text(&mut out, &iterator(arn, last));
        out.push(b'}');
        Ok(out)
    }
}

fn write_record(out: &mut Vec<u8>, row: &rusqlite::Row<'_>, view: &str) -> rusqlite::Result<()> {
    let (number, change, size): (i64, String, usize) = (row.get(0)?, row.get(1)?, row.get(4)?);
    let sequence_number = FIRST_NUMBER + u128::from(number.unsigned_abs());
    let seconds = row.get::<_, i64>(5)? / 1000;
    let record = format!(
        "{{\"eventID\":\"{sequence_number:032x}\",\"eventName\":\"{change}\",\"eventVersion\":\"1.1\",\
         \"eventSource\":\"aws:dynamodb\",\"awsRegion\":\"local\",\"dynamodb\":{{\
         \"ApproximateCreationDateTime\":{seconds},\"SequenceNumber\":\"{sequence_number}\",\
         \"SizeBytes\":{size},\"StreamViewType\":\"{view}\""
    );
    out.extend_from_slice(record.as_bytes());
    json::member(out, "Keys", &row.get::<_, Vec<u8>>(2)?);
    if let Some(image) = row.get::<_, Option<Vec<u8>>>(3)? {
        json::member(out, "NewImage", &image);
    }
    out.extend_from_slice(b"}}");
    Ok(())
}
