//! Sessions of users who registered here: `POST /api/auth/refresh` and `/logout`.
//!
//! Neither needs an access token, because the refresh token identifies its user.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use domain::error::Error;
use domain::session::RefreshToken;
use edge::app::App;
use edge::extract::Json;
use edge::problem::Problem;
use edge::reply::Reply;
use edge::socket::close_sockets;
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

/// Returns a new pair of tokens. A token that was just replaced gets the pair that replaced it again.
async fn refresh(State(app): State<App>, Json(body): Json<Body>) -> Result<Reply<Tokens>, Problem> {
    let token = open_refresh_token(&app.cursors, &body.refresh_token)?;
    let refreshed = app.store.refresh(&token).await;
    if let Err(Error::NotAuthenticated(_)) = refreshed {
        // The session is over, perhaps just now because this token was used again.
        close_session_sockets(&app, &token).await?;
    }
    let (session, registered) = refreshed?;
    Ok(Reply::ok(app.tokens(&session, &registered.profile)?, "OK"))
}

/// Ends the session of a refresh token, and closes its sockets. Its access tokens stay valid until they expire.
async fn logout(State(app): State<App>, Json(body): Json<Body>) -> Result<Reply<()>, Problem> {
    let token = open_refresh_token(&app.cursors, &body.refresh_token)?;
    app.store.end_session(&token.user, &token.session).await?;
    close_session_sockets(&app, &token).await?;
    Ok(Reply::ok((), "Logged out."))
}

async fn close_session_sockets(app: &App, token: &RefreshToken) -> Result<(), Error> {
    close_sockets(app, &token.user, |socket| socket.session.as_ref() == Some(&token.session)).await
}
