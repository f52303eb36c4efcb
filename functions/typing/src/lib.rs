//! `POST /api/typing`: the caller types, or has stopped.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use schemars::JsonSchema;
use serde::Deserialize;
use shared::app::App;
use shared::auth::Caller;
use shared::error::Error;
use shared::http::{Json, Reply};
use shared::id::ConversationId;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/typing", post(typing))
}

/// A typing signal, as HTTP and sockets carry it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TypingSignal")]
pub struct Signal {
    /// Where.
    pub conversation_id: ConversationId,
    /// Whether they type.
    pub is_typing: bool,
}

/// Passes the signal on. It ends by itself after 6 s; where a block stands nobody hears of it.
async fn typing(
    State(app): State<App>,
    caller: Caller,
    Json(signal): Json<Signal>,
) -> Result<Reply<()>, Error> {
    let delivery = app.store.typing(&caller.user, &signal.conversation_id, signal.is_typing).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok((), "OK"))
}
