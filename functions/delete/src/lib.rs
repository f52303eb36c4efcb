//! `DELETE /api/messages/{id}`: deletes a message for everyone or for the caller alone;
//! `DELETE /api/messages/conversation/{conversationId}`: removes a conversation from the caller's inbox.

use axum::Router;
use axum::extract::State;
use axum::routing::delete;
use domain::caller::Caller;
use domain::id::{ConversationId, MessageId};
use domain::message::MessageView;
use edge::app::App;
use edge::extract::{Path, Query};
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::Deserialize;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/messages/conversation/{id}", delete(delete_conversation))
        .route("/api/messages/{id}", delete(delete_message))
}

/// The users for whom a message is deleted.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "DeletionScope")]
pub enum Scope {
    /// Deletes the message for everyone.
    #[default]
    Everyone,
    /// Hides the message from the caller only.
    Me,
}

/// How to delete a message.
#[derive(Deserialize, JsonSchema)]
pub struct Deletion {
    #[serde(default)]
    scope: Scope,
}

/// Deletes a message for everyone and returns what remains of it, or hides it from the caller and returns null.
async fn delete_message(
    State(app): State<App>,
    caller: Caller,
    Path(message): Path<MessageId>,
    Query(deletion): Query<Deletion>,
) -> Result<Reply<Option<MessageView>>, Problem> {
    match deletion.scope {
        Scope::Everyone => {
            let changed = app.store.delete_message(&caller.user, &message).await?;
            let push = app.push.deliver(&app.store, changed.delivery);
            let ((), removed) = tokio::join!(push, app.files.remove(&changed.removed));
            // The message is deleted; a repetition moves the files that are still there.
            removed?;
            let remains = changed.message.shown_to(&caller.user, &changed.reads, app.store.links());
            Ok(Reply::ok(Some(remains), "Message deleted."))
        }
        Scope::Me => {
            let changed = app.store.hide_message(&caller.user, &message).await?;
            app.push.deliver(&app.store, changed.delivery).await;
            Ok(Reply::ok(None, "Message deleted for you."))
        }
    }
}

/// Removes a conversation from the caller's inbox and hides its history so far from them. The next message brings the
/// conversation back, without that history.
async fn delete_conversation(
    State(app): State<App>,
    caller: Caller,
    Path(conversation): Path<ConversationId>,
) -> Result<Reply<()>, Problem> {
    let delivery = app.store.delete_conversation(&caller.user, &conversation).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok((), "Conversation deleted."))
}
