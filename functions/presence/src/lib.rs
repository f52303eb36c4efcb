//! `PUT` and `GET /api/presence`: sets the caller's presence and looks up that of others.

use axum::Router;
use axum::extract::State;
use axum::routing::put;
use domain::caller::Caller;
use domain::error::Error;
use domain::id::{ConversationId, UserId};
use domain::presence::{PresenceView, Status};
use edge::app::App;
use edge::extract::{Json, Query};
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::Deserialize;

/// The most users per look-up.
const MAX_USERS: usize = 100;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/presence", put(set).get(look_up))
}

/// The caller's new presence.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PresenceChange")]
pub struct Change {
    /// The status that others see.
    pub status: Status,
    /// The conversation that the caller is looking at.
    pub current_conversation_id: Option<ConversationId>,
    /// `true` holds the caller's notifications back for 60 seconds, `false` ends that. Clients send `true` once a minute
    /// while somebody looks at the page and does something.
    pub is_active: Option<bool>,
}

/// The users to look up.
#[derive(Deserialize, JsonSchema)]
pub struct PresenceQuery {
    /// 1-100 users, separated by commas.
    #[schemars(regex(
        pattern = r"^[\s,]*[0-9A-Za-z_.@|:-]{1,128}(\s*,[\s,]*[0-9A-Za-z_.@|:-]{1,128}){0,99}[\s,]*$"
    ))]
    user_ids: String,
}

/// Sets the caller's presence and pushes it to the peers of their latest direct conversations.
async fn set(
    State(app): State<App>,
    caller: Caller,
    Json(change): Json<Change>,
) -> Result<Reply<PresenceView>, Problem> {
    let (status, conversation) = ((change.status, change.is_active), change.current_conversation_id.as_ref());
    let (shown, delivery) = app.store.set_presence(&caller.user, status, conversation).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok(shown, "OK"))
}

/// Returns the presence of some users as the caller may see it, in the order of the query.
async fn look_up(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<PresenceQuery>,
) -> Result<Reply<Vec<PresenceView>>, Problem> {
    let ids = query.user_ids.split(',').map(str::trim).filter(|id| !id.is_empty());
    let users = ids.map(|id| id.parse().map_err(|e| Error::field("user_ids", format!("{e}"))));
    let users = users.collect::<Result<Vec<UserId>, _>>()?;
    if users.is_empty() || users.len() > MAX_USERS {
        return Err(Error::field("user_ids", "Ask for 1-100 users, separated by commas.").into());
    }
    Ok(Reply::page(app.store.presence(&caller.user, &users).await?, None))
}
