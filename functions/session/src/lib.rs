//! Sessions of those who registered here: `POST /api/auth/refresh` and `/logout`.
//!
//! Neither asks for an access token: the refresh token says whose it is.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use edge::app::App;
use edge::extract::Json;
use edge::problem::Problem;
use edge::reply::Reply;
use edge::tokens::{Tokens, open_refresh_token};
use schemars::JsonSchema;
use serde::Deserialize;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/auth/refresh", post(refresh)).route("/api/auth/logout", post(logout))
}

/// A refresh token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RefreshRequest")]
pub struct Body {
    refresh_token: String,
}

/// A new pair of tokens; for a token that was just replaced, the pair that replaced it.
async fn refresh(State(app): State<App>, Json(body): Json<Body>) -> Result<Reply<Tokens>, Problem> {
    let token = open_refresh_token(&app.cursors, &body.refresh_token)?;
    let (session, registered) = app.store.refresh(&token).await?;
    Ok(Reply::ok(app.tokens(&session, &registered.profile)?, "OK"))
}

/// Ends the session of a token. Its access tokens hold until they expire.
async fn logout(State(app): State<App>, Json(body): Json<Body>) -> Result<Reply<()>, Problem> {
    let token = open_refresh_token(&app.cursors, &body.refresh_token)?;
    app.store.end_session(&token.user, &token.session).await?;
    Ok(Reply::ok((), "Logged out."))
}
