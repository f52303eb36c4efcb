//! Rooms: `POST` and `GET /api/rooms`, `POST /api/rooms/{id}/join` and `/leave`, `GET /api/rooms/{id}/users`,
//! `DELETE /api/rooms/{id}`.

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get, post};
use domain::caller::Caller;
use domain::conversation::{ConversationView, Description};
use domain::error::Error;
use domain::id::{ConversationId, ConversationKind};
use domain::name::Name;
use edge::app::App;
use edge::extract::{Json, Path, Query};
use edge::page::ListPage;
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::Deserialize;
use store::{RoomUser, RoomView};

/// The list's name in its cursors.
const LIST: &str = "rooms";

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/rooms", get(list).post(create))
        .route("/api/rooms/{id}", delete(remove))
        .route("/api/rooms/{id}/join", post(join))
        .route("/api/rooms/{id}/leave", post(leave))
        .route("/api/rooms/{id}/users", get(users))
}

/// A room to create.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewRoom")]
pub struct New {
    name: Name,
    description: Option<Description>,
}

/// Creates a room, with the caller as its admin. Returns 201 with their row.
async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(new): Json<New>,
) -> Result<Reply<ConversationView>, Problem> {
    let opened = app.store.create_room(&caller, &new.name, new.description.as_ref()).await?;
    let row = opened.shown();
    app.push.deliver(&app.store, opened.delivery).await;
    Ok(Reply::created(row, "Room created."))
}

/// Returns a page of all rooms, ordered by name.
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<ListPage>,
) -> Result<Reply<Vec<RoomView>>, Problem> {
    let after = page.cursor.map(|cursor| app.cursors.open(&caller.user, LIST, &cursor)).transpose()?;
    let (rooms, next) = app.store.rooms(&caller.user, after, page.limit.get()).await?;
    let next = next.map(|position| app.cursors.seal(&caller.user, LIST, &position)).transpose()?;
    Ok(Reply::page(rooms, next))
}

/// Joins a room, from its last 100 messages on. Returns the caller's row.
async fn join(
    State(app): State<App>,
    caller: Caller,
    Path(room): Path<ConversationId>,
) -> Result<Reply<ConversationView>, Problem> {
    let opened = app.store.join(&caller, &room).await?;
    let row = opened.shown();
    app.push.deliver(&app.store, opened.delivery).await;
    Ok(Reply::ok(row, "OK"))
}

/// Leaves a room.
async fn leave(
    State(app): State<App>,
    caller: Caller,
    Path(room): Path<ConversationId>,
) -> Result<Reply<()>, Problem> {
    if room.kind() != ConversationKind::Room {
        return Err(Error::NotAParticipant.into());
    }
    let delivery = app.store.remove_participant(&caller.user, &room, &caller.user).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok((), "OK"))
}

/// Deletes the room for everyone in it. Its owner only.
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(room): Path<ConversationId>,
) -> Result<Reply<()>, Problem> {
    let delivery = app.store.delete_room(&caller.user, &room).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok((), "Room deleted."))
}

/// Returns a page of the users in a room, those online first.
async fn users(
    State(app): State<App>,
    caller: Caller,
    Path(room): Path<ConversationId>,
    Query(page): Query<ListPage>,
) -> Result<Reply<Vec<RoomUser>>, Problem> {
    let list = format!("users {room}");
    let after = page.cursor.map(|cursor| app.cursors.open(&caller.user, &list, &cursor)).transpose()?;
    let (users, next) = app.store.room_users(&caller.user, &room, after, page.limit.get()).await?;
    let next = next.map(|position| app.cursors.seal(&caller.user, &list, &position)).transpose()?;
    Ok(Reply::page(users, next))
}
