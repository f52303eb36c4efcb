//! Sessions of those who registered here: `POST /api/auth/refresh` and `/logout`.
//!
//! Neither asks for an access token: the refresh token says whose it is.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use schemars::JsonSchema;
use serde::Deserialize;
use shared::app::App;
use shared::error::Error;
use shared::http::{Json, Reply};
use shared::session::{RefreshToken, Tokens};

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
async fn refresh(State(app): State<App>, Json(body): Json<Body>) -> Result<Reply<Tokens>, Error> {
    let token = RefreshToken::open(&app, &body.refresh_token)?;
    let (session, registered) = app.store.refresh(&token).await?;
    Ok(Reply::ok(session.tokens(&app, &registered.profile)?, "OK"))
}

/// Ends the session of a token. Its access tokens hold until they expire.
async fn logout(State(app): State<App>, Json(body): Json<Body>) -> Result<Reply<()>, Error> {
    let token = RefreshToken::open(&app, &body.refresh_token)?;
    app.store.end_session(&token.user, &token.session).await?;
    Ok(Reply::ok((), "Logged out."))
}
