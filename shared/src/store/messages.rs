//! Messages and pages of them.
//!
//! Invariant: within a conversation the order of stamps is the order of commit, so a page never changes behind a
//! reader who has passed it.

use serde::{Deserialize, Serialize};

use super::Store;
use super::item::{Attribute, Item, Key, Write, from_item, text};
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
    let high = below.map_or("M~".to_owned(), |below| sort_key(below.previous()));
    (low <= high).then_some((low, high))
}

/// What the item of a message holds beside its key.
#[derive(Serialize, Deserialize)]
struct Stored {
    sender: UserId,
    recipient: UserId,
    content: Content,
    version: u32,
}

/// Puts a new message; refused where its id is taken.
pub(super) fn create(message: &Message) -> Result<Write, Error> {
    let Message { id, sender, recipient, content, version } = message.clone();
    Ok(Write::put(key(&id), &Stored { sender, recipient, content, version })?.if_missing("pk"))
}

/// Reads a message from its item.
pub(super) fn read(item: &Item) -> Result<Message, Error> {
    let conversation = text(item, "pk")?.trim_start_matches("C#").parse().map_err(Error::internal)?;
    let stamp = stamp_of(item)?;
    let Stored { sender, recipient, content, version } = from_item(item)?;
    Ok(Message { id: MessageId { conversation, stamp }, sender, recipient, content, version })
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
        let shown = |message: &Message| message.shown_to(reader, self.reads.read_at(message));
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
        let mut messages = items.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let end = messages.last().map(|message| message.id.stamp);
        // Going back, a message that is cleared has only cleared ones before it.
        let rest = end.filter(|end| more && (bounds.after.is_some() || row.shows(*end)));
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
            .db
            .query()
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
            .expression_attribute_values(":pk", partition(conversation).attribute())
            .expression_attribute_values(":low", low.attribute())
            .expression_attribute_values(":high", high.attribute())
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
        let Some(head) = row.head.filter(|head| *head != read) else { return Ok(Some(0)) };
        let query = self
            .db
            .query()
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
            .expression_attribute_values(":pk", partition(conversation).attribute())
            .expression_attribute_values(":low", sort_key(read).attribute())
            .expression_attribute_values(":high", sort_key(head).attribute())
            .projection_expression("sk, sender");
        let (items, _) = self.query_up_to(query, usize::MAX).await?;
        let Some((first, after)) = items.split_first() else { return Ok(None) };
        if stamp_of(first)? != read {
            return Ok(None);
        }
        let mut unread = 0;
        for item in after {
            unread += u64::from(text(item, "sender")? != user.as_str() && row.shows(stamp_of(item)?));
        }
        Ok(Some(unread))
    }

    /// A message for one of its conversation's participants.
    ///
    /// # Errors
    /// `NotAParticipant` for everyone else, whether it exists or not; `NotFound` where it does not, or the reader
    /// has deleted it with the conversation.
    pub(super) async fn message_for(&self, reader: &UserId, id: &MessageId) -> Result<(Row, Message), Error> {
        let (row, found) = tokio::try_join!(self.row(reader, &id.conversation), self.get(key(id), false))?;
        let row = row.ok_or(Error::NotAParticipant)?;
        // Half the price of a consistent read, which only a message that has just been sent needs.
        let message = match found {
            Some(item) => Some(read(&item)?),
            None => self.message(id).await?,
        };
        match message.filter(|_| row.shows(id.stamp)) {
            Some(message) => Ok((row, message)),
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
