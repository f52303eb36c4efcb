//! Read watermarks, and when they moved.
//!
//! Invariant: a watermark never goes back, and each of its moves leaves one receipt at the message it moved to. A
//! message was read at the first move at or past it, so no message is written when it is read.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::item::{Attribute, Item, Key, Write, from_item, text};
use super::messages::partition;
use super::transact::Commit;
use super::{PageBounds, Store, Told, inbox};
use crate::conversation::{Row, Watermark};
use crate::error::Error;
use crate::event::Event;
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::message::Message;
use crate::push::Delivery;
use crate::time::{Timestamp, millis};

pub(super) fn key(conversation: &ConversationId, message: Stamp, reader: &UserId) -> Key {
    Key { pk: partition(conversation), sk: format!("{}#{reader}", sort_key(message)) }
}

fn sort_key(message: Stamp) -> String {
    format!("R#{message}")
}

/// What the item of a receipt holds beside its key.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(with = "millis")]
    at: Timestamp,
}

/// Moves that are read at once where the first look at them was too short.
const MOVES_AT_ONCE: usize = 100;

/// Up to where to read.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// That message, which must exist.
    Message(Stamp),
    /// All there is.
    Newest,
}

/// A watermark that was to be moved.
pub struct Marked {
    /// The watermark as it stands.
    pub watermark: Watermark,
    /// When it moved; `None` where it stood there or beyond.
    pub moved_at: Option<Timestamp>,
    /// What is to be pushed.
    pub delivery: Delivery,
}

/// Who has read a message, and when.
#[derive(Debug, Clone, Serialize)]
pub struct Receipt {
    user_id: UserId,
    read_at: Timestamp,
}

/// One move of a watermark.
#[derive(Debug, Clone)]
struct Move {
    message: Stamp,
    reader: UserId,
    at: Timestamp,
}

impl Move {
    fn read(item: &Item) -> Result<Self, Error> {
        let malformed = || Error::internal("the key of a receipt is malformed");
        let rest = text(item, "sk")?.strip_prefix("R#").ok_or_else(malformed)?;
        let (message, reader) = rest.split_once('#').ok_or_else(malformed)?;
        Ok(Self {
            message: message.parse().map_err(Error::internal)?,
            reader: reader.parse().map_err(Error::internal)?,
            at: from_item::<Stored>(item)?.at,
        })
    }
}

/// The watermarks of a conversation's participants, and the moves around a page.
#[derive(Debug, Default)]
pub struct Reads {
    watermarks: Vec<(UserId, Option<Stamp>)>,
    /// Ascending; all there are from just above `since` to the last of them.
    moves: Vec<Move>,
    since: Option<Stamp>,
}

impl Reads {
    /// Without any move yet, of which those below a message do not matter.
    pub(super) fn nothing_below(message: Stamp) -> Self {
        Self { since: Some(message), ..Self::default() }
    }

    /// Learns both watermarks from a reader's row.
    pub(super) fn know(&mut self, reader: &UserId, row: &Row) {
        self.watermarks = vec![(reader.clone(), row.read), (row.peer.clone(), row.peer_read)];
    }

    fn has_read(&self, reader: &UserId, message: Stamp) -> bool {
        let watermark = self.watermarks.iter().find(|(user, _)| user == reader).and_then(|(_, stamp)| *stamp);
        watermark.is_some_and(|watermark| message <= watermark)
    }

    fn first_move(&self, reader: &UserId, message: Stamp) -> Option<Timestamp> {
        if self.since.is_some_and(|since| message <= since) {
            return None;
        }
        self.moves.iter().find(|read| read.message >= message && read.reader == *reader).map(|read| read.at)
    }

    /// When a message's recipient read it; `None` while it is unread.
    #[must_use]
    pub fn read_at(&self, message: &Message) -> Option<Timestamp> {
        let stamp = message.id.stamp;
        if self.has_read(&message.recipient, stamp) {
            self.first_move(&message.recipient, stamp)
        } else {
            None
        }
    }

    /// Whether one of the messages is read, and its time is not known.
    fn lacks_times(&self, messages: &[Message]) -> bool {
        messages.iter().any(|message| {
            let (recipient, stamp) = (&message.recipient, message.id.stamp);
            self.has_read(recipient, stamp) && self.first_move(recipient, stamp).is_none()
        })
    }

    /// Takes in that a reader has just moved their watermark.
    pub fn moved(&mut self, reader: &UserId, message: Stamp, at: Timestamp) {
        if let Some((_, watermark)) = self.watermarks.iter_mut().find(|(user, _)| user == reader) {
            *watermark = Some(message);
        }
        self.moves.push(Move { message, reader: reader.clone(), at });
        self.moves.sort_by_key(|read| read.message);
    }
}

impl Store {
    /// The moves about a page, as far as they can be had without waiting for its messages.
    pub(super) async fn reads_about(
        &self,
        conversation: &ConversationId,
        bounds: PageBounds,
    ) -> Result<Reads, Error> {
        let limit = bounds.limit + 1;
        if let Some(after) = bounds.after {
            let (items, _) = self.moves(conversation, Some(after), None, limit, false).await?;
            return Ok(Reads { moves: read_moves(&items)?, since: Some(after), ..Reads::default() });
        }
        // One move at or past the page's end tells of its last messages.
        let ((older, more), (newer, _)) = tokio::try_join!(
            self.moves(conversation, None, bounds.before, limit + bounds.offset, false),
            async {
                match bounds.before {
                    Some(before) => self.moves(conversation, Some(before), None, 2, false).await,
                    None => Ok((Vec::new(), false)),
                }
            }
        )?;
        let mut moves = read_moves(&older)?;
        moves.reverse();
        let since = moves.first().filter(|_| more).map(|read| read.message);
        moves.extend(read_moves(&newer)?);
        Ok(Reads { moves, since, ..Reads::default() })
    }

    /// Up to `limit` moves: ascending from a message, or descending below one.
    async fn moves(
        &self,
        conversation: &ConversationId,
        from: Option<Stamp>,
        below: Option<Stamp>,
        limit: usize,
        consistent: bool,
    ) -> Result<(Vec<Item>, bool), Error> {
        let query = self
            .db
            .query()
            .consistent_read(consistent)
            .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
            .expression_attribute_values(":pk", partition(conversation).attribute())
            .expression_attribute_values(":low", from.map_or("R#".to_owned(), sort_key).attribute())
            .expression_attribute_values(":high", below.map_or("R~".to_owned(), sort_key).attribute())
            .scan_index_forward(from.is_some());
        self.query_up_to(query, limit).await
    }

    /// Reads on, as it stands, where the first look was too short to tell when a message was read.
    pub(super) async fn complete_reads(
        &self,
        reads: &mut Reads,
        conversation: &ConversationId,
        messages: &[Message],
    ) -> Result<(), Error> {
        let Some(first) = messages.first().filter(|_| reads.lacks_times(messages)) else { return Ok(()) };
        let mut from = first.id.stamp;
        reads.moves.clear();
        reads.since = Some(from.previous());
        while reads.lacks_times(messages) {
            let (items, more) = self.moves(conversation, Some(from), None, MOVES_AT_ONCE, true).await?;
            let mut moves = read_moves(&items)?;
            let last = moves.last().filter(|_| more).map(|read| read.message);
            // The next look begins at the last message again: the other's move to it may still be missing.
            moves.retain(|read| {
                !reads.moves.iter().any(|m| m.message == read.message && m.reader == read.reader)
            });
            reads.moves.append(&mut moves);
            match last {
                Some(last) => from = last,
                None => break,
            }
        }
        Ok(())
    }

    /// Moves a user's read watermark forward. A target at or below it changes nothing.
    ///
    /// `known` is the row, where the caller has just read it.
    ///
    /// # Errors
    /// `NotAParticipant` where the conversation is not theirs, `NotFound` where the target does not exist.
    pub async fn mark_read(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        target: Target,
        mut known: Option<Row>,
    ) -> Result<Marked, Error> {
        let began = Instant::now();
        loop {
            let row = match known.take() {
                Some(row) => row,
                None => self.row(user, conversation).await?.ok_or(Error::NotAParticipant)?,
            };
            let target = match target {
                Target::Message(stamp) => Some(stamp),
                Target::Newest => row.head,
            };
            let stands = |read: Option<Stamp>, unread: u64| Watermark {
                conversation_id: conversation.clone(),
                message_id: read.map(|stamp| MessageId { conversation: conversation.clone(), stamp }),
                unread_count: unread,
            };
            let Some(target) = target.filter(|target| !row.has_read(*target)) else {
                let (watermark, delivery) = (stands(row.read, row.n), Delivery::default());
                return Ok(Marked { watermark, moved_at: None, delivery });
            };
            if row.head.is_none_or(|head| head < target) {
                // The row was read before the message came.
                continue;
            }
            let unread = self.count_unread(user, conversation, &row, target).await?;
            let unread = unread.ok_or(Error::NotFound("There is no such message."))?;
            let at = self.clock.now();
            let (writes, told) = self.read_writes(user, conversation, &row, (target, at), unread)?;
            if let (Commit::Done, delivery) = self.commit_and_tell(writes, told, began).await? {
                return Ok(Marked { watermark: stands(Some(target), unread), moved_at: Some(at), delivery });
            }
        }
    }

    fn read_writes(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        row: &Row,
        (target, at): (Stamp, Timestamp),
        unread: u64,
    ) -> Result<(Vec<Write>, Vec<Told>), Error> {
        let mine = Write::update(inbox::key(user, conversation))
            .set("read", &target)
            .set("n", &unread)
            .if_still("head", row.head.as_ref())
            .if_still("read", row.read.as_ref())
            .if_still("cleared", row.cleared.as_ref())
            .if_still_number("n", row.n);
        let mine = if unread == 0 { mine.remove("unread") } else { mine.set("unread", inbox::UNREAD_MARK) };
        let theirs =
            Write::update(inbox::key(&row.peer, conversation)).set("peer_read", &target).if_present("pk");
        let event = |unread| Event::MessageRead {
            conversation: conversation.clone(),
            user: user.clone(),
            message: target,
            at,
            unread,
        };
        let stamp = self.clock.stamp_above(row.told_up_to());
        let receipt = Write::put(key(conversation, target, user), &Stored { at })?;
        let told = vec![
            (user.clone(), stamp, event(Some((unread, row.head)))),
            (row.peer.clone(), stamp, event(None)),
        ];
        Ok((vec![mine, theirs, receipt], told))
    }

    /// Moves a user's read watermark to a message.
    ///
    /// # Errors
    /// `NotAParticipant` where its conversation is not theirs, `NotFound` where it does not exist.
    pub async fn mark_message_read(&self, user: &UserId, id: &MessageId) -> Result<Marked, Error> {
        let target = Target::Message(id.stamp);
        // What is written is conditioned on the row as read, so half the price of a consistent read will do. Where
        // nothing is to be written, or the row seems too old, it is read again.
        let row = self.row_of_late(user, &id.conversation).await?;
        let is_news =
            |row: &Row| row.head >= Some(id.stamp) && !row.has_read(id.stamp) && row.shows(id.stamp);
        let row = match row.filter(is_news) {
            Some(row) => row,
            None => self.message_for(user, id).await?.0,
        };
        self.mark_read(user, &id.conversation, target, Some(row)).await
    }

    /// Who has read a message, and when; its sender is not among them.
    ///
    /// # Errors
    /// `NotAParticipant` where its conversation is not the caller's, `NotFound` where it does not exist.
    pub async fn receipts(&self, caller: &UserId, id: &MessageId) -> Result<Vec<Receipt>, Error> {
        let (row, message) = self.message_for(caller, id).await?;
        let read_at = self.read_at(caller, &row, &message).await?;
        Ok(read_at.map(|read_at| Receipt { user_id: message.recipient, read_at }).into_iter().collect())
    }

    /// When a message's recipient read it; `row` is either participant's, its owner `caller`.
    async fn read_at(
        &self,
        caller: &UserId,
        row: &Row,
        message: &Message,
    ) -> Result<Option<Timestamp>, Error> {
        let mut reads = Reads::nothing_below(message.id.stamp);
        reads.know(caller, row);
        self.complete_reads(&mut reads, &message.id.conversation, std::slice::from_ref(message)).await?;
        Ok(reads.read_at(message))
    }

    /// When a message of the caller's was read, as it stands.
    ///
    /// # Errors
    /// `NotAParticipant` where its conversation is not theirs.
    pub async fn read_time(&self, caller: &UserId, message: &Message) -> Result<Option<Timestamp>, Error> {
        let row = self.row(caller, &message.id.conversation).await?.ok_or(Error::NotAParticipant)?;
        self.read_at(caller, &row, message).await
    }
}

fn read_moves(items: &[Item]) -> Result<Vec<Move>, Error> {
    items.iter().map(Move::read).collect()
}
