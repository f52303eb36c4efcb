//! `GET /api/messages/inbox`: the caller's conversations, most recently active first.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::caller::Caller;
use domain::conversation::ConversationView;
use domain::id::ConversationKind;
use edge::app::App;
use edge::extract::Query;
use edge::page::{Limit, Offset};
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use store::InboxFilter;

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
    /// Only conversations of this type.
    r#type: Option<ConversationKind>,
    /// Whether to return the archived conversations instead of the others.
    archived: Option<bool>,
}

/// Returns a page of rows: the pinned conversations in the order in which they were pinned, then the others, most recently
/// active first. `total` counts all rows of the inbox or of the archive, whatever their type. Creates the profile of
/// a user who has none, if the inbox is empty.
async fn inbox(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Reply<Vec<ConversationView>>, Problem> {
    let filter = InboxFilter { kind: page.r#type, archived: page.archived.unwrap_or(false) };
    let list = json!([LIST, filter.kind, filter.archived]).to_string();
    let after = page.cursor.map(|cursor| app.cursors.open(&caller.user, &list, &cursor)).transpose()?;
    let is_first = after.is_none();
    // With a cursor, the offset was already applied to the first page.
    let offset = if after.is_some() { 0 } else { page.offset.get() };
    let found = app.store.inbox(&caller.user, filter, after, offset, page.limit.get()).await?;
    let next = found.next.map(|position| app.cursors.seal(&caller.user, &list, &position)).transpose()?;
    if is_first && found.total == 0 && found.rows.is_empty() && !filter.archived {
        app.store.make_known(&caller).await?;
    }
    let rows = found.rows.iter().map(|(conversation, row)| row.shown(conversation)).collect();
    Ok(Reply::page(rows, next).with_total(found.total))
}
