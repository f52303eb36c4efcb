//! An embedded DynamoDB on SQLite: operations and JSON in, statuses and JSON out.
//!
//! It supports what Tidings uses. Every other operation, member, function or type is refused with a
//! `ValidationException`, so that nothing is answered differently than by DynamoDB.
//!
//! - `request` parses an operation. Reads (`read`, `query`) run on the caller's thread. Writes (`single`, `transact`,
//!   `schema`) run in batches, see `writer`.
//! - `write` checks the write of one item, `plan` applies it. `expression` has conditions, updates and projections,
//!   `key_range` key conditions.
//! - `table`: tables, indexes and keys. `definition`: how requests describe them. `value`, `number`: items. `capacity`: what a call costs.
//! - `storage`, `connections`: SQLite. `stream`: records of changes. `expiry`: the time to live.
//! - `convert` reads the files of the engine that Tidings used before.

mod capacity;
mod connections;
mod convert;
mod definition;
mod error;
mod expiry;
mod expression;
mod json;
mod key_range;
mod number;
mod plan;
mod query;
mod read;
mod request;
mod schema;
mod single;
mod storage;
mod stream;
mod table;
mod transact;
mod value;
mod write;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use connections::Readers;
pub use error::OpenError;
pub use plan::Options;
use request::Request;
use rusqlite::Connection;
use table::Tables;
use writer::Writer;

/// An HTTP status and a JSON body, as in DynamoDB's responses.
pub type Answer = (u16, Vec<u8>);

/// A handle to the engine, which stops when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Engine {
    writer: Writer,
    readers: Arc<Readers>,
    tables: Arc<RwLock<Arc<Tables>>>,
}

impl Engine {
    /// Starts an engine that keeps its data in memory.
    ///
    /// # Errors
    /// If SQLite cannot open the database, or the thread cannot be started.
    pub fn in_memory(options: Options) -> Result<Self, OpenError> {
        let connection = Arc::new(Mutex::new(connections::memory()?));
        Self::start(connection.clone(), Readers::Shared(connection), options)
    }

    /// Starts an engine on a file, which it creates if it is missing. Converts the file of an older version first; the
    /// old one is kept beside it.
    ///
    /// # Errors
    /// If the file cannot be opened or converted, or the thread cannot be started.
    pub fn on_disk(file: &Path, options: Options) -> Result<Self, OpenError> {
        if let Some(kept) = convert::convert(file, options.recording())? {
            let (file, kept) = (file.display(), kept.display());
            tracing::warn!("converted {file} to the format of this version; the old file is {kept}");
        }
        let connection = Arc::new(Mutex::new(connections::writer(file)?));
        let readers = Readers::Pool { file: file.to_owned(), free: Mutex::default() };
        Self::start(connection, readers, options)
    }

    fn start(
        connection: Arc<Mutex<Connection>>,
        readers: Readers,
        options: Options,
    ) -> Result<Self, OpenError> {
        let tables = schema::prepare(&connection.lock().unwrap_or_else(PoisonError::into_inner))?;
        let tables = Arc::new(RwLock::new(Arc::new(tables)));
        let writer = Writer::start(connection, tables.clone(), options)?;
        Ok(Self { writer, readers: Arc::new(readers), tables })
    }

    /// Runs an operation of the DynamoDB API, such as `GetItem`, with a JSON body.
    ///
    /// A read runs on this thread, typically for less than 0.1 ms, and for a few milliseconds if it reads 1 MB. It sees
    /// every write that was answered before it began, and none that a power cut could take back. A write that comes alone
    /// also runs on this thread, and blocks it until it is on disk.
    pub async fn call(&self, operation: &str, body: &[u8]) -> Answer {
        let outcome = match request::parse(operation, body) {
            Ok(Request::Read(read)) => {
                let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner).clone();
                self.readers.with(|connection| read(connection, &tables))
            }
            Ok(Request::Change(change)) => self.writer.write(change).await,
            Err(error) => Err(error),
        };
        outcome.map_or_else(|error| (error.status(), error.body()), |body| (200, body))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::{Pin, pin};
    use std::sync::Barrier;
    use std::task::Poll;
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::request::{Change, Writing};

    const TABLE: &str = r#"{"TableName": "table", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]}"#;

    /// A transaction that puts an item if it meets a condition.
    fn put(pk: &str, condition: &str) -> String {
        format!(
            r#"{{"TransactItems": [{{"Put": {{"TableName": "table", "Item": {{"pk": {{"S": "{pk}"}}, "sk": {{"S": "s"}}}},
            "ConditionExpression": "{condition}(pk)"}}}}]}}"#
        )
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    /// An engine with a table, and the thread of a [`slow`] write that it is running, with the barrier that ends it.
    fn busy_engine() -> (Engine, JoinHandle<()>, Arc<Barrier>) {
        let engine = Engine::in_memory(Options { is_recorded: |_, _| false, now: || 0 }).unwrap();
        assert_eq!(runtime().block_on(engine.call("CreateTable", TABLE.as_bytes())).0, 200);
        let (slow, [begins, ends]) = slow();
        let writer = engine.writer.clone();
        let running = thread::spawn(move || drop(runtime().block_on(writer.write(slow)).unwrap()));
        begins.wait();
        (engine, running, ends)
    }

    /// A write that passes the first barrier when it begins, and takes until the second one is passed.
    fn slow() -> (Change, [Arc<Barrier>; 2]) {
        let barriers = [(); 2].map(|()| Arc::new(Barrier::new(2)));
        let passed = barriers.clone();
        let waits = move |_: Writing<'_>| {
            for barrier in passed {
                barrier.wait();
            }
            Ok(Vec::new())
        };
        (Box::new(waits), barriers)
    }

    async fn assert_pending(future: &mut (impl Future + Unpin)) {
        poll_fn(|context| {
            assert!(Pin::new(&mut *future).poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    #[test]
    fn a_refusal_waits_for_the_commit_only_if_an_earlier_write_of_the_batch_may_be_its_cause() {
        let (engine, first, ends) = busy_engine();
        // These share the next batch. Only transactions name the items that they change.
        let single = r#"{"TableName": "table", "Item": {"pk": {"S": "c"}, "sk": {"S": "s"}}}"#;
        let (last, [last_begins, last_ends]) = slow();
        runtime().block_on(async {
            let transact = |body: String| {
                let engine = engine.clone();
                Box::pin(async move { engine.call("TransactWriteItems", body.as_bytes()).await.0 })
            };
            let mut done = transact(put("a", "attribute_not_exists"));
            let mut caused = transact(put("a", "attribute_not_exists"));
            let mut refused = transact(put("b", "attribute_exists"));
            let mut other = pin!(engine.call("PutItem", single.as_bytes()));
            let mut unclear = transact(put("b", "attribute_exists"));
            let mut last = pin!(engine.writer.write(last));
            assert_pending(&mut done).await;
            assert_pending(&mut caused).await;
            assert_pending(&mut refused).await;
            assert_pending(&mut other).await;
            assert_pending(&mut unclear).await;
            assert_pending(&mut last).await;
            ends.wait();
            assert_eq!(refused.await, 400);
            last_begins.wait();
            assert_pending(&mut done).await;
            assert_pending(&mut caused).await;
            assert_pending(&mut unclear).await;
            last_ends.wait();
            assert_eq!((done.await, caused.await, other.await.0, unclear.await), (200, 400, 200, 400));
            last.await.unwrap();
        });
        first.join().unwrap();
    }

    #[test]
    fn a_transaction_that_has_waited_too_long_is_not_run() {
        let (engine, slow, ends) = busy_engine();
        runtime().block_on(async {
            let body = put("a", "attribute_not_exists");
            let mut late = pin!(engine.call("TransactWriteItems", body.as_bytes()));
            assert_pending(&mut late).await;
            thread::sleep(Duration::from_millis(1600));
            ends.wait();
            let (status, body) = late.await;
            let body = String::from_utf8(body).unwrap();
            assert!(status == 400 && body.contains("ThrottlingException"), "{status} {body}");
            // The same is run when it is sent again.
            let again = put("a", "attribute_not_exists");
            assert_eq!(engine.call("TransactWriteItems", again.as_bytes()).await.0, 200);
        });
        slow.join().unwrap();
    }
}
