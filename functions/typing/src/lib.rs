//! `POST /api/typing`: the caller types, or has stopped.

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
) -> Result<Reply<()>, Problem> {
    let delivery = app.store.typing(&caller.user, &signal.conversation_id, signal.is_typing).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(Reply::ok((), "OK"))
}
