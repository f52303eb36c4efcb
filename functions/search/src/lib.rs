//! `GET /api/messages/search`: the caller's messages that hold some words, newest first.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::caller::Caller;
use domain::error::Error;
use domain::id::{ConversationId, UserId};
use domain::message::MessageView;
use domain::text::TextQuery;
use domain::time::Timestamp;
use edge::app::App;
use edge::extract::Query;
use edge::page::Limit;
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{Hit, SearchScope};

/// Characters of a query at most.
const MAX_QUERY: usize = 500;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/messages/search", get(search))
}

/// What to search for, and which page of it.
#[derive(Deserialize, JsonSchema)]
pub struct Search {
    /// Words and "quoted phrases". The parameter `query` is taken for it as well.
    #[schemars(required, length(min = 1, max = MAX_QUERY), regex(pattern = "[^\\s\"“”„]"))]
    q: Option<String>,
    #[schemars(skip)]
    query: Option<String>,
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// In one conversation only.
    conversation_id: Option<ConversationId>,
    /// Of one sender only.
    from: Option<UserId>,
    /// Sent before this time.
    #[schemars(extend("format" = "date-time"))]
    before: Option<String>,
    /// Sent after this time.
    #[schemars(extend("format" = "date-time"))]
    after: Option<String>,
}

/// A message that was found, and where in its text: ranges `[start, end)` of Unicode scalar values.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SearchHit")]
pub struct HitView {
    #[serde(flatten)]
    message: MessageView,
    highlights: Vec<[u32; 2]>,
}

/// A page of hits. It may be empty and still go on: a call reads only so many messages.
async fn search(
    State(app): State<App>,
    caller: Caller,
    Query(search): Query<Search>,
) -> Result<Reply<Vec<HitView>>, Problem> {
    let text = search.q.or(search.query).unwrap_or_default();
    if text.chars().count() > MAX_QUERY {
        return Err(Error::field("q", "A query has at most 500 characters.").into());
    }
    let query =
        TextQuery::parse(&text).ok_or_else(|| Error::field("q", "There is nothing to search for."))?;
    let scope = SearchScope {
        before: time("before", search.before.as_deref())?,
        after: time("after", search.after.as_deref())?,
        conversation: search.conversation_id,
        from: search.from,
    };
    let list = format!("search {scope:?} {text}").replace('\0', " ");
    let pass = search.cursor.map(|cursor| app.cursors.open(&caller.user, &list, &cursor)).transpose()?;
    let limit = search.limit.get();
    let found = app.store.search(&caller.user, &query, &scope, limit, pass.unwrap_or_default()).await?;
    let next = found.next.map(|pass| app.cursors.seal(&caller.user, &list, &pass)).transpose()?;
    let shown = |hit: Hit| HitView {
        message: hit.message.shown_to(&caller.user, &hit.reads),
        highlights: hit.highlights.into_iter().map(|range| [range.start, range.end]).collect(),
    };
    Ok(Reply::page(found.hits.into_iter().map(shown).collect(), next))
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Error> {
    let malformed = || Error::field(field, "A time is of the form 2026-01-31T12:00:00Z.");
    text.map(|text| Timestamp::parse(text).ok_or_else(malformed)).transpose()
}
