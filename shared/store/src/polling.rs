//! Polling: reads a queue from a cursor's position on.
//!
//! Invariant: a reader that follows its cursor gets each event exactly once, although an event with an earlier stamp
//! may commit later. Writers stamp an event in the attempt that writes it, and give up after 5 s. So the cursor's
//! position stays 15 s behind, and the cursor lists the events that it has delivered above the position.

use std::collections::{HashMap, HashSet};

use async_recursion::async_recursion as boxed;
use domain::conversation::Row;
use domain::error::Error;
use domain::event::{Event, EventView};
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::Message;
use domain::time::Timestamp;

use crate::client::Store;
use crate::item::{Attribute, Item, Key, from_item, suffix, text};
use crate::queue::{self, QueuedEvent, RETENTION, StoredEvent};
use crate::{inbox, messages};

/// The most delivered events that a cursor lists: API Gateway limits a URL and its headers to 10 KB.
const MAX_TAGS: usize = 600;

/// The items that a poll has read besides the queue.
#[derive(Default)]
struct Resolved {
    messages: HashMap<MessageId, Message>,
    /// The reader's rows of groups and rooms.
    rows: HashMap<ConversationId, Row>,
}

impl Resolved {
    /// Returns a message if it is not deleted and the reader may see it. A user who has left a group sees none of its
    /// messages.
    fn visible(&self, id: &MessageId) -> Option<&Message> {
        let message = self.messages.get(id).filter(|message| !message.is_deleted())?;
        let may_see = id.conversation.is_direct()
            || self.rows.get(&id.conversation).is_some_and(|row| row.shows(id.stamp));
        may_see.then_some(message)
    }
}

/// Completes an event with the messages that it refers to; `None` if it must no longer be delivered.
fn resolve(event: QueuedEvent, resolved: &Resolved) -> Option<Event> {
    match event {
        QueuedEvent::Whole(Event::ConversationCreated { conversation, mut row }) => {
            let last = row.last_id.map(|stamp| MessageId { conversation: conversation.clone(), stamp });
            row.last_text = last.map(|id| resolved.visible(&id).map_or_else(String::new, Message::preview));
            Some(Event::ConversationCreated { conversation, row })
        }
        QueuedEvent::Whole(event) => Some(event),
        QueuedEvent::Created { created, uncounted } => {
            let message = resolved.visible(&created)?.clone();
            Some(Event::MessageCreated { message, uncounted })
        }
        QueuedEvent::Updated { updated, reads, unread } => {
            let message = resolved.visible(&updated)?.clone();
            Some(Event::MessageUpdated { message, reads, unread })
        }
    }
}

/// A reader's position in their queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePosition {
    /// Every event up to here has been delivered, and no further event can commit below it.
    settled: Stamp,
    /// The tags of the events that were delivered above `settled`.
    delivered: Vec<Tag>,
    /// The number of consecutive polls that returned no events, up to 255.
    pub idle: u8,
    /// The minute since 1970 in which the reader's presence was last written.
    pub present: u32,
}

impl QueuePosition {
    /// Encodes the position for a cursor: 16 bytes for `settled`, 1 for `idle`, 4 for `present`, and 7 for each tag.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(21 + TAG_BYTES * self.delivered.len());
        bytes.extend_from_slice(&self.settled.to_bytes());
        bytes.push(self.idle);
        bytes.extend_from_slice(&self.present.to_be_bytes());
        bytes.extend(self.delivered.iter().flatten());
        bytes
    }

    /// Decodes the bytes of [`Self::to_bytes`]; `None` if they are malformed.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (settled, rest) = bytes.split_first_chunk::<16>()?;
        let (idle, rest) = rest.split_first()?;
        let (present, rest) = rest.split_first_chunk::<4>()?;
        let (delivered, []) = rest.as_chunks::<TAG_BYTES>() else { return None };
        Some(Self {
            settled: Stamp::from_bytes(*settled)?,
            delivered: delivered.to_vec(),
            idle: *idle,
            present: u32::from_be_bytes(*present),
        })
    }

    /// Returns the tags of events that were delivered above `position` and that a read has not `seen`: it ended before
    /// them, or came from a replica that lags.
    fn delivered_unseen(&self, seen: &[Stamp], position: Stamp) -> impl Iterator<Item = Tag> {
        let seen: HashSet<Tag> = seen.iter().map(|id| tag(*id)).collect();
        let is_above = move |tag: &Tag| {
            second_of(*tag, self.settled) >= position.time().seconds() && !seen.contains(tag)
        };
        self.delivered.iter().copied().filter(is_above)
    }
}

/// Bytes of a tag.
const TAG_BYTES: usize = 7;
/// The short form of a delivered event's id in a cursor: the low 16 bits of its second, and the last 5 bytes of the id.
/// These are random, so two ids of one second almost never share a tag.
type Tag = [u8; TAG_BYTES];

fn tag(id: Stamp) -> Tag {
    let mut tag = [0; TAG_BYTES];
    tag[..2].copy_from_slice(&low_bits(id.time().seconds()).to_be_bytes());
    tag[2..].copy_from_slice(&id.to_bytes()[11..]);
    tag
}

fn low_bits(seconds: i64) -> u16 {
    u16::try_from(seconds & 0xffff).unwrap_or_default()
}

/// Restores the second of a tag's event, which is at or after the position above which it was delivered.
fn second_of([high, low, ..]: Tag, position: Stamp) -> i64 {
    let from = position.time().seconds();
    from + i64::from(u16::from_be_bytes([high, low]).wrapping_sub(low_bits(from)))
}

/// The result of a poll.
pub struct Poll {
    /// The events, ordered by id.
    pub events: Vec<EventView>,
    /// The reader's new position.
    pub position: QueuePosition,
    /// Whether another poll right now would return more events.
    pub has_more: bool,
}

impl Store {
    /// Returns the position of a reader who has read nothing: one window back, so that polls deliver what a lagging
    /// index did not show.
    #[must_use]
    pub fn queue_start(&self) -> QueuePosition {
        let settled = Stamp::first_of(self.settled_time());
        QueuePosition { settled, delivered: Vec::new(), idle: 0, present: 0 }
    }

    fn settled_time(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now().millis() - self.window)
    }

    /// Returns up to `limit` events after a position.
    ///
    /// # Errors
    /// `CursorExpired` if the position is older than 7 days, for which events are kept.
    #[boxed]
    pub async fn poll(&self, user: &UserId, from: QueuePosition, limit: usize) -> Result<Poll, Error> {
        let now = self.clock.now();
        if from.settled.time().seconds() + RETENTION < now.seconds() {
            return Err(Error::CursorExpired);
        }
        let query = self
            .db
            .query()
            .key_condition_expression("pk = :pk AND sk > :sk")
            .expression_attribute_values(":pk", queue::partition(user).attribute())
            .expression_attribute_values(":sk", queue::sort_key(from.settled).attribute());
        // Computed before the read: an event that commits after the read must still be above the position.
        let window = Stamp::first_of(self.settled_time());
        // One item more than needed says whether there are more.
        let (items, has_more_items) = self.query_up_to(query, limit + from.delivered.len() + 1).await?;

        let known: HashSet<Tag> = from.delivered.iter().copied().collect();
        let (mut seen, mut fresh) = (Vec::new(), Vec::new());
        for item in items {
            let id: Stamp = suffix(&item, "sk", "E#")?.parse().map_err(Error::internal)?;
            if known.contains(&tag(id)) {
                seen.push(id);
            } else {
                fresh.push((id, item));
            }
        }
        let tag_count =
            seen.iter().filter(|id| **id > window).count() + from.delivered_unseen(&seen, window).count();
        let room = MAX_TAGS.saturating_sub(tag_count);
        let count = fresh.len().min(limit).min(room);
        let has_more = has_more_items || count < fresh.len();
        let end = if count < fresh.len() { fresh[count].0.previous() } else { last_id(&seen, &fresh) };
        let settled = if has_more { window.min(end) } else { window }.max(from.settled);
        fresh.truncate(count);

        let fresh_ids = fresh.iter().map(|(id, _)| *id);
        let tags = seen.iter().copied().chain(fresh_ids).filter(|id| *id > settled).map(tag);
        let delivered: Vec<Tag> = tags.chain(from.delivered_unseen(&seen, settled)).collect();
        let events = self.event_views(user, fresh, now).await?;
        let idle = if events.is_empty() { from.idle.saturating_add(1) } else { 0 };
        Ok(Poll { events, position: QueuePosition { settled, delivered, idle, ..from }, has_more })
    }

    /// Converts queue items to events as their reader sees them. Expired events are left out.
    async fn event_views(
        &self,
        user: &UserId,
        items: Vec<(Stamp, Item)>,
        now: Timestamp,
    ) -> Result<Vec<EventView>, Error> {
        let mut queued = Vec::with_capacity(items.len());
        let mut resolved = Resolved::default();
        for (id, item) in items {
            let stored: StoredEvent = from_item(item)?;
            let event: QueuedEvent = serde_json::from_str(&stored.event).map_err(Error::internal)?;
            if let QueuedEvent::Whole(
                Event::MessageCreated { message, .. } | Event::MessageUpdated { message, .. },
            ) = &event
            {
                resolved.messages.insert(message.id.clone(), message.clone());
            }
            if stored.expires >= now.seconds() {
                queued.push((id, event));
            }
        }
        let missing = queued.iter().filter_map(|(_, event)| event.referenced_message());
        let missing: HashSet<MessageId> = missing.filter(|id| !resolved.messages.contains_key(id)).collect();
        self.load_messages(user, &missing, &mut resolved).await?;
        let views = queued.into_iter().filter_map(|(id, event)| {
            let event = resolve(event, &resolved)?;
            (!event.is_expired(now)).then(|| event.shown_to(user, id))
        });
        Ok(views.collect())
    }

    /// Reads messages, and the reader's rows of their groups and rooms, into `resolved`.
    async fn load_messages(
        &self,
        user: &UserId,
        ids: &HashSet<MessageId>,
        resolved: &mut Resolved,
    ) -> Result<(), Error> {
        let shared: HashSet<&ConversationId> =
            ids.iter().map(|id| &id.conversation).filter(|id| !id.is_direct()).collect();
        let keys: Vec<Key> =
            ids.iter().map(messages::key).chain(shared.iter().map(|id| inbox::key(user, id))).collect();
        for keys in keys.chunks(100) {
            for item in self.get_all(keys.to_vec()).await? {
                if text(&item, "sk")?.starts_with("M#") {
                    let message = messages::read(item)?;
                    resolved.messages.insert(message.id.clone(), message);
                } else {
                    resolved.rows.insert(inbox::conversation_of(&item)?, from_item(item)?);
                }
            }
        }
        Ok(())
    }
}

/// The highest id among the items that were read.
fn last_id(seen: &[Stamp], fresh: &[(Stamp, Item)]) -> Stamp {
    let first = Stamp::first_of(Timestamp::from_millis(0));
    let fresh = fresh.last().map_or(first, |(id, _)| *id);
    seen.last().copied().unwrap_or(first).max(fresh)
}
