//! `GET /api/messages/search`: the messages the caller can see that contain all words of a query, newest first.

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
use serde_json::json;
use store::{Hit, SearchScope};

/// Maximum length of a query, in characters.
const MAX_QUERY: usize = 500;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/messages/search", get(search))
}

/// A message search, and the page of hits to return.
#[derive(Deserialize, JsonSchema)]
pub struct Search {
    /// Words and "quoted phrases". The parameter `query` is accepted as an alias.
    #[schemars(required, length(min = 1, max = MAX_QUERY), regex(pattern = "[^\\s\"“”„]"))]
    q: Option<String>,
    #[schemars(skip)]
    query: Option<String>,
    #[serde(default)]
    limit: Limit,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
    /// Only messages in this conversation.
    conversation_id: Option<ConversationId>,
    /// Only messages of this sender.
    from: Option<UserId>,
    /// Only messages sent before this time.
    #[schemars(extend("format" = "date-time"))]
    before: Option<String>,
    /// Only messages sent after this time.
    #[schemars(extend("format" = "date-time"))]
    after: Option<String>,
}

/// A message that matches, and where: `highlights` are ranges `[start, end)` of its text, in Unicode scalar values.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SearchHit")]
pub struct HitView {
    #[serde(flatten)]
    message: MessageView,
    highlights: Vec<[u32; 2]>,
}

/// Returns a page of hits. A page may be empty and still have a `next_cursor`, because each call reads a limited number
/// of messages.
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
        TextQuery::parse(&text).ok_or_else(|| Error::field("q", "Send at least one word to search for."))?;
    let scope = SearchScope {
        before: time("before", search.before.as_deref())?,
        after: time("after", search.after.as_deref())?,
        conversation: search.conversation_id,
        from: search.from,
    };
    let times = [scope.before, scope.after].map(|time| time.map(Timestamp::millis));
    let list = json!(["search", text, scope.conversation, scope.from, times]).to_string();
    let progress = search.cursor.map(|cursor| app.cursors.open(&caller.user, &list, &cursor)).transpose()?;
    let limit = search.limit.get();
    let found = app.store.search(&caller.user, &query, &scope, limit, progress.unwrap_or_default());
    let ((), found) = tokio::try_join!(app.store.admit_search(&caller.user), found)?;
    let next = found.next.map(|progress| app.cursors.seal(&caller.user, &list, &progress)).transpose()?;
    let shown = |hit: Hit| HitView {
        message: hit.message.shown_to(&caller.user, &hit.reads, app.store.links()),
        highlights: hit.highlights.into_iter().map(|range| [range.start, range.end]).collect(),
    };
    Ok(Reply::page(found.hits.into_iter().map(shown).collect(), next))
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Error> {
    let malformed = || Error::field(field, "Send a time of the form 2026-01-31T12:00:00Z.");
    text.map(|text| Timestamp::parse(text).ok_or_else(malformed)).transpose()
}
