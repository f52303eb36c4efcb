//! Pushing events to sockets: a shortcut to what the queues hold.
//!
//! Invariant: a push never fails the call that caused it, and never holds it up for longer than [`DEADLINE`]. A
//! socket that is gone is forgotten.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::retry::RetryConfig;
use aws_sdk_apigatewaymanagement::config::timeout::TimeoutConfig;
use aws_sdk_apigatewaymanagement::error::SdkError;
use aws_sdk_apigatewaymanagement::operation::post_to_connection::PostToConnectionError;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use domain::delivery::{Delivery, Socket};
use domain::error::Error;
use domain::event::EventView;
use domain::id::UserId;
use futures_util::future::join_all;
use observe::log::reason;
use observe::meter;
use observe::metrics::Metric;
use serde::Serialize;
use store::Store;

/// How long the answer waits for pushes; what is left over then is dropped.
const DEADLINE: Duration = Duration::from_millis(300);
/// Bytes of a frame at most (API Gateway's quota).
const FRAME: usize = 32 * 1024;

/// What is sent to a socket whose token has expired, before it is closed.
#[derive(Serialize)]
struct Farewell {
    r#type: &'static str,
    code: &'static str,
    message: String,
}

/// The way to the sockets. Without an endpoint there are none.
#[derive(Clone)]
pub struct Push {
    client: Option<Client>,
}

impl Push {
    /// A push through a `WebSocket` API's connections, or none.
    #[must_use]
    pub fn new(config: Option<aws_sdk_apigatewaymanagement::config::Builder>) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(DEADLINE).build();
        let config =
            config.map(|config| config.timeout_config(timeouts).retry_config(RetryConfig::disabled()));
        Self { client: config.map(|config| Client::from_conf(config.build())) }
    }

    /// Opens the connection before the first push needs it, by asking for a socket that is not there.
    pub async fn warm_up(&self) {
        if let Some(client) = &self.client {
            let _ = client.get_connection().connection_id("-").send().await;
        }
    }

    /// Pushes events to all sockets of their receivers, side by side.
    pub async fn deliver(&self, store: &Store, delivery: Delivery) {
        let Some(client) = &self.client else { return };
        // A socket that is still being pushed to when the time is over.
        let waiting = AtomicUsize::new(0);
        let waiting = &waiting;
        let mut pushes = Vec::new();
        for (user, sockets) in &delivery.sockets {
            // A receiver's events go to each socket in their order.
            let frames: Vec<_> =
                delivery.events.iter().filter(|(to, _)| to == user).map(|(_, e)| frame(e)).collect();
            for socket in sockets.iter().filter(|_| !frames.is_empty()) {
                let frames = frames.clone();
                waiting.fetch_add(1, Ordering::Relaxed);
                pushes.push(async move {
                    for frame in frames {
                        if !push(client, store, user, socket, frame).await {
                            break;
                        }
                    }
                    waiting.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
        if tokio::time::timeout(DEADLINE, join_all(pushes)).await.is_err() {
            let dropped = waiting.load(Ordering::Relaxed);
            (0..dropped).for_each(|_| meter::count(Metric::PushesFailed));
            tracing::warn!(dropped, "pushes took too long and were dropped");
        }
    }

    /// Sends a frame of ours to one socket: an answer to what it sent.
    ///
    /// # Errors
    /// `Internal` where it cannot be written.
    pub async fn answer<T: Serialize>(&self, connection: &str, frame: &T) -> Result<(), Error> {
        let Some(client) = &self.client else { return Ok(()) };
        let data = Blob::new(serde_json::to_vec(frame).map_err(Error::internal)?);
        match client.post_to_connection().connection_id(connection).data(data).send().await {
            Ok(_) => Ok(()),
            // Whoever asked has gone.
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(Error::internal(error)),
        }
    }

    /// Tells a socket that its token has expired, and closes it.
    pub async fn close_expired(&self, connection: &str) {
        if let Some(client) = &self.client {
            close_expired(client, connection).await;
        }
    }
}

async fn close_expired(client: &Client, connection: &str) {
    let error = Error::NotAuthenticated("The token has expired.");
    let farewell = Farewell { r#type: "error", code: error.code(), message: error.to_string() };
    if let Ok(data) = serde_json::to_vec(&farewell) {
        let _ = client.post_to_connection().connection_id(connection).data(Blob::new(data)).send().await;
    }
    let _ = client.delete_connection().connection_id(connection).send().await;
}

/// The frame of an event; only its id and type where it is too large.
fn frame(event: &EventView) -> Vec<u8> {
    let whole = serde_json::to_vec(event).unwrap_or_default();
    if whole.len() <= FRAME { whole } else { serde_json::to_vec(&event.truncated()).unwrap_or_default() }
}

fn is_gone(error: &SdkError<PostToConnectionError>) -> bool {
    matches!(error, SdkError::ServiceError(service) if service.err().is_gone_exception())
}

/// Pushes a frame; `false` where the socket takes no more.
async fn push(client: &Client, store: &Store, user: &UserId, socket: &Socket, frame: Vec<u8>) -> bool {
    if socket.until <= store.now() {
        close_expired(client, &socket.connection).await;
        let _ = store.remove_socket(user, &socket.connection).await;
        return false;
    }
    match client.post_to_connection().connection_id(&socket.connection).data(Blob::new(frame)).send().await {
        Ok(_) => {
            meter::count(Metric::PushesSent);
            true
        }
        Err(error) if is_gone(&error) => {
            meter::count(Metric::PushesGone);
            if socket.is_settled(store.now()) {
                let _ = store.remove_socket(user, &socket.connection).await;
            }
            false
        }
        Err(error) => {
            meter::count(Metric::PushesFailed);
            tracing::warn!(error = reason(&error), "a push failed");
            false
        }
    }
}
