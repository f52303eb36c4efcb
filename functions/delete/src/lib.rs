//! `DELETE /api/messages/conversation/{conversationId}`: removes a conversation from the caller's inbox.

use axum::Router;
use axum::extract::State;
use axum::routing::delete;
use shared::app::App;
use shared::auth::Caller;
use shared::error::Error;
use shared::http::{Path, Reply};
use shared::id::ConversationId;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/messages/conversation/{id}", delete(delete_conversation))
}

/// Hides the conversation and its history up to now from the caller alone; the next message brings it back.
async fn delete_conversation(
    State(app): State<App>,
    caller: Caller,
    Path(conversation): Path<ConversationId>,
) -> Result<Reply<()>, Error> {
    let delivery = app.store.delete_conversation(&caller.user, &conversation).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok((), "Conversation deleted."))
}
