//! Messages: their items, and the queries that read pages of them.
//!
//! Invariant: within a conversation, messages commit in the order of their stamps. So no new message can appear on a
//! page that a reader has already passed.

use std::borrow::Cow;
use std::collections::HashMap;

use async_recursion::async_recursion as boxed;
use domain::content::Content;
use domain::conversation::Row;
use domain::error::Error;
use domain::fields::is_zero;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::Message;
use domain::reactions::{Emoji, Reaction};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::database::query_between;
use crate::item::{Item, Key, from_item, suffix, text};
use crate::partition;
use crate::typed_json::JsonText;
use crate::write::Write;

pub(crate) fn key(id: &MessageId) -> Key {
    Key { pk: partition::of_conversation(&id.conversation), sk: sort_key(id.stamp) }
}

/// The prefix of the sort keys of messages. A new message wakes `notify`.
pub const MESSAGE: &str = "M#";

fn sort_key(stamp: Stamp) -> String {
    format!("{MESSAGE}{stamp}")
}

/// The lowest and the highest sort key of messages strictly between two stamps; `None` if no stamp is between them.
///
/// `BETWEEN` includes both ends, and DynamoDB rejects an empty range.
pub(crate) fn between(above: Option<Stamp>, below: Option<Stamp>) -> Option<(String, String)> {
    let low = above.map_or(MESSAGE.to_owned(), |above| sort_key(above.plus(1)));
    let high = below.map_or(format!("{MESSAGE}~"), |below| sort_key(below.previous()));
    (low <= high).then_some((low, high))
}

/// The most users in each list of a message: all participants of the largest conversation. Those who have left stay in
/// it, so without a bound the item would outgrow DynamoDB's 400 KB.
const MAX_LISTED: usize = 1_000;

/// The attributes of a message, without its key.
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
    #[serde(rename = "rx", default, skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<Reaction>,
    #[serde(default, skip_serializing_if = "is_zero")]
    restored_version: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    counted_from: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    published: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pinned_at: Option<i64>,
    /// The users who deleted the message for themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hidden_by: Vec<UserId>,
    /// The users whose row shows the message although it is not the newest: they deleted the newer ones for themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shown_by: Vec<UserId>,
    /// Rises with each change of `hidden_by` or `shown_by`, which `version` does not count.
    #[serde(default)]
    touched: u64,
}

/// The attributes of a message's item that are not part of the message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    pub(crate) hidden_by: Vec<UserId>,
    pub(crate) shown_by: Vec<UserId>,
    touched: u64,
    /// The version from which on reactions are counted beside `rx`, see [`StoredMessage::counted`]; 0 if there are none.
    counted_from: u32,
    /// The version whose reactions the change log of a large conversation has; 0 if it has none.
    pub(crate) published: u32,
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

    /// Replaces the message, unless its item has changed since it was read.
    pub(crate) fn replaced(&self, message: &Message) -> Result<Write, Error> {
        Ok(self.if_unchanged(put(message, self.notes.clone())?))
    }

    /// Records that a user has deleted the message for themselves.
    ///
    /// # Errors
    /// `Conflict` if too many users have.
    pub(crate) fn hidden_by(&self, user: &UserId) -> Result<Write, Error> {
        self.add_to_list("hidden_by", &self.notes.hidden_by, user)
    }

    /// Records that a user's row shows the message although it is not the newest: an edit must update that row.
    ///
    /// # Errors
    /// `Conflict` if the rows of too many users show it.
    pub(crate) fn shown_by(&self, user: &UserId) -> Result<Write, Error> {
        self.add_to_list("shown_by", &self.notes.shown_by, user)
    }

    /// Adds a user to the attribute `list`, which held `known`, unless the item has changed since it was read.
    fn add_to_list(&self, list: &str, known: &[UserId], user: &UserId) -> Result<Write, Error> {
        if known.len() >= MAX_LISTED {
            return Err(Error::Conflict("Too many users have deleted this message for themselves."));
        }
        let users: Vec<UserId> = known.iter().chain([user]).cloned().collect();
        let write = Write::update(key(&self.message.id)).set(list, users.as_slice()).add("touched", 1);
        Ok(self.if_unchanged(write))
    }

    /// Changes a reaction. If that only changes the count of an emoji, the message is not replaced, so users who react at
    /// once do not refuse each other: the attribute of the emoji holds the difference to its count in `rx`. Refused once
    /// the message was replaced.
    pub(crate) fn with_reactions(&self, after: &Message, emoji: &Emoji, add: bool) -> Result<Write, Error> {
        let listed = |message: &Message| -> Vec<(Emoji, usize)> {
            message.reactions.iter().map(|one| (one.emoji.clone(), one.users.len())).collect()
        };
        let counted_from = u64::from(self.notes.counted_from);
        if counted_from == 0 || listed(&self.message) != listed(after) {
            return self.replaced(after);
        }
        let write = Write::update(key(&self.message.id)).if_still("counted_from", Some(&counted_from));
        Ok(write.add(&format!("{COUNTER}{}", code_of(emoji)), if add { 1 } else { -1 }).add("version", 1))
    }

    /// Records that the change log has the reactions of this version, unless it has those of a later one.
    pub(crate) fn published(&self) -> Write {
        let version = u64::from(self.message.version);
        let write = Write::update(key(&self.message.id)).set("published", &version);
        write.if_present("pk").if_below("published", &version)
    }

    fn if_unchanged(&self, write: Write) -> Write {
        write
            .if_still("version", Some(&u64::from(self.message.version)))
            .if_still("touched", Some(&self.notes.touched))
    }
}

/// The code points of an emoji, which follow [`COUNTER`] in the name of the attribute that counts it.
fn code_of(emoji: &Emoji) -> String {
    let text = emoji.to_string();
    let codes: Vec<String> = text.chars().map(|c| format!("{:x}", u32::from(c))).collect();
    codes.join("_")
}

/// The prefix of the names of attributes that count reactions.
const COUNTER: &str = "rx_";

fn put(message: &Message, notes: Notes) -> Result<Write, Error> {
    let Message {
        id,
        sender,
        recipient,
        content,
        version,
        edited_at,
        deleted_at,
        reactions,
        restored_version,
        pinned_at,
    } = message.clone();
    let Notes { hidden_by, shown_by, touched, published, .. } = notes;
    let counted_from = if reactions.is_empty() { 0 } else { version };
    let stored = Stored {
        sender,
        recipient,
        content,
        version,
        edited_at,
        deleted_at,
        reactions,
        restored_version,
        counted_from,
        published,
        pinned_at,
        hidden_by,
        shown_by,
        touched,
    };
    Write::put(key(&id), &stored)
}

/// Puts a new message. Refused if its id is taken.
pub(crate) fn create(message: &Message) -> Result<Write, Error> {
    Ok(put(message, Notes::default())?.if_missing("pk"))
}

/// Parses a message from its item.
pub(crate) fn read(item: &Item) -> Result<Message, Error> {
    read_stored(item).map(|stored| stored.message)
}

/// Parses a message with its notes.
pub(crate) fn read_stored(item: &Item) -> Result<StoredMessage, Error> {
    let conversation = suffix(item, "pk", "C#")?.parse().map_err(Error::internal)?;
    let id = MessageId { conversation, stamp: stamp_of(item)? };
    let counts: HashMap<String, i64> = item.prefixed(COUNTER)?;
    let Stored {
        sender,
        recipient,
        content,
        version,
        edited_at,
        deleted_at,
        mut reactions,
        restored_version,
        counted_from,
        published,
        pinned_at,
        hidden_by,
        shown_by,
        touched,
    } = from_item(item)?;
    if !counts.is_empty() {
        for reaction in &mut reactions {
            let more = counts.get(&code_of(&reaction.emoji)).copied().unwrap_or_default();
            reaction.count = reaction.count.saturating_add_signed(more);
        }
        reactions.retain(|reaction| reaction.count > 0);
    }
    let message = Message {
        id,
        sender,
        recipient,
        content,
        version,
        edited_at,
        deleted_at,
        reactions,
        restored_version,
        pinned_at,
    };
    let notes = Notes { hidden_by, shown_by, touched, counted_from, published };
    Ok(StoredMessage { message, notes })
}

/// Returns the text of a message from its item, without parsing the rest. It is empty if the message was deleted.
pub(crate) fn text_of(item: &Item) -> Result<Cow<'_, str>, Error> {
    #[derive(Deserialize)]
    struct Text<'a> {
        #[serde(borrow)]
        text: JsonText<'a>,
    }
    let found = item.get::<Text<'_>>("content");
    found.map(|found| found.text.0).ok_or_else(|| Error::internal("a message without a text"))
}

/// Whether a user has deleted a message for themselves, by the message's item.
pub(crate) fn is_hidden_by(item: &Item, user: &UserId) -> bool {
    let users = item.get::<Vec<String>>("hidden_by");
    users.is_some_and(|users| users.iter().any(|id| id == user.as_str()))
}

/// Whether a message mentions a user, by the message's item or a projection of it.
fn mentions(item: &Item, user: &UserId) -> bool {
    #[derive(Deserialize)]
    struct Mentions {
        #[serde(default)]
        all: bool,
        #[serde(default)]
        mentions: Vec<String>,
    }
    let content = item.get::<Mentions>("content");
    content.is_some_and(|content| content.all || content.mentions.iter().any(|id| id == user.as_str()))
}

/// Parses the stamp in a message's sort key.
pub(crate) fn stamp_of(item: &Item) -> Result<Stamp, Error> {
    suffix(item, "sk", MESSAGE)?.parse().map_err(Error::internal)
}

/// The largest offset whose messages are loaded with the page, in one query.
const MAX_LOADED_OFFSET: usize = 100;
/// The most messages that one query of a larger offset skips.
const MAX_SKIPPED: usize = 1_000;

/// The bounds of a page of messages. `before` and `after` are exclusive.
#[derive(Debug, Clone, Copy, Default)]
pub struct PageBounds {
    /// Only messages older than this one.
    pub before: Option<Stamp>,
    /// Only messages newer than this one, the oldest of them first.
    pub after: Option<Stamp>,
    /// The number of newest messages to skip; 0 with `after`.
    pub offset: usize,
    /// The maximum number of messages.
    pub limit: usize,
}

/// The most messages that are read of each side before the smaller one is known.
const FIRST_COUNTED: usize = 200;
/// The most messages that are counted at a time, which bounds the memory of a count.
const MAX_COUNTED: usize = 5_000;

/// The messages of a range that count as unread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) unread: u64,
    /// Those that mention the user.
    pub(crate) mentions: u64,
    /// The oldest of these.
    pub(crate) first_mention: Option<Stamp>,
}

impl Counted {
    /// The counts that a row holds.
    pub(crate) fn by(row: &Row) -> Self {
        Self { unread: row.unread, mentions: row.mentions, first_mention: row.first_mention }
    }

    /// The row with this count.
    pub(crate) fn applied_to(self, row: Row) -> Row {
        let Self { unread, mentions, first_mention } = self;
        Row { unread, mentions, first_mention, ..row }
    }
}

/// A count of unread messages in a range, as far as it has been read.
#[derive(Default)]
struct UnreadCount {
    first: Option<Stamp>,
    last: Option<Stamp>,
    counted: Counted,
}

impl Store {
    /// Returns a message as it is now; `None` if it does not exist.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn message(&self, id: &MessageId) -> Result<Option<Message>, Error> {
        self.get(key(id), true).await?.as_ref().map(read).transpose()
    }

    /// Returns the items of the messages within bounds, newest first or, with `after`, oldest first; and whether there
    /// may be more.
    pub(crate) async fn messages_in(
        &self,
        conversation: &ConversationId,
        bounds: PageBounds,
    ) -> Result<(Vec<Item>, bool), Error> {
        let Some((low, high)) = between(bounds.after, bounds.before) else { return Ok((Vec::new(), false)) };
        let query = query_between(&partition::of_conversation(conversation), &low, &high)
            .consistent_read(true)
            .scan_index_forward(bounds.after.is_some());
        let (mut items, more) = self.query_up_to(query, bounds.offset + bounds.limit).await?;
        Ok((items.split_off(bounds.offset.min(items.len())), more))
    }

    /// Replaces an offset of more than a page by the message at which it ends, which it finds without loading the
    /// messages that it skips.
    pub(crate) async fn without_large_offset(
        &self,
        conversation: &ConversationId,
        bounds: PageBounds,
    ) -> Result<PageBounds, Error> {
        if bounds.offset <= MAX_LOADED_OFFSET || bounds.after.is_some() {
            return Ok(bounds);
        }
        let mut left = bounds.offset;
        let mut before = bounds.before;
        while let Some((low, high)) = between(None, before).filter(|_| left > 0) {
            let query = query_between(&partition::of_conversation(conversation), &low, &high)
                .consistent_read(true)
                .projection_expression("sk")
                .scan_index_forward(false);
            let (items, more) = self.query_up_to(query, left.min(MAX_SKIPPED)).await?;
            left -= items.len();
            let Some(last) = items.last().map(stamp_of).transpose()? else { break };
            before = Some(last);
            if !more {
                break;
            }
        }
        Ok(PageBounds { before, offset: 0, ..bounds })
    }

    /// Counts the messages, up to the row's `head`, that are unread once the user's watermark is at `read`; `None` if
    /// there is no message at `read`. Also looks for the oldest of them that mentions the user, if one that is older does.
    ///
    /// It counts either these messages or the ones that are then no longer unread, whichever are fewer. So reading page
    /// by page costs what the pages cost, however many messages are unread.
    pub(crate) async fn count_unread(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        row: &Row,
        read: Stamp,
        is_large: bool,
    ) -> Result<Option<Counted>, Error> {
        if row.head == Some(read) {
            return Ok(Some(Counted::default()));
        }
        // The row of a large conversation may lag behind the message that is marked as read.
        let head = row.head.max(Some(read)).unwrap_or(read);
        let low = row.counted_from().unwrap_or_else(|| Stamp::first_of(Timestamp::from_millis(0)));
        let (mut older, mut newer) = (UnreadCount::default(), UnreadCount::default());
        let (mut is_exact, mut limit) = (head > read, FIRST_COUNTED);
        // In a large conversation, the older messages help only after another read.
        let mut is_older_next = !is_large;
        loop {
            if !is_older_next {
                if self.count_more(user, conversation, row, (&mut newer, read, head), limit).await? {
                    return Ok((newer.first == Some(read)).then_some(newer.counted));
                }
            } else if is_exact
                && self.count_more(user, conversation, row, (&mut older, low, read), limit).await?
            {
                is_exact = !is_large || self.has_all_changes(conversation, row).await?;
                if is_exact {
                    if older.last != Some(read) {
                        return Ok(None);
                    }
                    let unread = row.unread.saturating_sub(older.counted.unread);
                    let mentions = row.mentions.saturating_sub(older.counted.mentions);
                    let first_mention = match row.first_mention {
                        _ if mentions == 0 => None,
                        Some(first) if first > read => Some(first),
                        _ => self.next_mention(user, conversation, row, (read, head)).await?,
                    };
                    return Ok(Some(Counted { unread, mentions, first_mention }));
                }
            }
            if is_older_next == is_large {
                limit = (limit * 2).min(MAX_COUNTED);
            }
            is_older_next = !is_older_next;
        }
    }

    /// Whether a participant's row contains every change of a large conversation. Then its count includes exactly the
    /// messages that have counted as unread so far.
    async fn has_all_changes(&self, conversation: &ConversationId, row: &Row) -> Result<bool, Error> {
        Ok(self.meta(conversation).await?.is_some_and(|meta| meta.seq == row.seq))
    }

    /// Returns the oldest message after `low` up to `high` that can count as unread and mentions the user.
    pub(crate) async fn next_mention(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        row: &Row,
        (low, high): (Stamp, Stamp),
    ) -> Result<Option<Stamp>, Error> {
        let mut count = UnreadCount::default();
        while low < high
            && !self.count_more(user, conversation, row, (&mut count, low, high), FIRST_COUNTED).await?
            && count.counted.first_mention.is_none()
        {}
        Ok(count.counted.first_mention)
    }

    /// Counts the messages after `low` up to `high` that can count as unread.
    pub(crate) async fn unread_between(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        row: &Row,
        (low, high): (Stamp, Stamp),
    ) -> Result<Counted, Error> {
        let mut count = UnreadCount::default();
        while !self.count_more(user, conversation, row, (&mut count, low, high), MAX_COUNTED).await? {}
        Ok(count.counted)
    }

    /// Goes on counting, in up to `limit` more messages from `low` up to `high`, those after `low` that can count as
    /// unread: sent by others, not deleted, and visible to the user. Returns whether the count is complete.
    async fn count_more(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        row: &Row,
        (count, low, high): (&mut UnreadCount, Stamp, Stamp),
        limit: usize,
    ) -> Result<bool, Error> {
        let from = count.last.map_or(low, |last| last.plus(1));
        if from > high {
            return Ok(true);
        }
        let query =
            query_between(&partition::of_conversation(conversation), &sort_key(from), &sort_key(high))
                .consistent_read(true)
                .projection_expression("sk, sender, deleted_at, hidden_by, content.mentions, content.#all")
                .expression_attribute_names("#all", "all");
        let (items, more) = self.query_up_to(query, limit).await?;
        for item in &items {
            let stamp = stamp_of(item)?;
            count.first = count.first.or(Some(stamp));
            count.last = Some(stamp);
            let is_unread = stamp > low
                && text(item, "sender")? != user.as_str()
                && row.shows(stamp)
                && !item.has("deleted_at")
                && !is_hidden_by(item, user);
            let counted = &mut count.counted;
            counted.unread += u64::from(is_unread);
            if is_unread && mentions(item, user) {
                counted.mentions += 1;
                counted.first_mention = counted.first_mention.or(Some(stamp));
            }
        }
        Ok(!more)
    }

    /// Returns the newest messages below a stamp, newest first, with their notes.
    pub(crate) async fn messages_below(
        &self,
        conversation: &ConversationId,
        below: Option<Stamp>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, Error> {
        let bounds = PageBounds { before: below, limit, ..PageBounds::default() };
        self.messages_in(conversation, bounds).await?.0.iter().map(read_stored).collect()
    }

    /// Returns a message with its notes, as they are now.
    pub(crate) async fn stored_message(&self, id: &MessageId) -> Result<Option<StoredMessage>, Error> {
        self.get(key(id), true).await?.as_ref().map(read_stored).transpose()
    }

    /// Returns a message and the reader's row of its conversation.
    ///
    /// # Errors
    /// `NotAParticipant` if the reader does not take part in the conversation, whether the message exists or not;
    /// `NotFound` if it does not exist or is not visible to the reader.
    pub(crate) async fn message_for(&self, reader: &UserId, id: &MessageId) -> Result<(Row, Message), Error> {
        let (row, found) = tokio::try_join!(self.row(reader, &id.conversation), self.get(key(id), false))?;
        let row = row.ok_or(Error::NotAParticipant)?;
        // Half the price of a consistent read. Only a message that was just sent needs one.
        let stored = match found {
            Some(item) => Some(read_stored(&item)?),
            None => self.stored_message(id).await?,
        };
        match stored.filter(|stored| row.shows(id.stamp) && !stored.is_hidden_by(reader)) {
            Some(stored) => Ok((row, stored.message)),
            None => Err(Error::NotFound("There is no such message.")),
        }
    }
}
