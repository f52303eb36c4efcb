//! The WebSocket half of API Gateway, for any functions: this code does not interpret messages.
//!
//! Invariant: a connection exists from the 2xx answer of its connect function until its socket ends, and its disconnect
//! function is called exactly once, whichever side ended it.
//!
//! It follows AWS's documentation. The following points are not in `docs.aws.amazon.com/apigateway`, or are hard to
//! find there:
//!
//! - A post to a connection whose connect function has not answered yet gets 410, as in AWS. After that answer, posts
//!   are queued and delivered once the handshake is complete.
//! - Of the connect function's headers, only `Sec-WebSocket-Protocol` reaches the client. Its body never does.
//! - The messages of one connection are processed one after the other, in the order in which they came, so they also
//!   take effect in that order. (AWS promises no order.) Up to [`Limits::unprocessed`] messages are read before their
//!   functions have ended; then the socket is not read until one is done.
//! - If the authorizer's context has `expires`, in milliseconds since 1970, the message function is called at that time
//!   with an empty body, so that it can end a silent socket. (In AWS nothing is called: the value means nothing there.)
//! - A function that exceeds its time limit is not stopped, as in Lambda; the gateway stops waiting for it.
//! - A binary frame closes the socket with 1003.
//! - Frames of any kind, including pings, count as activity, and so do messages that have been written to the client.
//! - For a client that does not read, [`limits::BUFFER`] bytes or [`limits::BUFFERED`] messages are queued; further posts get 429
//!   (`LimitExceededException`) immediately. Such a socket has no activity, so the idle timeout closes it.
//! - `DELETE` closes the socket with 1000, after all earlier posts are sent.
//!
//! The frame library is used directly and not through axum's `ws`, for two reasons: messages must be split at 32 KB,
//! and a client's errors must be distinguished to close with the right code.

mod connection;
mod ending;
mod events;
mod functions;
mod gateway;
mod handshake;
pub mod limits;
mod management;
mod policy;
mod socket;

use axum::Router;
use axum::routing::{MethodRouter, get};

pub(crate) use self::events::request_time;
pub(crate) use self::functions::invoke;
pub use self::functions::{Call, Functions, call};
pub use self::gateway::{Api, Gateway};
pub use self::limits::Limits;
pub use self::management::Management;

impl Gateway {
    /// Returns the route on which clients open sockets: `Router::new().route("/ws", gateway.upgrade())`.
    pub fn upgrade<S: Clone + Send + Sync + 'static>(&self) -> MethodRouter<S> {
        get(handshake::upgrade).with_state(self.clone())
    }

    /// Returns the management API, to be served at [`Api::domain_name`]: `/@connections/{id}`, with or without the
    /// stage before it. It does not authenticate its callers, so serve it only on a loopback port.
    pub fn management(&self) -> Router {
        management::routes(self.clone())
    }
}
