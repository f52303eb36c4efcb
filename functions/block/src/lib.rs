//! Blocking: `POST` and `DELETE /api/messages/block-user`, `GET /api/messages/blocked-users`.

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get, post};
use domain::caller::Caller;
use domain::error::Error;
use domain::fields::FromFields;
use domain::id::UserId;
use edge::app::App;
use edge::extract::{JsonOrForm, Path, Query};
use edge::page::ListPage;
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::Deserialize;
use store::Blocked;

/// The list's name in its cursors.
const LIST: &str = "blocked";

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/messages/block-user", post(block))
        .route("/api/messages/block-user/{user_id}", delete(unblock))
        .route("/api/messages/blocked-users", get(blocked))
}

/// The user to block.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The id of the user to block.
    blocked_user_id: UserId,
}

impl FromFields for Block {
    type Fields = Self;
    const NAMES: &'static [&'static str] = &["blocked_user_id"];

    fn from_fields(fields: Self) -> Result<Self, Error> {
        Ok(fields)
    }
}

/// Blocks a user: neither can send to the other in their direct conversation.
async fn block(
    State(app): State<App>,
    caller: Caller,
    JsonOrForm(block): JsonOrForm<Block>,
) -> Result<Reply<()>, Problem> {
    if block.blocked_user_id == caller.user {
        return Err(Error::field("blocked_user_id", "You cannot block yourself.").into());
    }
    let delivery = app.store.block(&caller, &block.blocked_user_id).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok((), "User blocked."))
}

/// Removes the caller's block of a user.
async fn unblock(
    State(app): State<App>,
    caller: Caller,
    Path(user): Path<UserId>,
) -> Result<Reply<()>, Problem> {
    app.store.unblock(&caller.user, &user).await?;
    Ok(Reply::ok((), "User unblocked."))
}

/// Returns a page of the users whom the caller has blocked.
async fn blocked(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<ListPage>,
) -> Result<Reply<Vec<Blocked>>, Problem> {
    let after = page.cursor.map(|cursor| app.cursors.open(&caller.user, LIST, &cursor)).transpose()?;
    let (entries, next) = app.store.blocked(&caller.user, after, page.limit.get()).await?;
    let next = next.map(|user| app.cursors.seal(&caller.user, LIST, &user)).transpose()?;
    Ok(Reply::page(entries, next))
}
