//! Loads a message for an edit, a deletion or a restore, and builds the writes that these have in common.
//!
//! Invariant: a change commits only if the message still has the version that was read, so no change overwrites
//! another. Every row that shows the message gets its new text, and unread counts exclude it once it is deleted.

use domain::conversation::Row;
use domain::delivery::Delivery;
use domain::error::Error;
use domain::id::{FileId, MessageId, Stamp, UserId};
use domain::limits::{self, RateLimit};
use domain::message::{Message, ReadState};

use crate::change_log::{self, Change};
use crate::client::Store;
use crate::item::{from_item, full_at};
use crate::messages::StoredMessage;
use crate::participants::{self, Group};
use crate::reads::Reads;
use crate::transact::{Refusals, Transaction, refused_item};
use crate::{inbox, profiles, queue};

/// A changed message, its read state, and the events to push.
pub struct Changed {
    /// The message after the change.
    pub message: Message,
    /// The read state.
    pub reads: ReadState,
    /// The events to push.
    pub delivery: Delivery,
    /// The files of the message before its deletion, which are to be moved away; none for other changes.
    pub removed: Vec<FileId>,
}

/// A message to change, and what was read with it.
pub(crate) struct MessageToChange {
    /// The caller's row; the sender's when an operator restores the message.
    pub(crate) row: Row,
    pub(crate) stored: StoredMessage,
    pub(crate) group: Option<Group>,
    pub(crate) reads: ReadState,
}

/// Identifies a write of a change in a refusal.
#[derive(Clone, Default, PartialEq)]
pub(crate) enum ChangeTarget {
    /// A participant's row.
    Row(UserId),
    #[default]
    Other,
}

/// The writes of a change.
pub(crate) type ChangeTransaction = Transaction<ChangeTarget>;

impl MessageToChange {
    pub(crate) fn id(&self) -> &MessageId {
        &self.stored.message.id
    }

    pub(crate) fn is_large(&self) -> bool {
        self.group.as_ref().is_some_and(Group::is_large)
    }

    /// The limit of a change of the message.
    pub(crate) fn limit(&self) -> RateLimit {
        limits::writes(self.group.as_ref().map_or(2, |group| group.meta.participant_count))
    }

    /// The participants who can see the message, and so receive the event of the change.
    pub(crate) fn audience(&self, caller: &UserId) -> Vec<UserId> {
        if let Some(group) = &self.group {
            let audience = group.participants.iter().filter(|(_, part)| part.sees(self.id().stamp));
            return audience.map(|(user, _)| user.clone()).collect();
        }
        let other = self.stored.message.other_than(caller);
        [Some(caller), other].into_iter().flatten().cloned().collect()
    }

    /// Whether the message is the newest of its conversation.
    pub(crate) fn is_newest(&self) -> bool {
        let newest = self.group.as_ref().map_or(self.row.head, |group| group.meta.newest_message);
        newest == Some(self.id().stamp)
    }

    /// The stamp that the id of the next event must exceed.
    pub(crate) fn event_floor(&self) -> Option<Stamp> {
        self.row.event_floor().max(self.group.as_ref().map(|group| group.meta.latest_event))
    }

    /// The outcome when there is nothing to change.
    pub(crate) fn unchanged(self) -> Changed {
        let (delivery, removed) = Default::default();
        Changed { message: self.stored.message, reads: self.reads, delivery, removed }
    }

    /// The outcome of a change that keeps the message and its files.
    pub(crate) fn changed_to(self, message: Message, delivery: Delivery) -> Changed {
        Changed { message, reads: self.reads, delivery, removed: Vec::new() }
    }
}

impl Store {
    /// Loads a message that the caller wants to change.
    pub(crate) async fn message_to_change(
        &self,
        caller: &UserId,
        id: &MessageId,
    ) -> Result<MessageToChange, Error> {
        let mut subject = self.listed_message_to_change(caller, id, participants::ALL).await?;
        self.mark_own_reactions(caller, std::iter::once(&mut subject.stored.message)).await?;
        Ok(subject)
    }

    /// Like [`Store::message_to_change`], with up to `limit` participants, and without the caller's reactions that the
    /// message does not list.
    pub(crate) async fn listed_message_to_change(
        &self,
        caller: &UserId,
        id: &MessageId,
        limit: usize,
    ) -> Result<MessageToChange, Error> {
        let group = self.group_of(id, limit);
        let (row, stored, group) =
            tokio::try_join!(self.row(caller, &id.conversation), self.stored_message(id), group)?;
        let row = row.ok_or(Error::NotAParticipant)?;
        let stored = stored.filter(|stored| row.shows(id.stamp) && !stored.is_hidden_by(caller));
        let stored = stored.ok_or(Error::NotFound("There is no such message."))?;
        let reads = match &group {
            Some(group) => Reads::of_group(group).state_of(&stored.message),
            None => self.state_of(caller, &row, &stored.message).await?,
        };
        Ok(MessageToChange { row, stored, group, reads })
    }

    /// Reads a message's group or room with up to `limit` participants; `None` in a direct conversation.
    pub(crate) async fn group_of(&self, id: &MessageId, limit: usize) -> Result<Option<Group>, Error> {
        if id.conversation.is_direct() {
            return Ok(None);
        }
        self.group(&id.conversation, limit, true).await
    }

    /// Reads, consistently, the rows of the participants who can see a message.
    pub(crate) async fn rows_of_audience(
        &self,
        subject: &MessageToChange,
        caller: &UserId,
    ) -> Result<Vec<(UserId, Row)>, Error> {
        let audience = subject.audience(caller);
        let keys = audience.iter().map(|user| inbox::key(user, &subject.id().conversation));
        let rows = self.get_all(keys.collect()).await?;
        rows.into_iter().map(|item| Ok((profiles::owner(&item)?, from_item(&item)?))).collect()
    }

    /// Adds the writes of a group's own items: `META` and, in a large conversation, the log entry.
    pub(crate) fn log_change(
        &self,
        transaction: &mut ChangeTransaction,
        subject: &MessageToChange,
        at: Stamp,
        change: &Change,
    ) -> Result<(), Error> {
        let Some(group) = &subject.group else { return Ok(()) };
        let conversation = &subject.id().conversation;
        transaction.add(ChangeTarget::Other, group.change(conversation, at.plus(1)));
        if group.is_large() {
            let entry = change_log::entry(conversation, group.meta.seq + 1, change, self.clock.now())?;
            transaction.add(ChangeTarget::Other, entry);
        }
        Ok(())
    }

    /// Whether an event with this id may still be in a queue.
    pub(crate) fn is_queued(&self, stamp: Stamp) -> bool {
        queue::is_kept(stamp, self.clock.now())
    }
}

impl Store {
    /// The row after an unread message no longer mentions its owner.
    pub(crate) async fn without_mention(
        &self,
        row: Row,
        user: &UserId,
        id: &MessageId,
    ) -> Result<Row, Error> {
        let mentions = row.mentions.saturating_sub(1);
        let first_mention = match (row.first_mention, row.head) {
            _ if mentions == 0 => None,
            (Some(first), Some(head)) if first == id.stamp => {
                self.next_mention(user, &id.conversation, &row, (first, head)).await?
            }
            (first, _) => first,
        };
        Ok(Row { mentions, first_mention, ..row })
    }
}

/// The row after an unread message has begun to mention its owner.
pub(crate) fn with_mention(row: Row, message: Stamp) -> Row {
    let first_mention = row.first_mention.map_or(message, |first| first.min(message));
    Row { mentions: row.mentions + 1, first_mention: Some(first_mention), ..row }
}

/// When the caller's bucket of writes is full again, if their row was refused and has one.
pub(crate) fn caller_full_at(caller: &UserId, refusals: Refusals<ChangeTarget>) -> Option<i64> {
    let own = refused_item(refusals, &ChangeTarget::Row(caller.clone()))?;
    full_at(&own, &limits::WRITES)
}
