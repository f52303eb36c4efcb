//! The wire between the SDK and the engine, and the faults that DynamoDB has and the engine lacks.
//!
//! Conflicts, throttling, internal errors, answers that are lost after the commit, slow calls; and reads that lag:
//! consistent reads see the engine, all others a replica to which each write comes late, in order.

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

/// How likely each fault is, from 0 to 1, and how long things take.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// A transaction conflicts, for each of its items.
    pub conflict_per_item: f64,
    /// A call is throttled.
    pub throttled: f64,
    /// A call fails with 500, before it has done anything.
    pub failed: f64,
    /// A call does its work, and its answer is lost.
    pub lost: f64,
    /// A call takes up to so long.
    pub slow: Duration,
    /// Reads that are not consistent, and all of indexes, see what was there so long ago.
    pub lag: Duration,
}

type Write = (Instant, String, Vec<u8>);

struct State {
    engine: Engine,
    replica: Option<Engine>,
    late: VecDeque<Write>,
    faults: Faults,
    seed: u64,
    /// The next so many transactions lose their answer.
    lose: usize,
    /// After so many more transactions have committed, every call fails with 500.
    away_after: Option<usize>,
    /// Takes over once a transaction has lost its answer.
    successor: Option<Engine>,
    /// A check at each call: how many calls of an operation there were.
    calls: Vec<String>,
    /// A transaction waits up to so long before it reaches the engine.
    late_commits: Duration,
}

/// The way to the database.
#[derive(Clone)]
pub struct Wire {
    state: Arc<Mutex<State>>,
    /// Writes reach the replica in the order of their commits.
    order: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    /// Serves the wire on a loopback port, for functions in other processes; gives its URL. Where an answer is lost,
    /// the connection ends.
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
        let (status, body) = answer.ok_or_else(|| io::Error::other("the answer was lost"))?;
        let response =
            Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
        response.body(Full::from(body)).map_err(io::Error::other)
    }
}

enum Fate {
    Answered(Answer),
    Done { lost: bool },
}

impl Wire {
    /// A wire without faults.
    pub fn to(engine: Engine) -> Self {
        let (replica, late, calls) = (Engine::in_memory().ok(), VecDeque::new(), Vec::new());
        let state = State {
            engine,
            replica,
            late,
            faults: Faults::default(),
            seed: 1,
            lose: 0,
            away_after: None,
            successor: None,
            calls,
            late_commits: Duration::ZERO,
        };
        Self { state: Arc::new(Mutex::new(state)), order: Arc::default() }
    }

    /// The wire as the SDK's HTTP client.
    pub fn http_client(&self) -> SharedHttpClient {
        let wire = self.clone();
        http_client_fn(move |_, _| SharedHttpConnector::new(wire.clone()))
    }

    /// From now on, these faults, drawn from a seed.
    pub fn suffer(&self, faults: Faults, seed: u64) {
        let mut state = self.state();
        (state.faults, state.seed) = (faults, seed);
    }

    /// No more faults.
    pub fn heal(&self) {
        self.suffer(Faults::default(), 1);
        self.state().away_after = None;
    }

    /// From now on transactions wait up to so long before they reach the engine: what was stamped earlier may commit
    /// later.
    pub fn delay_commits(&self, most: Duration, seed: u64) {
        let mut state = self.state();
        (state.late_commits, state.seed) = (most, seed);
    }

    /// The next transactions commit, and their answers are lost.
    pub fn lose_answers(&self, count: usize) {
        self.state().lose = count;
    }

    /// The next so many transactions commit; then the database is away until the wire is healed, as for a process
    /// that dies there.
    pub fn away_after(&self, commits: usize) {
        self.state().away_after = Some(commits);
    }

    /// Waits until the database is away.
    pub async fn is_away(&self) {
        while self.state().away_after != Some(0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Once the next transaction has committed and lost its answer, goes on with another engine, as after a
    /// restart: what the first remembered of tokens is gone.
    pub fn restart_after_a_loss(&self, successor: Engine) {
        let mut state = self.state();
        (state.lose, state.successor) = (1, Some(successor));
    }

    /// The operations called so far, in order.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// The engine at its end.
    pub fn engine(&self) -> Engine {
        self.state().engine.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with the lock")
    }

    async fn call(&self, operation: &str, body: &[u8]) -> Option<Answer> {
        let (slow, fate) = {
            let mut state = self.state();
            state.calls.push(operation.to_owned());
            (state.pause(operation), state.fate(operation, body))
        };
        tokio::time::sleep(slow).await;
        let lost = match fate {
            Fate::Answered(answer) => return Some(answer),
            Fate::Done { lost } => lost,
        };
        let answer = self.done(operation, body).await;
        if !lost {
            return Some(answer);
        }
        let mut state = self.state();
        if let Some(successor) = state.successor.take() {
            state.engine = successor;
        }
        None
    }

    async fn done(&self, operation: &str, body: &[u8]) -> Answer {
        let engine = self.state().engine.clone();
        let reads = ["GetItem", "Query", "BatchGetItem", "Scan", "DescribeTable"].contains(&operation);
        if !reads {
            let _order = self.order.lock().await;
            let answer = engine.call(operation, body).await;
            let replica = self.state().replica.clone();
            if operation == "CreateTable"
                && let Some(replica) = replica
            {
                replica.call(operation, body).await;
            } else if answer.0 == 200 {
                self.state().late.push_back((Instant::now(), operation.to_owned(), body.to_vec()));
            }
            return answer;
        }
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let consistent = request["ConsistentRead"] == true || operation == "BatchGetItem";
        if consistent || self.state().faults.lag.is_zero() {
            return engine.call(operation, body).await;
        }
        self.replica().await.call(operation, body).await
    }

    /// The replica, with every write that has had its time to get there.
    async fn replica(&self) -> Engine {
        let _order = self.order.lock().await;
        let replica = self.state().replica.clone().expect("a replica");
        loop {
            let due = {
                let mut state = self.state();
                let lag = state.faults.lag;
                state.late.pop_front_if(|(at, _, _)| at.elapsed() >= lag)
            };
            let Some((_, operation, body)) = due else { return replica };
            assert_eq!(replica.call(&operation, &body).await.0, 200, "a write that the replica refuses");
        }
    }
}

impl State {
    /// A number from 0 to 1 (xorshift64*).
    fn draw(&mut self) -> f64 {
        self.seed = self.seed.max(1);
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        let bits = self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40;
        f64::from(u32::try_from(bits).unwrap_or_default()) / f64::from(1u32 << 24)
    }

    fn pause(&mut self, operation: &str) -> Duration {
        let late = if operation == "TransactWriteItems" { self.late_commits } else { Duration::ZERO };
        let most = self.faults.slow + late;
        if most.is_zero() { most } else { most.mul_f64(self.draw()) }
    }

    fn fate(&mut self, operation: &str, body: &[u8]) -> Fate {
        match &mut self.away_after {
            Some(0) => return Fate::Answered(problem(500, "InternalServerError")),
            Some(commits) if operation == "TransactWriteItems" => *commits -= 1,
            _ => {}
        }
        let faults = self.faults.clone();
        if faults.throttled > 0.0 && self.draw() < faults.throttled {
            return Fate::Answered(problem(400, "ThrottlingException"));
        }
        if faults.failed > 0.0 && self.draw() < faults.failed {
            return Fate::Answered(problem(500, "InternalServerError"));
        }
        if operation == "TransactWriteItems" {
            let request: Value = serde_json::from_slice(body).unwrap_or_default();
            let items = request["TransactItems"].as_array().map_or(0, Vec::len);
            let hit =
                (0..items).find(|_| faults.conflict_per_item > 0.0 && self.draw() < faults.conflict_per_item);
            if let Some(item) = hit {
                return Fate::Answered(conflict(items, item));
            }
            if self.lose > 0 {
                self.lose -= 1;
                return Fate::Done { lost: true };
            }
        }
        Fate::Done { lost: faults.lost > 0.0 && self.draw() < faults.lost }
    }
}

fn problem(status: u16, code: &str) -> Answer {
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
            // As over a network, no call is answered before those made beside it have begun.
            tokio::task::yield_now().await;
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target.rsplit('.').next().unwrap_or_default();
            let answer = Wire::call(&wire, operation, request.body().bytes().unwrap_or_default()).await;
            let Some((status, body)) = answer else {
                return Err(ConnectorError::timeout("the answer was lost".into()));
            };
            let status = status.try_into().map_err(|_| ConnectorError::other("no status".into(), None))?;
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}
