//! The embedded DynamoDB: an engine on SQLite that the unmodified SDK calls, in this process or over a socket.
//!
//! One thread runs the requests, because the engine has a single lock anyway. A second thread flushes: it answers a
//! write once the write-ahead log is on disk, with one flush for all writes that have arrived meanwhile. So an
//! acknowledged write survives a power cut, and 32 writers do not wait for 32 flushes. SQLite itself does not flush at
//! commits (`synchronous = NORMAL`), but still flushes before it moves the log into the database.
//!
//! Transaction tokens are remembered here, because the engine would search ten minutes of them at each call. The engine
//! would also keep all stream records forever and search all of them at each write: [`STREAM`] prevents that.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::error::Source;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::{Database, DynoxideError};
use store::{LOG, table};
use tokio::sync::oneshot;

/// Interval at which expired items are deleted.
const SWEEP: Duration = Duration::from_mins(1);
/// How long a transaction's token is remembered. DynamoDB keeps it for ten minutes, but our retries end within one.
const TOKEN_LIFE: Duration = Duration::from_mins(1);
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// SQL that limits the engine's stream records. Otherwise each write would add a record that is kept forever, and scan
/// all records to number it. The triggers skip records that no function receives ([`table::wakes`],
/// [`table::notifies`]), and delete the others after the time that DynamoDB keeps them; the index finds the last one. A record's sequence number is its
/// creation time in microseconds.
const STREAM: &str = "
CREATE INDEX IF NOT EXISTS tidings_stream ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
DROP TRIGGER IF EXISTS tidings_stream_others;
CREATE TRIGGER tidings_stream_others BEFORE INSERT ON _stream_records
WHEN NOT (NEW.event_name = 'INSERT' AND json_extract(NEW.keys_json, '$.sk.S') GLOB '{log}*'
    OR NEW.event_name = 'INSERT' AND json_extract(NEW.keys_json, '$.sk.S') GLOB '{message}*'
    OR NEW.event_name = 'REMOVE' AND json_extract(NEW.keys_json, '$.sk.S') GLOB '{waiting}*')
BEGIN SELECT RAISE(IGNORE); END;
DROP TRIGGER IF EXISTS tidings_stream_past;
CREATE TRIGGER tidings_stream_past AFTER INSERT ON _stream_records
BEGIN
    DELETE FROM _stream_records WHERE table_name = NEW.table_name
    AND CAST(sequence_number AS INTEGER) < CAST(NEW.sequence_number AS INTEGER) - {life} * 1000000;
END;";

/// An HTTP status and a JSON body, as in DynamoDB's responses.
pub type Answer = (u16, Vec<u8>);

/// Serialises a response; the caller runs it, not the engine's thread.
type Serialise = Box<dyn FnOnce() -> serde_json::Result<Vec<u8>> + Send>;
type Outcome = Result<Serialise, DynoxideError>;
/// Runs a parsed request on the engine.
type Run = Box<dyn FnOnce(&Database) -> Outcome + Send>;

struct Job {
    request: Request,
    reply: oneshot::Sender<Outcome>,
}

/// A parsed request with its properties that the engine's thread needs.
struct Request {
    run: Run,
    writes: bool,
    /// The token of a transaction: a second transaction with the same token changes nothing.
    token: Option<String>,
}

/// The tokens of recently committed transactions.
#[derive(Default)]
struct Tokens {
    known: HashSet<String>,
    order: VecDeque<(Instant, String)>,
}

impl Tokens {
    fn contains(&mut self, token: &str) -> bool {
        while let Some((_, oldest)) = self.order.pop_front_if(|(since, _)| since.elapsed() > TOKEN_LIFE) {
            self.known.remove(&oldest);
        }
        self.known.contains(token)
    }

    fn insert(&mut self, token: String) {
        self.order.push_back((Instant::now(), token.clone()));
        self.known.insert(token);
    }
}

/// A handle to the engine, which stops when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Engine {
    jobs: Sender<Job>,
}

impl Engine {
    /// Starts an engine that keeps its data in memory.
    ///
    /// # Errors
    /// If SQLite cannot open the database.
    pub fn in_memory() -> Result<Self, Source> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // The name lets a second connection open the same database.
        let name = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = format!("file:tidings-{name}?mode=memory&cache=shared");
        let database = Database::new(&path)?;
        prune_stream(&path)?;
        Self::start(database, None)
    }

    /// Starts an engine on a file, which it creates if it is missing.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn on_disk(file: &Path) -> Result<Self, Source> {
        let path = file.to_str().ok_or("the data directory's path is not UTF-8")?;
        let database = Database::new(path)?;
        // Despite its name, this call sets `synchronous = NORMAL` and SQLite's default cache size.
        database.disable_bulk_loading()?;
        prune_stream(path)?;
        Self::start(database, Some(PathBuf::from(format!("{path}-wal"))))
    }

    fn start(database: Database, log: Option<PathBuf>) -> Result<Self, Source> {
        let (jobs, queue) = channel::<Job>();
        let flusher = match log {
            None => None,
            Some(log) => {
                let (committed, writes) = channel();
                spawn("flush", move || flush(&log, &writes))?;
                Some(committed)
            }
        };
        // The engine's thread drops `running` when it ends, which ends the sweeper's thread.
        let (running, stopped) = channel::<()>();
        let sweeper_database = database.clone();
        spawn("sweep", move || sweep(&sweeper_database, &stopped))?;
        spawn("engine", move || {
            let _running = running;
            let mut tokens = Tokens::default();
            for Job { request, reply } in queue {
                // Skip requests whose caller has gone: it has already retried or given up.
                if reply.is_closed() {
                    continue;
                }
                let writes = request.writes;
                let outcome = run(&database, &mut tokens, request);
                match &flusher {
                    Some(flusher) if writes && outcome.is_ok() => drop(flusher.send((reply, outcome))),
                    _ => drop(reply.send(outcome)),
                }
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs an operation of the DynamoDB API, such as `GetItem`, with a JSON body.
    pub async fn call(&self, operation: &str, body: &[u8]) -> Answer {
        let outcome = match parse(operation, body) {
            Ok(request) => {
                let (reply, outcome) = oneshot::channel();
                // The engine's thread runs for as long as this handle exists, so it receives the job and replies.
                let _ = self.jobs.send(Job { request, reply });
                outcome.await.unwrap_or_else(|_| Err(DynoxideError::InternalServerError("stopped".into())))
            }
            Err(error) => Err(error),
        };
        match outcome.map(|serialise| serialise()) {
            Ok(Ok(body)) => (200, body),
            Ok(Err(error)) => (500, DynoxideError::InternalServerError(error.to_string()).to_json().into()),
            Err(error) => (error.status_code(), error.to_json().into()),
        }
    }

    /// Returns the engine as the SDK's HTTP client: requests stay inside the process.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        let engine = self.clone();
        http_client_fn(move |_, _| {
            aws_smithy_runtime_api::client::http::SharedHttpConnector::new(engine.clone())
        })
    }

    /// Returns the engine as an HTTP service, for functions in other processes.
    pub fn routes(&self) -> Router {
        Router::new()
            .fallback(serve)
            .layer(axum::extract::DefaultBodyLimit::max(16 * 1024 * 1024))
            .with_state(self.clone())
    }
}

impl HttpConnector for Engine {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = self.clone();
        HttpConnectorFuture::new(async move {
            // As over a network, concurrent calls all begin before one of them is answered. The meter relies on this to
            // find out which call waited for which.
            let mut is_first = true;
            std::future::poll_fn(|context| {
                if std::mem::take(&mut is_first) {
                    // Wake immediately: tokio's own `yield_now` polls for I/O first, which takes longer than the call.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
            .await;
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let (status, body) =
                Engine::call(&engine, operation(target), request.body().bytes().unwrap_or_default()).await;
            let status = status.try_into().unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into());
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            response.headers_mut().insert("content-type", CONTENT_TYPE);
            Ok(response)
        })
    }
}

async fn serve(State(engine): State<Engine>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let (status, body) = engine.call(operation(target), &body).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
}

/// Returns the operation in an `x-amz-target` header: `GetItem` in `DynamoDB_20120810.GetItem`.
fn operation(target: &str) -> &str {
    target.rsplit('.').next().unwrap_or_default()
}

/// Maps each operation to the engine's method.
macro_rules! operations {
    ($operation:expr, $body:expr; $($name:literal => $method:ident, $writes:literal;)+) => {
        match $operation {
            $($name => {
                let request = read($body)?;
                let run: Run = Box::new(move |database| {
                    let response = database.$method(request)?;
                    Ok(Box::new(move || serde_json::to_vec(&response)))
                });
                Ok(Request { run, writes: $writes, token: None })
            })+
            other => Err(DynoxideError::ValidationException(format!("{other} is not supported by the local engine"))),
        }
    };
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|e| DynoxideError::SerializationException(e.to_string()))
}

fn parse(operation: &str, body: &[u8]) -> Result<Request, DynoxideError> {
    if operation == "TransactWriteItems" {
        let mut request: TransactWriteItemsRequest = read(body)?;
        let token = request.client_request_token.take();
        let run: Run = Box::new(move |database| {
            let response = database.transact_write_items(request)?;
            Ok(Box::new(move || serde_json::to_vec(&response)))
        });
        return Ok(Request { run, writes: true, token });
    }
    operations! { operation, body;
        "GetItem" => get_item, false;
        "Query" => query, false;
        "BatchGetItem" => batch_get_item, false;
        "TransactGetItems" => transact_get_items, false;
        "PutItem" => put_item, true;
        "UpdateItem" => update_item, true;
        "DeleteItem" => delete_item, true;
        "BatchWriteItem" => batch_write_item, true;
        "Scan" => scan, false;
        "CreateTable" => create_table, true;
        "UpdateTable" => update_table, true;
        "DescribeTable" => describe_table, false;
        "ListTables" => list_tables, false;
        "UpdateTimeToLive" => update_time_to_live, true;
        "DescribeTimeToLive" => describe_time_to_live, false;
        "ListStreams" => list_streams, false;
        "DescribeStream" => describe_stream, false;
        "GetShardIterator" => get_shard_iterator, false;
        "GetRecords" => get_records, false;
    }
}

/// Runs a request, unless it is a transaction that has already committed.
fn run(database: &Database, tokens: &mut Tokens, request: Request) -> Outcome {
    let Some(token) = request.token else { return (request.run)(database) };
    if tokens.contains(&token) {
        return Ok(Box::new(|| Ok(b"{}".to_vec())));
    }
    let outcome = (request.run)(database)?;
    tokens.insert(token);
    Ok(outcome)
}

/// Answers writes once they are on disk. After a failed flush no write is acknowledged any more, because a later flush
/// may succeed without the data that the kernel failed to write.
fn flush(log: &Path, writes: &Receiver<(oneshot::Sender<Outcome>, Outcome)>) {
    let mut file: Option<File> = None;
    let mut failure = None;
    while let Ok(first) = writes.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(writes.try_iter()).collect();
        if failure.is_none() {
            failure = sync(log, &mut file).err();
        }
        for (reply, outcome) in batch {
            let outcome = match &failure {
                None => outcome,
                Some(error) => {
                    tracing::error!(%error, "cannot flush the write-ahead log to disk: restart tidings");
                    Err(DynoxideError::InternalServerError(error.to_string()))
                }
            };
            let _ = reply.send(outcome);
        }
    }
}

fn sync(log: &Path, file: &mut Option<File>) -> std::io::Result<()> {
    if let Some(file) = file {
        return file.sync_data();
    }
    // SQLite keeps the log's file for as long as the database is open. Its entry in the folder must be on disk, too.
    let opened = File::open(log)?;
    opened.sync_data()?;
    if let Some(folder) = log.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    *file = Some(opened);
    Ok(())
}

/// Installs [`STREAM`] over a second connection.
fn prune_stream(path: &str) -> Result<(), Source> {
    let sql = STREAM
        .replace("{log}", LOG)
        .replace("{message}", table::MESSAGE)
        .replace("{waiting}", table::WAITING)
        .replace("{life}", &table::STREAM_LIFE.to_string());
    Ok(rusqlite::Connection::open(path)?.execute_batch(&sql)?)
}

/// Periodically deletes expired items, as DynamoDB does.
fn sweep(database: &Database, stopped: &Receiver<()>) {
    while stopped.recv_timeout(SWEEP) == Err(RecvTimeoutError::Timeout) {
        if let Err(error) = database.sweep_ttl() {
            tracing::warn!(%error, "cannot delete expired items");
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_records_are_kept_for_a_day() -> Result<(), Source> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("tidings.db");
        let _engine = Engine::on_disk(&file)?;
        let database = rusqlite::Connection::open(&file)?;
        let mut insert = database.prepare(
            "INSERT INTO _stream_records (table_name, event_name, keys_json, sequence_number, shard_id, created_at)
             VALUES ('tidings', ?1, ?2, ?3, 'shard', 0)",
        )?;
        let life = i64::try_from(table::STREAM_LIFE)? * 1_000_000;
        let keys = |pk: &str, sk: &str| format!(r#"{{"sk":{{"S":"{sk}"}},"pk":{{"S":"{pk}"}}}}"#);
        let (log, other) = (keys("other", &format!("{LOG}1")), keys(LOG, "other"));
        let message = keys("other", &format!("{}1", table::MESSAGE));
        let waiting = keys("other", &format!("{}alice", table::WAITING));
        for (change, keys, number) in [
            ("INSERT", &log, 1),
            ("INSERT", &log, 2),
            ("MODIFY", &log, 3),
            ("INSERT", &other, 4),
            ("INSERT", &message, 5),
            ("MODIFY", &message, 6),
            ("INSERT", &waiting, 7),
            ("REMOVE", &waiting, 8),
            ("INSERT", &log, life + 2),
        ] {
            insert.execute((change, keys, number.to_string()))?;
        }
        let mut kept = database.prepare("SELECT sequence_number FROM _stream_records ORDER BY id")?;
        let kept: Result<Vec<String>, _> = kept.query_map((), |row| row.get(0))?.collect();
        assert_eq!(kept?, ["2", "5", "8", &(life + 2).to_string()]);
        // The queries that number a new record and that read the stream use the index, so that they stay fast however
        // many records are kept.
        for query in [
            "SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = ?1",
            "SELECT event_id FROM _stream_records WHERE table_name = ?1 AND shard_id = ?2
             AND CAST(sequence_number AS INTEGER) > ?3 ORDER BY CAST(sequence_number AS INTEGER) LIMIT 9",
        ] {
            let mut plan = database.prepare(&format!("EXPLAIN QUERY PLAN {query}"))?;
            let nulls = rusqlite::params_from_iter(vec![rusqlite::types::Null; plan.parameter_count()]);
            let steps: Result<Vec<String>, _> = plan.query_map(nulls, |row| row.get(3))?.collect();
            let steps = steps?;
            assert!(steps.len() == 1 && steps[0].contains("INDEX tidings_stream"), "{query}: {steps:?}");
        }
        Ok(())
    }
}
