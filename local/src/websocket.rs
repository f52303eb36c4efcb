//! The WebSocket half of API Gateway, for any functions: nothing here knows what the messages mean.
//!
//! Invariant: a connection exists from the 2xx answer of its connect function until its socket ends, and its
//! disconnect function is called once for it, whoever ended it.
//!
//! What AWS documents is done as documented; `docs.aws.amazon.com/apigateway` leaves the following open, or has it in
//! places where one does not look for it:
//!
//! - A post to a connection whose connect function has not answered yet gets 410, as in AWS. From its answer on, while
//!   the handshake is still on its way, posts are kept and delivered after it.
//! - Only `Sec-WebSocket-Protocol` of the connect function's headers reaches the client. Its body never does.
//! - Functions of one connection run side by side, so their answers may overtake one another. At most
//!   [`Limits::concurrent`] messages do; then the socket is not read until one has ended.
//! - A function that exceeds its time is not stopped, like a Lambda function; the gateway stops waiting for it.
//! - A binary frame ends the socket with 1003.
//! - Frames of any kind, pings too, count as activity, and so do messages that have been written to the client.
//! - A client that does not read has [`BUFFER`] bytes or [`BUFFERED`] messages kept for it; further posts get 429
//!   (`LimitExceededException`) at once. As nothing moves, the idle time ends such a socket.
//! - `DELETE` closes with 1000 after what was posted before.
//!
//! The library that reads frames is driven here and not by axum's `ws`: messages must be split at 32 KB, and what a
//! client does wrong must be told apart, to close with the right code.

mod connection;
mod ending;
mod events;
mod functions;
mod handshake;
mod management;
mod policy;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use domain::id::Clock;
use serde_json::Value;
use tokio::sync::watch;

use self::connection::Connections;
use self::ending::Ending;

pub(crate) use self::events::request_time;
pub(crate) use self::functions::invoke;
pub use self::functions::{Call, Functions, call};

/// The largest frame, in bytes of payload. Larger messages are sent in several frames.
pub const FRAME: usize = 32 * 1024;
/// The largest message, in bytes, in either direction.
pub const MESSAGE: usize = 128 * 1024;
/// Bytes that are kept for a client that does not read.
pub const BUFFER: usize = 128 * 1024;
/// Messages that are kept for a client that does not read.
pub const BUFFERED: usize = 64;

/// What the API is called, and which actions have a route of their own.
#[derive(Debug, Clone)]
pub struct Api {
    /// The API's id, as in `requestContext.apiId`.
    pub id: String,
    /// The stage, as in `requestContext.stage` and in the paths of the management API.
    pub stage: String,
    /// `host:port` of the management API: functions reach it at `http://{domain_name}/{stage}`.
    pub domain_name: String,
    /// The values of `$request.body.action` that are route keys. All else goes to `$default`.
    pub routes: Vec<String>,
}

/// The limits of API Gateway that time has a part in; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A socket without traffic is closed after this time.
    pub idle: Duration,
    /// Any socket is closed after this time.
    pub life: Duration,
    /// How long a function may take.
    pub integration: Duration,
    /// How long a client may take to read what is left and to close.
    pub closing: Duration,
    /// Messages of one connection whose functions run side by side.
    pub concurrent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: Duration::from_mins(10),
            life: Duration::from_hours(2),
            integration: Duration::from_secs(29),
            closing: Duration::from_secs(5),
            concurrent: 16,
        }
    }
}

/// The gateway; clones are the same one.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    api: Api,
    functions: Functions,
    limits: Limits,
    clock: Clock,
    connections: Connections,
    /// How many tasks run: of sockets, up to the end of their disconnect functions, and of messages.
    tasks: watch::Sender<usize>,
}

impl Gateway {
    /// A gateway without connections.
    #[must_use]
    pub fn new(api: Api, functions: Functions, limits: Limits) -> Self {
        let (tasks, _) = watch::channel(0);
        let connections = Connections::default();
        Self(Arc::new(Inner { api, functions, limits, clock: Clock::default(), connections, tasks }))
    }

    /// The route that clients open sockets on: `Router::new().route("/ws", gateway.upgrade())`.
    pub fn upgrade<S: Clone + Send + Sync + 'static>(&self) -> MethodRouter<S> {
        get(handshake::upgrade).with_state(self.clone())
    }

    /// The management API, to be served at [`Api::domain_name`]: `/@connections/{id}`, with or without the stage
    /// before it. It takes anyone's word, so it belongs on a loopback port.
    pub fn management(&self) -> Router {
        management::routes(self.clone())
    }

    /// How many sockets are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.connections.count()
    }

    /// Closes every socket with 1001 and waits for their ends, disconnect functions included, though not for long:
    /// twice [`Limits::closing`]. From then on new sockets are refused with 503.
    pub async fn close_all(&self) {
        self.0.connections.end_all(&Ending::GOING_AWAY);
        let mut tasks = self.0.tasks.subscribe();
        let ended = tasks.wait_for(|running| *running == 0);
        if tokio::time::timeout(2 * self.0.limits.closing, ended).await.is_err() {
            tracing::warn!(tasks = *self.0.tasks.borrow(), "some sockets or functions did not end in time");
        }
    }
}

/// A JSON body, as API Gateway's own answers have.
fn json(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Counts a task for as long as it lives.
struct Running(Gateway);

impl Running {
    fn new(gateway: &Gateway) -> Self {
        gateway.0.tasks.send_modify(|running| *running += 1);
        Self(gateway.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.tasks.send_modify(|running| *running -= 1);
    }
}
