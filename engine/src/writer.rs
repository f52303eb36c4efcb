//! The thread that writes: it runs all waiting writes in one SQLite transaction, commits it with one flush, and then
//! answers them.
//!
//! Invariant: what was answered is on disk. A flush that failed ends all writing until a restart, because a later flush
//! may succeed without the data that the kernel failed to write.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::expiry::sweep;
use crate::plan::Recording;
use crate::request::{Change, Writing};
use crate::stream;
use crate::table::Tables;
use crate::transact::Tokens;

/// Maximum number of writes that share a commit.
const BATCH: usize = 64;
/// Interval at which expired items and old records are deleted.
const SWEEP: Duration = Duration::from_mins(1);
/// Maximum number of expired items that are deleted in one commit.
const SWEPT: usize = 100;

type Answer = Result<Vec<u8>, Error>;

/// A write that waits for its answer.
pub(crate) struct Job {
    pub(crate) change: Change,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// The state of the writing thread.
pub(crate) struct Writer {
    pub(crate) connection: Arc<Mutex<Connection>>,
    /// The tables as the last commit has left them, which all reads use.
    pub(crate) tables: Arc<RwLock<Arc<Tables>>>,
    /// Returns what a write at this time records.
    pub(crate) recording: Box<dyn Fn() -> Recording + Send>,
}

impl Writer {
    /// Runs jobs until the last sender is gone.
    pub(crate) fn run(self, jobs: &Receiver<Job>) {
        let mut tokens = Tokens::default();
        let mut failure: Option<String> = None;
        let mut next_sweep = Instant::now() + SWEEP;
        loop {
            let first = match jobs.recv_timeout(next_sweep.saturating_duration_since(Instant::now())) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let waiting = first.into_iter().chain(jobs.try_iter()).take(BATCH);
            if let Some(failure) = &failure {
                waiting.for_each(|job| drop(job.reply.send(Err(Error::Broken(failure.clone())))));
                next_sweep = Instant::now() + SWEEP;
                continue;
            }
            // Skip requests whose caller has gone: it has already retried or given up.
            let waiting = waiting.filter(|job| !job.reply.is_closed());
            let sweeps = Instant::now() >= next_sweep;
            let done = self.run_batch(waiting, &mut tokens, sweeps);
            if sweeps {
                let has_more = done.as_ref().is_ok_and(|swept| *swept == SWEPT);
                next_sweep = Instant::now() + if has_more { Duration::ZERO } else { SWEEP };
            }
            if let Err(Failure { error, is_final }) = done {
                tracing::error!(error, "cannot write to the database");
                failure = is_final.then(|| format!("{error}: restart tidings"));
            }
        }
    }

    /// Runs jobs in one transaction, and answers them after its commit. Returns how many expired items it deleted.
    fn run_batch(
        &self,
        jobs: impl Iterator<Item = Job>,
        tokens: &mut Tokens,
        sweeps: bool,
    ) -> Result<usize, Failure> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tables = Tables::clone(&self.tables.read().unwrap_or_else(PoisonError::into_inner));
        let known = tokens.count();
        let mut answers = Vec::new();
        let committed = self.commit(&connection, &mut tables, tokens, jobs, &mut answers, sweeps);
        match &committed {
            Ok(_) => *self.tables.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tables),
            Err(Failure { error, .. }) => {
                if !connection.is_autocommit() {
                    let _ = connection.execute_batch("ROLLBACK");
                }
                tokens.forget_after(known);
                for (_, answer) in &mut answers {
                    *answer = Err(Error::Broken(error.clone()));
                }
            }
        }
        drop(connection);
        for (reply, answer) in answers {
            let _ = reply.send(answer);
        }
        committed
    }

    fn commit(
        &self,
        connection: &Connection,
        tables: &mut Tables,
        tokens: &mut Tokens,
        jobs: impl Iterator<Item = Job>,
        answers: &mut Vec<(oneshot::Sender<Answer>, Answer)>,
        sweeps: bool,
    ) -> Result<usize, Failure> {
        let begun = connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute(()));
        let recording = (self.recording)();
        for Job { change, reply } in jobs {
            let answer = match &begun {
                Ok(_) => change(Writing { connection, tables, tokens, recording }),
                Err(error) => Err(Error::Broken(error.to_string())),
            };
            let is_broken = matches!(answer, Err(Error::Broken(_)));
            answers.push((reply, answer));
            if is_broken {
                break;
            }
        }
        if let Some((_, Err(Error::Broken(error)))) = answers.last() {
            return Err(Failure { error: error.clone(), is_final: false });
        }
        let mut swept = 0;
        if sweeps {
            let broken = |error: Error| Failure { error: format!("{error:?}"), is_final: false };
            stream::trim(connection, recording.now).map_err(broken)?;
            swept = sweep(connection, tables, recording, SWEPT).map_err(broken)?;
        }
        let done = connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute(()));
        match done {
            Ok(_) => Ok(swept),
            Err(error) => {
                let is_final = error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
                Err(Failure { error: error.to_string(), is_final })
            }
        }
    }
}

/// Why a batch was not committed.
struct Failure {
    error: String,
    /// Whether no write may be acknowledged any more.
    is_final: bool,
}
