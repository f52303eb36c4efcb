//! `PUT` and `GET /api/presence`: what the caller shows, and what others do.

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

/// Users that one call looks up at most.
const MAX_USERS: usize = 100;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/presence", put(set).get(look_up))
}

/// What to show.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PresenceChange")]
pub struct Change {
    status: Status,
    current_conversation_id: Option<ConversationId>,
}

/// Whose presence is asked for.
#[derive(Deserialize, JsonSchema)]
pub struct Wanted {
    /// 1-100 users, separated by commas.
    #[schemars(regex(
        pattern = r"^[\s,]*[0-9A-Za-z_.@|:-]{1,128}(\s*,[\s,]*[0-9A-Za-z_.@|:-]{1,128}){0,99}[\s,]*$"
    ))]
    user_ids: String,
}

/// Sets what the caller shows, and tells the peers of their latest conversations.
async fn set(
    State(app): State<App>,
    caller: Caller,
    Json(change): Json<Change>,
) -> Result<Reply<PresenceView>, Problem> {
    let conversation = change.current_conversation_id.as_ref();
    let (shown, delivery) = app.store.set_presence(&caller.user, change.status, conversation).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok(shown, "OK"))
}

/// What some users show to the caller, in the order asked for.
async fn look_up(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Reply<Vec<PresenceView>>, Problem> {
    let ids = wanted.user_ids.split(',').map(str::trim).filter(|id| !id.is_empty());
    let users = ids.map(|id| id.parse().map_err(|e| Error::field("user_ids", format!("{e}"))));
    let users = users.collect::<Result<Vec<UserId>, _>>()?;
    if users.is_empty() || users.len() > MAX_USERS {
        return Err(Error::field("user_ids", "Ask for 1-100 users, separated by commas.").into());
    }
    Ok(Reply::page(app.store.presence(&caller.user, &users).await?, None))
}
