//! `GET /api/messages/conversation/{userId}` and `GET /api/conversations/{id}/messages`: a page of messages.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::caller::Caller;
use domain::error::Error;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::MessageView;
use edge::app::App;
use edge::extract::{Path, Query};
use edge::page::{Limit, Offset};
use edge::problem::Problem;
use edge::reply::Reply;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::{PageBounds, PageOfMessages, Target};

/// The function's routes. The first path's parameter is named `id`, as in the template, where `DELETE` shares the path.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/messages/conversation/{id}", get(conversation))
        .route("/api/conversations/{id}/messages", get(messages))
}

/// The page of a conversation to return.
#[derive(Deserialize, JsonSchema)]
pub struct Page {
    #[serde(default)]
    limit: Limit,
    #[serde(default)]
    offset: Offset,
    /// The page ends just before this message.
    before: Option<MessageId>,
    /// The page begins just after this message.
    after: Option<MessageId>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
    /// Whether to mark the conversation as read up to the newest message on the page.
    mark_read: Option<bool>,
}

/// Where a page ended, and the direction of the next one.
#[derive(Serialize, Deserialize)]
enum Position {
    Older(Stamp),
    Newer(Stamp, Option<Stamp>),
}

/// Returns a page of the direct conversation with a user, by default the newest, and marks it as read unless
/// `mark_read` is false. Without a conversation the page is empty, and a caller who is not known yet becomes known.
async fn conversation(
    State(app): State<App>,
    caller: Caller,
    Path(other): Path<UserId>,
    Query(page): Query<Page>,
) -> Result<Reply<Vec<MessageView>>, Problem> {
    let conversation = ConversationId::direct(&caller.user, &other);
    let mark_read = page.mark_read.unwrap_or(true);
    if let Some(found) = read_page(&app, &caller.user, &conversation, page, mark_read).await? {
        return Ok(found);
    }
    app.store.make_known(&caller).await?;
    Ok(Reply::page(Vec::new(), None))
}

/// Returns a page of any of the caller's conversations. Marks it as read only if `mark_read` is true.
async fn messages(
    State(app): State<App>,
    caller: Caller,
    Path(conversation): Path<ConversationId>,
    Query(page): Query<Page>,
) -> Result<Reply<Vec<MessageView>>, Problem> {
    let mark_read = page.mark_read.unwrap_or(false);
    let found = read_page(&app, &caller.user, &conversation, page, mark_read).await?;
    Ok(found.ok_or(Error::NotAParticipant)?)
}

async fn read_page(
    app: &App,
    reader: &UserId,
    conversation: &ConversationId,
    page: Page,
    mark_read: bool,
) -> Result<Option<Reply<Vec<MessageView>>>, Error> {
    let bounds = bounds(app, reader, conversation, page)?;
    let Some(mut found) = app.store.page(reader, conversation, bounds).await? else { return Ok(None) };
    if mark_read {
        mark_page_read(app, reader, conversation, &mut found).await?;
    }
    let next = found.rest.map(|end| match bounds.after {
        Some(_) => Position::Newer(end, bounds.before),
        None => Position::Older(end),
    });
    let list = list_of(conversation);
    let cursor = next.map(|position| app.cursors.seal(reader, &list, &position)).transpose()?;
    Ok(Some(Reply::page(found.shown_to(reader, app.store.links()), cursor)))
}

/// The list's name in its cursors.
fn list_of(conversation: &ConversationId) -> String {
    format!("messages {conversation}")
}

fn bounds(
    app: &App,
    reader: &UserId,
    conversation: &ConversationId,
    page: Page,
) -> Result<PageBounds, Error> {
    let limit = page.limit.get();
    let offset = page.offset.get();
    if let Some(cursor) = page.cursor {
        // The cursor contains everything but the limit. Other parameters belong to the first page.
        let (before, after) = match app.cursors.open(reader, &list_of(conversation), &cursor)? {
            Position::Older(before) => (Some(before), None),
            Position::Newer(after, before) => (before, Some(after)),
        };
        return Ok(PageBounds { before, after, offset: 0, limit });
    }
    let stamp = |field: &str, id: Option<MessageId>| match id {
        Some(id) if id.conversation != *conversation => {
            Err(Error::field(field, "The message is not in this conversation."))
        }
        id => Ok(id.map(|id| id.stamp)),
    };
    let (before, after) = (stamp("before", page.before)?, stamp("after", page.after)?);
    if after.is_some() && offset > 0 {
        return Err(Error::field(
            "offset",
            "The offset counts back from the newest message: it cannot be combined with after.",
        ));
    }
    Ok(PageBounds { before, after, offset, limit })
}

/// Marks the conversation as read up to the newest message on the page, if anything is unread.
async fn mark_page_read(
    app: &App,
    reader: &UserId,
    conversation: &ConversationId,
    page: &mut PageOfMessages,
) -> Result<(), Error> {
    let Some(newest) = page.messages.last().map(|message| message.id.stamp) else { return Ok(()) };
    // In a large conversation the row may lag behind the messages on the page.
    let nothing_unread = page.row.unread == 0 && page.row.head >= Some(newest);
    let nothing_marked = page.row.unread_from.is_none();
    if nothing_marked && (nothing_unread || page.row.has_read(newest)) {
        return Ok(());
    }
    let row = Some(page.row.clone());
    let marked = app.store.mark_read(reader, conversation, Target::Message(newest), row).await?;
    app.push.deliver(&app.store, marked.delivery).await;
    if let Some(at) = marked.moved_at {
        page.reads.moved(reader, newest, at);
    }
    Ok(())
}
