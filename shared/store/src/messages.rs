//! Messages and pages of them.
//!
//! Invariant: within a conversation the order of stamps is the order of commit, so a page never changes behind a
//! reader who has passed it.

use async_recursion::async_recursion as boxed;
use domain::conversation::Row;
use domain::error::Error;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::{Content, Message};
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::item::{Item, Key, Write, from_item, suffix, text};
use crate::partition;

pub(crate) fn key(id: &MessageId) -> Key {
    Key { pk: partition::of_conversation(&id.conversation), sk: sort_key(id.stamp) }
}

fn sort_key(stamp: Stamp) -> String {
    format!("M#{stamp}")
}

/// The sort keys of the first and the last message above and below two stamps; `None` where none can be between.
///
/// `BETWEEN` includes both ends and must not be empty.
pub(crate) fn between(above: Option<Stamp>, below: Option<Stamp>) -> Option<(String, String)> {
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
pub(crate) struct Notes {
    pub(crate) hidden_by: Vec<UserId>,
    pub(crate) shown_by: Vec<UserId>,
    pub(crate) updated_by: Option<Stamp>,
    touched: u64,
}

/// A message with its notes.
#[derive(Debug, Clone)]
pub(crate) struct StoredMessage {
    pub(crate) message: Message,
    pub(crate) notes: Notes,
}

impl StoredMessage {
    pub(crate) fn is_hidden_by(&self, user: &UserId) -> bool {
        self.notes.hidden_by.contains(user)
    }

    /// Puts the message anew, told of by an event that carries its text, if nothing has changed since it was read.
    pub(crate) fn replaced(&self, message: &Message, updated_by: Option<Stamp>) -> Result<Write, Error> {
        let notes = Notes { updated_by, ..self.notes.clone() };
        Ok(self.unchanged(put(message, notes)?))
    }

    /// Adds a user to one of the lists, if nothing has changed since it was read.
    pub(crate) fn listing(&self, list: &str, known: &[UserId], user: &UserId) -> Write {
        let users: Vec<UserId> = known.iter().chain([user]).cloned().collect();
        self.unchanged(Write::update(key(&self.message.id)).set(list, users.as_slice()).add("touched", 1))
    }

    /// Notes that a user's row shows it though there are newer ones: whoever changes it must know.
    pub(crate) fn shown_by(&self, user: &UserId) -> Write {
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
pub(crate) fn create(message: &Message) -> Result<Write, Error> {
    Ok(put(message, Notes::default())?.if_missing("pk"))
}

/// Reads a message from its item.
pub(crate) fn read(item: Item) -> Result<Message, Error> {
    read_stored(item).map(|stored| stored.message)
}

/// Reads a message with its notes.
pub(crate) fn read_stored(item: Item) -> Result<StoredMessage, Error> {
    let conversation = suffix(&item, "pk", "C#")?.parse().map_err(Error::internal)?;
    let id = MessageId { conversation, stamp: stamp_of(&item)? };
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
    Ok(StoredMessage { message, notes: Notes { hidden_by, shown_by, updated_by, touched } })
}

/// Whether a message's item says that someone has deleted it for themselves.
pub(crate) fn is_hidden_by(item: &Item, user: &UserId) -> bool {
    let list = item.get("hidden_by").and_then(|list| list.as_l().ok());
    list.is_some_and(|list| list.iter().any(|id| id.as_s().is_ok_and(|id| id == user.as_str())))
}

/// The stamp in the sort key of a message's item.
pub(crate) fn stamp_of(item: &Item) -> Result<Stamp, Error> {
    suffix(item, "sk", "M#")?.parse().map_err(Error::internal)
}

/// The text of a message's item, which search reads without the rest.
pub(crate) fn text_of(item: &Item) -> &str {
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

impl Store {
    /// A message; `None` where there is none.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn message(&self, id: &MessageId) -> Result<Option<Message>, Error> {
        self.get(key(id), true).await?.map(read).transpose()
    }

    /// The messages within bounds: newest first, or oldest first after one; with `offset` passed over.
    pub(crate) async fn messages_in(
        &self,
        conversation: &ConversationId,
        bounds: PageBounds,
    ) -> Result<(Vec<Item>, bool), Error> {
        let Some((low, high)) = between(bounds.after, bounds.before) else { return Ok((Vec::new(), false)) };
        let query = self
            .between(&partition::of_conversation(conversation), &low, &high)
            .consistent_read(true)
            .scan_index_forward(bounds.after.is_some());
        let (mut items, more) = self.query_up_to(query, bounds.offset + bounds.limit).await?;
        Ok((items.split_off(bounds.offset.min(items.len())), more))
    }

    /// How many messages of others a user has not read once their watermark stands at `read`, up to the row's
    /// `head`; `None` where there is no message at `read`.
    pub(crate) async fn count_unread(
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
    pub(crate) async fn unread_between(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        row: &Row,
        (low, high): (Stamp, Stamp),
    ) -> Result<(Option<Stamp>, u64), Error> {
        let query = self
            .between(&partition::of_conversation(conversation), &sort_key(low), &sort_key(high))
            .consistent_read(true)
            .projection_expression("sk, sender, deleted_at, hidden_by");
        let items = self.query_all(query).await?;
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
    pub(crate) async fn messages_below(
        &self,
        conversation: &ConversationId,
        below: Option<Stamp>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, Error> {
        let bounds = PageBounds { before: below, limit, ..PageBounds::default() };
        self.messages_in(conversation, bounds).await?.0.into_iter().map(read_stored).collect()
    }

    /// A message with its notes, as it stands.
    pub(crate) async fn stored_message(&self, id: &MessageId) -> Result<Option<StoredMessage>, Error> {
        self.get(key(id), true).await?.map(read_stored).transpose()
    }

    /// A message for one of its conversation's participants.
    ///
    /// # Errors
    /// `NotAParticipant` for everyone else, whether it exists or not; `NotFound` where it does not, or the reader
    /// has deleted it, alone or with the conversation.
    pub(crate) async fn message_for(&self, reader: &UserId, id: &MessageId) -> Result<(Row, Message), Error> {
        let (row, found) = tokio::try_join!(self.row(reader, &id.conversation), self.get(key(id), false))?;
        let row = row.ok_or(Error::NotAParticipant)?;
        // Half the price of a consistent read, which only a message that has just been sent needs.
        let stored = match found {
            Some(item) => Some(read_stored(item)?),
            None => self.stored_message(id).await?,
        };
        match stored.filter(|stored| row.shows(id.stamp) && !stored.is_hidden_by(reader)) {
            Some(stored) => Ok((row, stored.message)),
            None => Err(Error::NotFound("There is no such message.")),
        }
    }
}
