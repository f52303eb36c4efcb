//! From an operation and its JSON to what the engine runs.

use std::time::Instant;

use rusqlite::Connection;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::definition::{CreateTable, UpdateTable};
use crate::error::{Error, invalid, refused};
use crate::plan::{Changed, Recording};
use crate::query::Query;
use crate::read::{BatchGetItem, GetItem};
use crate::schema::{Describe, UpdateTimeToLive};
use crate::single::{Batch, Single};
use crate::stream::{DescribeStream, GetRecords, GetShardIterator, ListStreams};
use crate::table::Tables;
use crate::transact::{Tokens, Transaction};
use crate::write::Kind;

type Answer = Result<Vec<u8>, Error>;

/// The state that a write changes.
pub(crate) struct Writing<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) tables: &'a mut Tables,
    pub(crate) tokens: &'a mut Tokens,
    pub(crate) recording: Recording,
    /// When the write began to wait for its turn.
    pub(crate) since: Instant,
    pub(crate) changed: &'a mut Changed,
}

/// Runs a request that changes nothing.
pub(crate) type Read = Box<dyn FnOnce(&Connection, &Tables) -> Answer + Send>;
/// Runs a request that changes something.
pub(crate) type Change = Box<dyn FnOnce(Writing<'_>) -> Answer + Send>;

/// A parsed request.
pub(crate) enum Request {
    Read(Read),
    Change(Change),
}

/// Parses the body of an operation.
///
/// # Errors
/// `ValidationException` for what the engine does not support, `SerializationException` for what is not JSON.
pub(crate) fn parse(operation: &str, body: &[u8]) -> Result<Request, Error> {
    Ok(match operation {
        "GetItem" => {
            let request: GetItem = input(body)?;
            read(move |connection, tables| request.run(connection, tables))
        }
        "BatchGetItem" => {
            let request: BatchGetItem = input(body)?;
            read(move |connection, tables| request.run(connection, tables))
        }
        "Query" => {
            let request = Query::of_keys(input(body)?)?;
            read(move |connection, tables| request.run(connection, tables))
        }
        "Scan" => {
            let request = Query::scan(input(body)?)?;
            read(move |connection, tables| request.run(connection, tables))
        }
        "PutItem" => single(body, Kind::Put)?,
        "UpdateItem" => single(body, Kind::Update)?,
        "DeleteItem" => single(body, Kind::Delete)?,
        "BatchWriteItem" => {
            let request = Batch::new(input(body)?)?;
            change(move |to| request.run(to.connection, to.tables, to.recording))
        }
        "TransactWriteItems" => {
            let request = Transaction::new(input(body)?)?;
            Request::Change(Box::new(move |to| {
                let Writing { connection, tables, tokens, recording, since, changed } = to;
                request.run(connection, tables, tokens, recording, since, changed)
            }))
        }
        _ => return of_tables(operation, body),
    })
}

/// Parses an operation on a table or its stream.
fn of_tables(operation: &str, body: &[u8]) -> Result<Request, Error> {
    Ok(match operation {
        "CreateTable" => {
            let request: CreateTable = input(body)?;
            change(move |to| json(request.run(to.connection, to.tables, to.recording.now)))
        }
        "UpdateTable" => {
            let request: UpdateTable = input(body)?;
            change(move |to| json(request.run(to.connection, to.tables, to.recording.now)))
        }
        "UpdateTimeToLive" => {
            let request: UpdateTimeToLive = input(body)?;
            change(move |to| json(request.run(to.connection, to.tables)))
        }
        "DescribeTable" => {
            let request: Describe = input(body)?;
            read(move |_, tables| json(request.table(tables)))
        }
        "DescribeTimeToLive" => {
            let request: Describe = input(body)?;
            read(move |_, tables| json(request.time_to_live(tables)))
        }
        "ListStreams" => {
            let request: ListStreams = input(body)?;
            read(move |_, tables| json(request.run(tables)))
        }
        "DescribeStream" => {
            let request: DescribeStream = input(body)?;
            read(move |_, tables| json(request.run(tables)))
        }
        "GetShardIterator" => {
            let request: GetShardIterator = input(body)?;
            read(move |_, tables| json(request.run(tables)))
        }
        "GetRecords" => {
            let request: GetRecords = input(body)?;
            read(move |connection, tables| request.run(connection, tables))
        }
        _ => return Err(invalid(format!("{operation} is not supported by the local engine"))),
    })
}

fn read(run: impl FnOnce(&Connection, &Tables) -> Answer + Send + 'static) -> Request {
    Request::Read(Box::new(run))
}

fn change(run: impl FnOnce(Writing<'_>) -> Answer + Send + 'static) -> Request {
    Request::Change(Box::new(|to: Writing<'_>| {
        to.changed.has_others = true;
        run(to)
    }))
}

fn single(body: &[u8], kind: Kind) -> Result<Request, Error> {
    let request = Single::new(input(body)?, kind)?;
    Ok(change(move |to| request.run(to.connection, to.tables, to.recording)))
}

fn json(answer: Result<Json, Error>) -> Answer {
    Ok(answer?.to_string().into_bytes())
}

fn input<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            invalid(error.to_string())
        } else {
            refused("SerializationException", error.to_string())
        }
    })
}
