//! Deleting messages, for everyone or for one user, and restoring them.

use async_recursion::async_recursion as boxed;
use domain::content::Content;
use domain::conversation::{Row, SMALL};
use domain::delivery::OutgoingEvent;
use domain::error::Error;
use domain::event::{Event, Unread};
use domain::id::{FileId, MessageId, Stamp, UserId};
use domain::limits;
use domain::message::{Message, MessageKind, ReadState, files_of};
use serde::{Deserialize, Serialize};

use crate::attempts::Attempts;
use crate::change_log::Change;
use crate::changing::{
    ChangeTarget, ChangeTransaction, Changed, MessageToChange, caller_full_at, with_mention,
};
use crate::client::Store;
use crate::item::{Key, from_item};
use crate::messages::StoredMessage;
use crate::reads::Reads;
use crate::transact::{Commit, Transaction};
use crate::write::Write;
use crate::{archives, inbox, participants, partition, queue};

/// Seconds for which a deleted message can be restored: 30 days.
const RECOVERY_PERIOD: i64 = 30 * 24 * 3600;

fn recovery_key(id: &MessageId) -> Key {
    Key { pk: partition::of_conversation(&id.conversation), sk: format!("D#{}", id.stamp) }
}

/// The content of a deleted message, kept for a restore.
#[derive(Serialize, Deserialize)]
struct Recoverable {
    content: Content,
    by: UserId,
    expires: i64,
}

impl Store {
    /// Deletes a message for everyone. Its content can be restored for 30 days. Deleting again changes nothing.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotFound`, `NotTheSender` if the caller is neither the sender nor an admin, `RateLimited`.
    #[boxed]
    pub async fn delete_message(&self, caller: &UserId, id: &MessageId) -> Result<Changed, Error> {
        let mut attempts = Attempts::new(&self.turns, &id.conversation);
        let mut full_at = None;
        loop {
            let subject = self.message_to_change(caller, id).await?;
            let message = &subject.stored.message;
            if message.sender != *caller && !subject.row.admin {
                return Err(Error::NotTheSender);
            }
            if message.is_deleted() {
                // An earlier call may have ended before it moved the files away.
                let removed = self.recoverable_files(id).await?;
                return Ok(Changed { removed, ..subject.unchanged() });
            }
            let removed: Vec<FileId> = message.files().collect();
            let now = self.clock.now();
            let deleted = message.deleted(now);
            let at = self.clock.stamp_above(subject.event_floor());
            let recoverable = Recoverable {
                content: message.content.clone(),
                by: caller.clone(),
                expires: now.seconds() + RECOVERY_PERIOD,
            };
            let mut transaction = Transaction::new();
            transaction.add(ChangeTarget::Other, subject.stored.replaced(&deleted)?);
            transaction.add(ChangeTarget::Other, Write::put(recovery_key(id), &recoverable)?);
            transaction.add_all(ChangeTarget::Other, self.pinning(message, &deleted).await?);
            self.log_change(&mut transaction, &subject, at, &Change::Deleted { message: id.stamp })?;
            let mut events = Vec::new();
            if subject.is_large() {
                let own = Write::update(inbox::key(caller, &id.conversation))
                    .if_present("pk")
                    .set("last_mine", &subject.row.last_mine)
                    .if_still("last_id", subject.row.last_id.as_ref());
                let own = self.limit(own, &subject.limit(), full_at)?;
                transaction.add(ChangeTarget::Row(caller.clone()), own);
            } else {
                let deletion = Deletion { store: self, caller, subject: &subject, deleted: &deleted, at };
                events = deletion.add_rows(&mut transaction, full_at).await?;
            }
            match self.commit_and_publish(transaction, events, attempts.began()).await? {
                Commit::Done(delivery) => {
                    return Ok(Changed { message: deleted, reads: subject.reads, delivery, removed });
                }
                Commit::Refused(refusals) => full_at = caller_full_at(caller, refusals),
            }
            attempts.refused().await?;
        }
    }

    /// Returns the files of a deleted message that can be restored.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn recoverable_files(&self, id: &MessageId) -> Result<Vec<FileId>, Error> {
        let found =
            self.get(recovery_key(id), true).await?.as_ref().map(from_item::<Recoverable>).transpose()?;
        let attachments = found.map(|found| found.content.attachments).unwrap_or_default();
        Ok(files_of(&id.conversation, &attachments).collect())
    }

    /// Returns the files of a deleted message that was read just now, if it can be restored.
    ///
    /// # Errors
    /// `Unavailable` if the message was restored meanwhile, or if the database is unavailable.
    pub(crate) async fn files_of_deleted(&self, message: &Message) -> Result<Vec<FileId>, Error> {
        let kept_since = self.clock.now().millis() - RECOVERY_PERIOD * 1000;
        let is_kept = message.deleted_at.is_some_and(|at| at > kept_since);
        match self
            .get(recovery_key(&message.id), true)
            .await?
            .as_ref()
            .map(from_item::<Recoverable>)
            .transpose()?
        {
            Some(found) => Ok(files_of(&message.id.conversation, &found.content.attachments).collect()),
            None if is_kept => Err(Error::Unavailable("a message was restored while it was read".into())),
            None => Ok(Vec::new()),
        }
    }

    /// Hides a message from the caller alone. Hiding again changes nothing.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotFound`, `RateLimited`, `Conflict` if 1,000 users have hidden it.
    #[boxed]
    pub async fn hide_message(&self, caller: &UserId, id: &MessageId) -> Result<Changed, Error> {
        let mut attempts = Attempts::new(&self.turns, &id.conversation);
        let mut full_at = None;
        loop {
            let (row, stored) =
                tokio::try_join!(self.row(caller, &id.conversation), self.stored_message(id))?;
            let row = row.ok_or(Error::NotAParticipant)?;
            let stored = stored.filter(|stored| row.shows(stored.message.id.stamp));
            let stored = stored.ok_or(Error::NotFound("There is no such message."))?;
            let message = stored.message.clone();
            let reads = ReadState::UNREAD;
            if stored.is_hidden_by(caller) {
                let (delivery, removed) = Default::default();
                return Ok(Changed { message, reads, delivery, removed });
            }
            let mut transaction = Transaction::new();
            transaction.add(ChangeTarget::Other, stored.hidden_by(caller)?);
            let at = self.clock.stamp_above(row.event_floor());
            let mut after = self.row_without(&stored, caller, &row).await?.with_event(at);
            if row.last_id == Some(id.stamp) {
                let previous = self.newest_visible_below(caller, &row, id).await?;
                (after.last_id, after.last_text, after.last_kind) = (None, None, None);
                if let Some(previous) = previous {
                    after.last_id = Some(previous.message.id.stamp);
                    after = after.with_preview(&previous.message);
                    after.last_mine = previous.message.sender == *caller;
                    transaction.add(ChangeTarget::Other, previous.shown_by(caller)?);
                }
            }
            let own = inbox::replace(inbox::key(caller, &id.conversation), &row, &after);
            transaction.add(ChangeTarget::Row(caller.clone()), self.limit(own, &limits::WRITES, full_at)?);
            let hidden = Message { content: message.deleted(self.clock.now()).content, ..message.clone() };
            let unread = Unread::of(&after);
            let event =
                Event::MessageDeleted { message: hidden, reads: reads.clone(), only_me: true, unread };
            let events = vec![OutgoingEvent::new(caller.clone(), at, event)];
            match self.commit_and_publish(transaction, events, attempts.began()).await? {
                Commit::Done(delivery) => {
                    return Ok(Changed { message, reads, delivery, removed: Vec::new() });
                }
                Commit::Refused(refusals) => full_at = caller_full_at(caller, refusals),
            }
            attempts.refused().await?;
        }
    }

    /// Returns the newest message below `id` that a user can see.
    async fn newest_visible_below(
        &self,
        user: &UserId,
        row: &Row,
        id: &MessageId,
    ) -> Result<Option<StoredMessage>, Error> {
        let mut below = id.stamp;
        loop {
            let chunk = self.messages_below(&id.conversation, Some(below), SMALL).await?;
            let Some(last) = chunk.last().map(|stored| stored.message.id.stamp) else { return Ok(None) };
            let found = chunk
                .into_iter()
                .find(|stored| !row.shows(stored.message.id.stamp) || !stored.is_hidden_by(user));
            if let Some(stored) = found {
                return Ok(Some(stored).filter(|stored| row.shows(stored.message.id.stamp)));
            }
            below = last;
        }
    }

    /// Restores the content of a deleted message, for an operator.
    ///
    /// # Errors
    /// `NotFound` if the message is not deleted, or its content is no longer kept.
    #[boxed]
    pub async fn restore_message(&self, id: &MessageId) -> Result<Changed, Error> {
        let mut attempts = Attempts::new(&self.turns, &id.conversation);
        loop {
            let (stored, recoverable, group) = tokio::try_join!(
                self.stored_message(id),
                self.get(recovery_key(id), true),
                self.group_of(id, participants::ALL)
            )?;
            let not_found = || Error::NotFound("No deleted message with this id can be restored.");
            let recoverable: Recoverable = from_item(&recoverable.ok_or_else(not_found)?)?;
            let stored = stored.filter(|stored| stored.message.is_deleted()).ok_or_else(not_found)?;
            if recoverable.expires < self.clock.now().seconds() {
                return Err(not_found());
            }
            let sender = stored.message.sender.clone();
            let row = self.row(&sender, &id.conversation).await?.unwrap_or_default();
            let reads = match &group {
                Some(group) => Reads::of_group(group).state_of(&stored.message),
                None => self.state_of(&sender, &row, &stored.message).await?,
            };
            let restored = stored.message.restored(recoverable.content);
            let subject = MessageToChange { row, stored, group, reads };
            let at = self.clock.stamp_above(subject.event_floor());
            let mut transaction = Transaction::new();
            transaction.add(ChangeTarget::Other, Write::delete(recovery_key(id)).if_present("pk"));
            transaction.add(ChangeTarget::Other, subject.stored.replaced(&restored)?);
            let mark = archives::mark(id, restored.version, self.clock.now())?;
            transaction.add(ChangeTarget::Other, mark);
            self.log_change(&mut transaction, &subject, at, &Change::Restored { message: id.stamp })?;
            let mut events = Vec::new();
            if !subject.is_large() {
                for (user, row) in self.rows_of_audience(&subject, &sender).await? {
                    let mut after = row.clone().with_event(at.plus(1));
                    let is_hidden = subject.stored.is_hidden_by(&user);
                    if row.last_id == Some(id.stamp) {
                        after = after.with_preview(&restored);
                    }
                    let counts = user != sender && row.counts(id.stamp) && !is_hidden;
                    after.unread += u64::from(counts);
                    if counts && restored.mentions(&user) {
                        after = with_mention(after, id.stamp);
                    }
                    let write = inbox::replace(inbox::key(&user, &id.conversation), &row, &after);
                    transaction.add(ChangeTarget::Row(user.clone()), write);
                    if row.shows(id.stamp) && !is_hidden {
                        let (message, reads) = (restored.clone(), subject.reads.clone());
                        let unread = Some(Unread::of(&after));
                        let event = Event::MessageUpdated { message, reads, unread };
                        events.push(OutgoingEvent::new(user, at.plus(1), event));
                    }
                }
            }
            if let Commit::Done(delivery) =
                self.commit_and_publish(transaction, events, attempts.began()).await?
            {
                return Ok(Changed {
                    message: restored,
                    reads: subject.reads,
                    delivery,
                    removed: Vec::new(),
                });
            }
            attempts.refused().await?;
        }
    }
}

/// The deletion of a message in a conversation of up to 24 participants.
struct Deletion<'a> {
    store: &'a Store,
    caller: &'a UserId,
    subject: &'a MessageToChange,
    deleted: &'a Message,
    at: Stamp,
}

impl Deletion<'_> {
    /// Adds the writes of the audience's rows, and removes the text from their queues. Returns the events to publish.
    async fn add_rows(
        &self,
        transaction: &mut ChangeTransaction,
        full_at: Option<i64>,
    ) -> Result<Vec<OutgoingEvent>, Error> {
        let Self { store, caller, subject, deleted, at } = self;
        let (id, mut events) = (subject.id(), Vec::new());
        for (user, row) in store.rows_of_audience(subject, caller).await? {
            let after = store.row_without(&subject.stored, &user, &row).await?.with_event(at.plus(1));
            let write = inbox::replace(inbox::key(&user, &id.conversation), &row, &after);
            let write = if user == **caller { store.limit(write, &limits::WRITES, full_at)? } else { write };
            transaction.add(ChangeTarget::Row(user.clone()), write);
            if subject.group.is_none() && store.is_queued(id.stamp) {
                transaction.add(ChangeTarget::Other, Write::delete(queue::key(&user, id.stamp.plus(2))));
            }
            if row.shows(id.stamp) && !subject.stored.is_hidden_by(&user) {
                let (message, reads) = ((*deleted).clone(), subject.reads.clone());
                let unread = Unread::of(&after);
                let event = Event::MessageDeleted { message, reads, only_me: false, unread };
                events.push(OutgoingEvent::new(user, at.plus(1), event));
            }
        }
        Ok(events)
    }
}

impl Store {
    /// Returns the row after a message's deletion: it no longer counts the message as unread, nor shows its text.
    async fn row_without(&self, stored: &StoredMessage, user: &UserId, row: &Row) -> Result<Row, Error> {
        let Message { id, sender, .. } = &stored.message;
        let mut after = row.clone();
        if row.last_id == Some(id.stamp) {
            (after.last_text, after.last_kind) = (Some(String::new()), Some(MessageKind::Deleted));
        }
        let counted = sender != user
            && row.counts(id.stamp)
            && !stored.is_hidden_by(user)
            && !stored.message.is_deleted();
        after.unread = row.unread.saturating_sub(u64::from(counted));
        if counted && stored.message.mentions(user) {
            self.without_mention(after, user, id).await
        } else {
            Ok(after)
        }
    }
}
