//! SQLite's connections: one that writes, and those that read beside it.
//!
//! On disk, the database has a write-ahead log: reads see the last commit, and do not wait for writes. A commit can be
//! read only when it is on disk (`synchronous = FULL`). In memory there is a single connection, because SQLite cannot
//! share a database in memory between a writer and readers that do not wait.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::Error;

/// Number of prepared statements that each connection keeps.
const STATEMENTS: usize = 100;
/// How long a connection waits for another one, for example while another process starts or stops.
const PATIENCE: Duration = Duration::from_secs(10);
/// Number of pages after which the log is copied into the database: 16 MB. Hot pages are then copied once for many
/// writes.
const CHECKPOINT: u32 = 4000;
/// Size of the writer's cache, in pages of 4 KB. It is small, because SQLite walks through the whole cache at each commit
/// that has split a page.
const CACHE: u32 = 1000;

/// The connections that read.
#[derive(Debug)]
pub(crate) enum Readers {
    /// The connection that also writes.
    Shared(Arc<Mutex<Connection>>),
    /// Connections to a file that are not in use. There are at most as many as threads that have read at once.
    Pool { file: PathBuf, free: Mutex<Vec<Connection>> },
}

impl Readers {
    /// Runs a read on this thread.
    pub(crate) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let (file, free) = match self {
            Self::Shared(connection) => {
                return read(&connection.lock().unwrap_or_else(PoisonError::into_inner));
            }
            Self::Pool { file, free } => (file, free),
        };
        let found = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match found {
            Some(connection) => connection,
            None => reader(file)?,
        };
        let outcome = read(&connection);
        free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        outcome
    }
}

fn configured(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Opens a database in memory.
pub(crate) fn memory() -> rusqlite::Result<Connection> {
    configured(Connection::open_in_memory()?)
}

/// Opens the connection that writes to a file, which it creates if it is missing.
pub(crate) fn writer(file: &Path) -> rusqlite::Result<Connection> {
    let connection = configured(Connection::open(file)?)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    Ok(connection)
}

fn reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = configured(Connection::open_with_flags(file, flags)?)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}
