//! Writes, in batches: one SQLite transaction each, which is committed with one flush before its writes are answered.
//!
//! A refused transaction is answered before the commit if no earlier write of the batch can be the cause.
//!
//! A thread runs up to 64 waiting writes at once. A write that comes alone runs on its caller's thread, if there are
//! several cores and the last batch had one write: to hand it to another thread and back would take a quarter of its
//! time.
//!
//! Invariant: what was answered is on disk. A flush that failed ends all writing until a restart, because a later flush
//! may succeed without the data that the kernel failed to write.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use std::{io, iter, thread};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::expiry::sweep;
use crate::plan::{Changed, Options};
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
struct Job {
    change: Change,
    reply: oneshot::Sender<Answer>,
    since: Instant,
}

/// A handle to the writes. The thread stops when the last handle is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    batches: Arc<Batches>,
    jobs: Sender<Job>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        connection: Arc<Mutex<Connection>>,
        tables: Arc<RwLock<Arc<Tables>>>,
        options: Options,
    ) -> io::Result<Self> {
        let batches = Arc::new(Batches {
            connection,
            tables,
            options,
            has_other_cores: thread::available_parallelism().is_ok_and(|cores| cores.get() > 1),
            waiting: AtomicUsize::new(0),
            state: Mutex::default(),
        });
        let (jobs, queue) = channel();
        let thread = thread::Builder::new().name("engine".to_owned());
        thread.spawn({
            let batches = batches.clone();
            move || batches.run(&queue)
        })?;
        Ok(Self { batches, jobs })
    }

    /// Runs a write. Returns after its commit, unless it was refused.
    pub(crate) async fn write(&self, change: Change) -> Answer {
        let (reply, answer) = oneshot::channel();
        let job = Job { change, reply, since: Instant::now() };
        if let Some(job) = self.batches.run_alone(job) {
            self.batches.waiting.fetch_add(1, Ordering::Relaxed);
            // The thread runs for as long as this handle exists, so it receives the job and answers.
            let _ = self.jobs.send(job);
        }
        answer.await.unwrap_or_else(|_| Err(Error::Broken("the engine has stopped".to_owned())))
    }
}

/// Runs the writes, one batch at a time.
#[derive(Debug)]
struct Batches {
    connection: Arc<Mutex<Connection>>,
    /// The tables as the last commit has left them, which all reads use.
    tables: Arc<RwLock<Arc<Tables>>>,
    options: Options,
    /// Whether other threads can prepare writes while a caller's thread runs one.
    has_other_cores: bool,
    /// The number of writes that the thread has not yet taken.
    waiting: AtomicUsize,
    /// Locked while a batch runs.
    state: Mutex<State>,
}

/// The state that a batch leaves to the next one.
#[derive(Debug, Default)]
struct State {
    tokens: Tokens,
    /// The error that has ended all writing.
    failure: Option<String>,
    /// Whether the last batch had several writes: the next write then waits for the thread, so that others can join it.
    is_busy: bool,
}

impl Batches {
    /// Runs a write on this thread if no other one is running or waiting. Returns it otherwise.
    fn run_alone(&self, job: Job) -> Option<Job> {
        if !self.has_other_cores || self.waiting.load(Ordering::Relaxed) > 0 {
            return Some(job);
        }
        match self.state.try_lock() {
            Ok(state) if !state.is_busy => {
                self.run_batch(state, iter::once(job), false);
                None
            }
            _ => Some(job),
        }
    }

    /// Runs jobs until the last sender is gone.
    fn run(&self, jobs: &Receiver<Job>) {
        let mut next_sweep = Instant::now() + SWEEP;
        loop {
            let first = match jobs.recv_timeout(next_sweep.saturating_duration_since(Instant::now())) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = first.into_iter().chain(jobs.try_iter()).take(BATCH);
            let waiting = waiting.inspect(|_| {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
            });
            // Skip requests whose caller has gone.
            let waiting = waiting.filter(|job| !job.reply.is_closed());
            let sweeps = Instant::now() >= next_sweep;
            let swept = self.run_batch(state, waiting, sweeps);
            if sweeps {
                next_sweep = Instant::now() + if swept == SWEPT { Duration::ZERO } else { SWEEP };
            }
        }
    }

    /// Runs jobs in one transaction, and answers them after its commit. Returns how many expired items it deleted.
    fn run_batch(
        &self,
        mut state: MutexGuard<'_, State>,
        jobs: impl Iterator<Item = Job>,
        sweeps: bool,
    ) -> usize {
        if let Some(failure) = &state.failure {
            jobs.for_each(|job| drop(job.reply.send(Err(Error::Broken(failure.clone())))));
            return 0;
        }
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tables = Tables::clone(&self.tables.read().unwrap_or_else(PoisonError::into_inner));
        let known = state.tokens.count();
        let (mut answers, mut count) = (Vec::new(), 0);
        let jobs = jobs.inspect(|_| count += 1);
        let committed = self.commit(&connection, &mut tables, &mut state.tokens, jobs, &mut answers, sweeps);
        match &committed {
            Ok(_) => *self.tables.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tables),
            Err(Failure { error, is_final }) => {
                tracing::error!(error, "cannot write to the database");
                if !connection.is_autocommit() {
                    let _ = connection.execute_batch("ROLLBACK");
                }
                state.tokens.forget_after(known);
                state.failure = is_final.then(|| format!("{error}: restart tidings"));
                for (_, answer) in &mut answers {
                    *answer = Err(Error::Broken(error.clone()));
                }
            }
        }
        drop(connection);
        state.is_busy = count > 1;
        // Unlocked before the answers, because a caller may write again at once.
        drop(state);
        for (reply, answer) in answers {
            let _ = reply.send(answer);
        }
        committed.unwrap_or_default()
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
        let recording = self.options.recording();
        let mut changed = Changed::default();
        for Job { change, reply, since } in jobs {
            let answer = match &begun {
                Ok(_) => {
                    change(Writing { connection, tables, tokens, recording, since, changed: &mut changed })
                }
                Err(error) => Err(Error::Broken(error.to_string())),
            };
            if let Err(Error::Cancelled { may_depend_on_batch: false, .. }) = answer {
                let _ = reply.send(answer);
                continue;
            }
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Barrier;
    use std::task::Poll;

    use tokio::runtime::{Builder, Runtime};

    use super::*;
    use crate::connections;

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    fn writer() -> Writer {
        let options = Options { is_recorded: |_, _| false, now: || 0 };
        Writer::start(Arc::new(Mutex::new(connections::memory().unwrap())), Arc::default(), options).unwrap()
    }

    /// A write that answers with the name of its thread.
    fn name() -> Change {
        Box::new(|_| Ok(thread::current().name().unwrap_or_default().into()))
    }

    #[test]
    fn a_write_that_comes_alone_runs_on_its_callers_thread_and_others_on_that_of_the_writer() {
        let writer = writer();
        let here = thread::current().name().unwrap().as_bytes().to_vec();
        let alone = if writer.batches.has_other_cores { here.as_slice() } else { b"engine" };
        let written = || runtime().block_on(writer.write(name())).unwrap();
        assert_eq!(written(), alone);

        let (began, queued) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let other = thread::spawn({
            let (writer, began, queued) = (writer.clone(), began.clone(), queued.clone());
            let waits = move |_: Writing<'_>| {
                began.wait();
                queued.wait();
                Ok(Vec::new())
            };
            move || runtime().block_on(writer.write(Box::new(waits))).unwrap()
        });
        began.wait();
        let names = runtime().block_on(async {
            let (mut first, mut second) = (pin!(writer.write(name())), pin!(writer.write(name())));
            poll_fn(|context| {
                assert!(first.as_mut().poll(context).is_pending());
                assert!(second.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            queued.wait();
            [first.await.unwrap(), second.await.unwrap()]
        });
        other.join().unwrap();
        assert_eq!(names, [b"engine"; 2], "they share a commit");
        assert_eq!(written(), b"engine", "others may wait for it");
        assert_eq!(written(), alone);
    }
}
