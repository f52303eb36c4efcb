//! `POST /api/messages/send`: sends a message.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use domain::caller::Caller;
use domain::draft::Draft;
use domain::message::MessageView;
use edge::app::App;
use edge::extract::JsonOrForm;
use edge::problem::Problem;
use edge::reply::Reply;
use edge::sending;
use store::Sent;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/messages/send", post(send))
}

/// Sends a message: 201 with the message, or 200 with the original if its `client_message_id` was sent before.
async fn send(
    State(app): State<App>,
    caller: Caller,
    JsonOrForm(draft): JsonOrForm<Draft>,
) -> Result<Reply<MessageView>, Problem> {
    match sending::send(&app.store, &app.files, &caller, draft).await? {
        Sent::New(message, reads, delivery) => {
            app.push.deliver(&app.store, delivery).await;
            Ok(Reply::created(message.shown_to(&caller.user, &reads, app.store.links()), "Message sent."))
        }
        Sent::Duplicate(message) => {
            let reads = app.store.read_state(&caller.user, &message).await?;
            Ok(Reply::ok(
                message.shown_to(&caller.user, &reads, app.store.links()),
                "The message was already sent.",
            ))
        }
    }
}
