//! Polling: reading a queue from a cursor's position on.
//!
//! Invariant: a reader that follows its cursor gets each event once, though an event that was stamped earlier may
//! commit later. Writers stamp an event in the attempt that writes it and give up after 5 s; a cursor's position
//! stays 15 s behind, and the cursor names what it has delivered since.

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

/// Delivered events that a cursor names at most: a URL and its headers end at 10 KB.
const NAMED: usize = 600;
/// What a poll has read beside the queue.
#[derive(Default)]
struct Resolved {
    messages: HashMap<MessageId, Message>,
    /// The reader's rows of groups and rooms.
    rows: HashMap<ConversationId, Row>,
}

impl Resolved {
    /// A message that is not deleted, and that its reader may still see: who has left a group sees nothing of it.
    fn shown(&self, id: &MessageId) -> Option<&Message> {
        let message = self.messages.get(id).filter(|message| !message.is_deleted())?;
        let sees = id.conversation.is_direct()
            || self.rows.get(&id.conversation).is_some_and(|row| row.shows(id.stamp));
        sees.then_some(message)
    }
}

/// The event, with what was found; `None` where it is not to be told any more.
fn resolve(event: QueuedEvent, found: &Resolved) -> Option<Event> {
    match event {
        QueuedEvent::Whole(Event::ConversationCreated { conversation, mut row }) => {
            let last = row.last_id.map(|stamp| MessageId { conversation: conversation.clone(), stamp });
            row.last_text = last.map(|id| found.shown(&id).map_or_else(String::new, Message::preview));
            Some(Event::ConversationCreated { conversation, row })
        }
        QueuedEvent::Whole(event) => Some(event),
        QueuedEvent::Created { created, uncounted } => {
            let message = found.shown(&created)?.clone();
            Some(Event::MessageCreated { message, uncounted })
        }
        QueuedEvent::Updated { updated, reads, unread } => {
            let message = found.shown(&updated)?.clone();
            Some(Event::MessageUpdated { message, reads, unread })
        }
    }
}

/// Where a reader stands in their queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePosition {
    /// All up to here was delivered, and nothing more will come.
    settled: Stamp,
    /// What was delivered above it.
    delivered: Vec<Name>,
    /// Polls in a row that brought nothing.
    pub idle: u8,
    /// The minute in which the reader's presence was last written.
    pub present: u32,
}

impl QueuePosition {
    /// The bytes that a cursor carries: 16 of the position, 1, 4, and 7 for each delivered event.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(21 + NAME * self.delivered.len());
        bytes.extend_from_slice(&self.settled.to_bytes());
        bytes.push(self.idle);
        bytes.extend_from_slice(&self.present.to_be_bytes());
        bytes.extend(self.delivered.iter().flatten());
        bytes
    }

    /// Reads them; `None` where they are not of that form.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (settled, rest) = bytes.split_first_chunk::<16>()?;
        let (idle, rest) = rest.split_first()?;
        let (present, rest) = rest.split_first_chunk::<4>()?;
        let (delivered, []) = rest.as_chunks::<NAME>() else { return None };
        Some(Self {
            settled: Stamp::from_bytes(*settled)?,
            delivered: delivered.to_vec(),
            idle: *idle,
            present: u32::from_be_bytes(*present),
        })
    }

    /// What was delivered above a position and is not among what a read has `seen`: it lies further on, or has not
    /// come yet to where the read was answered.
    fn out_of_sight(&self, seen: &[Stamp], position: Stamp) -> impl Iterator<Item = Name> {
        let seen: HashSet<Name> = seen.iter().map(|id| name(*id)).collect();
        let is_above = move |name: &Name| {
            second_of(*name, self.settled) >= position.time().seconds() && !seen.contains(name)
        };
        self.delivered.iter().copied().filter(is_above)
    }
}

/// Bytes of the name of a delivered event.
const NAME: usize = 7;
/// What a cursor calls a delivered event: the low bits of its id's second, and the last bytes of the id, random, so
/// that two ids of one second hardly ever share them.
type Name = [u8; NAME];

fn name(id: Stamp) -> Name {
    let mut name = [0; NAME];
    name[..2].copy_from_slice(&low_bits(id.time().seconds()).to_be_bytes());
    name[2..].copy_from_slice(&id.to_bytes()[11..]);
    name
}

fn low_bits(seconds: i64) -> u16 {
    u16::try_from(seconds & 0xffff).unwrap_or_default()
}

/// The second of a named event, which is at or after the position that it was delivered above.
fn second_of([high, low, ..]: Name, position: Stamp) -> i64 {
    let from = position.time().seconds();
    from + i64::from(u16::from_be_bytes([high, low]).wrapping_sub(low_bits(from)))
}

/// What a poll brought.
pub struct Poll {
    /// The events, in the order of their ids.
    pub events: Vec<EventView>,
    /// Where the reader now stands.
    pub position: QueuePosition,
    /// Whether there are more to be had at once.
    pub has_more: bool,
}

impl Store {
    /// Where a reader begins who has read nothing: a window back, so that what a lagging index did not show comes.
    #[must_use]
    pub fn queue_start(&self) -> QueuePosition {
        let settled = Stamp::first_of(self.settled_time());
        QueuePosition { settled, delivered: Vec::new(), idle: 0, present: 0 }
    }

    fn settled_time(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now().millis() - self.window)
    }

    /// Up to `limit` events after a position.
    ///
    /// # Errors
    /// `CursorExpired` where the position is older than events are kept.
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
        // The window is that of the time before the read: what commits after it must still be above the position.
        let window = Stamp::first_of(self.settled_time());
        // One more than is wanted says whether there is more.
        let (items, cut) = self.query_up_to(query, limit + from.delivered.len() + 1).await?;

        let known: HashSet<Name> = from.delivered.iter().copied().collect();
        let (mut seen, mut fresh) = (Vec::new(), Vec::new());
        for item in items {
            let id: Stamp = suffix(&item, "sk", "E#")?.parse().map_err(Error::internal)?;
            if known.contains(&name(id)) {
                seen.push(id);
            } else {
                fresh.push((id, item));
            }
        }
        let named = seen.iter().filter(|id| **id > window).count() + from.out_of_sight(&seen, window).count();
        let room = NAMED.saturating_sub(named);
        let taken = fresh.len().min(limit).min(room);
        let is_rest = cut || taken < fresh.len();
        let end = if taken < fresh.len() { fresh[taken].0.previous() } else { items_end(&seen, &fresh) };
        let settled = if is_rest { window.min(end) } else { window }.max(from.settled);
        fresh.truncate(taken);

        let taken = fresh.iter().map(|(id, _)| *id);
        let named = seen.iter().copied().chain(taken).filter(|id| *id > settled).map(name);
        let delivered: Vec<Name> = named.chain(from.out_of_sight(&seen, settled)).collect();
        let events = self.shown(user, fresh, now).await?;
        let idle = if events.is_empty() { from.idle.saturating_add(1) } else { 0 };
        Ok(Poll { events, position: QueuePosition { settled, delivered, idle, ..from }, has_more: is_rest })
    }

    /// The events of items as their reader sees them; those that have passed are left out.
    async fn shown(
        &self,
        user: &UserId,
        items: Vec<(Stamp, Item)>,
        now: Timestamp,
    ) -> Result<Vec<EventView>, Error> {
        let mut kept = Vec::with_capacity(items.len());
        let mut found = Resolved::default();
        for (id, item) in items {
            let stored: StoredEvent = from_item(item)?;
            let event: QueuedEvent = serde_json::from_str(&stored.event).map_err(Error::internal)?;
            if let QueuedEvent::Whole(
                Event::MessageCreated { message, .. } | Event::MessageUpdated { message, .. },
            ) = &event
            {
                found.messages.insert(message.id.clone(), message.clone());
            }
            if stored.expires >= now.seconds() {
                kept.push((id, event));
            }
        }
        let wanted = kept.iter().filter_map(|(_, event)| event.referenced_message());
        let wanted: HashSet<MessageId> = wanted.filter(|id| !found.messages.contains_key(id)).collect();
        self.find(user, &wanted, &mut found).await?;
        let whole = kept.into_iter().filter_map(|(id, event)| {
            let event = resolve(event, &found)?;
            (!event.is_over(now)).then(|| event.shown_to(user, id))
        });
        Ok(whole.collect())
    }

    /// Reads messages, and a reader's rows of the groups and rooms they are in.
    async fn find(
        &self,
        user: &UserId,
        wanted: &HashSet<MessageId>,
        found: &mut Resolved,
    ) -> Result<(), Error> {
        let shared: HashSet<&ConversationId> =
            wanted.iter().map(|id| &id.conversation).filter(|id| !id.is_direct()).collect();
        let keys: Vec<Key> =
            wanted.iter().map(messages::key).chain(shared.iter().map(|id| inbox::key(user, id))).collect();
        for keys in keys.chunks(100) {
            for item in self.get_all(keys.to_vec()).await? {
                if text(&item, "sk")?.starts_with("M#") {
                    let message = messages::read(item)?;
                    found.messages.insert(message.id.clone(), message);
                } else {
                    found.rows.insert(inbox::conversation_of(&item)?, from_item(item)?);
                }
            }
        }
        Ok(())
    }
}

/// The last of the items that were read.
fn items_end(seen: &[Stamp], fresh: &[(Stamp, Item)]) -> Stamp {
    let first = Stamp::first_of(Timestamp::from_millis(0));
    let fresh = fresh.last().map_or(first, |(id, _)| *id);
    seen.last().copied().unwrap_or(first).max(fresh)
}
