//! `GET /health`; and in AWS whatever no other function's routes take, which is 404.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use shared::app::App;
use shared::error::Error;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/health", get(health))
}

/// 200 where the table answers, else 503. No token: whoever watches has none.
async fn health(State(app): State<App>) -> Result<impl IntoResponse, Error> {
    app.store.reach().await?;
    Ok(([(CONTENT_TYPE, "application/json")], r#"{"status": "ok"}"#))
}
