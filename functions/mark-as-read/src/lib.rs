//! Read watermarks: `PUT /api/messages/mark-as-read/{messageId}`, `PUT /api/messages/mark-as-unread/{messageId}`,
//! `PUT /api/conversations/{id}/read`, and `GET /api/messages/{id}/receipts`.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, put};
use domain::caller::Caller;
use domain::conversation::Watermark;
use domain::id::{ConversationId, MessageId};
use edge::app::App;
use edge::extract::Path;
use edge::problem::Problem;
use edge::reply::Reply;
use store::{Receipt, Target};

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/messages/mark-as-read/{message_id}", put(mark_as_read))
        .route("/api/messages/mark-as-unread/{message_id}", put(mark_as_unread))
        .route("/api/conversations/{id}/read", put(read_all))
        .route("/api/messages/{id}/receipts", get(receipts))
}

/// Moves the caller's watermark forward to a message, never back. Returns the current watermark.
async fn mark_as_read(
    State(app): State<App>,
    caller: Caller,
    Path(message): Path<MessageId>,
) -> Result<Reply<Watermark>, Problem> {
    let marked = app.store.mark_message_read(&caller.user, &message).await?;
    app.push.deliver(&app.store, marked.delivery).await;
    Ok(Reply::ok(marked.watermark, "Marked as read."))
}

/// Marks a message and all later ones as unread, for the caller alone: watermarks and receipts stay.
async fn mark_as_unread(
    State(app): State<App>,
    caller: Caller,
    Path(message): Path<MessageId>,
) -> Result<Reply<Watermark>, Problem> {
    let marked = app.store.mark_unread(&caller.user, &message).await?;
    app.push.deliver(&app.store, marked.delivery).await;
    Ok(Reply::ok(marked.watermark, "Marked as unread."))
}

/// Marks everything in a conversation as read.
async fn read_all(
    State(app): State<App>,
    caller: Caller,
    Path(conversation): Path<ConversationId>,
) -> Result<Reply<Watermark>, Problem> {
    let marked = app.store.mark_read(&caller.user, &conversation, Target::Newest, None).await?;
    app.push.deliver(&app.store, marked.delivery).await;
    Ok(Reply::ok(marked.watermark, "Marked as read."))
}

/// Returns who has read a message, and when.
async fn receipts(
    State(app): State<App>,
    caller: Caller,
    Path(message): Path<MessageId>,
) -> Result<Reply<Vec<Receipt>>, Problem> {
    Ok(Reply::page(app.store.receipts(&caller.user, &message).await?, None))
}
