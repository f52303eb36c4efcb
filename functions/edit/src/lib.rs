//! `PATCH /api/messages/{id}`: edits a message.

use axum::Router;
use axum::extract::State;
use axum::routing::patch;
use domain::caller::Caller;
use domain::id::MessageId;
use domain::message::{MessageView, Text};
use edge::app::App;
use edge::extract::{Json, Path};
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::Deserialize;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/messages/{id}", patch(edit))
}

/// The new text of a message.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MessageEdit")]
pub struct Edit {
    message_text: Text,
}

/// Changes a message's text and returns the message. Only its sender may; an equal text changes nothing.
async fn edit(
    State(app): State<App>,
    caller: Caller,
    Path(message): Path<MessageId>,
    Json(edit): Json<Edit>,
) -> Result<Reply<MessageView>, Problem> {
    let changed = app.store.edit_message(&caller.user, &message, &String::from(edit.message_text)).await?;
    app.push.deliver(&app.store, changed.delivery).await;
    Ok(Reply::ok(
        changed.message.shown_to(&caller.user, &changed.reads, app.store.links()),
        "Message edited.",
    ))
}
