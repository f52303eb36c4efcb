//! The gateway's state: its API, its functions and its connections.

use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::id::Clock;
use serde_json::Value;
use tokio::sync::watch;

use super::connection::Connections;
use super::ending::Ending;
use super::functions::Functions;
use super::limits::Limits;

/// The names of the API, and its routes.
#[derive(Debug, Clone)]
pub struct Api {
    /// The API's id, as in `requestContext.apiId`.
    pub id: String,
    /// The stage, as in `requestContext.stage` and in the paths of the management API.
    pub stage: String,
    /// `host:port` of the management API, which functions call at `http://{domain_name}/{stage}`.
    pub domain_name: String,
    /// The values of `$request.body.action` that are route keys. Any other message has the route `$default`.
    pub routes: Vec<String>,
}

/// The gateway; clones share its connections.
#[derive(Clone)]
pub struct Gateway(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) api: Api,
    pub(super) functions: Functions,
    pub(super) limits: Limits,
    pub(super) clock: Clock,
    pub(super) connections: Connections,
    /// Number of running tasks: one per socket, until its disconnect function has ended, and one per message.
    tasks: watch::Sender<usize>,
}

impl Gateway {
    /// Creates a gateway without connections.
    #[must_use]
    pub fn new(api: Api, functions: Functions, limits: Limits) -> Self {
        let (tasks, _) = watch::channel(0);
        let connections = Connections::default();
        Self(Arc::new(Inner { api, functions, limits, clock: Clock::default(), connections, tasks }))
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.connections.count()
    }

    /// Closes every socket with 1001 and waits until they and their disconnect functions have ended, but at most twice
    /// [`Limits::closing`]. Refuses new sockets with 503 from now on.
    pub async fn close_all(&self) {
        self.0.connections.end_all(&Ending::GOING_AWAY);
        let mut tasks = self.0.tasks.subscribe();
        let ended = tasks.wait_for(|running| *running == 0);
        if tokio::time::timeout(2 * self.0.limits.closing, ended).await.is_err() {
            tracing::warn!(tasks = *self.0.tasks.borrow(), "some sockets or functions did not end in time");
        }
    }
}

/// Returns a response with a JSON body, like API Gateway's own.
pub(super) fn json(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Counts a task until it is dropped.
pub(super) struct Running(pub(super) Gateway);

impl Running {
    pub(super) fn new(gateway: &Gateway) -> Self {
        gateway.0.tasks.send_modify(|running| *running += 1);
        Self(gateway.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.tasks.send_modify(|running| *running -= 1);
    }
}
