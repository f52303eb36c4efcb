//! `GET /health`: whether a function can do its work. Each function answers it; in AWS the one that is given what no
//! route takes.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::app::App;
use crate::error::Error;
use crate::time::Timestamp;

/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// 2025-01-01: no clock that is set stands before it. Ids and the lives of tokens come from the clock.
const LATEST_WRONG: Timestamp = Timestamp::from_millis(1_735_689_600_000);

/// What was checked.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    status: &'static str,
    checks: Checks,
}

#[derive(Debug, Serialize)]
struct Checks {
    /// The table answers a read, which it does only while it is active.
    database: &'static str,
    /// The clock was set.
    clock: &'static str,
}

/// Checks that the table answers a read and that the clock was set; costs half a read unit.
///
/// # Errors
/// `Unhealthy` where one of them is not so.
pub(crate) async fn health(State(app): State<App>) -> Result<Json<Health>, Error> {
    let read = tokio::time::timeout(PATIENCE, app.store.reach()).await;
    let read = read.unwrap_or_else(|_| Err(Error::Unavailable("no answer in time".into())));
    let is_set = app.store.now() > LATEST_WRONG;
    match (read, is_set) {
        (Ok(()), true) => Ok(Json(Health { status: "ok", checks: Checks { database: "ok", clock: "ok" } })),
        (Ok(()), false) => Err(Error::Unhealthy("The clock is not set. The database answers.", "clock".into())),
        (Err(error), true) => {
            Err(Error::Unhealthy("The database does not answer. The clock is set.", error.into()))
        }
        (Err(error), false) => {
            Err(Error::Unhealthy("The database does not answer. The clock is not set.", error.into()))
        }
    }
}
