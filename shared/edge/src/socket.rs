//! Who opens a socket, and how the four socket functions know.
//!
//! Invariant: the identity is set once, by the authorizer, and API Gateway hands it to every later event: a frame
//! costs no look-up.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use domain::caller::Caller;
use domain::error::Error;
use domain::id::{self, SessionId, UserId};
use domain::name::{Name, Picture};
use domain::time::Timestamp;
use http::HeaderMap;
use observe::log::reason;
use observe::meter;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::App;

/// The subprotocol, named before the token where that comes as one.
pub const PROTOCOL: &str = "tidings";
const PROTOCOLS: &str = "sec-websocket-protocol";
/// What tickets are called in their signatures.
const LIST: &str = "ticket";

/// Who holds a socket, as the authorizer's context carries it: texts only.
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

/// What a ticket says.
#[derive(Serialize, Deserialize)]
struct Ticket {
    id: String,
    identity: Identity,
}

/// A ticket for a caller: their id and a signed one-time id, which the store keeps for 30 s.
///
/// # Errors
/// `Unavailable` where the database is.
pub async fn issue_ticket(app: &App, caller: &Caller) -> Result<String, Error> {
    let ticket = Ticket { id: id::request_token(), identity: caller.into() };
    app.store.add_ticket(&caller.user, &ticket.id).await?;
    app.cursors.seal_with_user(&caller.user, LIST, &ticket)
}

async fn use_ticket(app: &App, ticket: &str) -> Result<Caller, Error> {
    let refused = || Error::NotAuthenticated("The ticket is not valid.");
    let (user, ticket) = app.cursors.open_with_user::<Ticket>(LIST, ticket).ok_or_else(refused)?;
    if app.store.use_ticket(&user, &ticket.id).await? { Ok(ticket.identity.into()) } else { Err(refused()) }
}

/// Who opens a socket: by `?token=`, by `?ticket=`, or by the subprotocols `tidings, TOKEN`.
///
/// # Errors
/// `NotAuthenticated` where none of them holds; `Unavailable` where the issuer's keys or the database are.
pub async fn opener(
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
    // The leeway that verifying allows would only open a socket that its first frame ends.
    if caller.expires <= app.store.now() {
        return Err(Error::NotAuthenticated("The token has expired."));
    }
    Ok(caller)
}

/// The authorizer's context for a caller.
///
/// # Errors
/// `Internal` where it does not serialise.
pub fn context_of(caller: &Caller) -> Result<Value, Error> {
    let identity = serde_json::to_string(&Identity::from(caller)).map_err(Error::internal)?;
    Ok(serde_json::json!({ "identity": identity }))
}

/// An event of a socket, as far as the functions need it.
pub struct SocketEvent {
    /// API Gateway's id for the socket.
    pub connection: String,
    /// Who holds it.
    pub caller: Caller,
    /// The frame, where it is one.
    pub body: String,
    /// Whether the client asked for the subprotocol.
    pub wants_protocol: bool,
    /// When the socket opened.
    pub since: Timestamp,
}

impl SocketEvent {
    /// Reads an event of API Gateway.
    ///
    /// # Errors
    /// `Internal` where the authorizer's context or the connection is missing: the API is set up wrongly.
    pub fn read(event: ApiGatewayWebsocketProxyRequest) -> Result<Self, Error> {
        let context = event.request_context.authorizer.fields;
        let identity = context.get("identity").and_then(Value::as_str);
        let identity = identity.ok_or_else(|| Error::internal("no identity in the context"))?;
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
            connection: connection.ok_or_else(|| Error::internal("an event without a connection"))?,
            caller: identity,
            body: event.body.unwrap_or_default(),
            wants_protocol: protocols.split(',').any(|name| name.trim() == PROTOCOL),
            since: Timestamp::from_millis(event.request_context.connected_at),
        })
    }
}

/// The answer to API Gateway: all went well.
#[must_use]
pub fn accepted() -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = 200;
    response
}

/// A fault, for API Gateway and for the log.
#[must_use]
pub fn fault(error: &Error) -> String {
    meter::failed(error);
    tracing::error!(code = error.code(), error = reason(error), "a socket's function failed");
    error.code().to_owned()
}
