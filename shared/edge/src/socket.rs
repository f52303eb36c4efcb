//! Authentication of sockets, and their events as the four socket functions read them.
//!
//! Invariant: only the authorizer sets the identity, once. API Gateway adds it to every later event of the socket, so
//! that a frame needs no look-up.

use async_recursion::async_recursion as boxed;
use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use domain::caller::Caller;
use domain::delivery::Socket;
use domain::error::Error;
use domain::id::{self, SessionId, UserId};
use domain::name::{Name, Picture};
use domain::time::Timestamp;
use futures_util::future::join_all;
use http::HeaderMap;
use observe::log::reason;
use observe::meter;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::App;

/// The subprotocol. A client that sends its token as a subprotocol names this one first.
pub const PROTOCOL: &str = "tidings";
const PROTOCOLS: &str = "sec-websocket-protocol";
/// The purpose that tickets are signed for.
const KIND: &str = "ticket";

/// The user of a socket, serialised to text, because the authorizer's context takes no objects.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Identity {
    user: UserId,
    #[serde(default)]
    name: Option<Name>,
    #[serde(default)]
    picture: Option<Picture>,
    expires: i64,
    #[serde(default)]
    session: Option<SessionId>,
}

impl From<Identity> for Caller {
    fn from(identity: Identity) -> Self {
        let Identity { user, name, picture, expires, session } = identity;
        Self { user, name, picture, expires: Timestamp::from_millis(expires), session }
    }
}

impl From<&Caller> for Identity {
    fn from(caller: &Caller) -> Self {
        let Caller { user, name, picture, expires, session } = caller.clone();
        Self { user, name, picture, expires: expires.millis(), session }
    }
}

/// The signed content of a ticket.
#[derive(Serialize, Deserialize)]
struct Ticket {
    id: String,
    identity: Identity,
}

/// Issues a ticket that opens one socket for a caller. It contains their identity and a one-time id, signed; the store
/// keeps the one-time id for 30 s.
///
/// # Errors
/// `Unavailable` if the database is.
#[boxed]
pub async fn issue_ticket(app: &App, caller: &Caller) -> Result<String, Error> {
    let ticket = Ticket { id: id::request_token(), identity: caller.into() };
    app.store.add_ticket(&caller.user, &ticket.id).await?;
    app.cursors.seal_with_user(&caller.user, KIND, &ticket)
}

async fn use_ticket(app: &App, ticket: &str) -> Result<Caller, Error> {
    let refused = || Error::NotAuthenticated("The ticket is not valid.");
    let (user, ticket) = app.cursors.open_with_user::<Ticket>(KIND, ticket).ok_or_else(refused)?;
    if app.store.use_ticket(&user, &ticket.id).await? { Ok(ticket.identity.into()) } else { Err(refused()) }
}

/// Authenticates the client that opens a socket, by `?token=`, `?ticket=` or the subprotocols `tidings, TOKEN`.
///
/// # Errors
/// `NotAuthenticated` if it sends none of these, or one that is not valid; `Unavailable` if the issuer's keys or the
/// database are.
#[boxed]
pub async fn authenticate(
    app: &App,
    token: Option<&str>,
    ticket: Option<&str>,
    headers: &HeaderMap,
) -> Result<Caller, Error> {
    let protocols = headers.get(PROTOCOLS).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let from_protocol = protocols.split_once(',').filter(|(name, _)| name.trim() == PROTOCOL);
    let caller = match (token, ticket, from_protocol) {
        (Some(token), _, _) => app.verifier.verify(token).await?,
        (None, Some(ticket), _) => use_ticket(app, ticket).await?,
        (None, None, Some((_, token))) => app.verifier.verify(token.trim()).await?,
        (None, None, None) => {
            return Err(Error::NotAuthenticated("Open the socket with a token or a ticket."));
        }
    };
    meter::note_caller(&caller.user);
    // The token behind a ticket may have expired since the ticket was issued.
    if caller.expires <= app.store.now() {
        return Err(Error::NotAuthenticated("The token has expired."));
    }
    Ok(caller)
}

/// The authorizer's context that carries a caller's identity. Its `expires`, in milliseconds since 1970, tells the local
/// gateway when to call the message function for a silent socket; API Gateway ignores it.
///
/// # Errors
/// `Internal` if it cannot be serialised.
pub fn context_of(caller: &Caller) -> Result<Value, Error> {
    let identity = serde_json::to_string(&Identity::from(caller)).map_err(Error::internal)?;
    Ok(serde_json::json!({ "identity": identity, "expires": caller.expires.millis() }))
}

/// Closes those of a user's sockets that `is_over` selects, because their session or account has ended. Each gets
/// `not_authenticated` first. In AWS, a socket whose handshake is still running stays open.
///
/// # Errors
/// `Unavailable` if the database is; then all sockets stay open.
pub async fn close_sockets(app: &App, user: &UserId, is_over: impl Fn(&Socket) -> bool) -> Result<(), Error> {
    let mut sockets = app.store.sockets(user).await?;
    sockets.retain(is_over);
    if sockets.is_empty() {
        return Ok(());
    }
    let connections: Vec<&str> = sockets.iter().map(|socket| socket.connection.as_str()).collect();
    let closings = connections.iter().map(|connection| app.push.close(connection, "The session has ended."));
    let (removed, _) = tokio::join!(app.store.remove_sockets(user, &connections), join_all(closings));
    removed
}

/// The parts of a socket event that the functions need.
pub struct SocketEvent {
    /// API Gateway's id for the socket.
    pub connection: String,
    /// The socket's user.
    pub caller: Caller,
    /// The frame's text; empty if the event is not a frame.
    pub body: String,
    /// Whether the client asked for the subprotocol.
    pub wants_protocol: bool,
    /// When the socket opened.
    pub since: Timestamp,
}

impl SocketEvent {
    /// Reads an event from API Gateway.
    ///
    /// # Errors
    /// `Internal` if the authorizer's context or the connection id is missing: the API is misconfigured.
    pub fn read(event: ApiGatewayWebsocketProxyRequest) -> Result<Self, Error> {
        let context = event.request_context.authorizer.fields;
        let identity = context.get("identity").and_then(Value::as_str);
        let identity = identity.ok_or_else(|| Error::internal("no identity in the authorizer's context"))?;
        let identity: Identity = serde_json::from_str(identity).map_err(Error::internal)?;
        let identity: Caller = identity.into();
        let connection = event.request_context.connection_id;
        meter::note_caller(&identity.user);
        meter::note_field("route", event.request_context.route_key);
        meter::note_field("connection", connection.as_deref());
        meter::note_field("gateway_request_id", event.request_context.request_id);
        meter::note_field("request_bytes", event.body.as_ref().map_or(0, String::len));
        let protocols =
            event.headers.get(PROTOCOLS).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Self {
            connection: connection.ok_or_else(|| Error::internal("an event without a connection id"))?,
            caller: identity,
            body: event.body.unwrap_or_default(),
            wants_protocol: protocols.split(',').any(|name| name.trim() == PROTOCOL),
            since: Timestamp::from_millis(event.request_context.connected_at),
        })
    }
}

/// The successful response to API Gateway, status 200.
#[must_use]
pub fn accepted() -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = 200;
    response
}

/// The response to API Gateway that refuses a handshake.
#[must_use]
pub fn refused(status: u16) -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = status.into();
    response
}

/// Logs a fault and returns its code, the error text for API Gateway.
#[must_use]
pub fn log_fault(error: &Error) -> String {
    meter::failed(error);
    tracing::error!(code = error.code(), error = reason(error), "a socket function failed");
    error.code().to_owned()
}
