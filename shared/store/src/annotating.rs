//! Reactions to messages, and pinned messages: changes of a message that leave its text, counts and the inbox alone.
//!
//! Invariant: the event carries the whole message with a higher version, never a difference. So applying it twice, or
//! after a later one, changes nothing.

use async_recursion::async_recursion as boxed;
use domain::conversation::{MAX_COUNTED_READERS, SMALL};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::Message;
use domain::reactions::{Emoji, MAX_LISTED};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::attempts::Attempts;
use crate::change_log::{Change, MentionChange};
use crate::changing::{ChangeTarget, Changed, MessageToChange, caller_full_at};
use crate::client::Store;
use crate::item::{Key, from_item};
use crate::reads::Reads;
use crate::transact::{Commit, Transaction};
use crate::write::Write;
use crate::{inbox, messages, partition, profiles};

/// The participants that a reaction reads: all whose receipts are counted.
const READERS: usize = 100;
const _: () = assert!(READERS as u64 == MAX_COUNTED_READERS);
/// How often a reaction in a large conversation is tried again at once.
const QUICK_ATTEMPTS: u32 = 8;
/// The most pinned messages of a conversation.
const MAX_PINS: usize = 50;

/// The key of the item that lists a conversation's pinned messages.
pub(crate) fn pins_key(conversation: &ConversationId) -> Key {
    Key { pk: partition::of_conversation(conversation), sk: "PINS".into() }
}

/// The attributes of the list of pinned messages, without its key.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Pins {
    /// The messages, the latest pin last.
    pins: Vec<Stamp>,
    /// Rises with each change of the list.
    version: u64,
}

/// The messages pinned in a conversation.
pub struct Pinned {
    /// The messages, the latest pin first.
    pub messages: Vec<Message>,
    /// Their read states.
    pub reads: Reads,
}

/// Refuses a caller who may not annotate a message.
fn check_annotator(subject: &MessageToChange) -> Result<(), Error> {
    if subject.row.owner_deleted {
        return Err(profiles::account_deleted());
    }
    if subject.row.is_blocked() {
        return Err(Error::Blocked);
    }
    if subject.stored.message.is_deleted() {
        return Err(Error::NotFound("There is no such message."));
    }
    Ok(())
}

/// How many users a message lists with an emoji. To list one, it must be replaced, which in a crowd would refuse those who
/// react meanwhile: `refused` is how often the caller was.
fn most_listed(subject: &MessageToChange, emoji: &Emoji, refused: u32) -> usize {
    let known = subject.stored.message.reactions.iter().find(|reaction| reaction.emoji == *emoji);
    let is_crowd = refused > 0 || known.is_some_and(|reaction| reaction.count >= MAX_LISTED as u64);
    match subject.is_large() {
        true if is_crowd => 0,
        true => MAX_LISTED,
        false => usize::MAX,
    }
}

impl Store {
    /// Adds a reaction to a message, or removes it. Doing so again changes nothing.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotFound` if the message does not exist or was deleted, `Blocked` if either user of a direct
    /// conversation has blocked the other, `Conflict` if it has 20 different reactions, `RateLimited`.
    #[boxed]
    pub async fn react(
        &self,
        caller: &UserId,
        id: &MessageId,
        emoji: &Emoji,
        add: bool,
    ) -> Result<Changed, Error> {
        let mut attempts = Attempts::new(&self.turns, &id.conversation);
        let (mut full_at, mut refused) = (None, 0);
        loop {
            let (mut subject, own) = tokio::try_join!(
                self.listed_message_to_change(caller, id, READERS),
                self.own_reactions(caller, id)
            )?;
            check_annotator(&subject)?;
            own.mark(&mut subject.stored.message);
            let listed = most_listed(&subject, emoji, refused);
            let Some(changed) = subject.stored.message.with_reaction(caller, emoji, add, listed)? else {
                return Ok(subject.unchanged());
            };
            let refusals = if subject.is_large() {
                let row = self.annotators_row(caller, &subject, full_at)?;
                let mut transaction = Transaction::new();
                transaction.add(ChangeTarget::Row(caller.clone()), row);
                transaction.add(ChangeTarget::Other, own.replaced(caller, &changed, emoji, add)?);
                transaction.add(ChangeTarget::Other, subject.stored.with_reactions(&changed, emoji, add)?);
                match self.commit(transaction, Instant::now()).await? {
                    Commit::Done(()) => return self.as_it_is_now(caller, subject, changed).await,
                    Commit::Refused(refusals) => refusals,
                }
            } else {
                match self.commit_annotation(caller, &subject, &changed, full_at, attempts.began()).await? {
                    Commit::Done(delivery) => return Ok(subject.changed_to(changed, delivery)),
                    Commit::Refused(refusals) => refusals,
                }
            };
            full_at = caller_full_at(caller, refusals);
            refused += 1;
            // In a large conversation, reactions are refused only when the message is replaced, which a crowd does a few
            // times.
            if !subject.is_large() || refused > QUICK_ATTEMPTS {
                attempts.refused().await?;
            }
        }
    }

    /// The outcome of a reaction in a large conversation: others may have reacted at the same moment.
    async fn as_it_is_now(
        &self,
        caller: &UserId,
        subject: MessageToChange,
        changed: Message,
    ) -> Result<Changed, Error> {
        let (now, own) =
            tokio::try_join!(self.message(subject.id()), self.own_reactions(caller, subject.id()))?;
        let mut now = now.unwrap_or(changed);
        own.mark(&mut now);
        Ok(subject.changed_to(now, Delivery::default()))
    }

    /// Pins a message for all participants, or unpins it. Doing so again changes nothing.
    ///
    /// # Errors
    /// `NotAParticipant`, `NotFound` if the message does not exist or was deleted, `NotAnAdmin` in a group or room of more
    /// than 24, `Blocked`, `Conflict` if 50 messages are pinned, `RateLimited`.
    #[boxed]
    pub async fn pin(&self, caller: &UserId, id: &MessageId, is_pinned: bool) -> Result<Changed, Error> {
        let mut attempts = Attempts::new(&self.turns, &id.conversation);
        let mut full_at = None;
        loop {
            let subject = self.message_to_change(caller, id).await?;
            check_annotator(&subject)?;
            let people = subject.group.as_ref().map_or(2, |group| group.meta.participant_count);
            if people > SMALL as u64 && !subject.row.admin {
                return Err(Error::NotAnAdmin);
            }
            let pinned_at = is_pinned.then(|| self.clock.now());
            let Some(changed) = subject.stored.message.with_pin(pinned_at) else {
                return Ok(subject.unchanged());
            };
            match self.commit_annotation(caller, &subject, &changed, full_at, attempts.began()).await? {
                Commit::Done(delivery) => return Ok(subject.changed_to(changed, delivery)),
                Commit::Refused(refusals) => full_at = caller_full_at(caller, refusals),
            }
            attempts.refused().await?;
        }
    }

    /// The write of the caller's row: the conditions under which they may annotate, and the rate limit.
    fn annotators_row(
        &self,
        caller: &UserId,
        subject: &MessageToChange,
        full_at: Option<i64>,
    ) -> Result<Write, Error> {
        let row = Write::update(inbox::key(caller, &subject.id().conversation))
            .if_present("pk")
            .if_missing("blocked_by_me")
            .if_missing("blocked_by_peer")
            .if_missing("owner_deleted")
            .set("last_mine", &subject.row.last_mine)
            .if_still("last_id", subject.row.last_id.as_ref());
        self.limit(row, &subject.limit(), full_at)
    }

    /// Replaces a message by an annotated one, and publishes it.
    async fn commit_annotation(
        &self,
        caller: &UserId,
        subject: &MessageToChange,
        changed: &Message,
        full_at: Option<i64>,
        began: Instant,
    ) -> Result<Commit<ChangeTarget, Delivery>, Error> {
        let at = self.clock.stamp_above(subject.event_floor());
        let mut transaction = Transaction::new();
        transaction.add(ChangeTarget::Other, subject.stored.replaced(changed)?);
        let pins = self.pinning(&subject.stored.message, changed).await?;
        transaction.add_all(ChangeTarget::Other, pins);
        let row = self.annotators_row(caller, subject, full_at)?;
        transaction.add(ChangeTarget::Row(caller.clone()), row);
        let mut events = Vec::new();
        if subject.is_large() {
            let message = subject.id().stamp;
            let change = Change::Edited { message, mentions_of: MentionChange::None };
            self.log_change(&mut transaction, subject, at, &change)?;
        } else {
            let audience = subject.audience(caller).into_iter();
            events.extend(audience.filter(|user| !subject.stored.is_hidden_by(user)).map(|user| {
                let (message, reads) = (changed.clone(), subject.reads.clone());
                OutgoingEvent::new(user, at.plus(1), Event::MessageUpdated { message, reads, unread: None })
            }));
        }
        self.commit_and_publish(transaction, events, began).await
    }

    /// Returns the pinned messages of a conversation that a participant can see.
    ///
    /// # Errors
    /// `NotAParticipant`.
    #[boxed]
    pub async fn pinned(&self, reader: &UserId, conversation: &ConversationId) -> Result<Pinned, Error> {
        let (row, pins) = tokio::try_join!(self.row(reader, conversation), self.pins(conversation))?;
        let (row, pins) = (row.ok_or(Error::NotAParticipant)?, pins.pins);
        let id = |stamp| MessageId { conversation: conversation.clone(), stamp };
        let keys = pins.into_iter().filter(|stamp| row.shows(*stamp)).map(|stamp| messages::key(&id(stamp)));
        let bounds = messages::PageBounds { limit: 1, ..Default::default() };
        let (found, mut reads) =
            tokio::try_join!(self.get_all(keys.collect()), self.reads_about(conversation, bounds))?;
        let visible = found.iter().filter(|item| !messages::is_hidden_by(item, reader));
        let mut messages = visible.map(messages::read).collect::<Result<Vec<_>, _>>()?;
        messages.retain(|message| message.pinned_at.is_some());
        messages.sort_by_key(|message| std::cmp::Reverse((message.pinned_at, message.id.stamp)));
        reads.set_direct_watermarks(reader, &row);
        self.complete_reads(&mut reads, conversation, &messages).await?;
        self.mark_own_reactions(reader, messages.iter_mut()).await?;
        Ok(Pinned { messages, reads })
    }

    /// Reads the list of a conversation's pinned messages.
    async fn pins(&self, conversation: &ConversationId) -> Result<Pins, Error> {
        let found = self.get(pins_key(conversation), true).await?;
        Ok(found.as_ref().map(from_item::<Pins>).transpose()?.unwrap_or_default())
    }

    /// Adds a message to the list of pinned ones, or removes it, if a change pins or unpins it.
    ///
    /// # Errors
    /// `Conflict` if the list is full.
    pub(crate) async fn pinning(&self, before: &Message, after: &Message) -> Result<Option<Write>, Error> {
        if before.pinned_at.is_some() == after.pinned_at.is_some() {
            return Ok(None);
        }
        let Pins { mut pins, version } = self.pins(&before.id.conversation).await?;
        pins.retain(|stamp| *stamp != before.id.stamp);
        if after.pinned_at.is_some() {
            if pins.len() >= MAX_PINS {
                return Err(Error::Conflict("At most 50 messages can be pinned."));
            }
            pins.push(before.id.stamp);
        }
        let list = Pins { pins, version: version + 1 };
        let write = Write::put(pins_key(&before.id.conversation), &list)?;
        Ok(Some(write.if_still_number("version", version)))
    }
}
