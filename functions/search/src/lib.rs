//! `GET /api/messages/search` and `GET /api/mentions`: the messages the caller can see that match a query, or that mention
//! the caller, newest first.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::caller::Caller;
use domain::error::Error;
use domain::has::Has;
use domain::id::{ConversationId, UserId};
use domain::message::MessageView;
use domain::search::{SEARCHED, SearchQuery};
use domain::time::Timestamp;
use edge::app::App;
use edge::extract::Query;
use edge::page::{Limit, ListPage};
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
    Router::new().route("/api/messages/search", get(search)).route("/api/mentions", get(mentions))
}

/// A message search, and the page of hits to return.
#[derive(Deserialize, JsonSchema)]
pub struct Search {
    /// Words, "quoted phrases", `-word` for what a message must not contain, and the filters `from:` (a user id or `me`),
    /// `in:` (a conversation id), `before:`, `after:` (a time or a date) and `has:`. Anything else is a word. The parameter
    /// `query` is accepted as an alias.
    #[schemars(required, length(min = 1, max = MAX_QUERY), regex(pattern = SEARCHED))]
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
    /// Only messages of this sender.
    from: Option<UserId>,
    /// Only messages sent before this time.
    #[schemars(extend("format" = "date-time"))]
    before: Option<String>,
    /// Only messages sent after this time.
    #[schemars(extend("format" = "date-time"))]
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
        self.from.iter().for_each(|from| query.only_from(from.clone()));
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

    /// The name of the list that a cursor belongs to.
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
        message: hit.message.shown_to(&caller.user, &hit.reads, app.store.links()),
        highlights: hit.highlights.into_iter().map(|range| [range.start, range.end]).collect(),
    };
    Ok(Reply::page(found.hits.into_iter().map(shown).collect(), next))
}

/// Returns a page of messages that mention the caller. It counts as a search.
async fn mentions(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<ListPage>,
) -> Result<Reply<Vec<MessageView>>, Problem> {
    let user = &caller.user;
    let progress = page.cursor.map(|cursor| app.cursors.open(user, "mentions", &cursor)).transpose()?;
    let found = app.store.mentions(user, page.limit.get(), progress.unwrap_or_default());
    let ((), found) = tokio::try_join!(app.store.admit_search(user), found)?;
    let next = found.next.map(|progress| app.cursors.seal(user, "mentions", &progress)).transpose()?;
    let shown = |hit: Hit| hit.message.shown_to(user, &hit.reads, app.store.links());
    Ok(Reply::page(found.hits.into_iter().map(shown).collect(), next))
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Error> {
    let malformed = || Error::field(field, "Send a time of the form 2026-01-31T12:00:00Z.");
    text.map(|text| Timestamp::parse(text).ok_or_else(malformed)).transpose()
}
