//! `GET /health`, the `OpenAPI` document, and a page to read it. In AWS this function also gets every request for an
//! unknown route, and answers 404.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use domain::error::Error;
use domain::time::Timestamp;
use edge::app::App;
use edge::problem::Problem;
use http::header;

/// The time limit of the database read.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// 2025-01-01: an earlier time means that the clock was never set. Ids and token lifetimes depend on the clock.
const EARLIEST_PLAUSIBLE: Timestamp = Timestamp::from_millis(1_735_689_600_000);

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(health))
        .route("/api/openapi.json", get(document))
        .route("/docs", get(docs))
}

/// Returns the `OpenAPI` document of `docs/openapi.json`.
async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../../../docs/openapi.json"))
}

/// Returns a page that shows the document. It loads nothing else, so it works offline.
async fn docs() -> impl IntoResponse {
    Html(include_str!("docs.html"))
}

/// Checks that the table answers a read, which it does only while it is active, and that the clock is set. Costs half a
/// read unit. Needs no token, because monitors have none.
///
/// # Errors
/// `Unhealthy` if one of the checks fails.
async fn health(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let read = tokio::time::timeout(READ_TIMEOUT, app.store.reach()).await;
    let read = read.unwrap_or_else(|_| Err(Error::Unavailable("the database read timed out".into())));
    let clock_is_set = app.store.now() > EARLIEST_PLAUSIBLE;
    let (detail, cause) = match (read, clock_is_set) {
        (Ok(()), true) => {
            let checked = r#"{"status": "ok", "checks": {"database": "ok", "clock": "ok"}}"#;
            return Ok(([(header::CONTENT_TYPE, "application/json")], checked));
        }
        (Ok(()), false) => ("The clock is not set. The database answers.", "the clock is not set".into()),
        (Err(error), true) => ("The database does not answer. The clock is set.", error.into()),
        (Err(error), false) => ("The database does not answer. The clock is not set.", error.into()),
    };
    Err(Error::Unhealthy(detail, cause).into())
}
