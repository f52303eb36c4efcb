//! The function that the clock invokes once an hour: removes the copies of sends that have died, and other files and
//! pictures that were left over.
//!
//! Invariant: it keeps no state. The claims that a call does not reach, or that fail, are there for the next one.

use std::time::Duration;

use domain::error::Error;
use domain::id::Stamp;
use edge::app::App;
use edge::sweeping::{due_claims, settle};
use futures_util::stream::{self, StreamExt};
use observe::log::reason;
use observe::meter;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

/// How many claims are settled concurrently. Each may have a page of messages in memory.
const CONCURRENT: usize = 8;
/// How long a call works: less than the function's timeout in the template, 900 s, so that it can still report.
const TIME_LIMIT: Duration = Duration::from_mins(14);

/// The outcome of a call.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// The number of settled claims.
    pub claims: usize,
    /// The number of removed copies. Claims of one owner's pictures that are settled at once may count the same picture.
    pub removed: usize,
}

/// Settles the claims that are due, the oldest first, until all are settled or the time is over. The event's
/// content is ignored.
///
/// # Errors
/// If claims could not be listed or settled. The others are settled all the same.
pub async fn handle(app: App, _event: Value) -> Result<Swept, String> {
    handle_until(app, Instant::now() + TIME_LIMIT).await
}

/// Does what [`handle`] does, but ends at another time.
///
/// # Errors
/// Those of [`handle`].
pub async fn handle_until(app: App, end: Instant) -> Result<Swept, String> {
    meter::note_field("route", "clock");
    let (mut swept, mut failure, mut after) = (Swept::default(), None, None);
    loop {
        let due = due_claims(&app.store, &app.files, after).await.map_err(|error| failed(&error))?;
        after = due.last().copied();
        let outcomes = stream::iter(due).map(|claim| settle_until(&app, claim, end));
        let mut outcomes = outcomes.buffer_unordered(CONCURRENT);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Ok(Some(removed)) => {
                    swept.claims += 1;
                    swept.removed += removed;
                }
                Ok(None) => {}
                Err(reason) => failure = Some(reason),
            }
        }
        if after.is_none() || Instant::now() >= end {
            break;
        }
    }
    meter::note_field("claims", swept.claims);
    meter::note_field("removed", swept.removed);
    failure.map_or(Ok(swept), Err)
}

/// Settles a claim. Returns the number of removed copies; `None` if the time is over.
async fn settle_until(app: &App, claim: Stamp, end: Instant) -> Result<Option<usize>, String> {
    let Ok(outcome) = timeout_at(end, settle(&app.store, &app.files, claim)).await else { return Ok(None) };
    outcome.map(Some).map_err(|error| {
        tracing::error!(%claim, code = error.code(), error = reason(&error), "a claim is not settled yet");
        failed(&error)
    })
}

fn failed(error: &Error) -> String {
    meter::failed(error);
    reason(error)
}
