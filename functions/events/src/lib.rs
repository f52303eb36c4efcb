//! `GET /api/events`: the caller's event queue.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use domain::caller::Caller;
use domain::error::Error;
use domain::event::EventView;
use domain::id::UserId;
use edge::app::App;
use edge::extract::Query;
use edge::page::{BadCursor, Limit};
use edge::problem::Problem;
use edge::reply::Reply;
use observe::meter;
use observe::metrics::Metric;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::QueuePosition;

/// What the list is called in its cursors.
const LIST: &str = "events";
/// Milliseconds between polls while a conversation is lively, and when nothing happens.
const LIVELY: u32 = 1_000;
const QUIET: u32 = 30_000;
/// Polls without news after which the pace slows down.
const PATIENCE: u32 = 5;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/events", get(events))
}

/// Which page of the queue.
#[derive(Deserialize, JsonSchema)]
pub struct Page {
    #[serde(default)]
    limit: Limit,
    /// The `cursor` of the poll before.
    cursor: Option<String>,
}

/// What a poll gives: events in the order of their ids, and when to come again.
#[derive(Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the API's names")]
pub struct Events {
    events: Vec<EventView>,
    cursor: String,
    has_more: bool,
    poll_after_ms: u32,
}

/// The events after a cursor, each once. Without one: no events, and a cursor that stands a few seconds back.
async fn events(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Reply<Events>, Problem> {
    let Some(cursor) = page.cursor else {
        app.store.ensure_user(&caller).await?;
        return Ok(answer(&app, &caller.user, Vec::new(), &app.store.queue_start(), false)?);
    };
    let from = position(&app, &caller.user, &cursor)?;
    let minute = u32::try_from(app.store.now().seconds() / 60).unwrap_or(u32::MAX);
    // Once a minute a poll writes that its user is there, beside reading.
    let is_noted = from.present == minute;
    let noted = async { if is_noted { Ok(()) } else { app.store.record_poll(&caller.user).await } };
    let (poll, noted) = futures_util::join!(app.store.poll(&caller.user, from, page.limit.get()), noted);
    let mut poll = poll?;
    if noted.is_ok() {
        poll.position.present = minute;
    }
    Ok(answer(&app, &caller.user, poll.events, &poll.position, poll.has_more)?)
}

fn position(app: &App, user: &UserId, cursor: &str) -> Result<QueuePosition, Error> {
    let bytes = app.cursors.open_bytes(user, LIST, cursor).map_err(|bad| match bad {
        BadCursor::Retired => Error::CursorExpired,
        BadCursor::Foreign => bad.into(),
    })?;
    QueuePosition::from_bytes(&bytes).ok_or_else(|| BadCursor::Foreign.into())
}

fn answer(
    app: &App,
    user: &UserId,
    events: Vec<EventView>,
    position: &QueuePosition,
    has_more: bool,
) -> Result<Reply<Events>, Error> {
    let poll_after_ms = pace(position.idle.into());
    meter::measure(Metric::PollAfter, f64::from(poll_after_ms));
    let cursor = app.cursors.seal_bytes(user, LIST, &position.to_bytes())?;
    Ok(Reply::ok(Events { events, cursor, has_more, poll_after_ms }, "OK"))
}

/// Milliseconds until the next poll, after so many that brought nothing: slower by half each time.
fn pace(idle: u32) -> u32 {
    let slower = idle.saturating_sub(PATIENCE).min(20);
    (0..slower).fold(LIVELY, |pace, _| pace * 3 / 2).min(QUIET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_goes_from_a_second_to_half_a_minute() {
        let paces: Vec<_> = (0..20).map(pace).collect();
        assert!(paces.is_sorted());
        assert_eq!((paces[0], paces[5], paces[6], pace(255)), (1_000, 1_000, 1_500, 30_000));
    }
}
