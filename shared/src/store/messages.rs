//! Messages and pages of them.
//!
//! Invariant: within a conversation the order of stamps is the order of commit, so a page never changes behind a
//! reader who has passed it.

use serde::{Deserialize, Serialize};

use super::Store;
use super::item::{Item, Key, Write, from_item, text};
use super::reads::Reads;
use crate::conversation::Row;
use crate::error::Error;
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::message::{Content, Message, MessageView};

pub(super) fn key(id: &MessageId) -> Key {
    Key { pk: partition(&id.conversation), sk: sort_key(id.stamp) }
}

/// The partition that holds a conversation's messages.
pub(super) fn partition(conversation: &ConversationId) -> String {
    format!("C#{conversation}")
}

fn sort_key(stamp: Stamp) -> String {
    format!("M#{stamp}")
}

/// The sort keys of the first and the last message above and below two stamps; `None` where none can be between.
///
/// `BETWEEN` includes both ends and must not be empty.
pub(super) fn between(above: Option<Stamp>, below: Option<Stamp>) -> Option<(String, String)> {
    let low = above.map_or("M#".to_owned(), |above| sort_key(above.plus(1)));
    let high = below.map_or("M#~".to_owned(), |below| sort_key(below.previous()));
    (low <= high).then_some((low, high))
}

/// What the item of a message holds beside its key.
#[derive(Serialize, Deserialize)]
struct Stored {
    sender: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipient: Option<UserId>,
    content: Content,
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edited_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted_at: Option<i64>,
    /// Those who have deleted it for themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hidden_by: Vec<UserId>,
    /// Those whose row shows it though there are newer ones, which they have deleted for themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shown_by: Vec<UserId>,
    /// The latest event that carries its text to a queue, where that is not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_by: Option<Stamp>,
    /// Rises with each change of what is above and not part of the message.
    #[serde(default)]
    touched: u64,
}

/// What the item of a message says beside the message.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes {
    pub(super) hidden_by: Vec<UserId>,
    pub(super) shown_by: Vec<UserId>,
    pub(super) updated_by: Option<Stamp>,
    touched: u64,
}

/// A message with its notes.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) message: Message,
    pub(super) notes: Notes,
}

impl Held {
    pub(super) fn is_hidden_by(&self, user: &UserId) -> bool {
        self.notes.hidden_by.contains(user)
    }

    /// Puts the message anew, told of by an event that carries its text, if nothing has changed since it was read.
    pub(super) fn replaced(&self, message: &Message, updated_by: Option<Stamp>) -> Result<Write, Error> {
        let notes = Notes { updated_by, ..self.notes.clone() };
        Ok(self.unchanged(put(message, notes)?))
    }

    /// Adds a user to one of the lists, if nothing has changed since it was read.
    pub(super) fn listing(&self, list: &str, known: &[UserId], user: &UserId) -> Write {
        let users: Vec<UserId> = known.iter().chain([user]).cloned().collect();
        self.unchanged(Write::update(key(&self.message.id)).set(list, users.as_slice()).add("touched", 1))
    }

    /// Notes that a user's row shows it though there are newer ones: whoever changes it must know.
    pub(super) fn shown_by(&self, user: &UserId) -> Write {
        self.listing("shown_by", &self.notes.shown_by, user)
    }

    fn unchanged(&self, write: Write) -> Write {
        write
            .if_still("version", Some(&u64::from(self.message.version)))
            .if_still("touched", Some(&self.notes.touched))
    }
}

fn put(message: &Message, notes: Notes) -> Result<Write, Error> {
    let Message { id, sender, recipient, content, version, edited_at, deleted_at } = message.clone();
    let Notes { hidden_by, shown_by, updated_by, touched } = notes;
    let stored = Stored {
        sender,
        recipient,
        content,
        version,
        edited_at,
        deleted_at,
        hidden_by,
        shown_by,
        updated_by,
        touched,
    };
    Write::put(key(&id), &stored)
}

/// Puts a new message; refused where its id is taken.
pub(super) fn create(message: &Message) -> Result<Write, Error> {
    Ok(put(message, Notes::default())?.if_missing("pk"))
}

/// Reads a message from its item.
pub(super) fn read(item: &Item) -> Result<Message, Error> {
    read_held(item).map(|held| held.message)
}

/// Reads a message with its notes.
pub(super) fn read_held(item: &Item) -> Result<Held, Error> {
    let conversation = text(item, "pk")?.trim_start_matches("C#").parse().map_err(Error::internal)?;
    let id = MessageId { conversation, stamp: stamp_of(item)? };
    let Stored {
        sender,
        recipient,
        content,
        version,
        edited_at,
        deleted_at,
        hidden_by,
        shown_by,
        updated_by,
        touched,
    } = from_item(item)?;
    let message = Message { id, sender, recipient, content, version, edited_at, deleted_at };
    Ok(Held { message, notes: Notes { hidden_by, shown_by, updated_by, touched } })
}

/// Whether a message's item says that someone has deleted it for themselves.
fn is_hidden_by(item: &Item, user: &UserId) -> bool {
    let list = item.get("hidden_by").and_then(|list| list.as_l().ok());
    list.is_some_and(|list| list.iter().any(|id| id.as_s().is_ok_and(|id| id == user.as_str())))
}

/// The stamp in the sort key of a message's item.
pub(super) fn stamp_of(item: &Item) -> Result<Stamp, Error> {
    text(item, "sk")?.trim_start_matches("M#").parse().map_err(Error::internal)
}

/// The text of a message's item, which search reads without the rest.
pub(super) fn text_of(item: &Item) -> &str {
    let content = item.get("content").and_then(|content| content.as_m().ok());
    let text = content.and_then(|content| content.get("text")).and_then(|text| text.as_s().ok());
    text.map_or("", String::as_str)
}

/// Which messages of a conversation a page is of. Bounds are excluded.
#[derive(Debug, Clone, Copy, Default)]
pub struct PageBounds {
    /// Only older ones.
    pub before: Option<Stamp>,
    /// Only newer ones; the page then goes on towards the newest.
    pub after: Option<Stamp>,
    /// How many of the newest to pass over.
    pub offset: usize,
    /// How many at most.
    pub limit: usize,
}

/// A page of messages in ascending order.
pub struct PageOfMessages {
    /// The reader's row, as it stood.
    pub row: Row,
    /// The messages that the reader may see.
    pub messages: Vec<Message>,
    /// When they were read.
    pub reads: Reads,
    /// Where the page's direction goes on, if it may: at the last message that was read, shown or not.
    pub rest: Option<Stamp>,
}

impl PageOfMessages {
    /// The messages as the reader sees them.
    #[must_use]
    pub fn shown_to(&self, reader: &UserId) -> Vec<MessageView> {
        let shown = |message: &Message| message.shown_to(reader, &self.reads.state_of(message));
        self.messages.iter().map(shown).collect()
    }
}

impl Store {
    /// A message; `None` where there is none.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    pub async fn message(&self, id: &MessageId) -> Result<Option<Message>, Error> {
        self.get(key(id), true).await?.as_ref().map(read).transpose()
    }

    /// A page of a conversation; `None` where it is not the reader's.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    pub async fn page(
        &self,
        reader: &UserId,
        conversation: &ConversationId,
        bounds: PageBounds,
    ) -> Result<Option<PageOfMessages>, Error> {
        let (row, found, mut reads) = tokio::try_join!(
            self.row(reader, conversation),
            self.messages_in(conversation, bounds),
            self.reads_about(conversation, bounds)
        )?;
        let Some(row) = row else { return Ok(None) };
        let (items, more) = found;
        let end = items.last().map(stamp_of).transpose()?;
        // Going back, a message that is cleared has only cleared ones before it.
        let rest = end.filter(|end| more && (bounds.after.is_some() || row.shows(*end)));
        let shown = items.iter().filter(|item| !is_hidden_by(item, reader));
        let mut messages = shown.map(read).collect::<Result<Vec<_>, _>>()?;
        messages.retain(|message| row.shows(message.id.stamp));
        if bounds.after.is_none() {
            messages.reverse();
        }
        reads.know(reader, &row);
        self.complete_reads(&mut reads, conversation, &messages).await?;
        Ok(Some(PageOfMessages { row, messages, reads, rest }))
    }

    /// The messages within bounds: newest first, or oldest first after one; with `offset` passed over.
    async fn messages_in(
        &self,
        conversation: &ConversationId,
        bounds: PageBounds,
    ) -> Result<(Vec<Item>, bool), Error> {
        let Some((low, high)) = between(bounds.after, bounds.before) else { return Ok((Vec::new(), false)) };
        let query = self
            .between(&partition(conversation), &low, &high)
            .consistent_read(true)
            .scan_index_forward(bounds.after.is_some());
        let (mut items, more) = self.query_up_to(query, bounds.offset + bounds.limit).await?;
        Ok((items.split_off(bounds.offset.min(items.len())), more))
    }

    /// How many messages of others a user has not read once their watermark stands at `read`, up to the row's
    /// `head`; `None` where there is no message at `read`.
    pub(super) async fn count_unread(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        row: &Row,
        read: Stamp,
    ) -> Result<Option<u64>, Error> {
        if row.head == Some(read) {
            return Ok(Some(0));
        }
        // A large conversation's row may not have taken in yet what is read.
        let head = row.head.max(Some(read)).unwrap_or(read);
        let (first, unread) = self.unread_between(user, conversation, row, (read, head)).await?;
        Ok((first == Some(read)).then_some(unread))
    }

    /// The first message from `low` on, and how many of those after `low` up to `high` are others', there, and shown
    /// to a user.
    pub(super) async fn unread_between(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        row: &Row,
        (low, high): (Stamp, Stamp),
    ) -> Result<(Option<Stamp>, u64), Error> {
        let query = self
            .between(&partition(conversation), &sort_key(low), &sort_key(high))
            .consistent_read(true)
            .projection_expression("sk, sender, deleted_at, hidden_by");
        let (items, _) = self.query_up_to(query, usize::MAX).await?;
        let (mut first, mut unread) = (None, 0);
        for item in &items {
            let stamp = stamp_of(item)?;
            first = first.or(Some(stamp));
            let counts = stamp > low
                && text(item, "sender")? != user.as_str()
                && row.shows(stamp)
                && !item.contains_key("deleted_at")
                && !is_hidden_by(item, user);
            unread += u64::from(counts);
        }
        Ok((first, unread))
    }

    /// The newest messages of a conversation below one, newest first, with their notes.
    pub(super) async fn messages_below(
        &self,
        conversation: &ConversationId,
        below: Option<Stamp>,
        limit: usize,
    ) -> Result<Vec<Held>, Error> {
        let bounds = PageBounds { before: below, limit, ..PageBounds::default() };
        self.messages_in(conversation, bounds).await?.0.iter().map(read_held).collect()
    }

    /// A message with its notes, as it stands.
    pub(super) async fn held(&self, id: &MessageId) -> Result<Option<Held>, Error> {
        self.get(key(id), true).await?.as_ref().map(read_held).transpose()
    }

    /// A message for one of its conversation's participants.
    ///
    /// # Errors
    /// `NotAParticipant` for everyone else, whether it exists or not; `NotFound` where it does not, or the reader
    /// has deleted it, alone or with the conversation.
    pub(super) async fn message_for(&self, reader: &UserId, id: &MessageId) -> Result<(Row, Message), Error> {
        let (row, found) = tokio::try_join!(self.row(reader, &id.conversation), self.get(key(id), false))?;
        let row = row.ok_or(Error::NotAParticipant)?;
        // Half the price of a consistent read, which only a message that has just been sent needs.
        let held = match found {
            Some(item) => Some(read_held(&item)?),
            None => self.held(id).await?,
        };
        match held.filter(|held| row.shows(id.stamp) && !held.is_hidden_by(reader)) {
            Some(held) => Ok((row, held.message)),
            None => Err(Error::NotFound("There is no such message.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Clock;

    #[test]
    fn every_key_of_the_table() {
        let (alice, bob): (UserId, UserId) = ("alice".parse().unwrap(), "bob".parse().unwrap());
        let conversation = ConversationId::direct(&alice, &bob);
        let stamp = Stamp::first_of(Clock::default().now()).plus(1);
        let id = MessageId { conversation: conversation.clone(), stamp };
        let all = [
            super::super::profiles::key(&alice),
            super::super::inbox::totals_key(&alice),
            super::super::inbox::key(&alice, &conversation),
            super::super::events::key(&alice, stamp),
            key(&id),
            super::super::reads::key(&conversation, stamp, &bob),
            super::super::sending::key(&conversation, &bob, "k 1"),
        ];
        let shown = all.map(|key| format!("{} | {}", key.pk, key.sk)).join("\n");
        let shown =
            shown.replace(conversation.as_str(), "<conversation>").replace(&stamp.to_string(), "<stamp>");
        insta::assert_snapshot!(shown, @r"
        U#alice | PROFILE
        U#alice | TOTALS
        U#alice | C#<conversation>
        Q#alice | E#<stamp>
        C#<conversation> | M#<stamp>
        C#<conversation> | R#<stamp>#bob
        C#<conversation> | K#bob#k 1
        ");
    }
}
