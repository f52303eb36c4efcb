//! Changing messages: editing them, deleting them for everyone or for oneself, and bringing them back.
//!
//! Invariant: a change commits under the version of the message that it read. A row that shows the message shows what it
//! says now, an unread count no longer has it once it is deleted, and the queue of a direct conversation, which holds
//! texts, holds no old one.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::fan_out::{self, Change};
use super::item::{Item, Key, Write, from_item, full_at};
use super::messages::{Held, partition};
use super::participants::{self, Group};
use super::reads::Reads;
use super::transact::{Commit, Verdict};
use super::{Store, Told, events, inbox};
use crate::conversation::{Row, SMALL};
use crate::error::Error;
use crate::event::{Event, Unread};
use crate::id::{MessageId, Stamp, UserId};
use crate::limits;
use crate::message::{Content, Message, ReadState};
use crate::push::Delivery;

/// Seconds that what was deleted can be brought back: 30 days.
const RECOVERABLE: i64 = 30 * 24 * 3600;

fn recovery_key(id: &MessageId) -> Key {
    Key { pk: partition(&id.conversation), sk: format!("D#{}", id.stamp) }
}

/// What a deleted message said.
#[derive(Serialize, Deserialize)]
struct Recoverable {
    content: Content,
    by: UserId,
    expires: i64,
}

/// A changed message, who has read it, and what is to be pushed.
pub struct Changed {
    /// As it is now.
    pub message: Message,
    /// Who has read it.
    pub reads: ReadState,
    /// What is to be pushed.
    pub delivery: Delivery,
}

/// A message that is to be changed, and all that a change has to know.
struct Subject {
    row: Row,
    held: Held,
    group: Option<Group>,
    reads: ReadState,
}

impl Subject {
    fn id(&self) -> &MessageId {
        &self.held.message.id
    }

    fn is_large(&self) -> bool {
        self.group.as_ref().is_some_and(Group::is_large)
    }

    /// Those who can see the message and are told of what becomes of it.
    fn audience(&self, caller: &UserId) -> Vec<UserId> {
        if let Some(group) = &self.group {
            let people = group.people.iter().filter(|(_, part)| part.sees(self.id().stamp));
            return people.map(|(user, _)| user.clone()).collect();
        }
        let other = self.held.message.other_than(caller);
        [Some(caller), other].into_iter().flatten().cloned().collect()
    }

    /// The newest message of the conversation.
    fn is_newest(&self) -> bool {
        let newest = self.group.as_ref().map_or(self.row.head, |group| group.meta.last);
        newest == Some(self.id().stamp)
    }

    /// Above what the next event must be.
    fn told_up_to(&self) -> Option<Stamp> {
        self.row.told_up_to().max(self.group.as_ref().map(|group| group.meta.head))
    }
}

/// What a write of a change is about.
#[derive(Clone, PartialEq)]
enum Part {
    /// The row of one of those who are told.
    Row(UserId),
    Other,
}

type Parts = Vec<(Part, Write)>;

impl Store {
    /// What is known of a message that someone wants to change.
    async fn subject(&self, caller: &UserId, id: &MessageId) -> Result<Subject, Error> {
        let group = async {
            if id.conversation.is_direct() {
                return Ok(None);
            }
            self.group(&id.conversation, participants::ALL, true).await
        };
        let (row, held, group) = tokio::try_join!(self.row(caller, &id.conversation), self.held(id), group)?;
        let row = row.ok_or(Error::NotAParticipant)?;
        let held = held.filter(|held| row.shows(id.stamp) && !held.is_hidden_by(caller));
        let held = held.ok_or(Error::NotFound("There is no such message."))?;
        let reads = match &group {
            Some(group) => Reads::of_group(group).state_of(&held.message),
            None => self.state_of(caller, &row, &held.message).await?,
        };
        Ok(Subject { row, held, group, reads })
    }

    /// Gives a message another text. The same text again changes nothing.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotFound`, `NotTheSender`, `Blocked` in a direct conversation where a block stands, `Conflict`
    /// where it is deleted, `Invalid` where the text is empty or too long, `RateLimited`.
    pub async fn edit_message(&self, caller: &UserId, id: &MessageId, text: &str) -> Result<Changed, Error> {
        let began = Instant::now();
        let (mut full, mut apart, mut unaware) = (None, HashSet::new(), HashSet::new());
        let mut floor = None;
        loop {
            let subject = self.subject(caller, id).await?;
            let message = &subject.held.message;
            if message.sender != *caller {
                return Err(Error::NotTheSender);
            }
            if subject.row.is_blocked() {
                return Err(Error::Blocked);
            }
            if message.is_deleted() {
                return Err(Error::Conflict("The message was deleted."));
            }
            let edited = message.edited(text.to_owned(), self.clock.now())?;
            if edited.content == message.content {
                let (message, reads) = (message.clone(), subject.reads);
                return Ok(Changed { message, reads, delivery: Delivery::default() });
            }
            let at = self.clock.stamp_above(subject.told_up_to().max(floor));
            let (mut parts, mut told) = self.retold(&subject, caller, &edited, at)?;
            told.retain(|(user, ..)| !unaware.contains(user));
            // Of others' rows no more is known than that most show the newest message.
            let mut showing: Vec<UserId> = Vec::new();
            if !subject.is_large() {
                showing.extend(subject.held.notes.shown_by.iter().cloned());
                if subject.is_newest() {
                    showing.extend(subject.audience(caller));
                }
            }
            let is_known = |user: &UserId| apart.contains(user) || unaware.contains(user);
            let showing: HashSet<UserId> = showing.into_iter().filter(|user| !is_known(user)).collect();
            let preview = edited.preview();
            // The queue of a direct conversation holds the text: only for one who still sees the message, and below
            // the event by which they delete the conversation.
            let peer = message.other_than(caller).filter(|peer| !unaware.contains(*peer));
            let others = showing.iter().filter(|user| *user != caller);
            for user in others.chain(peer.filter(|peer| !showing.contains(*peer))) {
                let row = Write::update(inbox::key(user, &id.conversation));
                let row = if showing.contains(user) {
                    row.set("last_text", &preview).if_still("last_id", Some(&id.stamp))
                } else {
                    row.if_below("cleared", &id.stamp)
                };
                let told = at.plus(1);
                let row = if peer.is_some() { row.set("told", &told).if_below("told", &told) } else { row };
                parts.push((Part::Row(user.clone()), row));
            }
            let mine = Write::update(inbox::key(caller, &id.conversation)).if_present("pk");
            let mine = mine.if_missing("blocked_by_me").if_missing("blocked_by_peer");
            let mine = mine.if_still("last_id", subject.row.last_id.as_ref());
            let shows = subject.row.last_id == Some(id.stamp);
            let mine = if shows {
                mine.set("last_text", &preview)
            } else {
                mine.set("last_mine", &subject.row.last_mine)
            };
            let mine = if subject.group.is_none() {
                mine.set("told", &at.plus(1)).if_still("told", subject.row.told.as_ref())
            } else {
                mine
            };
            parts.push((Part::Row(caller.clone()), self.limit(mine, &limits::WRITES, full)?));
            let (parts, writes): (Vec<Part>, Vec<Write>) = parts.into_iter().unzip();
            match self.commit_and_tell(writes, told, began).await? {
                (Commit::Done, delivery) => {
                    return Ok(Changed { message: edited, reads: subject.reads, delivery });
                }
                (Commit::Refused(verdicts), _) => {
                    for (part, item) in refused(parts, verdicts) {
                        match part {
                            Part::Row(user) if user == *caller => {
                                full = item.and_then(|item| full_at(&item, &limits::WRITES));
                            }
                            // Theirs shows another message, or none, or they have deleted the conversation since.
                            Part::Row(user) => {
                                let row: Row = item.as_ref().map(from_item).transpose()?.unwrap_or_default();
                                floor = floor.max(row.told);
                                if !row.shows(id.stamp) {
                                    unaware.insert(user);
                                } else if row.last_id != Some(id.stamp) {
                                    apart.insert(user);
                                }
                            }
                            Part::Other => apart.clear(),
                        }
                    }
                }
            }
        }
    }

    /// The writes of a message that says something else, and the events of it: by what its queues hold.
    fn retold(
        &self,
        subject: &Subject,
        caller: &UserId,
        message: &Message,
        at: Stamp,
    ) -> Result<(Parts, Vec<Told>), Error> {
        let mut parts = vec![(Part::Other, subject.held.replaced(message, Some(at.plus(1)))?)];
        let change = Change::Edited { message: message.id.stamp };
        if let Some(group) = &subject.group {
            parts.extend(self.logged(group, message, at, &change)?);
        }
        let mut told = Vec::new();
        if subject.is_large() {
            return Ok((parts, told));
        }
        for user in subject.audience(caller) {
            parts.extend(self.forgetting(subject, &user));
            if message.recipient.is_some() && self.is_queued(message.id.stamp) {
                let created = Event::MessageCreated { message: message.clone(), crowd: false };
                let created = (user.clone(), message.id.stamp.plus(2), created);
                parts.push((Part::Other, events::enqueue(&created)?));
            }
            if !subject.held.is_hidden_by(&user) {
                let (message, reads) = (message.clone(), subject.reads.clone());
                told.push((user, at.plus(1), Event::MessageUpdated { message, reads, unread: None }));
            }
        }
        Ok((parts, told))
    }

    /// What a group's own items take of a change.
    fn logged(&self, group: &Group, message: &Message, at: Stamp, change: &Change) -> Result<Parts, Error> {
        let conversation = &message.id.conversation;
        let mut parts = vec![(Part::Other, group.change(conversation, at.plus(1)))];
        if group.is_large() {
            let entry = fan_out::log(conversation, group.meta.seq + 1, change, self.clock.now())?;
            parts.push((Part::Other, entry));
        }
        Ok(parts)
    }

    fn is_queued(&self, stamp: Stamp) -> bool {
        events::is_kept(stamp, self.clock.now())
    }

    /// Takes the event of an earlier edit out of a queue that holds its text.
    fn forgetting(&self, subject: &Subject, user: &UserId) -> Option<(Part, Write)> {
        let old = subject.held.notes.updated_by.filter(|old| self.is_queued(*old));
        let old = old.filter(|_| subject.group.is_none());
        old.map(|old| (Part::Other, Write::delete(events::key(user, old))))
    }

    /// Deletes a message for everyone. What it said is kept apart for 30 days. Doing it again changes nothing.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotFound`, `NotTheSender` where the caller is neither its sender nor an admin, `RateLimited`.
    pub async fn delete_message(&self, caller: &UserId, id: &MessageId) -> Result<Changed, Error> {
        let began = Instant::now();
        let mut full = None;
        loop {
            let subject = self.subject(caller, id).await?;
            let message = &subject.held.message;
            if message.sender != *caller && !subject.row.admin {
                return Err(Error::NotTheSender);
            }
            if message.is_deleted() {
                let (message, reads) = (message.clone(), subject.reads);
                return Ok(Changed { message, reads, delivery: Delivery::default() });
            }
            let now = self.clock.now();
            let deleted = message.deleted(now);
            let at = self.clock.stamp_above(subject.told_up_to());
            let kept = Recoverable {
                content: message.content.clone(),
                by: caller.clone(),
                expires: now.seconds() + RECOVERABLE,
            };
            let mut parts = vec![
                (Part::Other, subject.held.replaced(&deleted, None)?),
                (Part::Other, Write::put(recovery_key(id), &kept)?),
            ];
            if let Some(group) = &subject.group {
                parts.extend(self.logged(group, &deleted, at, &Change::Deleted { message: id.stamp })?);
            }
            let mut told = Vec::new();
            if subject.is_large() {
                let mine = Write::update(inbox::key(caller, &id.conversation)).if_present("pk");
                let mine = mine.set("last_mine", &subject.row.last_mine);
                let mine = mine.if_still("last_id", subject.row.last_id.as_ref());
                parts.push((Part::Row(caller.clone()), self.limit(mine, &limits::WRITES, full)?));
            } else {
                for (user, row) in self.rows_of(&subject, caller).await? {
                    let after = without(&subject.held, &user, &row).told(at.plus(1));
                    let write = inbox::replace(inbox::key(&user, &id.conversation), &row, &after);
                    let is_mine = user == *caller;
                    let write = if is_mine { self.limit(write, &limits::WRITES, full)? } else { write };
                    parts.push((Part::Row(user.clone()), write));
                    parts.extend(self.forgetting(&subject, &user));
                    if subject.group.is_none() && self.is_queued(id.stamp) {
                        parts.push((Part::Other, Write::delete(events::key(&user, id.stamp.plus(2)))));
                    }
                    let (message, reads) = (deleted.clone(), subject.reads.clone());
                    let unread = Unread::of(&after);
                    let sees = row.shows(id.stamp) && !subject.held.is_hidden_by(&user);
                    if sees {
                        let event = Event::MessageDeleted { message, reads, only_me: false, unread };
                        told.push((user, at.plus(1), event));
                    }
                }
            }
            let (parts, writes): (Vec<Part>, Vec<Write>) = parts.into_iter().unzip();
            match self.commit_and_tell(writes, told, began).await? {
                (Commit::Done, delivery) => {
                    return Ok(Changed { message: deleted, reads: subject.reads, delivery });
                }
                (Commit::Refused(verdicts), _) => full = own_bucket(caller, refused(parts, verdicts)),
            }
        }
    }

    /// The rows of those who can see a message, as they stand.
    async fn rows_of(&self, subject: &Subject, caller: &UserId) -> Result<Vec<(UserId, Row)>, Error> {
        let audience = subject.audience(caller);
        let keys = audience.iter().map(|user| inbox::key(user, &subject.id().conversation));
        let rows = self.get_all(keys.collect()).await?;
        rows.iter().map(|item| Ok((super::profiles::owner(item)?, from_item(item)?))).collect()
    }

    /// Hides a message from the caller alone. Doing it again changes nothing.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotFound`, `RateLimited`.
    pub async fn hide_message(&self, caller: &UserId, id: &MessageId) -> Result<Changed, Error> {
        let began = Instant::now();
        let mut full = None;
        loop {
            let (row, held) = tokio::try_join!(self.row(caller, &id.conversation), self.held(id))?;
            let row = row.ok_or(Error::NotAParticipant)?;
            let held = held.filter(|held| row.shows(held.message.id.stamp));
            let held = held.ok_or(Error::NotFound("There is no such message."))?;
            let message = held.message.clone();
            if held.is_hidden_by(caller) {
                return Ok(Changed { message, reads: ReadState::UNREAD, delivery: Delivery::default() });
            }
            let mut parts = vec![(Part::Other, held.listing("hidden_by", &held.notes.hidden_by, caller))];
            let at = self.clock.stamp_above(row.told_up_to());
            let mut after = without(&held, caller, &row).told(at);
            if row.last_id == Some(id.stamp) {
                let previous = self.shown_below(caller, &row, id).await?;
                (after.last_id, after.last_text) = (None, None);
                if let Some(previous) = previous {
                    after.last_id = Some(previous.message.id.stamp);
                    after.last_text = Some(previous.message.preview());
                    after.last_mine = previous.message.sender == *caller;
                    parts.push((Part::Other, previous.shown_by(caller)));
                }
            }
            let mine = inbox::replace(inbox::key(caller, &id.conversation), &row, &after);
            parts.push((Part::Row(caller.clone()), self.limit(mine, &limits::WRITES, full)?));
            let gone = Message { content: message.deleted(self.clock.now()).content, ..message.clone() };
            let (reads, unread) = (ReadState::UNREAD, Unread::of(&after));
            let event = Event::MessageDeleted { message: gone, reads, only_me: true, unread };
            let told = vec![(caller.clone(), at, event)];
            let (parts, writes): (Vec<Part>, Vec<Write>) = parts.into_iter().unzip();
            match self.commit_and_tell(writes, told, began).await? {
                (Commit::Done, delivery) => {
                    return Ok(Changed { message, reads: ReadState::UNREAD, delivery });
                }
                (Commit::Refused(verdicts), _) => full = own_bucket(caller, refused(parts, verdicts)),
            }
        }
    }

    /// The newest message below one that a user sees.
    async fn shown_below(&self, user: &UserId, row: &Row, id: &MessageId) -> Result<Option<Held>, Error> {
        let mut below = id.stamp;
        loop {
            let some = self.messages_below(&id.conversation, Some(below), SMALL).await?;
            let Some(last) = some.last().map(|held| held.message.id.stamp) else { return Ok(None) };
            let found =
                some.into_iter().find(|held| !row.shows(held.message.id.stamp) || !held.is_hidden_by(user));
            if let Some(held) = found {
                return Ok(Some(held).filter(|held| row.shows(held.message.id.stamp)));
            }
            below = last;
        }
    }

    /// Brings back what a deleted message said, for an operator.
    ///
    /// # Errors
    /// `NotFound` where nothing of it is kept, or it is not deleted.
    pub async fn restore_message(&self, id: &MessageId) -> Result<Changed, Error> {
        let began = Instant::now();
        loop {
            let group = async {
                if id.conversation.is_direct() {
                    return Ok(None);
                }
                self.group(&id.conversation, participants::ALL, true).await
            };
            let (held, kept, group) =
                tokio::try_join!(self.held(id), self.get(recovery_key(id), true), group)?;
            let unknown = || Error::NotFound("Nothing is kept of such a message.");
            let kept: Recoverable = from_item(&kept.ok_or_else(unknown)?)?;
            let held = held.filter(|held| held.message.is_deleted()).ok_or_else(unknown)?;
            if kept.expires < self.clock.now().seconds() {
                return Err(unknown());
            }
            let sender = held.message.sender.clone();
            let row = self.row(&sender, &id.conversation).await?.unwrap_or_default();
            let reads = match &group {
                Some(group) => Reads::of_group(group).state_of(&held.message),
                None => self.state_of(&sender, &row, &held.message).await?,
            };
            let restored = held.message.restored(kept.content);
            let subject = Subject { row, held, group, reads };
            let at = self.clock.stamp_above(subject.told_up_to());
            let mut parts = vec![(Part::Other, Write::delete(recovery_key(id)).if_present("pk"))];
            parts.push((Part::Other, subject.held.replaced(&restored, None)?));
            if let Some(group) = &subject.group {
                parts.extend(self.logged(group, &restored, at, &Change::Restored { message: id.stamp })?);
            }
            let mut told = Vec::new();
            if !subject.is_large() {
                for (user, row) in self.rows_of(&subject, &sender).await? {
                    let mut after = row.clone().told(at.plus(1));
                    let is_hidden = subject.held.is_hidden_by(&user);
                    if row.last_id == Some(id.stamp) {
                        after.last_text = Some(restored.preview());
                    }
                    after.n += u64::from(user != sender && row.counts(id.stamp) && !is_hidden);
                    let write = inbox::replace(inbox::key(&user, &id.conversation), &row, &after);
                    parts.push((Part::Row(user.clone()), write));
                    if row.shows(id.stamp) && !is_hidden {
                        let (message, reads) = (restored.clone(), subject.reads.clone());
                        let unread = Some(Unread::of(&after));
                        told.push((user, at.plus(1), Event::MessageUpdated { message, reads, unread }));
                    }
                }
            }
            let writes = parts.into_iter().map(|(_, write)| write).collect();
            if let (Commit::Done, delivery) = self.commit_and_tell(writes, told, began).await? {
                return Ok(Changed { message: restored, reads: subject.reads, delivery });
            }
        }
    }
}

/// A row once a message is deleted: it counts no longer, and shows no text.
fn without(held: &Held, user: &UserId, row: &Row) -> Row {
    let Message { id, sender, .. } = &held.message;
    let mut after = row.clone();
    if row.last_id == Some(id.stamp) {
        after.last_text = Some(String::new());
    }
    let counted =
        sender != user && row.counts(id.stamp) && !held.is_hidden_by(user) && !held.message.is_deleted();
    after.n = row.n.saturating_sub(u64::from(counted));
    after
}

fn refused(parts: Vec<Part>, verdicts: Vec<Verdict>) -> Vec<(Part, Option<Item>)> {
    let refused = parts.into_iter().zip(verdicts).filter_map(|(part, verdict)| match verdict {
        Verdict::Refused(item) => Some((part, item)),
        Verdict::Fine => None,
    });
    refused.collect()
}

/// When the caller's bucket is full again, where their row was in the way.
fn own_bucket(caller: &UserId, refused: Vec<(Part, Option<Item>)>) -> Option<i64> {
    let mine = refused.into_iter().find(|(part, _)| *part == Part::Row(caller.clone()));
    mine.and_then(|(_, item)| full_at(&item?, &limits::WRITES))
}
