//! Read watermarks, and when they moved.
//!
//! Invariant: a watermark never moves back, and each move leaves one receipt at the message that it moved to. A message
//! was read at the first move to it or past it, so marking as read writes to no message. While there is a block, moves
//! are private: the peer's row does not take the watermark, and the receipt is shown to the reader alone.

use async_recursion::async_recursion as boxed;
use domain::conversation::{MAX_COUNTED_READERS, MAX_READ_EVENTS, Participant, Row, Watermark};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::{Event, Unread};
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::{Message, ReadState};
use domain::time::{Timestamp, millis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Item, Key, Write, from_item, suffix, text};
use crate::messages::PageBounds;
use crate::participants::{self, Group};
use crate::transact::Commit;
use crate::{inbox, partition};

pub(crate) fn key(conversation: &ConversationId, message: Stamp, reader: &UserId) -> Key {
    Key { pk: partition::of_conversation(conversation), sk: format!("{}#{reader}", sort_key(message)) }
}

fn sort_key(message: Stamp) -> String {
    format!("R#{message}")
}

/// The attributes of a receipt, without its key.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(with = "millis")]
    at: Timestamp,
    /// The reader moved while there was a block: the peer does not learn of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    private: bool,
}

/// Writes the receipt of a move, unless an earlier move to the same message has left one.
pub(crate) fn first_receipt(
    conversation: &ConversationId,
    message: Stamp,
    reader: &UserId,
    at: Timestamp,
) -> Write {
    Write::update(key(conversation, message, reader)).set_if_missing("at", Some(&at))
}

/// The most moves that one query reads where the number needed is unknown.
const MOVES_PER_QUERY: usize = 100;

/// Where to move a watermark.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// To this message, which must exist.
    Message(Stamp),
    /// To the newest message.
    Newest,
}

/// The outcome of marking as read.
pub struct Marked {
    /// The current watermark.
    pub watermark: Watermark,
    /// When this call moved it; `None` if it was already at the target or past it.
    pub moved_at: Option<Timestamp>,
    /// The events to push.
    pub delivery: Delivery,
}

/// A user who has read a message, and when.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Receipt {
    user_id: UserId,
    read_at: Timestamp,
}

/// One move of a watermark, as its receipt records it.
#[derive(Debug, Clone)]
struct Move {
    message: Stamp,
    reader: UserId,
    at: Timestamp,
    private: bool,
}

impl Move {
    fn read(item: Item) -> Result<Self, Error> {
        let malformed = || Error::internal("malformed key of a receipt");
        let (message, reader) = suffix(&item, "sk", "R#")?.split_once('#').ok_or_else(malformed)?;
        let message = message.parse().map_err(Error::internal)?;
        let reader = reader.parse().map_err(Error::internal)?;
        let Stored { at, private } = from_item(item)?;
        Ok(Self { message, reader, at, private })
    }
}

/// A participant's read watermark.
#[derive(Debug)]
struct Reader {
    user: UserId,
    /// They could not see messages up to this one.
    from: Option<Stamp>,
    read: Option<Stamp>,
}

impl Reader {
    fn has_read(&self, message: Stamp) -> bool {
        self.read.is_some_and(|read| message <= read)
    }

    fn could_see(&self, message: &Message) -> bool {
        self.user != message.sender && self.from.is_none_or(|from| from < message.id.stamp)
    }
}

/// The watermarks of a conversation's participants and, in a direct one, the moves around a page.
#[derive(Debug, Default)]
pub struct Reads {
    readers: Vec<Reader>,
    /// Who is shown the watermarks of a direct conversation.
    viewer: Option<UserId>,
    /// Whether the conversation has too many participants (more than 100) to count readers.
    uncounted: bool,
    /// Ascending by message. Complete above `since`, up to the last one.
    moves: Vec<Move>,
    /// Moves to this message or below it may be missing. `None`: no move is missing below the last one.
    since: Option<Stamp>,
}

impl Reads {
    /// Starts without watermarks and moves. Moves below `message` will not be needed.
    pub(crate) fn starting_at(message: Stamp) -> Self {
        Self { since: Some(message), ..Self::default() }
    }

    /// The watermarks of a group or room.
    pub(crate) fn of_group(group: &Group) -> Self {
        let reader = |(user, participant): &(UserId, Participant)| Reader {
            user: user.clone(),
            from: participant.from,
            read: participant.read,
        };
        let uncounted = group.meta.participant_count > MAX_COUNTED_READERS;
        Self { readers: group.participants.iter().map(reader).collect(), uncounted, ..Self::default() }
    }

    /// Sets both watermarks of a direct conversation from a reader's row.
    pub(crate) fn set_direct_watermarks(&mut self, reader: &UserId, row: &Row) {
        if let Some(peer) = &row.peer {
            let both = [(reader.clone(), row.read), (peer.clone(), row.peer_read)];
            self.readers = both.map(|(user, read)| Reader { user, from: None, read }).into();
            self.viewer = Some(reader.clone());
        }
    }

    /// When a reader first moved to a message or past it; `None` if the move is not loaded.
    fn first_move(&self, reader: &UserId, message: Stamp) -> Option<Timestamp> {
        if self.since.is_some_and(|since| message <= since) {
            return None;
        }
        let is_own = self.viewer.as_ref() == Some(reader);
        let mut moves = self.moves.iter().filter(|read| read.reader == *reader && (is_own || !read.private));
        moves.find(|read| read.message >= message).map(|read| read.at)
    }

    /// Returns who has read a message: in a direct conversation with the time, else with the number of readers.
    #[must_use]
    pub fn state_of(&self, message: &Message) -> ReadState {
        let stamp = message.id.stamp;
        let mut others = self.readers.iter().filter(|reader| reader.could_see(message)).peekable();
        if let Some(recipient) = &message.recipient {
            let has_read = others.any(|reader| reader.user == *recipient && reader.has_read(stamp));
            return ReadState::direct(has_read.then(|| self.first_move(recipient, stamp)).flatten());
        }
        let has_others = others.peek().is_some();
        let (read, unread): (Vec<&Reader>, _) = others.partition(|reader| reader.has_read(stamp));
        let count = u32::try_from(read.len()).ok().filter(|_| !self.uncounted);
        ReadState { read: has_others && unread.is_empty(), at: None, count }
    }

    /// Whether one of the direct messages has been read at a time that the loaded moves do not tell.
    fn lacks_times(&self, messages: &[Message]) -> bool {
        messages.iter().any(|message| {
            let stamp = message.id.stamp;
            message.recipient.as_ref().is_some_and(|recipient| {
                let has_read =
                    self.readers.iter().any(|reader| reader.user == *recipient && reader.has_read(stamp));
                has_read && self.first_move(recipient, stamp).is_none()
            })
        })
    }

    /// Records that a reader has just moved their watermark.
    pub fn moved(&mut self, reader: &UserId, message: Stamp, at: Timestamp) {
        if let Some(known) = self.readers.iter_mut().find(|known| known.user == *reader) {
            known.read = Some(message);
        }
        self.moves.push(Move { message, reader: reader.clone(), at, private: false });
        self.moves.sort_by_key(|read| read.message);
    }
}

impl Store {
    /// Reads the watermarks of a group or room, or the moves around a page of a direct conversation, as far as possible
    /// in parallel with the page itself.
    pub(crate) async fn reads_about(
        &self,
        conversation: &ConversationId,
        bounds: PageBounds,
    ) -> Result<Reads, Error> {
        if !conversation.is_direct() {
            let group = self.group(conversation, participants::ALL, true).await?;
            return Ok(group.as_ref().map(Reads::of_group).unwrap_or_default());
        }
        let limit = bounds.limit + 1;
        if let Some(after) = bounds.after {
            let (items, _) = self.moves(conversation, Some(after), None, limit, false).await?;
            return Ok(Reads { moves: read_moves(items)?, since: Some(after), ..Reads::default() });
        }
        // The first moves past the end of the page say when its last messages were read.
        let ((older, more), (newer, _)) = tokio::try_join!(
            self.moves(conversation, None, bounds.before, limit + bounds.offset, false),
            async {
                match bounds.before {
                    Some(before) => self.moves(conversation, Some(before), None, 2, false).await,
                    None => Ok((Vec::new(), false)),
                }
            }
        )?;
        let mut moves = read_moves(older)?;
        moves.reverse();
        let since = moves.first().filter(|_| more).map(|read| read.message);
        moves.extend(read_moves(newer)?);
        Ok(Reads { moves, since, ..Reads::default() })
    }

    /// Reads up to `limit` moves, ascending from a message or descending below one; and whether there may be more.
    async fn moves(
        &self,
        conversation: &ConversationId,
        from: Option<Stamp>,
        below: Option<Stamp>,
        limit: usize,
        consistent: bool,
    ) -> Result<(Vec<Item>, bool), Error> {
        let query = self
            .between(
                &partition::of_conversation(conversation),
                &from.map_or("R#".to_owned(), sort_key),
                &below.map_or("R#~".to_owned(), sort_key),
            )
            .consistent_read(consistent)
            .scan_index_forward(from.is_some());
        self.query_up_to(query, limit).await
    }

    /// Returns when a reader's watermark moved to exactly this message, by an eventually consistent read.
    pub(crate) async fn moved_at(
        &self,
        conversation: &ConversationId,
        message: Stamp,
        reader: &UserId,
    ) -> Result<Option<Timestamp>, Error> {
        let item = self.get(key(conversation, message, reader), false).await?;
        Ok(item.map(from_item::<Stored>).transpose()?.map(|stored| stored.at))
    }

    /// Reads moves consistently until it is known when each of the messages was read, if the loaded moves do not tell.
    pub(crate) async fn complete_reads(
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
            let (items, more) = self.moves(conversation, Some(from), None, MOVES_PER_QUERY, true).await?;
            let mut moves = read_moves(items)?;
            let last = moves.last().filter(|_| more).map(|read| read.message);
            // The next query begins at the last message again: the other participant's move to it may be missing.
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
    /// `known` is the user's row, if it has just been read.
    ///
    /// # Errors
    /// `NotAParticipant` if the user does not take part, `NotFound` if the target does not exist.
    #[boxed]
    pub async fn mark_read(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        target: Target,
        known: Option<Row>,
    ) -> Result<Marked, Error> {
        let known = match known {
            Some(row) => Some((row, self.group_with_read_events(conversation, false).await?)),
            None => None,
        };
        self.mark(user, conversation, target, known).await
    }

    /// Reads a group or room (`None` for a direct conversation). It is complete only if it has at most 8 participants,
    /// who are notified of each other's reading.
    async fn group_with_read_events(
        &self,
        conversation: &ConversationId,
        consistent: bool,
    ) -> Result<Option<Group>, Error> {
        if conversation.is_direct() {
            return Ok(None);
        }
        self.group(conversation, MAX_READ_EVENTS, consistent).await
    }

    async fn mark(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        target: Target,
        mut known: Option<(Row, Option<Group>)>,
    ) -> Result<Marked, Error> {
        let began = Instant::now();
        loop {
            let was_known = known.is_some();
            let (row, group) = if let Some(known) = known.take() {
                known
            } else {
                let newest = matches!(target, Target::Newest);
                let (row, group) = tokio::try_join!(
                    self.row(user, conversation),
                    self.group_with_read_events(conversation, newest)
                )?;
                (row.ok_or(Error::NotAParticipant)?, group)
            };
            let target = match target {
                Target::Message(stamp) => Some(stamp),
                // The row of a large conversation may lag behind the newest message.
                Target::Newest => {
                    let last = group.as_ref().and_then(|group| group.meta.newest_message);
                    row.head.max(last.filter(|last| row.shows(*last)))
                }
            };
            let is_large = !conversation.is_direct() && group.as_ref().is_none_or(Group::is_large);
            let group = group.filter(|group| group.is_complete);
            let watermark_at = |read: Option<Stamp>, unread: u64| Watermark {
                conversation_id: conversation.clone(),
                message_id: read.map(|stamp| MessageId { conversation: conversation.clone(), stamp }),
                unread_count: unread,
            };
            let Some(target) = target.filter(|target| !row.has_read(*target)) else {
                let (watermark, delivery) = (watermark_at(row.read, row.unread), Delivery::default());
                return Ok(Marked { watermark, moved_at: None, delivery });
            };
            if was_known && row.head < Some(target) {
                // The row was read before the message was sent.
                continue;
            }
            let unread = self.count_unread(user, conversation, &row, target, is_large).await?;
            let unread = unread.ok_or(Error::NotFound("There is no such message."))?;
            let at = self.clock.now();
            let (writes, events) =
                self.read_writes(user, conversation, &row, group.as_ref(), (target, at), unread)?;
            if let Commit::Done(delivery) = self.commit_and_publish(writes.into(), events, began).await? {
                return Ok(Marked {
                    watermark: watermark_at(Some(target), unread),
                    moved_at: Some(at),
                    delivery,
                });
            }
        }
    }

    /// The writes and events that move a watermark to `target`, after which `unread` messages are unread.
    fn read_writes(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        row: &Row,
        group: Option<&Group>,
        (target, at): (Stamp, Timestamp),
        unread: u64,
    ) -> Result<(Vec<Write>, Vec<OutgoingEvent>), Error> {
        let own_row = Write::update(inbox::key(user, conversation))
            .set("read", &target)
            .set("n", &unread)
            .if_still("head", row.head.as_ref())
            .if_still("read", row.read.as_ref())
            .if_still("cleared", row.cleared.as_ref())
            .if_still_number("n", row.unread)
            .if_present("pk");
        let own_row =
            if unread == 0 { own_row.remove("unread") } else { own_row.set("unread", inbox::UNREAD_MARK) };
        let private = row.is_blocked();
        let own_row =
            if private { own_row } else { own_row.if_missing("blocked_by_me").if_missing("blocked_by_peer") };
        let public_watermark = match &row.peer {
            Some(_) if private => None,
            Some(peer) => {
                let row = Write::update(inbox::key(peer, conversation));
                Some(row.set("peer_read", &target).if_present("pk"))
            }
            None => {
                let part = Write::update(participants::key(conversation, user)).set("read", &target);
                Some(part.set("read_at", &at).if_present("pk"))
            }
        };
        let event = |unread| Event::MessageRead {
            conversation: conversation.clone(),
            user: user.clone(),
            message: target,
            at,
            unread,
        };
        let stamp = self.clock.stamp_above(row.event_floor());
        let receipt = Write::put(key(conversation, target, user), &Stored { at, private })?;
        // The row of a large conversation may lag behind the target.
        let counted = Unread { count: unread, head: row.head.max(Some(target)), read: Some(target) };
        let mut writes = vec![own_row, receipt];
        writes.extend(public_watermark);
        let mut events = vec![OutgoingEvent::new(user.clone(), stamp, event(Some(counted)))];
        if let Some(group) = group {
            let membership = Write::check(participants::meta_key(conversation));
            writes.push(membership.if_still("members", Some(&group.meta.membership)));
        }
        let people = group.iter().flat_map(|group| group.participants.iter().map(|(id, _)| id));
        let peer = row.peer.iter().filter(|_| !private);
        let others = people.chain(peer).filter(|other| *other != user);
        events.extend(others.map(|other| OutgoingEvent::new(other.clone(), stamp, event(None))));
        Ok((writes, events))
    }

    /// Moves a user's read watermark to a message.
    ///
    /// # Errors
    /// `NotAParticipant` if the user does not take part in its conversation, `NotFound` if the message does not exist
    /// or is not visible to the user.
    #[boxed]
    pub async fn mark_message_read(&self, user: &UserId, id: &MessageId) -> Result<Marked, Error> {
        let target = Target::Message(id.stamp);
        // An eventually consistent read costs half and is enough for a write that is conditioned on the row. If nothing
        // would be written, or the row seems too old, it is read again.
        let (row, group) = tokio::try_join!(
            self.possibly_stale_row(user, &id.conversation),
            self.group_with_read_events(&id.conversation, false)
        )?;
        let moves_watermark =
            |row: &Row| row.head >= Some(id.stamp) && !row.has_read(id.stamp) && row.shows(id.stamp);
        let known = match row.filter(moves_watermark) {
            Some(row) => Some((row, group)),
            None => Some((self.message_for(user, id).await?.0, group)),
        };
        self.mark(user, &id.conversation, target, known).await
    }

    /// Returns who has read a message, and when, in the order of reading. The sender is not included.
    ///
    /// # Errors
    /// `NotAParticipant` if the caller does not take part in its conversation, `NotFound` if the message does not exist
    /// or is not visible to the caller.
    #[boxed]
    pub async fn receipts(&self, caller: &UserId, id: &MessageId) -> Result<Vec<Receipt>, Error> {
        let (row, message) = self.message_for(caller, id).await?;
        if message.recipient.is_some() {
            let read_at = self.state_of(caller, &row, &message).await?.at.map(Timestamp::from_millis);
            let reader = message.recipient.zip(read_at);
            return Ok(reader.map(|(user_id, read_at)| Receipt { user_id, read_at }).into_iter().collect());
        }
        let group = self.group(&id.conversation, participants::ALL, true).await?;
        let reads = group.as_ref().map(Reads::of_group).unwrap_or_default();
        let readers = reads.readers.iter().filter(|r| r.could_see(&message) && r.has_read(id.stamp));
        let mut missing: Vec<&UserId> = readers.map(|reader| &reader.user).collect();
        let (mut receipts, mut low) = (Vec::new(), sort_key(id.stamp));
        while !missing.is_empty() {
            let moves = self
                .between(&partition::of_conversation(&id.conversation), &low, "R#~")
                .consistent_read(true);
            let (items, more) = self.query_up_to(moves, MOVES_PER_QUERY).await?;
            let last = items.last().map(|item| text(item, "sk").map(ToOwned::to_owned)).transpose()?;
            for Move { reader, at, .. } in read_moves(items)? {
                if let Some(index) = missing.iter().position(|user| **user == reader) {
                    missing.swap_remove(index);
                    receipts.push(Receipt { user_id: reader, read_at: at });
                }
            }
            let Some(last) = last.filter(|_| more) else { break };
            // The next key: `!` sorts below every character of a user id.
            low = format!("{last}!");
        }
        receipts.sort_by_key(|receipt| receipt.read_at);
        Ok(receipts)
    }

    /// Returns who has read a message. `row` is the caller's row of its conversation.
    pub(crate) async fn state_of(
        &self,
        caller: &UserId,
        row: &Row,
        message: &Message,
    ) -> Result<ReadState, Error> {
        if !message.id.conversation.is_direct() {
            let group = self.group(&message.id.conversation, participants::ALL, true).await?;
            return Ok(group.as_ref().map(Reads::of_group).unwrap_or_default().state_of(message));
        }
        let mut reads = Reads::starting_at(message.id.stamp);
        reads.set_direct_watermarks(caller, row);
        self.complete_reads(&mut reads, &message.id.conversation, std::slice::from_ref(message)).await?;
        Ok(reads.state_of(message))
    }

    /// Returns who has read a message by now.
    ///
    /// # Errors
    /// `NotAParticipant` if the caller does not take part in its conversation.
    #[boxed]
    pub async fn read_state(&self, caller: &UserId, message: &Message) -> Result<ReadState, Error> {
        let row = self.row(caller, &message.id.conversation).await?.ok_or(Error::NotAParticipant)?;
        self.state_of(caller, &row, message).await
    }
}

fn read_moves(items: Vec<Item>) -> Result<Vec<Move>, Error> {
    items.into_iter().map(Move::read).collect()
}
