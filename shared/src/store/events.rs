//! Event queues: one item per change and participant, written in the transaction that makes the change.
//!
//! Invariant: a reader that follows its cursor gets each event once, though an event that was stamped earlier may
//! commit later. Writers stamp an event in the attempt that writes it and give up after 5 s; a cursor's position
//! stays 15 s behind, and the cursor names what it has delivered since.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Store;
use super::item::{Attribute, Item, Key, Write, from_item, text};
use super::messages;
use super::transact::{Commit, MAX_AGE};
use crate::error::Error;
use crate::event::{Event, EventView};
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::push::Delivery;
use crate::time::Timestamp;

/// Seconds that an event is kept: 7 days.
const RETENTION: i64 = 7 * 24 * 3600;
/// Milliseconds after which whatever was going to commit has: three times the age of the oldest attempt, for clocks
/// that differ.
pub const WINDOW: i64 = 15_000;
const _: () = assert!(WINDOW as u128 == 3 * MAX_AGE.as_millis());
/// Delivered events that a cursor names at most: a URL and its headers end at 10 KB.
const NAMED: usize = 600;
/// Bytes of an item up to which an event is kept whole: one write unit.
const WHOLE: usize = 1024;
/// How long a typing signal holds.
const TYPING: Duration = Duration::from_secs(6);

pub(super) fn key(user: &UserId, id: Stamp) -> Key {
    Key { pk: partition(user), sk: sort_key(id) }
}

fn partition(user: &UserId) -> String {
    format!("Q#{user}")
}

fn sort_key(id: Stamp) -> String {
    format!("E#{id}")
}

/// An event on its way to a user's queue.
pub(crate) type Told = (UserId, Stamp, Event);

/// What the item of an event holds beside its key.
#[derive(Serialize, Deserialize)]
struct Stored {
    event: String,
    expires: i64,
}

/// What an event's item says: the event or, where that is large, the message to read it from.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Whole(Event),
    Created { created: MessageId },
}

/// Puts an event into a user's queue.
fn enqueue((user, id, event): &Told) -> Result<Write, Error> {
    let key = key(user, *id);
    let expires = match event {
        Event::Typing { until, .. } => until.seconds() + 1,
        _ => id.time().seconds() + RETENTION,
    };
    let mut json = serde_json::to_string(event).map_err(Error::internal)?;
    let size = json.len() + key.pk.len() + key.sk.len() + "pkskeventexpires".len() + 21;
    if let Event::MessageCreated { message } = event
        && size > WHOLE
    {
        json =
            serde_json::to_string(&Kept::Created { created: message.id.clone() }).map_err(Error::internal)?;
    }
    Write::put(key, &Stored { event: json, expires })
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
    pub async fn poll(&self, user: &UserId, from: QueuePosition, limit: usize) -> Result<Poll, Error> {
        let now = self.clock.now();
        if from.settled.time().seconds() + RETENTION < now.seconds() {
            return Err(Error::CursorExpired);
        }
        let query = self
            .db
            .query()
            .key_condition_expression("pk = :pk AND sk > :sk")
            .expression_attribute_values(":pk", partition(user).attribute())
            .expression_attribute_values(":sk", sort_key(from.settled).attribute());
        // The window is that of the time before the read: what commits after it must still be above the position.
        let window = Stamp::first_of(self.settled_time());
        // One more than is wanted says whether there is more.
        let (items, cut) = self.query_up_to(query, limit + from.delivered.len() + 1).await?;

        let known: HashSet<Name> = from.delivered.iter().copied().collect();
        let (mut seen, mut fresh) = (Vec::new(), Vec::new());
        for item in &items {
            let id: Stamp = text(item, "sk")?.trim_start_matches("E#").parse().map_err(Error::internal)?;
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
        items: Vec<(Stamp, &Item)>,
        now: Timestamp,
    ) -> Result<Vec<EventView>, Error> {
        let mut kept = Vec::with_capacity(items.len());
        let mut wanted = Vec::new();
        for (id, item) in items {
            let stored: Stored = from_item(item)?;
            let event: Kept = serde_json::from_str(&stored.event).map_err(Error::internal)?;
            if let Kept::Created { created } = &event {
                wanted.push(created.clone());
            }
            if stored.expires >= now.seconds() {
                kept.push((id, event));
            }
        }
        wanted.sort();
        wanted.dedup();
        let found = self.get_all(wanted.iter().map(messages::key).collect()).await?;
        let mut found = found.iter().map(messages::read).collect::<Result<Vec<_>, _>>()?;
        found.sort_by(|a, b| a.id.cmp(&b.id));
        let whole = kept.into_iter().filter_map(|(id, event)| match event {
            Kept::Whole(event) => (!event.is_over(now)).then(|| event.shown_to(user, id)),
            Kept::Created { created } => {
                let at = found.binary_search_by(|message| message.id.cmp(&created)).ok()?;
                Some(Event::MessageCreated { message: found[at].clone() }.shown_to(user, id))
            }
        });
        Ok(whole.collect())
    }

    /// Commits writes with the events that tell of them, and reads beside that who holds sockets for them.
    pub(super) async fn commit_and_tell(
        &self,
        mut writes: Vec<Write>,
        told: Vec<Told>,
        began: Instant,
    ) -> Result<(Commit, Delivery), Error> {
        for event in &told {
            writes.push(enqueue(event)?);
        }
        let users: Vec<&UserId> = told.iter().map(|(user, _, _)| user).collect();
        let (commit, sockets) = tokio::join!(self.commit(writes, began), self.sockets_of(&users));
        Ok((commit?, Delivery::new(told, sockets)))
    }

    /// Tells the other of a direct conversation that someone types, or has stopped. Where a block stands nobody hears.
    ///
    /// # Errors
    /// `NotAParticipant` where the conversation is not theirs.
    pub async fn typing(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        is_typing: bool,
    ) -> Result<Delivery, Error> {
        let row = self.row(user, conversation).await?.ok_or(Error::NotAParticipant)?;
        if row.is_blocked() {
            return Ok(Delivery::default());
        }
        let holds = i64::try_from(TYPING.as_millis()).unwrap_or_default();
        let until = Timestamp::from_millis(self.clock.now().millis() + holds);
        let event =
            Event::Typing { conversation: conversation.clone(), user: user.clone(), is_typing, until };
        let told = (row.peer.clone(), self.clock.stamp(), event);
        let receivers = [&row.peer];
        let (put, sockets) = tokio::join!(self.put(enqueue(&told)?), self.sockets_of(&receivers));
        put?;
        Ok(Delivery::new(vec![told], sockets))
    }
}

/// The last of the items that were read.
fn items_end(seen: &[Stamp], fresh: &[(Stamp, &Item)]) -> Stamp {
    let first = Stamp::first_of(Timestamp::from_millis(0));
    let fresh = fresh.last().map_or(first, |(id, _)| *id);
    seen.last().copied().unwrap_or(first).max(fresh)
}
