//! Large conversations: changes are committed with an entry of the conversation's log, and brought to each participant
//! afterwards.
//!
//! Invariant: entries are numbered without a gap, and each participant's row says which it has taken in. The row and the
//! events of some entries are one transaction, conditioned on the row as it was read. So two workers at once are
//! harmless, a worker that dies is followed by one that goes on, and nothing is told twice.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::item::{Key, Write, from_item, text};
use super::messages::{self, Held, partition};
use super::participants::{self, Group};
use super::reads::Reads;
use super::transact::Commit;
use super::{Store, Told, inbox};
use crate::conversation::{COUNTED_READERS, Row};
use crate::error::Error;
use crate::event::{Event, Unread};
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::message::ReadState;
use crate::meter;
use crate::metrics::Metric;
use crate::push::{Delivery, Push};
use crate::time::Timestamp;

/// Seconds that an entry is kept.
const LOG_LIFE: i64 = 30 * 24 * 3600;
/// Participants who are told side by side.
const AT_ONCE: usize = 16;
/// Participants whose rows are read at once: the keys of one `BatchGetItem`.
const ROWS: usize = 100;
/// Events of one participant that are told in one transaction (of at most 100 items).
const EVENTS: usize = 90;

/// What the sort keys of the log begin with; the table's stream wakes for nothing else.
pub const LOG: &str = "L#";

/// The conversation whose log holds an item of this key; `None` for every other kind of item.
#[must_use]
pub fn logged_conversation(pk: &str, sk: &str) -> Option<ConversationId> {
    sk.strip_prefix(LOG)?;
    pk.strip_prefix("C#")?.parse().ok()
}

fn log_key(conversation: &ConversationId, seq: u64) -> Key {
    Key { pk: partition(conversation), sk: format!("{LOG}{seq:020}") }
}

fn checkpoint_key(conversation: &ConversationId) -> Key {
    Key { pk: partition(conversation), sk: "FANOUT".into() }
}

/// A change of a large conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    Sent {
        message: Stamp,
    },
    Edited {
        message: Stamp,
    },
    Deleted {
        message: Stamp,
    },
    Restored {
        message: Stamp,
    },
    Joined {
        users: Vec<UserId>,
        by: UserId,
        people: u64,
    },
    Left {
        user: UserId,
        by: UserId,
        people: u64,
        /// Who became an admin thereby.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        successor: Option<UserId>,
    },
    /// What has changed, by the names of the API.
    Updated {
        changes: String,
    },
    /// Someone became an admin, or is no longer one.
    Role {
        user: UserId,
        is_admin: bool,
    },
    /// Nothing that all have to learn of.
    Quiet,
    /// The room was deleted.
    Closed,
}

impl Change {
    fn message(&self) -> Option<Stamp> {
        match self {
            Self::Sent { message }
            | Self::Edited { message }
            | Self::Deleted { message }
            | Self::Restored { message } => Some(*message),
            _ => None,
        }
    }

    /// How many events it may take to tell someone of it.
    fn events(&self) -> usize {
        match self {
            Self::Joined { users, .. } => users.len() + 1,
            Self::Quiet => 0,
            Self::Left { .. } | Self::Closed { .. } => 2,
            _ => 1,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Entry {
    change: Change,
    expires: i64,
}

impl Entry {
    /// When the change was made: to the millisecond by the message's stamp, else to the second.
    fn made(&self) -> Timestamp {
        match self.change {
            Change::Sent { message } => message.time(),
            _ => Timestamp::from_millis((self.expires - LOG_LIFE) * 1000),
        }
    }
}

#[derive(Deserialize)]
struct Checkpoint {
    seq: u64,
}

/// Puts a change into the log of a large conversation, under its number.
pub(super) fn log(
    conversation: &ConversationId,
    seq: u64,
    change: &Change,
    now: Timestamp,
) -> Result<Write, Error> {
    let entry = Entry { change: change.clone(), expires: now.seconds() + LOG_LIFE };
    Ok(Write::put(log_key(conversation, seq), &entry)?.if_missing("pk"))
}

/// Changes with their numbers, and what is needed to tell of them.
struct Batch {
    conversation: ConversationId,
    changes: Vec<(u64, Change)>,
    /// When the first of them was made.
    since: Option<Timestamp>,
    /// What was told to all at once, while the conversation was small, is below.
    head: Stamp,
    reads: Reads,
    crowd: bool,
}

/// The messages that a batch is about, as they stood after the rows that are to take them in: a row that is as it was
/// read has not been told of anything newer about them.
type Messages = HashMap<Stamp, (Held, ReadState)>;

/// A participant's row after some changes, and what they are told.
struct Taken {
    row: Row,
    events: Vec<Event>,
    /// Some of what counts as unread was taken away or brought back.
    recounts: bool,
    closed: bool,
}

impl Store {
    /// Brings the changes of a large conversation to all of its participants, from where it stopped. Once it is done it may
    /// be called again, or twice at once: that changes nothing.
    ///
    /// # Errors
    /// `Unavailable` where the database is, or changes are not to be read yet: call it again.
    pub async fn fan_out(&self, push: &Push, conversation: &ConversationId) -> Result<(), Error> {
        meter::note(conversation);
        let mut is_first = true;
        loop {
            let (group, checkpoint) = tokio::try_join!(
                self.group_even_deleted(conversation, participants::ALL, true),
                self.get(checkpoint_key(conversation), true)
            )?;
            let Some(group) = group else { return Ok(()) };
            let Some(first) = group.meta.large else { return Ok(()) };
            let done = checkpoint.as_ref().map(from_item::<Checkpoint>).transpose()?;
            let done = done.map_or(first - 1, |checkpoint| checkpoint.seq);
            if group.meta.seq <= done {
                return Ok(());
            }
            let batch = self.batch(conversation, &group, done).await?;
            let Some((last, _)) = batch.changes.last() else {
                return Err(Error::Unavailable("a change is not to be read yet".into()));
            };
            for people in group.people.chunks(ROWS) {
                self.tell_some(push, &batch, people.iter().map(|(user, _)| user).collect()).await?;
            }
            let checkpoint = Write::update(checkpoint_key(conversation)).set("seq", last);
            self.commit(vec![checkpoint.if_below("seq", last)], Instant::now()).await?;
            // What comes in the batches after it is younger.
            if is_first && let Some(since) = batch.since {
                meter::measure_between(Metric::FanOutLag, since, self.clock.now());
            }
            is_first = false;
        }
    }

    /// The changes after a number that fit into a transaction, without a gap.
    async fn batch(&self, conversation: &ConversationId, group: &Group, done: u64) -> Result<Batch, Error> {
        let low = log_key(conversation, done + 1);
        let query = self.between(&low.pk, &low.sk, &format!("{LOG}~")).consistent_read(true);
        let (items, _) = self.query_up_to(query, EVENTS).await?;
        let (mut changes, mut events, mut since) = (Vec::new(), 0, None);
        // Of what came since the participants were read, those who joined in the meantime would learn nothing.
        for (item, seq) in items.iter().zip(done + 1..=group.meta.seq) {
            let entry: Entry = from_item(item)?;
            events += entry.change.events();
            let follows = text(item, "sk")? == log_key(conversation, seq).sk;
            if !follows || (events > EVENTS && !changes.is_empty()) {
                break;
            }
            since.get_or_insert_with(|| entry.made());
            changes.push((seq, entry.change));
        }
        Ok(Batch {
            conversation: conversation.clone(),
            changes,
            since,
            head: group.meta.head,
            reads: Reads::of_group(group),
            crowd: group.meta.people > COUNTED_READERS,
        })
    }

    /// The messages of a batch as they stand.
    async fn messages_of(&self, batch: &Batch) -> Result<Messages, Error> {
        let stamps = batch.changes.iter().filter_map(|(_, change)| change.message());
        let id = |stamp| MessageId { conversation: batch.conversation.clone(), stamp };
        let found = self.get_all(stamps.map(|stamp| messages::key(&id(stamp))).collect()).await?;
        let held = found.iter().map(|item| {
            let held = messages::read_held(item)?;
            let reads = batch.reads.state_of(&held.message);
            Ok((held.message.id.stamp, (held, reads)))
        });
        held.collect()
    }

    async fn tell_some(&self, push: &Push, batch: &Batch, users: Vec<&UserId>) -> Result<(), Error> {
        let keys = users.iter().map(|user| inbox::key(user, &batch.conversation)).collect();
        let rows = self.get_all(keys).await?;
        let rows = rows.iter().map(|item| Ok((super::profiles::owner(item)?, from_item::<Row>(item)?)));
        let rows = rows.collect::<Result<Vec<_>, Error>>()?;
        if rows.iter().all(|(_, row)| batch.is_known_to(row)) {
            return Ok(());
        }
        let messages = &self.messages_of(batch).await?;
        let told = rows.into_iter().map(|(user, row)| self.tell(batch, messages, user, row));
        let mut told = stream::iter(told.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        let mut deliveries = Delivery::default();
        let mut failed = None;
        // One who cannot be told now must not keep the others waiting.
        while let Some(outcome) = told.next().await {
            match outcome {
                Ok(delivery) => deliveries.extend(delivery),
                Err(error) => failed = Some(error),
            }
        }
        push.deliver(self, deliveries).await;
        failed.map_or(Ok(()), Err)
    }

    /// Brings a batch to one participant, unless they have it.
    async fn tell(
        &self,
        batch: &Batch,
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
                taken.row.n = if low >= head {
                    0
                } else {
                    self.unread_between(&user, &batch.conversation, &taken.row, between).await?.1
                };
            }
            let (writes, told) = self.taking(batch, &user, &row, taken);
            if let (Commit::Done, delivery) = self.commit_and_tell(writes, told, began).await? {
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

    fn taking(&self, batch: &Batch, user: &UserId, before: &Row, taken: Taken) -> (Vec<Write>, Vec<Told>) {
        let Taken { row: mut after, events, closed, .. } = taken;
        let conversation = &batch.conversation;
        let first = self.clock.stamp_above(before.told_up_to().max(Some(batch.head)));
        let (unread, last) = (Unread::of(&after), events.len() as u64);
        after.told = Some(first.plus(last));
        let told = events.into_iter().zip(0..).map(|(event, step)| {
            let event = match event {
                Event::MessageDeleted { message, reads, only_me, .. } => {
                    Event::MessageDeleted { message, reads, only_me, unread }
                }
                Event::MessageUpdated { message, reads, unread: Some(_) } => {
                    Event::MessageUpdated { message, reads, unread: Some(unread) }
                }
                event => event,
            };
            (user.clone(), first.plus(step), event)
        });
        let told = told.collect();
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
        (writes, told)
    }
}

impl Batch {
    /// Whether a row has taken in all of it.
    fn is_known_to(&self, row: &Row) -> bool {
        self.changes.last().is_none_or(|(seq, _)| *seq <= row.seq)
    }

    /// A participant's row once it has taken in what it has not yet.
    fn taken_in(&self, messages: &Messages, user: &UserId, row: &Row) -> Taken {
        let mut taken = Taken { row: row.clone(), events: Vec::new(), recounts: false, closed: false };
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
            taken.row.people = count;
            taken.events.push(self.updated(changes, seq));
        }
        taken
    }

    fn take_message(
        &self,
        taken: &mut Taken,
        user: &UserId,
        change: &Change,
        (held, reads): &(Held, ReadState),
    ) {
        let message = &held.message;
        let (is_mine, is_hidden) = (message.sender == *user, held.is_hidden_by(user));
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
            taken.events.push(Event::MessageCreated { message: message.clone(), crowd: self.crowd });
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
        let unread = Unread { n: 0, head: None, read: None };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_item_names_its_conversation_and_nothing_else_does() {
        let id = ConversationId::new(crate::id::Kind::Group);
        let pk = format!("C#{id}");
        assert_eq!(logged_conversation(&pk, "L#000000000001"), Some(id.clone()));
        for (pk, sk) in [
            (pk.as_str(), "M#000000000001"),
            (&pk, "META"),
            (&pk, ""),
            (id.as_str(), "L#1"),
            ("U#alice", "L#1"),
            ("C#", "L#1"),
        ] {
            assert_eq!(logged_conversation(pk, sk), None, "{pk} {sk}");
        }
    }
}
