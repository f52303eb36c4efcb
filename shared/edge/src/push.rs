//! Pushes events to sockets. A push is a shortcut and may be lost: the queues are the truth.
//!
//! Invariant: pushing events never fails the call that caused them, and never delays it for longer than [`DEADLINE`],
//! because the events are committed already.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::retry::RetryConfig;
use aws_sdk_apigatewaymanagement::config::timeout::TimeoutConfig;
use aws_sdk_apigatewaymanagement::error::SdkError;
use aws_sdk_apigatewaymanagement::operation::post_to_connection::{
    PostToConnection, PostToConnectionError, PostToConnectionInput, PostToConnectionOutput,
};
use aws_sdk_apigatewaymanagement::primitives::Blob;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_types::config_bag::FrozenLayer;
use domain::delivery::{Delivery, Socket};
use domain::error::Error;
use domain::event::EventView;
use domain::id::{self, UserId};
use futures_util::future::join_all;
use observe::log::reason;
use observe::meter;
use observe::metrics::Metric;
use serde::Serialize;
use store::{Store, bypass};

/// How long a call waits for its pushes; unfinished ones are dropped.
const DEADLINE: Duration = Duration::from_millis(1500);
/// Time limit of one attempt. A busy machine alone does not exceed it.
const ATTEMPT: Duration = Duration::from_millis(400);
/// Attempts to push one frame. API Gateway closes idle connections, so after a pause the first attempt often fails; the
/// next one opens a new connection.
const MAX_ATTEMPTS: u32 = 4;
/// Half of the longest pause before the second attempt, in milliseconds; the longest pause doubles with each attempt.
const PAUSE: u64 = 20;
/// Why a socket is closed whose token has expired.
pub const EXPIRED: &str = "The token has expired.";
/// Maximum size of a frame, in bytes (API Gateway's quota).
const MAX_FRAME: usize = 32 * 1024;

/// The last frame to a socket that is closed because its token is no longer valid.
#[derive(Serialize)]
struct ClosingNotice {
    r#type: &'static str,
    code: &'static str,
    message: String,
}

/// Pushes to sockets through API Gateway. Without an endpoint it does nothing.
#[derive(Clone)]
pub struct Push {
    sockets: Option<Sockets>,
}

impl Push {
    /// Pushes through the `@connections` API of a `WebSocket` API; without a configuration, nowhere.
    #[must_use]
    pub fn new(config: Option<aws_sdk_apigatewaymanagement::config::Builder>) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
        let config =
            config.map(|config| config.timeout_config(timeouts).retry_config(RetryConfig::disabled()));
        let client = config.map(|config| Client::from_conf(config.build()));
        Self { sockets: client.map(|client| Sockets { client, gateway: None }) }
    }

    /// Returns the same pushes, with frames that go to a gateway in this process, bypassing the SDK's client.
    #[must_use]
    pub fn in_process(self, gateway: SharedHttpConnector) -> Self {
        Self { sockets: self.sockets.map(|sockets| Sockets { gateway: Some(gateway), ..sockets }) }
    }

    /// Opens the connection before the first push needs it, by looking up a socket that does not exist.
    #[boxed]
    pub async fn warm_up(&self) {
        if let Some(Sockets { client, .. }) = &self.sockets {
            let _ = client.get_connection().connection_id("-").send().await;
        }
    }

    /// Pushes events to all sockets of their receivers, concurrently.
    #[boxed]
    pub async fn deliver(&self, store: &Store, delivery: Delivery) {
        let Some(sockets) = &self.sockets else { return };
        // The number of sockets whose pushes have not finished.
        let unfinished = AtomicUsize::new(0);
        let unfinished = &unfinished;
        let mut pushes = Vec::new();
        for (user, own) in &delivery.sockets {
            // Each socket gets its receiver's events in order.
            let frames: Vec<_> =
                delivery.events.iter().filter(|(to, _)| to == user).map(|(_, e)| frame(e)).collect();
            for socket in own.iter().filter(|_| !frames.is_empty()) {
                let frames = frames.clone();
                unfinished.fetch_add(1, Ordering::Relaxed);
                pushes.push(async move {
                    for frame in frames {
                        if !push(sockets, store, user, socket, frame).await {
                            break;
                        }
                    }
                    unfinished.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
        if tokio::time::timeout(DEADLINE, join_all(pushes)).await.is_err() {
            let dropped = unfinished.load(Ordering::Relaxed);
            (0..dropped).for_each(|_| meter::count(Metric::PushesFailed));
            tracing::warn!(dropped, "pushes took too long and were dropped");
        }
    }

    /// Sends a socket the answer to its frame.
    ///
    /// # Errors
    /// `Internal` if the answer cannot be sent; a socket that is gone is no error.
    #[boxed]
    pub async fn answer(&self, connection: &str, frame: String) -> Result<(), Error> {
        let Some(sockets) = &self.sockets else { return Ok(()) };
        match sockets.post(connection, Blob::new(frame)).await {
            Ok(()) => Ok(()),
            // The client has disconnected.
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(Error::internal(error)),
        }
    }

    /// Sends `not_authenticated` with a reason to a socket, and closes it.
    #[boxed]
    pub async fn close(&self, connection: &str, reason: &'static str) {
        if let Some(sockets) = &self.sockets {
            close(sockets, connection, reason).await;
        }
    }
}

/// The `@connections` API of a `WebSocket` API.
#[derive(Clone)]
struct Sockets {
    client: Client,
    /// The gateway, if it is in this process. It gets the frames instead of the client.
    gateway: Option<SharedHttpConnector>,
}

impl Sockets {
    async fn post(&self, connection: &str, data: Blob) -> Result<(), SdkError<PostToConnectionError>> {
        static SETTINGS: LazyLock<FrozenLayer> =
            LazyLock::new(|| bypass::settings_of(&PostToConnection::new()));
        let post = PostToConnectionInput::builder().connection_id(connection).data(data);
        let Some(gateway) = &self.gateway else { return post.send_with(&self.client).await.map(|_| ()) };
        let input = post.build().map(Input::erase).map_err(SdkError::construction_failure)?;
        bypass::call::<PostToConnectionOutput, _>(gateway, &SETTINGS, input).await.map(|_| ())
    }
}

async fn close(sockets: &Sockets, connection: &str, reason: &'static str) {
    let error = Error::NotAuthenticated(reason);
    let notice = ClosingNotice { r#type: "error", code: error.code(), message: error.to_string() };
    if let Ok(data) = serde_json::to_vec(&notice) {
        let _ = sockets.post(connection, Blob::new(data)).await;
    }
    let _ = sockets.client.delete_connection().connection_id(connection).send().await;
}

/// The frame of an event. An event that is too large loses its `data` and is marked as truncated.
fn frame(event: &EventView) -> Vec<u8> {
    let full = serde_json::to_vec(event).unwrap_or_default();
    if full.len() <= MAX_FRAME { full } else { serde_json::to_vec(&event.truncated()).unwrap_or_default() }
}

fn is_gone(error: &SdkError<PostToConnectionError>) -> bool {
    matches!(error, SdkError::ServiceError(service) if service.err().is_gone_exception())
}

/// Pushes a frame, with up to [`MAX_ATTEMPTS`] attempts. Returns `false` if the socket's later frames must not follow. Deletes the connection when its token
/// has expired, or when API Gateway answers 410 Gone and the handshake is over.
async fn push(sockets: &Sockets, store: &Store, user: &UserId, socket: &Socket, frame: Vec<u8>) -> bool {
    if socket.until <= store.now() {
        close(sockets, &socket.connection, EXPIRED).await;
        let _ = store.remove_sockets(user, &[&socket.connection]).await;
        return false;
    }
    let data = Blob::new(frame);
    let mut attempts = 1;
    loop {
        match sockets.post(&socket.connection, data.clone()).await {
            Ok(()) => {
                meter::count(Metric::PushesSent);
                return true;
            }
            Err(error) if is_gone(&error) => {
                meter::count(Metric::PushesGone);
                if socket.is_settled(store.now()) {
                    let _ = store.remove_sockets(user, &[&socket.connection]).await;
                }
                return false;
            }
            Err(error) if attempts == MAX_ATTEMPTS => {
                meter::count(Metric::PushesFailed);
                tracing::warn!(error = reason(&error), "a push failed");
                return false;
            }
            // A lost answer makes the socket get the event twice; clients drop the second by its id.
            Err(_) => {
                let longest = PAUSE << attempts;
                tokio::time::sleep(Duration::from_millis(1 + id::random() % longest)).await;
                attempts += 1;
            }
        }
    }
}
