//! `POST /api/ws-ticket`: issues a ticket that opens one socket, for clients whose URLs are logged and so must not
//! contain a token.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use domain::caller::Caller;
use edge::app::App;
use edge::problem::Problem;
use edge::reply::Reply;
use edge::socket;
use schemars::JsonSchema;
use serde::Serialize;
use store::TICKET_LIFE;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/ws-ticket", post(ticket))
}

/// A ticket, and the seconds until it expires.
#[derive(Serialize, JsonSchema)]
pub struct Ticket {
    ticket: String,
    expires_in: i64,
}

/// Issues a ticket that is valid once, for 30 s.
async fn ticket(State(app): State<App>, caller: Caller) -> Result<Reply<Ticket>, Problem> {
    let ticket = socket::issue_ticket(&app, &caller).await?;
    Ok(Reply::created(Ticket { ticket, expires_in: TICKET_LIFE }, "Ticket issued."))
}
