//! `GET /health`: whether a function can do its work; the API's document and a page to read it by; and in AWS whatever no
//! other function's routes take, which is 404.

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

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// 2025-01-01: no clock that is set stands before it. Ids and the lives of tokens come from the clock.
const LATEST_WRONG: Timestamp = Timestamp::from_millis(1_735_689_600_000);

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/health", get(health))
        .route("/api/openapi.json", get(document))
        .route("/docs", get(docs))
}

/// The API's document, as it is kept.
async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../../../docs/openapi.json"))
}

/// A page that shows the document. It fetches nothing else, so it works offline.
async fn docs() -> impl IntoResponse {
    Html(include_str!("docs.html"))
}

/// Checks that the table answers a read, which it does only while it is active, and that the clock was set. Costs half a
/// read unit. No token: whoever watches has none.
///
/// # Errors
/// `Unhealthy` where one of them is not so.
async fn health(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let read = tokio::time::timeout(PATIENCE, app.store.reach()).await;
    let read = read.unwrap_or_else(|_| Err(Error::Unavailable("no answer in time".into())));
    let is_set = app.store.now() > LATEST_WRONG;
    let found = match (read, is_set) {
        (Ok(()), true) => {
            let checked = r#"{"status": "ok", "checks": {"database": "ok", "clock": "ok"}}"#;
            return Ok(([(header::CONTENT_TYPE, "application/json")], checked));
        }
        (Ok(()), false) => ("The clock is not set. The database answers.", "the clock is not set".into()),
        (Err(error), true) => ("The database does not answer. The clock is set.", error.into()),
        (Err(error), false) => ("The database does not answer. The clock is not set.", error.into()),
    };
    Err(Error::Unhealthy(found.0, found.1).into())
}
