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

/// The list's name in its cursors.
const LIST: &str = "events";
/// Milliseconds until the next poll: the minimum while events arrive, the maximum after many empty polls.
const MIN_DELAY: u32 = 1_000;
const MAX_DELAY: u32 = 30_000;
/// Empty polls in a row before the delay grows.
const FAST_POLLS: u32 = 5;

/// The function's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/api/events", get(events))
}

/// The page of the queue to return.
#[derive(Deserialize, JsonSchema)]
pub struct Page {
    #[serde(default)]
    limit: Limit,
    /// The `cursor` of the previous poll.
    cursor: Option<String>,
}

/// The result of a poll: events in the order of their ids, and when to poll again.
#[derive(Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the API's field names")]
pub struct Events {
    events: Vec<EventView>,
    cursor: String,
    has_more: bool,
    poll_after_ms: u32,
}

/// Returns the events after a cursor, each once. Without a cursor it returns no events, only a cursor that starts a few
/// seconds back.
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
    // Once a minute, a poll also writes the user's presence.
    let is_recorded = from.present == minute;
    let recorded = async { if is_recorded { Ok(()) } else { app.store.record_poll(&caller.user).await } };
    let (poll, recorded) =
        futures_util::join!(app.store.poll(&caller.user, from, page.limit.get()), recorded);
    let mut poll = poll?;
    if recorded.is_ok() {
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
    let poll_after_ms = poll_delay(position.idle.into());
    meter::measure(Metric::PollAfter, f64::from(poll_after_ms));
    let cursor = app.cursors.seal_bytes(user, LIST, &position.to_bytes())?;
    Ok(Reply::ok(Events { events, cursor, has_more, poll_after_ms }, "OK"))
}

/// Milliseconds until the next poll, after a number of empty polls in a row: each one beyond [`FAST_POLLS`] adds half.
fn poll_delay(empty_polls: u32) -> u32 {
    let steps = empty_polls.saturating_sub(FAST_POLLS).min(20);
    (0..steps).fold(MIN_DELAY, |delay, _| delay * 3 / 2).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_poll_delay_grows_from_1_to_30_seconds() {
        let delays: Vec<_> = (0..20).map(poll_delay).collect();
        assert!(delays.is_sorted());
        assert_eq!((delays[0], delays[5], delays[6], poll_delay(255)), (1_000, 1_000, 1_500, 30_000));
    }
}
