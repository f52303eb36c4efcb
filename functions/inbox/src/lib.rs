//! `GET /api/messages/inbox`: the caller's conversations, latest activity first.

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

/// What the list is called in its cursors.
const LIST: &str = "inbox";

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/messages/inbox", get(inbox))
}

/// Which page of the inbox.
#[derive(Deserialize, JsonSchema)]
pub struct Page {
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    offset: Offset,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of rows; `total` counts all of them.
async fn inbox(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Reply<Vec<ConversationView>>, Problem> {
    let after = page.cursor.map(|cursor| app.cursors.open(&caller.user, LIST, &cursor)).transpose()?;
    // An offset beside a cursor belongs to the first page.
    let offset = if after.is_some() { 0 } else { page.offset.get() };
    let found = app.store.inbox(&caller.user, after, offset, page.limit.get()).await?;
    let next = found.next.map(|position| app.cursors.seal(&caller.user, LIST, &position)).transpose()?;
    let rows = found.rows.iter().map(|(conversation, row)| row.shown(conversation)).collect();
    Ok(Reply::page(rows, next).of(found.total))
}
