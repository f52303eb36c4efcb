//! Opens a socket: calls the authorizer, then the connect function, and only then answers the client.
//!
//! Invariant: once the connect function has accepted a connection, one task runs it until its disconnect function has
//! been called, even if the client has given up on the handshake.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayRequestAuthorizer};
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use serde_json::json;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::connection::{Connection, Origin, id};
use super::ending::Ending;
use super::functions::{Failure, invoke};
use super::gateway::{Gateway, Running, json};
use super::policy::{self, Denied};
use super::{events, socket};

/// Length limit of a URL in API Gateway, in characters.
const URL: usize = 4096;

/// Why a handshake is refused. Clients see the status; scripts in browsers do not.
#[derive(Debug, Clone, Copy)]
struct Refusal(StatusCode, &'static str);

impl Refusal {
    const INTERNAL: Self = Self(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error");
    const UNAUTHORIZED: Self = Self(StatusCode::UNAUTHORIZED, "Unauthorized");
    const FORBIDDEN: Self =
        Self(StatusCode::FORBIDDEN, "User is not authorized to access this resource with an explicit deny");
    const BAD_GATEWAY: Self = Self(StatusCode::BAD_GATEWAY, "Internal server error");
    const TIMEOUT: Self = Self(StatusCode::GATEWAY_TIMEOUT, "Endpoint request timed out");
    const CLOSED: Self = Self(StatusCode::SERVICE_UNAVAILABLE, "Service unavailable");
    const URL: Self = Self(StatusCode::URI_TOO_LONG, "URI too long");
    const UPGRADE: Self = Self(StatusCode::UPGRADE_REQUIRED, "Upgrade required");
    const MALFORMED: Self = Self(StatusCode::BAD_REQUEST, "Bad request");

    fn response(self, connection_id: &str) -> Response {
        let Self(status, message) = self;
        let body = json!({ "message": message, "connectionId": connection_id, "requestId": id() });
        let mut response = (status, json(&body)).into_response();
        if status == StatusCode::UPGRADE_REQUIRED {
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        response
    }
}

/// Opens a socket or refuses the handshake.
pub(super) async fn upgrade(State(gateway): State<Gateway>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let (accept, upgraded) = match check(&gateway, &mut parts) {
        Ok(checked) => checked,
        Err(refusal) => return refusal.response(&id()),
    };
    let (answer, answered) = oneshot::channel();
    tokio::spawn(run(gateway, parts, accept, upgraded, answer));
    answered.await.unwrap_or_else(|_| Refusal::INTERNAL.response(&id()))
}

/// Checks that a request is a handshake. Returns the value for `Sec-WebSocket-Accept`, and the pending upgrade.
fn check(gateway: &Gateway, parts: &mut Parts) -> Result<(HeaderValue, OnUpgrade), Refusal> {
    let headers = &parts.headers;
    if gateway.0.connections.is_closed() {
        return Err(Refusal::CLOSED);
    }
    if parts.uri.path_and_query().is_some_and(|url| url.as_str().len() > URL) {
        return Err(Refusal::URL);
    }
    if !lists(headers, &header::CONNECTION, "upgrade") || !lists(headers, &header::UPGRADE, "websocket") {
        return Err(Refusal::UPGRADE);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(Refusal::MALFORMED)?;
    if !lists(headers, &header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(Refusal::MALFORMED);
    }
    let accept = derive_accept_key(key.as_bytes()).try_into().map_err(|_| Refusal::MALFORMED)?;
    let upgraded = parts.extensions.remove().ok_or(Refusal::UPGRADE)?;
    Ok((accept, upgraded))
}

/// Whether a header's comma-separated list contains the word.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}

/// Runs a socket from its handshake to its disconnect function.
async fn run(
    gateway: Gateway,
    request: Parts,
    accept: HeaderValue,
    upgraded: OnUpgrade,
    answer: oneshot::Sender<Response>,
) {
    let _running = Running::new(&gateway);
    // Boxed, so that the future of an open socket does not reserve memory for its handshake.
    let Some(connection) = Box::pin(open(&gateway, request, accept, answer)).await else { return };
    match upgraded.await {
        Ok(upgraded) => socket::run(&gateway, &connection, upgraded).await,
        Err(_) => socket::disconnect(&gateway, &connection, &Ending::LOST).await,
    }
}

/// Authorizes and answers the handshake. Returns the connection if it is accepted.
async fn open(
    gateway: &Gateway,
    request: Parts,
    accept: HeaderValue,
    answer: oneshot::Sender<Response>,
) -> Option<Arc<Connection>> {
    let mut origin = origin(gateway, &request);
    let accepted = match authorize(gateway, &origin, &request).await {
        Ok(authorizer) => {
            origin.authorizer = authorizer;
            connect(gateway, &origin, &request).await
        }
        Err(refusal) => Err(refusal),
    };
    // If the client no longer waits for the answer, the upgrade fails later.
    match accepted {
        Ok(protocol) => {
            let connection = gateway.0.connections.open(origin);
            let _ = answer.send(switching(accept, protocol));
            Some(connection)
        }
        Err(refusal) => {
            let _ = answer.send(refusal.response(&origin.id));
            None
        }
    }
}

fn origin(gateway: &Gateway, request: &Parts) -> Origin {
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
    let user_agent = request.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Origin {
        id: id(),
        connected_at: gateway.0.clock.now(),
        source_ip: peer.map_or_else(|| "127.0.0.1".to_owned(), |ConnectInfo(peer)| peer.ip().to_string()),
        user_agent: user_agent.map(str::to_owned),
        authorizer: ApiGatewayRequestAuthorizer::default(),
    }
}

async fn authorize(
    gateway: &Gateway,
    origin: &Origin,
    request: &Parts,
) -> Result<ApiGatewayRequestAuthorizer, Refusal> {
    let inner = &gateway.0;
    let event = events::authorization(&inner.api, origin, request);
    match invoke(&inner.functions.authorize, event, inner.limits.integration).await {
        Ok(answer) => {
            policy::evaluate(answer, &events::connect_arn(&inner.api)).map_err(|denied| match denied {
                Denied::Forbidden => Refusal::FORBIDDEN,
                Denied::Malformed => Refusal::INTERNAL,
            })
        }
        Err(Failure::Error(message)) if message == "Unauthorized" => Err(Refusal::UNAUTHORIZED),
        Err(failure) => {
            tracing::warn!(%failure, "the authorizer failed");
            Err(Refusal::INTERNAL)
        }
    }
}

/// Calls the connect function. Returns the subprotocol that it chose, or why it refuses the connection.
async fn connect(
    gateway: &Gateway,
    origin: &Origin,
    request: &Parts,
) -> Result<Option<HeaderValue>, Refusal> {
    let inner = &gateway.0;
    let event = events::connect(inner, origin, request);
    let answer =
        invoke(&inner.functions.connect, event, inner.limits.integration).await.map_err(|failure| {
            tracing::warn!(%failure, "the connect function failed");
            if failure == Failure::Timeout { Refusal::TIMEOUT } else { Refusal::BAD_GATEWAY }
        })?;
    match u16::try_from(answer.status_code).ok().and_then(|status| StatusCode::from_u16(status).ok()) {
        Some(status) if status.is_success() => Ok(protocol(&answer)),
        // A 1xx is no final answer to a handshake.
        Some(status) if !status.is_informational() => {
            Err(Refusal(status, status.canonical_reason().unwrap_or("Refused")))
        }
        _ => Err(Refusal::BAD_GATEWAY),
    }
}

fn protocol(answer: &ApiGatewayProxyResponse) -> Option<HeaderValue> {
    let name = header::SEC_WEBSOCKET_PROTOCOL;
    answer.headers.get(&name).or_else(|| answer.multi_value_headers.get(&name)).cloned()
}

fn switching(accept: HeaderValue, protocol: Option<HeaderValue>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}
