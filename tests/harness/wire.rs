//! The wire between the SDK and the engine, which can inject the faults of DynamoDB that the engine does not have.
//!
//! These are conflicts, throttling, internal errors, responses that are lost after the commit, slow calls, and stale
//! reads. Consistent reads use the engine; all others use a replica that receives the writes late, in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{fmt, io};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use local::engine::{Answer, Engine};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

/// The table's name in every world.
pub const TABLE: &str = "tidings";

/// The probability of each fault, from 0 to 1, and delays.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Probability per item that a transaction fails with a conflict.
    pub conflict_per_item: f64,
    /// Probability that a write of a single item fails because a transaction holds the item.
    pub held: f64,
    /// Probability that a `BatchGetItem` leaves half of its keys unprocessed.
    pub unprocessed: f64,
    /// Probability that a call is throttled.
    pub throttled: f64,
    /// Probability that a call fails with 500 and has no effect.
    pub failed: f64,
    /// Probability that a call takes effect but its response is lost.
    pub lost: f64,
    /// Maximum delay of a call.
    pub slow: Duration,
    /// Age of the data that eventually consistent reads return, including all reads of indexes.
    pub lag: Duration,
}

type Write = (Instant, String, Vec<u8>);

/// A transaction that is held, with all its attempts.
struct Hold {
    /// How many more transactions pass before it.
    after: usize,
    /// Its token, once it has arrived.
    token: Option<String>,
    arrived: Option<oneshot::Sender<()>>,
    /// Closed when it is released.
    released: watch::Receiver<()>,
}

struct State {
    engine: Engine,
    replica: Option<Engine>,
    /// Writes that the replica does not have yet.
    pending: VecDeque<Write>,
    faults: Faults,
    seed: u64,
    /// How many of the next transactions lose their response.
    lose: usize,
    /// How many more transactions commit before every call fails with 500.
    away_after: Option<usize>,
    /// Replaces the engine once a transaction has lost its response.
    successor: Option<Engine>,
    /// The transaction that is held.
    hold: Option<Hold>,
    /// The operations called so far.
    calls: Vec<String>,
    /// Maximum delay of a transaction before it reaches the engine.
    commit_delay: Duration,
    /// Until then, transactions are reported as in progress.
    stalled_until: Option<Instant>,
}

/// The connection to the database, which can inject faults. Clones share it.
#[derive(Clone)]
pub struct Wire {
    state: Arc<Mutex<State>>,
    /// Held during a write, so that the replica receives the writes in the order of their commits.
    order: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    /// Serves the wire on a loopback port, for functions in other processes. Returns its URL. If a response is lost,
    /// the connection is closed.
    pub fn serve(&self) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let wire = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let wire = wire.clone();
                let service = service_fn(move |request| wire.clone().answer(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        url
    }

    async fn answer(self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
        let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default();
        let answer = self.call(operation, &body).await;
        let (status, body) = answer.ok_or_else(|| io::Error::other("the response was lost"))?;
        let response =
            Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
        response.body(Full::from(body)).map_err(io::Error::other)
    }
}

/// The fate of a call.
enum Fate {
    /// The wire answers the call with an injected fault.
    Fault(Answer),
    /// The call reaches the engine; its response may be lost.
    Forwarded { lost: bool },
}

impl Wire {
    /// Creates a wire without faults.
    pub fn to(engine: Engine) -> Self {
        let (replica, pending, calls) = (Engine::in_memory().ok(), VecDeque::new(), Vec::new());
        let state = State {
            engine,
            replica,
            pending,
            faults: Faults::default(),
            seed: 1,
            lose: 0,
            away_after: None,
            hold: None,
            successor: None,
            calls,
            commit_delay: Duration::ZERO,
            stalled_until: None,
        };
        Self { state: Arc::new(Mutex::new(state)), order: Arc::default() }
    }

    /// Returns the wire as the SDK's HTTP client.
    pub fn http_client(&self) -> SharedHttpClient {
        let wire = self.clone();
        http_client_fn(move |_, _| SharedHttpConnector::new(wire.clone()))
    }

    /// Injects these faults from now on, at random from a seed.
    pub fn inject(&self, faults: Faults, seed: u64) {
        let mut state = self.state();
        (state.faults, state.seed) = (faults, seed);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.inject(Faults::default(), 1);
        let mut state = self.state();
        (state.away_after, state.hold) = (None, None);
    }

    /// Delays each transaction by a random time from now on, so that transactions may commit in another order than that
    /// of their timestamps.
    pub fn delay_commits(&self, max: Duration, seed: u64) {
        let mut state = self.state();
        (state.commit_delay, state.seed) = (max, seed);
    }

    /// Lets the next transactions commit but loses their responses.
    pub fn lose_answers(&self, count: usize) {
        self.state().lose = count;
    }

    /// Lets `commits` more transactions commit; then the database is unavailable until [`Wire::heal`]. Simulates a
    /// process that crashes at this point.
    pub fn away_after(&self, commits: usize) {
        self.state().away_after = Some(commits);
    }

    /// Lets `commits` more transactions pass and holds the next one before it reaches the engine. Returns a receiver that
    /// resolves once it is held, and a sender that releases it when dropped.
    pub fn hold_after(&self, commits: usize) -> (oneshot::Receiver<()>, watch::Sender<()>) {
        let ((arrived, held), (release, released)) = (oneshot::channel(), watch::channel(()));
        self.state().hold = Some(Hold { after: commits, token: None, arrived: Some(arrived), released });
        (held, release)
    }

    /// Reports every transaction as in progress for this time, as DynamoDB does while it recovers one whose coordinator
    /// died.
    pub fn stall(&self, time: Duration) {
        self.state().stalled_until = Some(Instant::now() + time);
    }

    /// Waits until the database is unavailable after [`Wire::away_after`].
    pub async fn wait_until_away(&self) {
        while self.state().away_after != Some(0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Loses the next transaction's response after the commit, and then continues with another engine. Simulates a
    /// restart: the new engine does not remember the first one's transaction tokens.
    pub fn restart_after_a_loss(&self, successor: Engine) {
        let mut state = self.state();
        (state.lose, state.successor) = (1, Some(successor));
    }

    /// Returns the operations called so far, in order.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// Returns the engine.
    pub fn engine(&self) -> Engine {
        self.state().engine.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with the lock")
    }

    async fn call(&self, operation: &str, body: &[u8]) -> Option<Answer> {
        let (delay, fate, hold) = {
            let mut state = self.state();
            state.calls.push(operation.to_owned());
            (state.delay(operation), state.fate(operation, body), state.hold(operation, body))
        };
        tokio::time::sleep(delay).await;
        if let Some(mut released) = hold {
            // Ends with an error, as nothing is ever sent.
            let _ = released.changed().await;
        }
        let lost = match fate {
            Fate::Fault(answer) => return Some(answer),
            Fate::Forwarded { lost } => lost,
        };
        let answer = self.forward(operation, body).await;
        if !lost {
            return Some(answer);
        }
        let mut state = self.state();
        if let Some(successor) = state.successor.take() {
            state.engine = successor;
        }
        None
    }

    async fn forward(&self, operation: &str, body: &[u8]) -> Answer {
        let engine = self.state().engine.clone();
        let is_read = ["GetItem", "Query", "BatchGetItem", "Scan", "DescribeTable"].contains(&operation);
        if !is_read {
            let _order = self.order.lock().await;
            let answer = engine.call(operation, body).await;
            let replica = self.state().replica.clone();
            if operation == "CreateTable"
                && let Some(replica) = replica
            {
                replica.call(operation, body).await;
            } else if answer.0 == 200 {
                self.state().pending.push_back((Instant::now(), operation.to_owned(), body.to_vec()));
            }
            return answer;
        }
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let consistent = request["ConsistentRead"] == true;
        if operation == "BatchGetItem" {
            return self.batch_get(&engine, request).await;
        }
        if consistent || self.state().faults.lag.is_zero() {
            return engine.call(operation, body).await;
        }
        self.replica().await.call(operation, body).await
    }

    /// Reads keys, and leaves half of them unprocessed where the fault says so.
    async fn batch_get(&self, engine: &Engine, mut request: Value) -> Answer {
        let skips = {
            let mut state = self.state();
            state.faults.unprocessed > 0.0 && state.draw() < state.faults.unprocessed
        };
        let keys = request["RequestItems"][TABLE]["Keys"].as_array_mut();
        let rest = keys.filter(|keys| skips && keys.len() > 1).map(|keys| keys.split_off(keys.len() / 2));
        let (status, body) = engine.call("BatchGetItem", request.to_string().as_bytes()).await;
        let Some(rest) = rest else { return (status, body) };
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        answer["UnprocessedKeys"] = json!({TABLE: {"Keys": rest, "ConsistentRead": true}});
        (status, answer.to_string().into())
    }

    /// Returns the replica after it has received every write that is older than the lag.
    async fn replica(&self) -> Engine {
        let _order = self.order.lock().await;
        let replica = self.state().replica.clone().expect("a replica");
        loop {
            let due = {
                let mut state = self.state();
                let lag = state.faults.lag;
                state.pending.pop_front_if(|(at, _, _)| at.elapsed() >= lag)
            };
            let Some((_, operation, body)) = due else { return replica };
            assert_eq!(replica.call(&operation, &body).await.0, 200, "the replica refuses a write");
        }
    }
}

impl State {
    /// Returns a random number from 0 up to, but not including, 1 (xorshift64*).
    fn draw(&mut self) -> f64 {
        self.seed = self.seed.max(1);
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        let bits = self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40;
        f64::from(u32::try_from(bits).unwrap_or_default()) / f64::from(1u32 << 24)
    }

    fn delay(&mut self, operation: &str) -> Duration {
        let commit = if operation == "TransactWriteItems" { self.commit_delay } else { Duration::ZERO };
        let max = self.faults.slow + commit;
        if max.is_zero() { max } else { max.mul_f64(self.draw()) }
    }

    /// Returns what to wait for before this call, if it is an attempt of the transaction to be held.
    fn hold(&mut self, operation: &str, body: &[u8]) -> Option<watch::Receiver<()>> {
        let hold = self.hold.as_mut().filter(|_| operation == "TransactWriteItems")?;
        let request: Value = serde_json::from_slice(body).expect("JSON");
        let token = request["ClientRequestToken"].as_str().expect("a token");
        if hold.token.is_none() {
            if hold.after > 0 {
                hold.after -= 1;
                return None;
            }
            hold.token = Some(token.to_owned());
            let _ = hold.arrived.take().expect("it arrives once").send(());
        }
        (hold.token.as_deref() == Some(token)).then(|| hold.released.clone())
    }

    fn fate(&mut self, operation: &str, body: &[u8]) -> Fate {
        match &mut self.away_after {
            Some(0) => return Fate::Fault(error(500, "InternalServerError")),
            Some(commits) if operation == "TransactWriteItems" => *commits -= 1,
            _ => {}
        }
        let faults = self.faults.clone();
        if faults.throttled > 0.0 && self.draw() < faults.throttled {
            return Fate::Fault(error(400, "ThrottlingException"));
        }
        if faults.failed > 0.0 && self.draw() < faults.failed {
            return Fate::Fault(error(500, "InternalServerError"));
        }
        let is_single = ["PutItem", "UpdateItem", "DeleteItem"].contains(&operation);
        if is_single && faults.held > 0.0 && self.draw() < faults.held {
            return Fate::Fault(error(400, "TransactionConflictException"));
        }
        if operation == "TransactWriteItems" {
            if self.stalled_until.is_some_and(|until| Instant::now() < until) {
                return Fate::Fault(error(400, "TransactionInProgressException"));
            }
            let request: Value = serde_json::from_slice(body).unwrap_or_default();
            let items = request["TransactItems"].as_array().map_or(0, Vec::len);
            let conflicting =
                (0..items).find(|_| faults.conflict_per_item > 0.0 && self.draw() < faults.conflict_per_item);
            if let Some(item) = conflicting {
                return Fate::Fault(conflict(items, item));
            }
            if self.lose > 0 {
                self.lose -= 1;
                return Fate::Forwarded { lost: true };
            }
        }
        Fate::Forwarded { lost: faults.lost > 0.0 && self.draw() < faults.lost }
    }
}

fn error(status: u16, code: &str) -> Answer {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    (status, json!({"__type": kind, "message": "injected"}).to_string().into())
}

fn conflict(items: usize, at: usize) -> Answer {
    let reasons: Vec<Value> = (0..items)
        .map(|item| json!({"Code": if item == at { "TransactionConflict" } else { "None" }, "Message": "injected"}))
        .collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "injected",
        "CancellationReasons": reasons,
    });
    (400, body.to_string().into())
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        HttpConnectorFuture::new(async move {
            // As over a network, concurrent calls all begin before one of them is answered.
            tokio::task::yield_now().await;
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target.rsplit('.').next().unwrap_or_default();
            let answer = Wire::call(&wire, operation, request.body().bytes().unwrap_or_default()).await;
            let Some((status, body)) = answer else {
                return Err(ConnectorError::timeout("the response was lost".into()));
            };
            let status =
                status.try_into().map_err(|_| ConnectorError::other("an invalid status".into(), None))?;
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}
