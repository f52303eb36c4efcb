//! Large conversations: changes are committed with an entry of the conversation's log, and brought to each participant
//! afterwards.
//!
//! Invariant: entries are numbered without a gap, and each participant's row says which it has taken in. The row and the
//! events of some entries are one transaction, conditioned on the row as it was read. So two workers at once are
//! harmless, a worker that dies is followed by one that goes on, and nothing is told twice.

use std::collections::HashMap;

use async_recursion::async_recursion as boxed;
use domain::conversation::{MAX_COUNTED_READERS, Row};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::{Event, Unread};
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::ReadState;
use domain::time::Timestamp;
use futures_util::stream::{self, StreamExt};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::change_log::{self, Change, Checkpoint, Entry};
use crate::client::Store;
use crate::item::{Write, from_item, text};
use crate::messages::{self, StoredMessage};
use crate::participants::{self, Group};
use crate::reads::Reads;
use crate::transact::Commit;
use crate::{inbox, profiles};

/// Participants who are told side by side.
const AT_ONCE: usize = 16;
/// Participants whose rows are read at once: the keys of one `BatchGetItem`.
const ROWS: usize = 100;
/// Events of one participant that are told in one transaction (of at most 100 items).
const EVENTS: usize = 90;

/// Some changes of a large conversation, and what is needed to fan them out.
pub struct ChangeBatch {
    conversation: ConversationId,
    changes: Vec<(u64, Change)>,
    /// When the first of them was made.
    since: Option<Timestamp>,
    /// What was told to all at once, while the conversation was small, is below.
    latest_event: Stamp,
    participants: Vec<UserId>,
    reads: Reads,
    uncounted: bool,
}

/// The messages that a batch is about, as they stood after the rows that are to take them in: a row that is as it was
/// read has not been told of anything newer about them.
type Messages = HashMap<Stamp, (StoredMessage, ReadState)>;

/// A participant's row after some changes, and what they are told.
struct RowUpdate {
    row: Row,
    events: Vec<Event>,
    /// Some of what counts as unread was taken away or brought back.
    recounts: bool,
    closed: bool,
}

impl Store {
    /// Reads the next changes of a large conversation that have not been fanned out; `None` once all have been. Their
    /// receivers are in the batch.
    ///
    /// # Errors
    /// `Unavailable` where the database is, or an entry of the log cannot be read yet: call it again.
    #[boxed]
    pub async fn next_batch(&self, conversation: &ConversationId) -> Result<Option<ChangeBatch>, Error> {
        let (group, checkpoint) = tokio::try_join!(
            self.group_even_deleted(conversation, participants::ALL, true),
            self.get(change_log::checkpoint_key(conversation), true)
        )?;
        let Some(group) = group else { return Ok(None) };
        let Some(first) = group.meta.large_since else { return Ok(None) };
        let done = checkpoint.map(from_item::<Checkpoint>).transpose()?;
        let done = done.map_or(first - 1, |checkpoint| checkpoint.seq);
        if group.meta.seq <= done {
            return Ok(None);
        }
        let batch = self.batch(conversation, &group, done).await?;
        if batch.changes.is_empty() {
            return Err(Error::Unavailable("a change is not to be read yet".into()));
        }
        Ok(Some(batch))
    }

    /// Notes that all participants have a batch.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn complete_batch(&self, batch: &ChangeBatch) -> Result<(), Error> {
        let Some((last, _)) = batch.changes.last() else { return Ok(()) };
        let checkpoint = Write::update(change_log::checkpoint_key(&batch.conversation)).set("seq", last);
        let checkpoint = checkpoint.if_below("seq", last);
        self.commit(vec![checkpoint].into(), Instant::now()).await.map(|_| ())
    }

    /// The changes after a number that fit into a transaction, without a gap.
    async fn batch(
        &self,
        conversation: &ConversationId,
        group: &Group,
        done: u64,
    ) -> Result<ChangeBatch, Error> {
        let low = change_log::log_key(conversation, done + 1);
        let query = self.between(&low.pk, &low.sk, &format!("{}~", change_log::LOG)).consistent_read(true);
        let (items, _) = self.query_up_to(query, EVENTS).await?;
        let (mut changes, mut events, mut since) = (Vec::new(), 0, None);
        // Of what came since the participants were read, those who joined in the meantime would learn nothing.
        for (item, seq) in items.into_iter().zip(done + 1..=group.meta.seq) {
            let follows = text(&item, "sk")? == change_log::log_key(conversation, seq).sk;
            let entry: Entry = from_item(item)?;
            events += entry.change.events();
            if !follows || (events > EVENTS && !changes.is_empty()) {
                break;
            }
            since.get_or_insert_with(|| entry.made());
            changes.push((seq, entry.change));
        }
        Ok(ChangeBatch {
            conversation: conversation.clone(),
            changes,
            since,
            latest_event: group.meta.latest_event,
            participants: group.participants.iter().map(|(user, _)| user.clone()).collect(),
            reads: Reads::of_group(group),
            uncounted: group.meta.participant_count > MAX_COUNTED_READERS,
        })
    }

    /// The messages of a batch as they stand.
    async fn messages_of(&self, batch: &ChangeBatch) -> Result<Messages, Error> {
        let stamps = batch.changes.iter().filter_map(|(_, change)| change.message());
        let id = |stamp| MessageId { conversation: batch.conversation.clone(), stamp };
        let found = self.get_all(stamps.map(|stamp| messages::key(&id(stamp))).collect()).await?;
        let stored = found.into_iter().map(|item| {
            let stored = messages::read_stored(item)?;
            let reads = batch.reads.state_of(&stored.message);
            Ok((stored.message.id.stamp, (stored, reads)))
        });
        stored.collect()
    }

    /// Fans a batch out to up to 100 of its participants.
    ///
    /// # Errors
    /// `Unavailable` where the database is; the others of them have the batch all the same.
    #[boxed]
    pub async fn fan_out_to(&self, batch: &ChangeBatch, users: &[UserId]) -> Result<FannedOut, Error> {
        let keys = users.iter().map(|user| inbox::key(user, &batch.conversation)).collect();
        let rows = self.get_all(keys).await?;
        let rows = rows.into_iter().map(|item| Ok((profiles::owner(&item)?, from_item::<Row>(item)?)));
        let rows = rows.collect::<Result<Vec<_>, Error>>()?;
        let mut fanned_out = FannedOut::default();
        if rows.iter().all(|(_, row)| batch.is_known_to(row)) {
            return Ok(fanned_out);
        }
        let messages = &self.messages_of(batch).await?;
        let calls = rows.into_iter().map(|(user, row)| self.fan_out_to_one(batch, messages, user, row));
        let mut calls = stream::iter(calls.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        // A participant whose transaction fails must not keep the others waiting.
        while let Some(outcome) = calls.next().await {
            match outcome {
                Ok(delivery) => fanned_out.delivery.extend(delivery),
                Err(error) => fanned_out.failure = Some(error),
            }
        }
        Ok(fanned_out)
    }

    /// Fans a batch out to one participant, unless they have it.
    async fn fan_out_to_one(
        &self,
        batch: &ChangeBatch,
        messages: &Messages,
        user: UserId,
        mut row: Row,
    ) -> Result<Delivery, Error> {
        let mut later = None;
        loop {
            let began = Instant::now();
            let mut taken = batch.taken_in(later.as_ref().unwrap_or(messages), &user, &row);
            if taken.row == (Row { seq: taken.row.seq, ..row.clone() }) && taken.events.is_empty() {
                // All of it is known, or nothing of it is for them.
                return Ok(Delivery::default());
            }
            if taken.recounts
                && let Some(head) = taken.row.head
            {
                let low = taken.row.read.max(taken.row.cleared);
                let low = low.unwrap_or_else(|| Stamp::first_of(Timestamp::from_millis(0)));
                let between = (low, head);
                taken.row.unread = if low >= head {
                    0
                } else {
                    self.unread_between(&user, &batch.conversation, &taken.row, between).await?.1
                };
            }
            let (writes, events) = self.taking(batch, &user, &row, taken);
            if let Commit::Done(delivery) = self.commit_and_publish(writes.into(), events, began).await? {
                return Ok(delivery);
            }
            match self.row(&user, &batch.conversation).await? {
                Some(now) => {
                    row = now;
                    later = Some(self.messages_of(batch).await?);
                }
                // Whoever has left is told nothing.
                None => return Ok(Delivery::default()),
            }
        }
    }

    fn taking(
        &self,
        batch: &ChangeBatch,
        user: &UserId,
        before: &Row,
        taken: RowUpdate,
    ) -> (Vec<Write>, Vec<OutgoingEvent>) {
        let RowUpdate { row: mut after, events, closed, .. } = taken;
        let conversation = &batch.conversation;
        let first = self.clock.stamp_above(before.event_floor().max(Some(batch.latest_event)));
        let (unread, last) = (Unread::of(&after), events.len() as u64);
        after.latest_event = Some(first.plus(last));
        let outgoing = events.into_iter().zip(0..).map(|(event, step)| {
            let event = match event {
                Event::MessageDeleted { message, reads, only_me, .. } => {
                    Event::MessageDeleted { message, reads, only_me, unread }
                }
                Event::MessageUpdated { message, reads, unread: Some(_) } => {
                    Event::MessageUpdated { message, reads, unread: Some(unread) }
                }
                event => event,
            };
            OutgoingEvent::new(user.clone(), first.plus(step), event)
        });
        let outgoing = outgoing.collect();
        let key = inbox::key(user, conversation);
        let row = if closed {
            inbox::unless_changed(Write::delete(key), before)
        } else {
            inbox::replace(key, before, &after)
        };
        let row = row.if_still_number("seq", before.seq);
        let mut writes = vec![row];
        let appears = i64::from(after.activity.is_some() && !closed) - i64::from(before.activity.is_some());
        if appears != 0 {
            writes.push(inbox::count_rows(user, appears));
        }
        if closed {
            writes.push(Write::delete(participants::key(conversation, user)));
        }
        (writes, outgoing)
    }
}

/// The outcome of a fan-out to some participants.
#[derive(Default)]
pub struct FannedOut {
    /// The events to push.
    pub delivery: Delivery,
    /// The failure of a participant's transaction, if there was one: the batch must be fanned out again.
    pub failure: Option<Error>,
}

impl ChangeBatch {
    /// The participants, in groups that [`Store::fan_out_to`] takes.
    pub fn receivers(&self) -> impl Iterator<Item = &[UserId]> {
        self.participants.chunks(ROWS)
    }

    /// When the first of its changes was made.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Whether a row has taken in all of it.
    fn is_known_to(&self, row: &Row) -> bool {
        self.changes.last().is_none_or(|(seq, _)| *seq <= row.seq)
    }

    /// A participant's row once it has taken in what it has not yet.
    fn taken_in(&self, messages: &Messages, user: &UserId, row: &Row) -> RowUpdate {
        let mut taken = RowUpdate { row: row.clone(), events: Vec::new(), recounts: false, closed: false };
        let mut people = None;
        for (seq, change) in self.changes.iter().filter(|(seq, _)| *seq > row.seq) {
            taken.row.seq = *seq;
            let found = change.message().filter(|stamp| row.shows(*stamp));
            if let Some(found) = found.and_then(|stamp| messages.get(&stamp)) {
                self.take_message(&mut taken, user, change, found);
                continue;
            }
            match change {
                Change::Joined { users, by, people: count } => {
                    let others = users.iter().filter(|other| *other != user);
                    taken.events.extend(others.map(|other| Event::ParticipantJoined {
                        conversation: self.conversation.clone(),
                        user: other.clone(),
                        by: by.clone(),
                    }));
                    people = Some((*seq, *count));
                }
                Change::Left { user: other, by, people: count, successor } => {
                    taken.events.push(self.left(other, by));
                    if successor.as_ref() == Some(user) {
                        taken.events.push(self.role(true, *seq));
                    }
                    people = Some((*seq, *count));
                }
                Change::Role { user: other, is_admin } if other == user => {
                    taken.events.push(self.role(*is_admin, *seq));
                }
                Change::Updated { changes } => {
                    let changes: Map<String, Value> = serde_json::from_str(changes).unwrap_or_default();
                    inbox::apply(&mut taken.row, &changes);
                    taken.events.push(self.updated(changes, *seq));
                }
                Change::Closed => {
                    let conversation = self.conversation.clone();
                    taken.events.push(Event::ConversationDeleted { conversation });
                    taken.closed = true;
                }
                _ => {}
            }
        }
        if let Some((seq, count)) = people.filter(|_| !taken.closed) {
            let changes = Map::from_iter([("participant_count".to_owned(), json!(count))]);
            taken.row.participant_count = count;
            taken.events.push(self.updated(changes, seq));
        }
        taken
    }

    fn take_message(
        &self,
        taken: &mut RowUpdate,
        user: &UserId,
        change: &Change,
        (stored, reads): &(StoredMessage, ReadState),
    ) {
        let message = &stored.message;
        let (is_mine, is_hidden) = (message.sender == *user, stored.is_hidden_by(user));
        if let Change::Sent { .. } = change {
            if is_hidden {
                taken.row.head = Some(message.id.stamp);
                return;
            }
            let appears = taken.row.activity.is_none();
            taken.row = std::mem::take(&mut taken.row).with(message, is_mine);
            if appears {
                let row = Box::new(taken.row.clone());
                taken
                    .events
                    .push(Event::ConversationCreated { conversation: self.conversation.clone(), row });
            }
            taken.events.push(Event::MessageCreated { message: message.clone(), uncounted: self.uncounted });
            return;
        }
        if taken.row.last_id == Some(message.id.stamp) {
            taken.row.last_text = Some(message.preview());
        }
        if !matches!(change, Change::Edited { .. }) && !is_mine && taken.row.counts(message.id.stamp) {
            taken.recounts = true;
        }
        if is_hidden {
            return;
        }
        let (message, reads) = (message.clone(), reads.clone());
        // What is unread is filled in once it is known.
        let unread = Unread { count: 0, head: None, read: None };
        taken.events.push(match change {
            Change::Deleted { .. } => Event::MessageDeleted { message, reads, only_me: false, unread },
            Change::Restored { .. } => Event::MessageUpdated { message, reads, unread: Some(unread) },
            _ => Event::MessageUpdated { message, reads, unread: None },
        });
    }

    fn left(&self, user: &UserId, by: &UserId) -> Event {
        Event::ParticipantLeft { conversation: self.conversation.clone(), user: user.clone(), by: by.clone() }
    }

    fn role(&self, is_admin: bool, version: u64) -> Event {
        self.updated(Map::from_iter([("is_admin".to_owned(), json!(is_admin))]), version)
    }

    fn updated(&self, changes: Map<String, Value>, version: u64) -> Event {
        Event::ConversationUpdated { conversation: self.conversation.clone(), changes, version }
    }
}
