//! Event queues: one item per event and receiver, written in the transaction that makes the change. A typing signal
//! changes nothing and is written alone.
//!
//! Invariant: a queue holds no message text that cannot be deleted together with the message, so no poll returns a
//! deleted text. See [`QueuedEvent::of`].

use domain::delivery::OutgoingEvent;
use domain::error::Error;
use domain::event::{Event, Unread};
use domain::id::{MessageId, Stamp, UserId};
use domain::message::ReadState;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::item::Key;
use crate::write::Write;

/// Seconds for which an event is kept: 7 days.
pub(crate) const RETENTION: i64 = 7 * 24 * 3600;
/// The maximum size, in bytes, of an item that contains a whole event: larger ones cost more than one write unit.
const MAX_WHOLE: usize = 1024;

pub(crate) fn key(user: &UserId, id: Stamp) -> Key {
    Key { pk: partition(user), sk: sort_key(id) }
}

pub(crate) fn partition(user: &UserId) -> String {
    format!("Q#{user}")
}

/// Sorts after the sort key of every event.
pub(crate) const END: &str = "E#~";

pub(crate) fn sort_key(id: Stamp) -> String {
    format!("E#{id}")
}

/// The attributes of an event, without its key.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredEvent {
    pub(crate) event: String,
    pub(crate) expires: i64,
}

/// An event as a queue stores it: whole or, if it is large or must not hold the text, as a reference to its message.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "most of them are whole events")]
pub(crate) enum QueuedEvent {
    Whole(Event),
    Created {
        created: MessageId,
        #[serde(rename = "crowd", default, skip_serializing_if = "std::ops::Not::not")]
        uncounted: bool,
    },
    Updated {
        updated: MessageId,
        reads: ReadState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unread: Option<Unread>,
    },
}

impl QueuedEvent {
    /// Converts an event for storage. The message text is left out where a deletion does not reach it: in groups and
    /// rooms, in rows that appear, and in changed messages.
    pub(crate) fn of(event: Event) -> Self {
        match event {
            Event::MessageCreated { message, uncounted } if !message.id.conversation.is_direct() => {
                Self::Created { created: message.id, uncounted }
            }
            Event::MessageUpdated { message, reads, unread } => {
                Self::Updated { updated: message.id, reads, unread }
            }
            Event::ConversationCreated { conversation, mut row } => {
                (row.last_text, row.last_kind) = (None, None);
                Self::Whole(Event::ConversationCreated { conversation, row })
            }
            event => Self::Whole(event),
        }
    }

    /// Replaces the message by a reference to it.
    fn reference(self) -> Self {
        match self {
            Self::Whole(Event::MessageCreated { message, uncounted }) => {
                Self::Created { created: message.id, uncounted }
            }
            other => other,
        }
    }

    /// The message to read before the event can be delivered.
    pub(crate) fn referenced_message(&self) -> Option<MessageId> {
        match self {
            Self::Created { created: id, .. } | Self::Updated { updated: id, .. } => Some(id.clone()),
            Self::Whole(Event::ConversationCreated { conversation, row }) => {
                Some(MessageId { conversation: conversation.clone(), stamp: row.last_id? })
            }
            Self::Whole(_) => None,
        }
    }
}

/// Puts an event into its receiver's queue.
pub(crate) fn enqueue(event: &OutgoingEvent) -> Result<Write, Error> {
    let (key, body) = item_of(event)?;
    Write::put(key, &body)
}

/// The key and the attributes of an event's item.
pub(crate) fn item_of(
    OutgoingEvent { receiver, id, event }: &OutgoingEvent,
) -> Result<(Key, StoredEvent), Error> {
    let key = key(receiver, *id);
    let expires = match event {
        Event::Typing { until, .. } => until.seconds() + 1,
        _ => id.time().seconds() + RETENTION,
    };
    let queued = QueuedEvent::of(event.clone());
    let mut json = serde_json::to_string(&queued).map_err(Error::internal)?;
    let size = json.len() + key.pk.len() + key.sk.len() + "pkskeventexpires".len() + 21;
    if size > MAX_WHOLE {
        json = serde_json::to_string(&queued.reference()).map_err(Error::internal)?;
    }
    Ok((key, StoredEvent { event: json, expires }))
}

/// Whether the event with an id may still be in a queue.
pub(crate) fn is_kept(id: Stamp, now: Timestamp) -> bool {
    id.time().seconds() + RETENTION >= now.seconds()
}
