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
