//! Polling: reads a queue from a cursor's position on.
//!
//! Invariant: a reader that follows its cursor gets each event exactly once, although an event with an earlier stamp
//! may commit later. Writers stamp an event in the attempt that writes it, and give up after 5 s (9 s while DynamoDB
//! says that the transaction is in progress). So the cursor's position stays 15 s behind, and the cursor lists the
//! events that it has delivered above the position.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_recursion::async_recursion as boxed;
use aws_sdk_dynamodb::operation::query::QueryInput;
use domain::conversation::Row;
use domain::error::Error;
use domain::event::{Event, EventView};
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::{Message, MessageKind};
use domain::page_size::PageSize;
use domain::time::Timestamp;

use crate::client::Store;
use crate::delivered::{self, SavedTags, Tag};
use crate::item::{Attribute, Item, from_item, suffix, text};
use crate::queue::{self, QueuedEvent, RETENTION, StoredEvent};
use crate::{inbox, messages};

/// The bytes of tags from which a cursor has no room for another page: API Gateway limits a URL and its headers to
/// 10 KB.
const FULL: usize = 3_500;
/// The most delivered events that a reader can have above the settled position. Further events wait until it has moved.
const MAX_TAGS: usize = 8_000;
/// Milliseconds after which a reader that has not reached the end of the queue looks for events that committed late.
const MAX_PASS: i64 = 2_000;
/// The most queries of one poll, if it finds events that must no longer be delivered.
const MAX_READS: usize = 20;

/// The items that a poll has read besides the queue.
#[derive(Default)]
struct Resolved {
    messages: HashMap<MessageId, Message>,
    /// The reader's rows of groups and rooms.
    rows: HashMap<ConversationId, Row>,
}

impl Resolved {
    /// Adds a message, unless a higher version of it is known.
    fn add(&mut self, message: Message) {
        let known = self.messages.get(&message.id);
        if known.is_none_or(|known| known.version < message.version) {
            self.messages.insert(message.id.clone(), message);
        }
    }

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
            if let Some(stamp) = row.last_id {
                let id = MessageId { conversation: conversation.clone(), stamp };
                let message = resolved.visible(&id);
                row.last_text = Some(message.map_or_else(String::new, Message::preview));
                row.last_kind = Some(message.map_or(MessageKind::Deleted, Message::kind));
            }
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
    /// Where the next poll continues, if the last one ended before the end of the queue.
    resume: Option<Stamp>,
    /// The tags of the events that were delivered above `settled`, without the saved ones.
    delivered: BTreeSet<Tag>,
    /// The rest of them.
    saved: Option<SavedTags>,
    /// The number of consecutive polls that returned no events, up to 255.
    pub idle: u8,
    /// The minute since 1970 in which the reader's presence was last written.
    pub present: u32,
}

/// Bits of a position's flags.
const RESUMES: u8 = 1;
const HAS_SAVED: u8 = 2;

impl QueuePosition {
    /// Encodes the position for a cursor: 16 bytes for `settled`, 1 for `idle`, 4 for `present`, 1 for flags, 16 for
    /// `resume`, 18 for `saved`, and the tags.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.settled.to_bytes().to_vec();
        bytes.push(self.idle);
        bytes.extend_from_slice(&self.present.to_be_bytes());
        bytes.push(self.resume.map_or(0, |_| RESUMES) | self.saved.map_or(0, |_| HAS_SAVED));
        bytes.extend(self.resume.iter().flat_map(|resume| resume.to_bytes()));
        if let Some(SavedTags { id, count }) = self.saved {
            bytes.extend_from_slice(&id);
            bytes.extend_from_slice(&count.to_be_bytes());
        }
        bytes.extend(delivered::encode(&self.delivered));
        bytes
    }

    /// Decodes the bytes of [`Self::to_bytes`]; `None` if they are malformed.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (settled, rest) = bytes.split_first_chunk::<16>()?;
        let (idle, rest) = rest.split_first()?;
        let (present, rest) = rest.split_first_chunk::<4>()?;
        let (flags, mut rest) = rest.split_first()?;
        let (mut resume, mut saved) = (None, None);
        if flags & RESUMES != 0 {
            let (stamp, after) = rest.split_first_chunk::<16>()?;
            (resume, rest) = (Some(Stamp::from_bytes(*stamp)?), after);
        }
        if flags & HAS_SAVED != 0 {
            let (id, after) = rest.split_first_chunk::<{ SavedTags::ID }>()?;
            let (count, after) = after.split_first_chunk::<2>()?;
            (saved, rest) = (Some(SavedTags { id: *id, count: u16::from_be_bytes(*count) }), after);
        }
        Some(Self {
            settled: Stamp::from_bytes(*settled)?,
            resume,
            delivered: delivered::decode(rest)?,
            saved,
            idle: *idle,
            present: u32::from_be_bytes(*present),
        })
    }

    /// The position from which to start over, if the poll before last began this pass over the queue long ago: events
    /// that have committed late since then are above `settled`, but may be below `resume`.
    fn restarted_after_long(self, window: Stamp) -> Self {
        let is_recent = self.settled.time().millis() + MAX_PASS >= window.time().millis();
        Self { resume: self.resume.filter(|_| is_recent), ..self }
    }

    /// Whether the cursor may have no room for the tags of another page.
    fn is_full(&self) -> bool {
        delivered::encode(&self.delivered).len() > FULL
    }

    /// The most events that may have been delivered above `settled`.
    fn tag_count(&self) -> usize {
        self.delivered.len() + self.saved.map_or(0, |saved| saved.count.into())
    }
}

/// The events that a poll has found so far.
struct Found {
    /// The events that the reader does not know, in order of their ids; `None` for those not to be delivered.
    events: Vec<(Stamp, Option<EventView>)>,
    /// The last event that was read, known or not.
    read_to: Stamp,
    /// Whether there may be events after it.
    more: bool,
    /// The most events to deliver.
    limit: usize,
}

impl Found {
    fn new(start: Stamp, limit: usize) -> Self {
        Self { events: Vec::new(), read_to: start, more: true, limit }
    }

    /// Takes the items of a query whose events are not known: one more than the limit.
    fn take_fresh(
        &mut self,
        (items, more): (Vec<Item>, bool),
        known: &HashSet<Tag>,
    ) -> Result<Vec<(Stamp, Item)>, Error> {
        let mut fresh = Vec::new();
        self.more = more;
        for item in items {
            if fresh.len() > self.limit {
                self.more = true;
                break;
            }
            self.read_to = suffix(&item, "sk", "E#")?.parse().map_err(Error::internal)?;
            if !known.contains(&Tag::of(self.read_to)) {
                fresh.push((self.read_to, item));
            }
        }
        Ok(fresh)
    }

    /// Whether nothing more needs to be read: it is known whether there are events after the page.
    fn is_enough(&self) -> bool {
        !self.more || self.events.iter().filter(|(_, view)| view.is_some()).count() > self.limit
    }

    /// Ends the page at its limit or its size. `saved` are the saved tags, and `room` is the number of further tags that
    /// the reader can have.
    fn finish(
        mut self,
        from: QueuePosition,
        saved: Option<(SavedTags, BTreeSet<Tag>)>,
        window: Stamp,
        room: usize,
    ) -> Poll {
        let (mut size, mut count) = (PageSize::default(), 0);
        let cut = self.events.iter().position(|(_, view)| {
            let fits = view.as_ref().is_none_or(|view| count < self.limit && size.takes(view));
            count += usize::from(fits && view.is_some());
            !fits
        });
        let end = cut.map_or(self.read_to, |at| self.events[at].0.previous());
        let is_end = cut.is_none() && !self.more;
        self.events.truncate(cut.unwrap_or(usize::MAX));

        let settled = match from.resume {
            Some(_) => from.settled,
            None if is_end => window.max(from.settled),
            None => window.min(end).max(from.settled),
        };
        let shown = self.events.iter().filter(|(_, view)| view.is_some());
        // Few of the others need a tag, which saves looking them up again.
        let others = self.events.iter().filter(|(_, view)| view.is_none()).take(self.limit);
        let mut delivered = from.delivered;
        delivered.extend(shown.chain(others).map(|(id, _)| Tag::of(*id)));
        delivered.retain(|tag| tag.is_above(settled));
        let saved = saved.filter(|(_, tags)| tags.iter().any(|tag| tag.is_above(settled)));
        let position = QueuePosition {
            settled,
            resume: Some(end).filter(|end| !is_end && *end > settled),
            delivered,
            saved: saved.map(|(reference, _)| reference),
            idle: if count == 0 { from.idle.saturating_add(1) } else { 0 },
            present: from.present,
        };
        let events = self.events.into_iter().filter_map(|(_, view)| view).collect();
        Poll { events, position, has_more: cut.is_some() && (1..room).contains(&count) }
    }
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
        QueuePosition {
            settled: Stamp::first_of(self.settled_time()),
            resume: None,
            delivered: BTreeSet::new(),
            saved: None,
            idle: 0,
            present: 0,
        }
    }

    fn settled_time(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now().millis() - self.window)
    }

    /// Returns up to `limit` events after a position, of at most [`PageSize::MAX`] bytes.
    ///
    /// # Errors
    /// `CursorExpired` if the position is older than 7 days, for which events are kept.
    #[boxed]
    pub async fn poll(&self, user: &UserId, from: QueuePosition, limit: usize) -> Result<Poll, Error> {
        let now = self.clock.now();
        if from.settled.time().seconds() + RETENTION < now.seconds() {
            return Err(Error::CursorExpired);
        }
        // Computed before the read: an event that commits after the read must still be above the position.
        let window = Stamp::first_of(self.settled_time());
        let from = from.restarted_after_long(window);
        let start = from.resume.unwrap_or(from.settled);
        // One event more than needed says whether there are more.
        let count = limit + 1 + if from.resume.is_some() { 0 } else { from.tag_count() };
        let (saved, read) =
            tokio::try_join!(self.saved_tags(user, from.saved), self.events_after(user, start, count))?;
        let known: HashSet<Tag> = from.delivered.union(&saved).copied().collect();
        let room = MAX_TAGS.saturating_sub(known.iter().filter(|tag| tag.is_above(window)).count());

        let mut found = Found::new(start, limit.min(room));
        let fresh = found.take_fresh(read, &known)?;
        let is_overfull = from.is_full() && !fresh.is_empty();
        let (views, saved) = tokio::try_join!(self.event_views(user, fresh, now), async {
            if !is_overfull {
                return Ok(from.saved.map(|reference| (reference, saved)));
            }
            let tags: BTreeSet<Tag> =
                known.iter().copied().filter(|tag| tag.is_above(from.settled)).collect();
            Ok(Some((self.save_tags(user, &tags).await?, tags)))
        })?;
        found.events.extend(views);
        // Goes on where events of the page must no longer be delivered.
        for _ in 1..MAX_READS {
            if found.is_enough() {
                break;
            }
            let read = self.events_after(user, found.read_to, limit + 1 + known.len()).await?;
            let fresh = found.take_fresh(read, &known)?;
            found.events.extend(self.event_views(user, fresh, now).await?);
        }
        let from = if is_overfull { QueuePosition { delivered: BTreeSet::new(), ..from } } else { from };
        Ok(found.finish(from, saved, window, room))
    }

    /// Reads up to `count` items of a queue after a position, and whether there may be more.
    async fn events_after(
        &self,
        user: &UserId,
        after: Stamp,
        count: usize,
    ) -> Result<(Vec<Item>, bool), Error> {
        let query = QueryInput::builder()
            .key_condition_expression("pk = :pk AND sk > :sk")
            .expression_attribute_values(":pk", queue::partition(user).attribute())
            .expression_attribute_values(":sk", queue::sort_key(after).attribute());
        self.query_up_to(query, count).await
    }

    /// Converts queue items to events as their reader sees them; `None` if they must not be delivered (any more).
    async fn event_views(
        &self,
        user: &UserId,
        items: Vec<(Stamp, Item)>,
        now: Timestamp,
    ) -> Result<Vec<(Stamp, Option<EventView>)>, Error> {
        let mut queued = Vec::with_capacity(items.len());
        let mut resolved = Resolved::default();
        let mut missing = HashSet::new();
        for (id, item) in items {
            let stored: StoredEvent = from_item(&item)?;
            let event: QueuedEvent = serde_json::from_str(&stored.event).map_err(Error::internal)?;
            if let QueuedEvent::Whole(
                Event::MessageCreated { message, .. } | Event::MessageUpdated { message, .. },
            ) = &event
            {
                resolved.add(message.clone());
            }
            let event = (stored.expires >= now.seconds()).then_some(event);
            // An event that refers to an updated message needs its newest version.
            if let Some(QueuedEvent::Updated { updated, .. }) = &event {
                missing.insert(updated.clone());
            }
            queued.push((id, event));
        }
        let referenced = queued.iter().filter_map(|(_, event)| event.as_ref()?.referenced_message());
        missing.extend(referenced.filter(|id| !resolved.messages.contains_key(id)));
        self.load_messages(user, &missing, &mut resolved).await?;
        let views = queued.into_iter().map(|(id, event)| {
            let event = event.and_then(|event| resolve(event, &resolved));
            (
                id,
                event
                    .filter(|event| !event.is_expired(now))
                    .map(|event| event.shown_to(user, id, &self.links)),
            )
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
        let keys =
            ids.iter().map(messages::key).chain(shared.iter().map(|id| inbox::key(user, id))).collect();
        for item in self.items_by_keys(keys, true).await? {
            if text(&item, "sk")?.starts_with(messages::MESSAGE) {
                resolved.add(messages::read(&item)?);
            } else {
                resolved.rows.insert(inbox::conversation_of(&item)?, from_item(&item)?);
            }
        }
        self.mark_own_reactions(user, resolved.messages.values_mut()).await
    }
}
