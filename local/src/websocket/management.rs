//! The management API, `@connections`: inside the process, or over a loopback socket.
//!
//! Invariant: every method answers 410 (`GoneException`) if the id is not that of an open connection.

use std::sync::{Arc, OnceLock, Weak};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use domain::error::Source;
use domain::time::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::connection::{Connection, Refused};
use super::ending::Ending;
use super::gateway::{Gateway, Inner, json};
use super::limits::MESSAGE;

const ERROR_TYPE: &str = "x-amzn-errortype";

/// Why a call fails. The SDK recognises the exception by its name.
#[derive(Debug, Clone, Copy)]
enum Exception {
    Gone,
    LimitExceeded,
    PayloadTooLarge,
    Forbidden,
    BadRequest,
}

impl Exception {
    /// The status, the exception's name, and its message.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
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
        }
    }
}

impl IntoResponse for Exception {
    fn into_response(self) -> Response {
        let (status, name, message) = self.parts();
        let name = [(HeaderName::from_static(ERROR_TYPE), name)];
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
    let message = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Exception::PayloadTooLarge,
        _ => Exception::BadRequest,
    });
    send(&*find(&gateway, &path)?, message?)
}

fn send(connection: &Connection, message: Bytes) -> Result<(), Exception> {
    if message.len() > MESSAGE {
        return Err(Exception::PayloadTooLarge);
    }
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

/// The management API for functions in this process: requests stay inside it. Functions are
/// made before the gateway that calls them, so the gateway is set later. Until then every connection is gone.
#[derive(Debug, Clone, Default)]
pub struct Management(Arc<OnceLock<Weak<Inner>>>);

impl Management {
    /// Returns the API as a connector of the SDK.
    #[must_use]
    pub fn connector(&self) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }

    /// Returns the API as the SDK's HTTP client.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = self.connector();
        http_client_fn(move |_, _| connector.clone())
    }

    /// Sets the gateway, once.
    pub fn set(&self, gateway: &Gateway) {
        // Weak, because the gateway's functions hold this client.
        let _ = self.0.set(Arc::downgrade(&gateway.0));
    }

    fn answer(&self, request: &HttpRequest) -> Result<StatusCode, Exception> {
        let inner = self.0.get().and_then(Weak::upgrade).ok_or(Exception::Gone)?;
        let path = request.uri().split('?').next().unwrap_or_default();
        let id = path.rsplit('/').next().unwrap_or_default();
        let id = percent_decode_str(id).decode_utf8().map_err(|_| Exception::Gone)?;
        let connection = inner.connections.find(&id).ok_or(Exception::Gone)?;
        match request.method() {
            "POST" => {
                let message = Bytes::copy_from_slice(request.body().bytes().unwrap_or_default());
                send(&connection, message)?;
                Ok(StatusCode::OK)
            }
            "DELETE" => {
                connection.end(&Ending::DELETED)?;
                Ok(StatusCode::NO_CONTENT)
            }
            _ => Err(Exception::Forbidden),
        }
    }

    fn response(&self, request: &HttpRequest) -> Result<HttpResponse, Source> {
        let (status, exception) = match self.answer(request) {
            Ok(status) => (status, None),
            Err(exception) => {
                let (status, name, message) = exception.parts();
                (status, Some((name, message)))
            }
        };
        let body = exception.map_or(SdkBody::empty(), |(_, message)| {
            SdkBody::from(json!({ "message": message }).to_string())
        });
        let mut response = HttpResponse::new(status.as_u16().try_into()?, body);
        if let Some((name, _)) = exception {
            response.headers_mut().insert(ERROR_TYPE, name);
        }
        Ok(response)
    }
}

impl HttpConnector for Management {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let response = self.response(&request).map_err(|error| ConnectorError::other(error, None));
        HttpConnectorFuture::ready(response)
    }
}
