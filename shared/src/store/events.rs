//! Event queues: one item per change and participant, written in the transaction that makes the change.

use serde::Serialize;

use super::item::{Key, Write};
use crate::error::Error;
use crate::event::Event;
use crate::id::{Stamp, UserId};

/// Seconds that an event is kept: 7 days.
const RETENTION: i64 = 7 * 24 * 3600;

pub(super) fn key(user: &UserId, id: Stamp) -> Key {
    Key { pk: format!("Q#{user}"), sk: format!("E#{id}") }
}

#[derive(Serialize)]
struct Stored {
    event: String,
    expires: i64,
}

/// Puts an event into a user's queue.
pub(super) fn enqueue(user: &UserId, id: Stamp, event: &Event) -> Result<Write, Error> {
    let event = serde_json::to_string(event).map_err(Error::internal)?;
    Write::put(key(user, id), &Stored { event, expires: id.time().seconds() + RETENTION })
}
