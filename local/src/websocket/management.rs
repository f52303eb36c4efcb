//! The management API, `@connections`, for the SDK's client.
//!
//! Invariant: every method answers 410 (`GoneException`) if the id is not that of an open connection.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use domain::time::Timestamp;
use serde_json::json;

use super::connection::{Connection, Refused};
use super::ending::Ending;
use super::gateway::{Gateway, json};
use super::limits::MESSAGE;

/// Why a call fails. The SDK recognises the exception by its name.
#[derive(Debug, Clone, Copy)]
enum Exception {
    Gone,
    LimitExceeded,
    PayloadTooLarge,
    Forbidden,
    BadRequest,
}

impl IntoResponse for Exception {
    fn into_response(self) -> Response {
        let (status, name, message) = match self {
            Self::Gone => (StatusCode::GONE, "GoneException", "Gone"),
            Self::LimitExceeded => {
                (StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", "The connection's queue is full")
            }
            Self::PayloadTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "PayloadTooLargeException",
                "The message is larger than 128 KB",
            ),
            Self::Forbidden => (StatusCode::FORBIDDEN, "ForbiddenException", "Forbidden"),
            Self::BadRequest => {
                (StatusCode::BAD_REQUEST, "BadRequestException", "The message is not valid UTF-8")
            }
        };
        let name = [(HeaderName::from_static("x-amzn-errortype"), name)];
        (status, name, json(&json!({ "message": message }))).into_response()
    }
}

impl From<Refused> for Exception {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Gone => Self::Gone,
            Refused::Full => Self::LimitExceeded,
        }
    }
}

pub(super) fn routes(gateway: Gateway) -> Router {
    let methods = || -> MethodRouter<Gateway> { get(show).post(post).delete(delete) };
    Router::new()
        // Not `/@connections/{id}`, because some clients percent-encode the `@`.
        .route("/{kind}/{id}", methods())
        .route("/{stage}/{kind}/{id}", methods())
        .fallback(async || Exception::Forbidden)
        .layer(DefaultBodyLimit::max(MESSAGE))
        .with_state(gateway)
}

/// Finds the connection that a path names.
fn find(gateway: &Gateway, path: &[(String, String)]) -> Result<Arc<Connection>, Exception> {
    let connection = |id: &str| gateway.0.connections.find(id).ok_or(Exception::Gone);
    let segments: Vec<_> = path.iter().map(|(_, segment)| segment.as_str()).collect();
    match segments[..] {
        ["@connections", id] => connection(id),
        [stage, "@connections", id] if stage == gateway.0.api.stage => connection(id),
        _ => Err(Exception::Forbidden),
    }
}

type Segments = Path<Vec<(String, String)>>;

async fn post(
    State(gateway): State<Gateway>,
    Path(path): Segments,
    body: Result<Bytes, BytesRejection>,
) -> Result<(), Exception> {
    let connection = find(&gateway, &path)?;
    let message = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Exception::PayloadTooLarge,
        _ => Exception::BadRequest,
    })?;
    if std::str::from_utf8(&message).is_err() {
        return Err(Exception::BadRequest);
    }
    connection.post(message).map_err(Exception::from)
}

async fn show(State(gateway): State<Gateway>, Path(path): Segments) -> Result<Response, Exception> {
    let connection = find(&gateway, &path)?;
    let idle = i64::try_from(connection.last_active().elapsed().as_millis()).unwrap_or(i64::MAX);
    let origin = &connection.origin;
    Ok(json(&json!({
        "connectedAt": origin.connected_at,
        "identity": { "sourceIp": origin.source_ip, "userAgent": origin.user_agent },
        "lastActiveAt": Timestamp::from_millis(gateway.0.clock.now().millis() - idle),
    })))
}

async fn delete(State(gateway): State<Gateway>, Path(path): Segments) -> Result<StatusCode, Exception> {
    find(&gateway, &path)?.end(&Ending::DELETED)?;
    Ok(StatusCode::NO_CONTENT)
}
