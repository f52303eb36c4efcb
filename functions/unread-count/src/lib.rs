//! `GET /api/messages/unread-count`: the number of unread messages, and of conversations that have any.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::caller::Caller;
use edge::app::App;
use edge::problem::Problem;
use edge::reply::Reply;
use store::Unread;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/messages/unread-count", get(unread_count))
}

async fn unread_count(State(app): State<App>, caller: Caller) -> Result<Reply<Unread>, Problem> {
    Ok(Reply::ok(app.store.unread(&caller.user).await?, "OK"))
}
