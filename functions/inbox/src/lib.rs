//! `GET /api/messages/inbox`: the caller's conversations, most recently active first.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::caller::Caller;
use domain::conversation::ConversationView;
use edge::app::App;
use edge::extract::Query;
use edge::page::{Limit, Offset};
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::Deserialize;

/// The list's name in its cursors.
const LIST: &str = "inbox";

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/messages/inbox", get(inbox))
}

/// The page of the inbox to return.
#[derive(Deserialize, JsonSchema)]
pub struct Page {
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    offset: Offset,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// Returns a page of rows. `total` counts all rows of the inbox.
async fn inbox(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Reply<Vec<ConversationView>>, Problem> {
    let after = page.cursor.map(|cursor| app.cursors.open(&caller.user, LIST, &cursor)).transpose()?;
    // With a cursor, the offset was already applied to the first page.
    let offset = if after.is_some() { 0 } else { page.offset.get() };
    let found = app.store.inbox(&caller.user, after, offset, page.limit.get()).await?;
    let next = found.next.map(|position| app.cursors.seal(&caller.user, LIST, &position)).transpose()?;
    let rows = found.rows.iter().map(|(conversation, row)| row.shown(conversation)).collect();
    Ok(Reply::page(rows, next).with_total(found.total))
}
