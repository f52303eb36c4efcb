//! `GET /api/users/me`: the caller's own profile.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use shared::app::App;
use shared::auth::Caller;
use shared::error::Error;
use shared::http::Reply;
use shared::user::UserView;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/users/me", get(me))
}

/// The caller's profile, kept up to date with what their token says; made at the first call.
async fn me(State(app): State<App>, caller: Caller) -> Result<Reply<UserView>, Error> {
    let profile = app.store.see_user(&caller).await?;
    Ok(Reply::ok(UserView::own(caller.user, profile), "OK"))
}
