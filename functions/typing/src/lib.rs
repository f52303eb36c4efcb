//! `POST /api/typing`: signals that the caller is typing, or has stopped.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use domain::caller::Caller;
use domain::id::ConversationId;
use edge::app::App;
use edge::extract::Json;
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::Deserialize;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/typing", post(typing))
}

/// A typing signal.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TypingSignal")]
pub struct Signal {
    /// The conversation in which the caller is typing.
    pub conversation_id: ConversationId,
    /// False if the caller has stopped.
    pub is_typing: bool,
}

/// Sends the signal to the other participants. It expires after 6 s. In a blocked direct
/// conversation, and in conversations of more than 24 participants, it is dropped.
async fn typing(
    State(app): State<App>,
    caller: Caller,
    Json(signal): Json<Signal>,
) -> Result<Reply<()>, Problem> {
    let delivery = app.store.typing(&caller.user, &signal.conversation_id, signal.is_typing).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok((), "OK"))
}
