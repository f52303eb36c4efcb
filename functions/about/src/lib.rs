//! `GET /health`; and in AWS whatever no other function's routes take, which is 404.

use axum::Router;
use axum::routing::get;
use shared::app::App;
use shared::health::health;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/health", get(health))
}
