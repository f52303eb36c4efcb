//! Runs the function `sweep` and the lifecycle of the local storage once an hour.
//!
//! Invariant: `sweep` runs once an hour, as in AWS; so does the lifecycle, which S3 applies once a day. Neither runs in
//! the first minute, so that they do not slow the start down.

use std::time::Duration;

use serde_json::Value;
use sweep::Swept;
use tokio::task::JoinHandle;

use crate::storage::Storage;
use crate::websocket::{Call, invoke};

/// Time limit of the function, as in the template.
pub const TIMEOUT: Duration = Duration::from_mins(15);
/// When both run for the first time after the start.
const FIRST_SWEEP: Duration = Duration::from_mins(1);
/// How often both run.
const SWEEP: Duration = Duration::from_hours(1);

/// The function `sweep`.
pub type Function = Call<Value, Swept>;

/// Runs both once an hour, until it is aborted.
#[must_use]
pub fn start(function: Function, storage: Option<Storage>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut pause = FIRST_SWEEP;
        loop {
            tokio::time::sleep(pause).await;
            pause = SWEEP;
            if let Err(failure) = invoke(&function, Value::Null, TIMEOUT).await {
                tracing::warn!(%failure, "the sweep failed");
            }
            if let Some(storage) = &storage {
                storage.sweep_at(storage.now()).await;
            }
        }
    })
}
