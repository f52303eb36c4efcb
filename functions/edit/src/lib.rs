//! Edits, reactions and pins: `PATCH /api/messages/{id}`, `…/reactions/{emoji}`, `…/pin`, and
//! `GET /api/conversations/{id}/pins`.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, patch, put};
use domain::caller::Caller;
use domain::content::Edit;
use domain::id::{ConversationId, MessageId};
use domain::message::{Message, MessageView};
use domain::reactions::Emoji;
use edge::app::App;
use edge::extract::{Path, PathPair, WithJson};
use edge::problem::Problem;
use edge::reply::Reply;
use store::Changed;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/messages/{id}", patch(edit))
        .route("/api/messages/{id}/reactions/{emoji}", put(react).delete(unreact))
        .route("/api/messages/{id}/pin", put(pin).delete(unpin))
        .route("/api/conversations/{id}/pins", get(pins))
}

/// Changes a message's text, mentions and custom data, and returns the message. Only its sender may; what is as before
/// changes nothing.
async fn edit(
    State(app): State<App>,
    caller: Caller,
    WithJson(Path(message), edit): WithJson<Path<MessageId>, Edit>,
) -> Result<Reply<MessageView>, Problem> {
    edit.validate()?;
    let changed = app.store.edit_message(&caller.user, &message, &edit).await?;
    Ok(reply(&app, &caller, changed, "Message edited.").await)
}

/// Pushes the events of a change. Returns the message to its caller.
async fn reply(app: &App, caller: &Caller, changed: Changed, summary: &'static str) -> Reply<MessageView> {
    app.push.deliver(&app.store, changed.delivery).await;
    Reply::ok(changed.message.shown_to(&caller.user, &changed.reads, app.store.links()), summary)
}

/// Adds the caller's reaction and returns the message. Adding it again changes nothing.
async fn react(
    State(app): State<App>,
    caller: Caller,
    PathPair(message, emoji): PathPair<MessageId, Emoji>,
) -> Result<Reply<MessageView>, Problem> {
    let changed = app.store.react(&caller.user, &message, &emoji, true).await?;
    Ok(reply(&app, &caller, changed, "Reaction added.").await)
}

/// Removes the caller's reaction and returns the message. Removing it again changes nothing.
async fn unreact(
    State(app): State<App>,
    caller: Caller,
    PathPair(message, emoji): PathPair<MessageId, Emoji>,
) -> Result<Reply<MessageView>, Problem> {
    let changed = app.store.react(&caller.user, &message, &emoji, false).await?;
    Ok(reply(&app, &caller, changed, "Reaction removed.").await)
}

/// Pins a message for all participants and returns it.
async fn pin(
    State(app): State<App>,
    caller: Caller,
    Path(message): Path<MessageId>,
) -> Result<Reply<MessageView>, Problem> {
    let changed = app.store.pin(&caller.user, &message, true).await?;
    Ok(reply(&app, &caller, changed, "Message pinned.").await)
}

/// Unpins a message and returns it.
async fn unpin(
    State(app): State<App>,
    caller: Caller,
    Path(message): Path<MessageId>,
) -> Result<Reply<MessageView>, Problem> {
    let changed = app.store.pin(&caller.user, &message, false).await?;
    Ok(reply(&app, &caller, changed, "Message unpinned.").await)
}

/// Returns the pinned messages of a conversation, the latest pin first.
async fn pins(
    State(app): State<App>,
    caller: Caller,
    Path(conversation): Path<ConversationId>,
) -> Result<Reply<Vec<MessageView>>, Problem> {
    let pinned = app.store.pinned(&caller.user, &conversation).await?;
    let shown = |message: &Message| {
        message.shown_to(&caller.user, &pinned.reads.state_of(message), app.store.links())
    };
    Ok(Reply::page(pinned.messages.iter().map(shown).collect(), None))
}
