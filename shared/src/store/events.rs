//! Event queues: one item per change and participant, written in the transaction that makes the change.
//!
//! Invariant: a reader that follows its cursor gets each event once, though an event that was stamped earlier may
//! commit later. Writers stamp an event in the attempt that writes it and give up after 5 s; a cursor's position
//! stays 15 s behind, and the cursor names what it has delivered since.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Store;
use super::item::{Attribute, Item, Key, Write, from_item, full_at, text};
use super::transact::{Commit, MAX_AGE};
use super::{inbox, messages};
use crate::conversation::{Row, SMALL};
use crate::error::Error;
use crate::event::{Event, EventView, Unread};
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::limits;
use crate::message::{Message, ReadState};
use crate::meter;
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

/// What an event's item says: the event or, where that is large or a group's, the message to read it from.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "most are whole events")]
enum Kept {
    Whole(Event),
    Created {
        created: MessageId,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        crowd: bool,
    },
    Updated {
        updated: MessageId,
        reads: ReadState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unread: Option<Unread>,
    },
}

impl Kept {
    /// What is kept of an event. No text of a message is kept where it could not be taken back with it: in the queues of
    /// many, in rows that appear, and where it was brought back.
    fn of(event: Event) -> Self {
        match event {
            Event::MessageCreated { message, crowd } if !message.id.conversation.is_direct() => {
                Self::Created { created: message.id, crowd }
            }
            Event::MessageUpdated { message, reads, unread }
                if unread.is_some() || !message.id.conversation.is_direct() =>
            {
                Self::Updated { updated: message.id, reads, unread }
            }
            Event::ConversationCreated { conversation, mut row } => {
                row.last_text = None;
                Self::Whole(Event::ConversationCreated { conversation, row })
            }
            event => Self::Whole(event),
        }
    }

    /// The same without the message itself.
    fn reference(self) -> Self {
        match self {
            Self::Whole(Event::MessageCreated { message, crowd }) => {
                Self::Created { created: message.id, crowd }
            }
            Self::Whole(Event::MessageUpdated { message, reads, unread }) => {
                Self::Updated { updated: message.id, reads, unread }
            }
            kept => kept,
        }
    }

    /// The message that has to be read before it can be shown.
    fn wants(&self) -> Option<MessageId> {
        match self {
            Self::Created { created: id, .. } | Self::Updated { updated: id, .. } => Some(id.clone()),
            Self::Whole(Event::ConversationCreated { conversation, row }) => {
                Some(MessageId { conversation: conversation.clone(), stamp: row.last_id? })
            }
            Self::Whole(_) => None,
        }
    }

    /// The event, with what was found; `None` where it is not to be told any more.
    fn event(self, found: &Found) -> Option<Event> {
        match self {
            Self::Whole(Event::ConversationCreated { conversation, mut row }) => {
                let last = row.last_id.map(|stamp| MessageId { conversation: conversation.clone(), stamp });
                row.last_text = last.map(|id| found.shown(&id).map_or_else(String::new, Message::preview));
                Some(Event::ConversationCreated { conversation, row })
            }
            Self::Whole(event) => Some(event),
            Self::Created { created, crowd } => {
                let message = found.shown(&created)?.clone();
                Some(Event::MessageCreated { message, crowd })
            }
            Self::Updated { updated, reads, unread } => {
                let message = found.shown(&updated)?.clone();
                Some(Event::MessageUpdated { message, reads, unread })
            }
        }
    }
}

/// What a poll has read beside the queue.
#[derive(Default)]
struct Found {
    messages: HashMap<MessageId, Message>,
    /// The reader's rows of groups and rooms.
    rows: HashMap<ConversationId, Row>,
}

impl Found {
    /// A message that is not deleted, and that its reader may still see: who has left a group sees nothing of it.
    fn shown(&self, id: &MessageId) -> Option<&Message> {
        let message = self.messages.get(id).filter(|message| !message.is_deleted())?;
        let sees = id.conversation.is_direct()
            || self.rows.get(&id.conversation).is_some_and(|row| row.shows(id.stamp));
        sees.then_some(message)
    }
}

/// Puts an event into a user's queue.
pub(super) fn enqueue((user, id, event): &Told) -> Result<Write, Error> {
    let key = key(user, *id);
    let expires = match event {
        Event::Typing { until, .. } => until.seconds() + 1,
        _ => id.time().seconds() + RETENTION,
    };
    let kept = Kept::of(event.clone());
    let mut json = serde_json::to_string(&kept).map_err(Error::internal)?;
    let size = json.len() + key.pk.len() + key.sk.len() + "pkskeventexpires".len() + 21;
    if size > WHOLE {
        json = serde_json::to_string(&kept.reference()).map_err(Error::internal)?;
    }
    Write::put(key, &Stored { event: json, expires })
}

/// Whether an event of that id may still be in a queue.
pub(super) fn is_kept(id: Stamp, now: Timestamp) -> bool {
    id.time().seconds() + RETENTION >= now.seconds()
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
        let mut found = Found::default();
        for (id, item) in items {
            let stored: Stored = from_item(item)?;
            let event: Kept = serde_json::from_str(&stored.event).map_err(Error::internal)?;
            if let Kept::Whole(
                Event::MessageCreated { message, .. } | Event::MessageUpdated { message, .. },
            ) = &event
            {
                found.messages.insert(message.id.clone(), message.clone());
            }
            if stored.expires >= now.seconds() {
                kept.push((id, event));
            }
        }
        let wanted = kept.iter().filter_map(|(_, event)| event.wants());
        let wanted: HashSet<MessageId> = wanted.filter(|id| !found.messages.contains_key(id)).collect();
        self.find(user, &wanted, &mut found).await?;
        let whole = kept.into_iter().filter_map(|(id, event)| {
            let event = event.event(&found)?;
            (!event.is_over(now)).then(|| event.shown_to(user, id))
        });
        Ok(whole.collect())
    }

    /// Reads messages, and a reader's rows of the groups and rooms they are in.
    async fn find(&self, user: &UserId, wanted: &HashSet<MessageId>, found: &mut Found) -> Result<(), Error> {
        let shared: HashSet<&ConversationId> =
            wanted.iter().map(|id| &id.conversation).filter(|id| !id.is_direct()).collect();
        let keys: Vec<Key> =
            wanted.iter().map(messages::key).chain(shared.iter().map(|id| inbox::key(user, id))).collect();
        for keys in keys.chunks(100) {
            for item in self.get_all(keys.to_vec()).await? {
                if text(&item, "sk")?.starts_with("M#") {
                    let message = messages::read(&item)?;
                    found.messages.insert(message.id.clone(), message);
                } else {
                    found.rows.insert(inbox::conversation_of(&item)?, from_item(&item)?);
                }
            }
        }
        Ok(())
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

    /// Tells the others of a conversation that someone types, or has stopped. Where a block stands, and in conversations of
    /// more than 24, nobody hears.
    ///
    /// # Errors
    /// `NotAParticipant` where the conversation is not theirs, `RateLimited`.
    pub async fn typing(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        is_typing: bool,
    ) -> Result<Delivery, Error> {
        meter::note(conversation);
        let group = async {
            if conversation.is_direct() { Ok(None) } else { self.group(conversation, SMALL, false).await }
        };
        let (row, group) = tokio::try_join!(self.note_typing(user, conversation), group)?;
        let row = row.ok_or(Error::NotAParticipant)?;
        let others: Vec<UserId> = match group {
            Some(group) if group.is_whole => {
                group.people.into_iter().map(|(id, _)| id).filter(|id| id != user).collect()
            }
            Some(_) => Vec::new(),
            None => row.peer.iter().filter(|_| !row.is_blocked()).cloned().collect(),
        };
        let holds = i64::try_from(TYPING.as_millis()).unwrap_or_default();
        let until = Timestamp::from_millis(self.clock.now().millis() + holds);
        let stamp = self.clock.stamp();
        let event =
            Event::Typing { conversation: conversation.clone(), user: user.clone(), is_typing, until };
        let told: Vec<Told> = others.iter().map(|other| (other.clone(), stamp, event.clone())).collect();
        let puts =
            told.iter().map(|event| Ok(self.put(enqueue(event)?))).collect::<Result<Vec<_>, Error>>()?;
        let receivers: Vec<&UserId> = others.iter().collect();
        let (put, sockets) = tokio::join!(try_join_all(puts), self.sockets_of(&receivers));
        put?;
        Ok(Delivery::new(told, sockets))
    }

    /// The row of someone who types, with a token taken from it where that is limited.
    async fn note_typing(&self, user: &UserId, conversation: &ConversationId) -> Result<Option<Row>, Error> {
        if !self.limited {
            return self.row(user, conversation).await;
        }
        let mut known = None;
        loop {
            let row = Write::update(inbox::key(user, conversation)).if_present("pk");
            match self.update_one(self.limit(row, &limits::TYPING, known)?).await? {
                Ok(item) => return from_item(&item).map(Some),
                Err(None) => return Ok(None),
                Err(Some(item)) => known = full_at(&item, &limits::TYPING),
            }
        }
    }
}

/// The last of the items that were read.
fn items_end(seen: &[Stamp], fresh: &[(Stamp, &Item)]) -> Stamp {
    let first = Stamp::first_of(Timestamp::from_millis(0));
    let fresh = fresh.last().map_or(first, |(id, _)| *id);
    seen.last().copied().unwrap_or(first).max(fresh)
}
