//! Fan-out of large conversations: a change commits with an entry of the conversation's log, and is applied to each
//! participant's row and queue afterwards.
//!
//! Invariant: entries are numbered without a gap, and a row's `seq` is the last entry that was applied to it. A row and
//! the events of the entries applied to it commit in one transaction, conditioned on the row as it was read. So two
//! workers may run at once, another worker can continue where one died, and no event is published twice.

use std::collections::HashMap;

use async_recursion::async_recursion as boxed;
use domain::conversation::{MAX_COUNTED_READERS, Row};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::{Event, Unread};
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::ReadState;
use domain::time::Timestamp;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::change_log::{self, Change, Checkpoint, Entry};
use crate::client::Store;
use crate::database::query_between;
use crate::item::{from_item, text};
use crate::messages::{self, Counted, StoredMessage};
use crate::participants::{self, Group};
use crate::reacting::OwnReactions;
use crate::reads::Reads;
use crate::transact::Commit;
use crate::write::Write;
use crate::{inbox, profiles};

/// Participants whose transactions run concurrently.
const CONCURRENCY: usize = 16;
/// Participants whose rows are read in one call: the maximum of a `BatchGetItem`.
const ROWS_PER_READ: usize = 100;
/// Events of one participant in a batch, which commit in one transaction (of at most 100 items).
const EVENTS_PER_BATCH: usize = 90;

/// Consecutive changes of a large conversation, and what their fan-out needs.
pub struct ChangeBatch {
    conversation: ConversationId,
    changes: Vec<(u64, Change)>,
    /// When the first change was made.
    since: Option<Timestamp>,
    /// The new events get greater ids than this: it is above all events that were published while the conversation was
    /// small.
    latest_event: Stamp,
    /// The newest change when the batch was read.
    newest: u64,
    participants: Vec<UserId>,
    reads: Reads,
    uncounted: bool,
}

/// The messages of a batch, with their read states.
///
/// Invariant: they are read after the rows that they are applied to. So a row that has not changed since it was read
/// has not received a newer version of any of them.
type Messages = HashMap<Stamp, BatchMessage>;

/// A message of a batch.
struct BatchMessage {
    stored: StoredMessage,
    reads: ReadState,
    /// The reactions of receivers whom the message does not list.
    reactions: HashMap<UserId, OwnReactions>,
}

/// A participant's row after some changes, and the events to publish to them.
struct RowUpdate {
    row: Row,
    events: Vec<Event>,
    /// Unread messages were deleted or restored, so the row's unread count must be counted anew.
    needs_recount: bool,
    /// The room was deleted.
    closed: bool,
}

impl Store {
    /// Reads the next changes of a large conversation that have not been fanned out, with their receivers; `None` if
    /// there are none.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable, or an entry of the log cannot be read yet: call it again.
    #[boxed]
    pub async fn next_batch(&self, conversation: &ConversationId) -> Result<Option<ChangeBatch>, Error> {
        let (group, checkpoint) = tokio::try_join!(
            self.group_even_deleted(conversation, participants::ALL, true),
            self.get(change_log::checkpoint_key(conversation), true)
        )?;
        let Some(group) = group else { return Ok(None) };
        let Some(first) = group.meta.large_since else { return Ok(None) };
        let done = checkpoint.as_ref().map(from_item::<Checkpoint>).transpose()?;
        let done = done.map_or(first - 1, |checkpoint| checkpoint.seq);
        if group.meta.seq <= done {
            return Ok(None);
        }
        let batch = self.batch(conversation, &group, done).await?;
        if batch.changes.is_empty() {
            return Err(Error::Unavailable("an entry of the change log cannot be read yet".into()));
        }
        Ok(Some(batch))
    }

    /// Moves the checkpoint past a batch that has been fanned out to all participants.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn complete_batch(&self, batch: &ChangeBatch) -> Result<(), Error> {
        let Some((last, _)) = batch.changes.last() else { return Ok(()) };
        let checkpoint = Write::update(change_log::checkpoint_key(&batch.conversation)).set("seq", last);
        let checkpoint = checkpoint.if_below("seq", last);
        self.commit(vec![checkpoint].into(), Instant::now()).await.map(|_| ())
    }

    /// Reads the changes after number `done`, without a gap, as many as fit into one transaction.
    async fn batch(
        &self,
        conversation: &ConversationId,
        group: &Group,
        done: u64,
    ) -> Result<ChangeBatch, Error> {
        let low = change_log::log_key(conversation, done + 1);
        let query = query_between(&low.pk, &low.sk, &format!("{}~", change_log::LOG)).consistent_read(true);
        let (items, _) = self.query_up_to(query, EVENTS_PER_BATCH).await?;
        let (mut changes, mut events, mut since) = (Vec::new(), 0, None);
        // Stop at the `seq` that was read with the participants: those who have joined since are not in this batch.
        for (item, seq) in items.into_iter().zip(done + 1..=group.meta.seq) {
            let follows = text(&item, "sk")? == change_log::log_key(conversation, seq).sk;
            let entry: Entry = from_item(&item)?;
            events += entry.change.event_count();
            if !follows || (events > EVENTS_PER_BATCH && !changes.is_empty()) {
                break;
            }
            since.get_or_insert_with(|| entry.made_at());
            changes.push((seq, entry.change));
        }
        Ok(ChangeBatch {
            conversation: conversation.clone(),
            changes,
            since,
            latest_event: group.meta.latest_event,
            newest: group.meta.seq,
            participants: group.participants.iter().map(|(user, _)| user.clone()).collect(),
            reads: Reads::of_group(group),
            uncounted: group.meta.participant_count > MAX_COUNTED_READERS,
        })
    }

    /// Reads the messages of a batch for some of its receivers, consistently.
    async fn messages_of(&self, batch: &ChangeBatch, users: &[UserId]) -> Result<Messages, Error> {
        let stamps = batch.changes.iter().filter_map(|(_, change)| change.message());
        let id = |stamp| MessageId { conversation: batch.conversation.clone(), stamp };
        let found = self.get_all(stamps.map(|stamp| messages::key(&id(stamp))).collect()).await?;
        let read = found.iter().map(async |item| {
            let stored = messages::read_stored(item)?;
            let reads = batch.reads.state_of(&stored.message);
            let reactions = self.reactions_of(users, &stored.message).await?;
            Ok((stored.message.id.stamp, BatchMessage { stored, reads, reactions }))
        });
        Ok(try_join_all(read).await?.into_iter().collect())
    }

    /// Fans a batch out to up to 100 of its participants.
    ///
    /// # Errors
    /// `Unavailable` if the rows or the messages cannot be read. If a participant's transaction fails, the others get
    /// the batch all the same, and [`FannedOut::failure`] is set.
    #[boxed]
    pub async fn fan_out_to(&self, batch: &ChangeBatch, users: &[UserId]) -> Result<FannedOut, Error> {
        let keys = users.iter().map(|user| inbox::key(user, &batch.conversation)).collect();
        let rows = self.get_all(keys).await?;
        let rows = rows.into_iter().map(|item| Ok((profiles::owner(&item)?, from_item::<Row>(&item)?)));
        let rows = rows.collect::<Result<Vec<_>, Error>>()?;
        let mut fanned_out = FannedOut::default();
        if rows.iter().all(|(_, row)| batch.is_applied_to(row)) {
            return Ok(fanned_out);
        }
        let messages = &self.messages_of(batch, users).await?;
        let calls = rows.into_iter().map(|(user, row)| self.fan_out_to_one(batch, messages, user, row));
        let mut calls = stream::iter(calls.collect::<Vec<_>>()).buffer_unordered(CONCURRENCY);
        // One participant's failed transaction must not hold up the others.
        while let Some(outcome) = calls.next().await {
            match outcome {
                Ok(delivery) => fanned_out.delivery.extend(delivery),
                Err(error) => fanned_out.failure = Some(error),
            }
        }
        Ok(fanned_out)
    }

    /// Fans a batch out to one participant, unless they have all of it.
    async fn fan_out_to_one(
        &self,
        batch: &ChangeBatch,
        messages: &Messages,
        user: UserId,
        mut row: Row,
    ) -> Result<Delivery, Error> {
        let mut reread = None;
        loop {
            let began = Instant::now();
            let mut update = batch.apply(reread.as_ref().unwrap_or(messages), &user, &row);
            if update.row == (Row { seq: update.row.seq, once_large: true, ..row.clone() })
                && update.events.is_empty()
            {
                // The row has all of the batch, or none of it concerns this participant.
                return Ok(Delivery::default());
            }
            if update.needs_recount
                && let Some(head) = update.row.head
            {
                let low = update.row.counted_from();
                let low = low.unwrap_or_else(|| Stamp::first_of(Timestamp::from_millis(0)));
                let between = (low, head);
                let counted = if low >= head {
                    Counted::default()
                } else {
                    self.unread_between(&user, &batch.conversation, &update.row, between).await?
                };
                update.row = counted.applied_to(update.row);
            }
            let (writes, events) = self.update_writes(batch, &user, &row, update);
            if let Commit::Done(delivery) = self.commit_and_publish(writes.into(), events, began).await? {
                return Ok(delivery);
            }
            match self.row(&user, &batch.conversation).await? {
                Some(current) => {
                    row = current;
                    reread = Some(self.messages_of(batch, std::slice::from_ref(&user)).await?);
                }
                // The participant has left: there is nothing to publish.
                None => return Ok(Delivery::default()),
            }
        }
    }

    /// Returns the writes and the events that apply an update to a participant's row.
    fn update_writes(
        &self,
        batch: &ChangeBatch,
        user: &UserId,
        before: &Row,
        update: RowUpdate,
    ) -> (Vec<Write>, Vec<OutgoingEvent>) {
        let RowUpdate { row: mut after, events, closed, .. } = update;
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
        let moved_to = after.list().filter(|_| !closed);
        writes.extend(inbox::recount(user, before.list(), moved_to));
        if closed {
            writes.push(Write::delete(participants::key(conversation, user)));
        }
        (writes, outgoing)
    }
}

/// The outcome of fanning a batch out to some participants.
#[derive(Default)]
pub struct FannedOut {
    /// The events to push.
    pub delivery: Delivery,
    /// The failure of a participant's transaction, if one failed: the batch must be fanned out again.
    pub failure: Option<Error>,
}

impl ChangeBatch {
    /// The participants, in chunks of the size that [`Store::fan_out_to`] accepts.
    pub fn receivers(&self) -> impl Iterator<Item = &[UserId]> {
        self.participants.chunks(ROWS_PER_READ)
    }

    /// When the first change of the batch was made.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// The number of the conversation's newest change when the batch was read. The batch may end before it.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether the batch contains the change with this number, or a later one.
    #[must_use]
    pub fn reaches(&self, number: u64) -> bool {
        self.changes.last().is_some_and(|(last, _)| *last >= number)
    }

    /// Whether all changes of the batch have been applied to a row.
    fn is_applied_to(&self, row: &Row) -> bool {
        self.changes.last().is_none_or(|(seq, _)| *seq <= row.seq)
    }

    /// Applies to a participant's row the changes that it does not have yet.
    fn apply(&self, messages: &Messages, user: &UserId, row: &Row) -> RowUpdate {
        let mut update =
            RowUpdate { row: row.clone(), events: Vec::new(), needs_recount: false, closed: false };
        let mut people = None;
        for (seq, change) in self.changes.iter().filter(|(seq, _)| *seq > row.seq) {
            (update.row.seq, update.row.once_large) = (*seq, true);
            let found = change.message().filter(|stamp| row.shows(*stamp));
            if let Some(found) = found.and_then(|stamp| messages.get(&stamp)) {
                self.apply_message(&mut update, user, change, found);
                continue;
            }
            match change {
                Change::Joined { users, by, people: count } => {
                    let others = users.iter().filter(|other| *other != user);
                    update.events.extend(others.map(|other| Event::ParticipantJoined {
                        conversation: self.conversation.clone(),
                        user: other.clone(),
                        by: by.clone(),
                    }));
                    people = Some((*seq, *count));
                }
                Change::Left { user: other, by, people: count, successor } => {
                    update.events.push(self.left(other, by));
                    if successor.as_ref() == Some(user) {
                        update.events.push(self.role(true, *seq));
                    }
                    people = Some((*seq, *count));
                }
                Change::Role { user: other, is_admin } if other == user => {
                    update.events.push(self.role(*is_admin, *seq));
                }
                Change::Updated { changes } => {
                    let changes: Map<String, Value> = serde_json::from_str(changes).unwrap_or_default();
                    inbox::apply(&mut update.row, &changes);
                    update.events.push(self.updated(changes, *seq));
                }
                Change::Closed => {
                    let conversation = self.conversation.clone();
                    update.events.push(Event::ConversationDeleted { conversation });
                    update.closed = true;
                }
                _ => {}
            }
        }
        if let Some((seq, count)) = people.filter(|_| !update.closed) {
            let changes = Map::from_iter([("participant_count".to_owned(), json!(count))]);
            update.row.participant_count = count;
            update.events.push(self.updated(changes, seq));
        }
        update
    }

    fn apply_message(
        &self,
        update: &mut RowUpdate,
        user: &UserId,
        change: &Change,
        BatchMessage { stored, reads, reactions }: &BatchMessage,
    ) {
        let message = &stored.message;
        let (is_mine, is_hidden) = (message.sender == *user, stored.is_hidden_by(user));
        if let Change::Sent { .. } = change {
            if is_hidden {
                update.row.head = Some(message.id.stamp);
                return;
            }
            let appears = update.row.is_away(message.id.stamp.time());
            update.row = std::mem::take(&mut update.row).with_message(message, user);
            if appears {
                let row = Box::new(update.row.clone());
                update
                    .events
                    .push(Event::ConversationCreated { conversation: self.conversation.clone(), row });
            }
            update.events.push(Event::MessageCreated { message: message.clone(), uncounted: self.uncounted });
            return;
        }
        if update.row.last_id == Some(message.id.stamp) {
            update.row = std::mem::take(&mut update.row).with_preview(message);
        }
        let recounts = match change {
            Change::Edited { mentions_of, .. } => mentions_of.concerns(user),
            _ => true,
        };
        let counts_anew = recounts && !is_mine && update.row.counts(message.id.stamp);
        update.needs_recount |= counts_anew;
        if is_hidden {
            return;
        }
        let (mut message, reads) = (message.clone(), reads.clone());
        if let Some(own) = reactions.get(user) {
            own.mark(&mut message);
        }
        // The event carries the message as it is now, so it replaces those of earlier changes, such as many reactions.
        update.events.retain(|event| {
            !matches!(event,
            Event::MessageUpdated { message: earlier, unread: None, .. } if earlier.id == message.id)
        });
        // A placeholder: `update_writes` fills in the unread count.
        let unread = Unread::of(&Row::default());
        update.events.push(match change {
            Change::Deleted { .. } => Event::MessageDeleted { message, reads, only_me: false, unread },
            Change::Restored { .. } => Event::MessageUpdated { message, reads, unread: Some(unread) },
            _ => Event::MessageUpdated { message, reads, unread: Some(unread).filter(|_| counts_anew) },
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
