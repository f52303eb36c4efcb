//! `GET /api/messages/search`: the messages the caller can see that contain all words of a query, newest first.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::caller::Caller;
use domain::error::Error;
use domain::has::Has;
use domain::id::{ConversationId, UserId};
use domain::message::MessageView;
use domain::search::{SearchQuery, parse_sender, parse_time};
use domain::time::Timestamp;
use edge::app::App;
use edge::extract::Query;
use edge::page::Limit;
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Hit;

/// Maximum length of a query, in characters.
const MAX_QUERY: usize = 500;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/messages/search", get(search))
}

/// A message search, and the page of hits to return.
#[derive(Deserialize, JsonSchema)]
pub struct Search {
    /// Words, "quoted phrases", `-word` for what a message must not contain, and the filters `from:` (a user id or `me`),
    /// `in:` (a conversation id), `before:`, `after:` (a time or a date) and `has:`. Anything else is a word. The parameter
    /// `query` is accepted as an alias.
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
    /// The same as `conversation_id`.
    r#in: Option<ConversationId>,
    /// Only messages of this sender: a user id, or `me`.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[0-9A-Za-z_.@|:-]{1,128}$"))]
    from: Option<String>,
    /// Only messages sent before this time, or before this day (UTC).
    #[schemars(extend("anyOf" = [{"format": "date-time"}, {"format": "date"}]))]
    before: Option<String>,
    /// Only messages sent after this time, or from this day on (UTC).
    #[schemars(extend("anyOf" = [{"format": "date-time"}, {"format": "date"}]))]
    after: Option<String>,
    /// Only messages that have this: any attachment, a web address in the text, an image, or a file that is no image, video
    /// or sound.
    has: Option<Has>,
}

/// A message that matches, and where: `highlights` are ranges `[start, end)` of its text, in Unicode scalar values.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SearchHit")]
pub struct HitView {
    #[serde(flatten)]
    message: MessageView,
    highlights: Vec<[u32; 2]>,
}

impl Search {
    /// The query, with the filters of the parameters.
    fn parse(&self, caller: &UserId) -> Result<SearchQuery, Error> {
        let text = self.q.as_ref().or(self.query.as_ref()).map_or("", String::as_str);
        if text.chars().count() > MAX_QUERY {
            return Err(Error::field("q", "A query has at most 500 characters."));
        }
        let mut query = SearchQuery::parse(text, caller);
        if query.is_empty() {
            return Err(Error::field("q", "Send at least one word or filter to search for."));
        }
        if let Some(from) = &self.from {
            let malformed = || Error::field("from", "Send a user id, or me.");
            query.only_from(parse_sender(from, caller).ok_or_else(malformed)?);
        }
        for conversation in [&self.conversation_id, &self.r#in].into_iter().flatten() {
            query.only_within(conversation.clone());
        }
        time("before", self.before.as_deref())?.into_iter().for_each(|time| query.only_before(time));
        time("after", self.after.as_deref())?.into_iter().for_each(|time| query.only_after(time));
        if let Some(has) = self.has {
            query.has = query.has.with(has);
        }
        Ok(query)
    }

    /// What a cursor belongs to.
    fn list(&self) -> String {
        let Self { q, query, conversation_id, r#in, from, before, after, has, .. } = self;
        json!(["search", q.as_ref().or(query.as_ref()), conversation_id, r#in, from, before, after, has])
            .to_string()
    }
}

/// Returns a page of hits. A page has fewer hits than `limit` and a `next_cursor` only if the call has searched for 2 s,
/// or if it has its maximum size.
async fn search(
    State(app): State<App>,
    caller: Caller,
    Query(search): Query<Search>,
) -> Result<Reply<Vec<HitView>>, Problem> {
    let query = search.parse(&caller.user)?;
    let list = search.list();
    let progress = search.cursor.map(|cursor| app.cursors.open(&caller.user, &list, &cursor)).transpose()?;
    let limit = search.limit.get();
    let found = app.store.search(&caller.user, &query, limit, progress.unwrap_or_default());
    let ((), found) = tokio::try_join!(app.store.admit_search(&caller.user), found)?;
    let next = found.next.map(|progress| app.cursors.seal(&caller.user, &list, &progress)).transpose()?;
    let shown = |hit: Hit| HitView {
        message: hit.message.shown_to(&caller.user, &hit.reads),
        highlights: hit.highlights.into_iter().map(|range| [range.start, range.end]).collect(),
    };
    Ok(Reply::page(found.hits.into_iter().map(shown).collect(), next))
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Error> {
    let malformed = || Error::field(field, "Send a time of the form 2026-01-31T12:00:00Z, or a date.");
    text.map(|text| parse_time(text).ok_or_else(malformed)).transpose()
}
