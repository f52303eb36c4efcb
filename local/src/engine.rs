//! The embedded DynamoDB as it is reached: inside the process, or over a loopback socket.

use std::path::Path;
use std::task::Poll;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::error::Source;
use domain::id::Clock;
use store::table;

pub use engine::Answer;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// A handle to the engine, which stops when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Engine(engine::Engine);

/// The stream has only the records that wake a function.
fn options() -> engine::Options {
    let is_recorded = |change: &str, sk: &str| table::wakes(change, sk) || table::notifies(change, sk);
    engine::Options { is_recorded, now: || Clock::default().now().millis() }
}

impl Engine {
    /// Starts an engine that keeps its data in memory.
    ///
    /// # Errors
    /// If SQLite cannot open the database.
    pub fn in_memory() -> Result<Self, Source> {
        Ok(Self(engine::Engine::in_memory(options())?))
    }

    /// Starts an engine on a file, which it creates if it is missing.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn on_disk(file: &Path) -> Result<Self, Source> {
        Ok(Self(engine::Engine::on_disk(file, options())?))
    }

    /// Runs an operation of the DynamoDB API, such as `GetItem`, with a JSON body.
    pub async fn call(&self, operation: &str, body: &[u8]) -> Answer {
        self.0.call(operation, body).await
    }

    /// Returns the engine as a connector of the SDK: requests stay inside the process.
    #[must_use]
    pub fn connector(&self) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }

    /// Returns the engine as the SDK's HTTP client.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = self.connector();
        http_client_fn(move |_, _| connector.clone())
    }

    /// Returns the engine as an HTTP service, for functions in other processes.
    pub fn routes(&self) -> Router {
        Router::new()
            .fallback(serve)
            .layer(axum::extract::DefaultBodyLimit::max(16 * 1024 * 1024))
            .with_state(self.clone())
    }
}

impl HttpConnector for Engine {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = self.clone();
        HttpConnectorFuture::new(async move {
            // As over a network, concurrent calls all begin before one of them is answered. The meter relies on this to
            // find out which call waited for which.
            let mut is_first = true;
            std::future::poll_fn(|context| {
                if std::mem::take(&mut is_first) {
                    // Wake immediately: tokio's own `yield_now` polls for I/O first, which takes longer than the call.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
            .await;
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let (status, body) =
                Engine::call(&engine, operation(target), request.body().bytes().unwrap_or_default()).await;
            let status = status.try_into().unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into());
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            response.headers_mut().insert("content-type", CONTENT_TYPE);
            Ok(response)
        })
    }
}

async fn serve(State(engine): State<Engine>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let (status, body) = engine.call(operation(target), &body).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
}

/// Returns the operation in an `x-amz-target` header: `GetItem` in `DynamoDB_20120810.GetItem`.
fn operation(target: &str) -> &str {
    target.rsplit('.').next().unwrap_or_default()
}
