//! Read watermarks: who has read a message, and marking as read.
//!
//! Invariant: a watermark never moves back, and each move leaves one receipt. A message was read at the first move to it
//! or past it, so marking as read writes to no message. While there is a block, moves are private: the peer's row does not
//! take the watermark, and the receipt is shown to the reader alone.

use async_recursion::async_recursion as boxed;
use domain::conversation::{MAX_COUNTED_READERS, MAX_READ_EVENTS, Participant, Row, Watermark};
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::event::{Event, Unread};
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::limits;
use domain::message::{Message, ReadState};
use domain::time::Timestamp;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::client::Store;
use crate::inbox;
use crate::item::full_at;
use crate::messages::{Counted, PageBounds};
use crate::moves::{self, Move, direct_range, ending_at, range_of, replace, time_in};
use crate::participants::{self, Group};
use crate::profiles::account_deleted;
use crate::transact::Commit;
use crate::write::Write;

/// The readers of a message whose moves are looked up concurrently.
const CONCURRENT_READERS: usize = 32;
/// Moves that are read together after a private one.
const PRIVATE_MOVES: usize = 20;

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
    /// In a direct conversation: the user whose id sorts first, and the other one.
    readers: Vec<Reader>,
    /// The user to whom the watermarks of a direct conversation are shown.
    viewer: Option<UserId>,
    /// Whether the conversation has too many participants (more than 100) to count readers.
    uncounted: bool,
    /// Some moves of each user of a direct conversation, in the order of `readers`.
    moves: [Vec<Move>; 2],
}

impl Reads {
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
            self.readers.sort_by(|one, other| one.user.cmp(&other.user));
            self.viewer = Some(reader.clone());
        }
    }

    /// When a user of a direct conversation read a message; `None` if that is not loaded.
    fn time_of(&self, reader: usize, message: Stamp) -> Option<Timestamp> {
        time_in(&self.moves[reader], self.is_viewer(reader), message)
    }

    fn is_viewer(&self, reader: usize) -> bool {
        self.viewer.as_ref() == Some(&self.readers[reader].user)
    }

    /// Returns who has read a message: in a direct conversation with the time, else with the number of readers.
    #[must_use]
    pub fn state_of(&self, message: &Message) -> ReadState {
        let stamp = message.id.stamp;
        if let Some(recipient) = &message.recipient {
            let recipient = self.readers.iter().position(|reader| reader.user == *recipient);
            let recipient = recipient.filter(|index| self.readers[*index].has_read(stamp));
            return ReadState::direct(
                recipient.is_some(),
                recipient.and_then(|index| self.time_of(index, stamp)),
            );
        }
        let mut others = self.readers.iter().filter(|reader| reader.could_see(message)).peekable();
        let has_others = others.peek().is_some();
        let (read, unread): (Vec<&Reader>, _) = others.partition(|reader| reader.has_read(stamp));
        let count = u32::try_from(read.len()).ok().filter(|_| !self.uncounted);
        ReadState { read: has_others && unread.is_empty(), at: None, count }
    }

    /// Returns the messages to a user that were read at a time that is not loaded, ascending.
    fn without_times(&self, reader: usize, messages: &[Message]) -> Vec<Stamp> {
        let Reader { user, read, .. } = &self.readers[reader];
        let read_by_them = messages.iter().filter(|message| message.recipient.as_ref() == Some(user));
        let stamps = read_by_them.map(|message| message.id.stamp).filter(|stamp| *read >= Some(*stamp));
        let mut stamps: Vec<Stamp> = stamps.filter(|stamp| self.time_of(reader, *stamp).is_none()).collect();
        stamps.sort_unstable();
        stamps
    }

    /// Records that a reader has just moved their watermark.
    pub fn moved(&mut self, reader: &UserId, to: Stamp, at: Timestamp) {
        let Some(index) = self.readers.iter().position(|known| known.user == *reader) else { return };
        let from = self.readers[index].read.replace(to);
        if let Some(moves) = self.moves.get_mut(index).filter(|_| self.viewer.is_some()) {
            // All earlier moves ended where this one began, at the latest.
            for read in &mut *moves {
                read.to = read.to.map_or(from, |to| Some(to).min(from));
            }
            moves.push(Move { from, to: Some(to), at, private: false });
        }
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
        self.reads_by([true; 2], conversation, bounds).await
    }

    /// Like [`Store::reads_about`], with the moves of only some users of a direct conversation: of the one whose id sorts
    /// first, and of the other one.
    pub(crate) async fn reads_by(
        &self,
        readers: [bool; 2],
        conversation: &ConversationId,
        bounds: PageBounds,
    ) -> Result<Reads, Error> {
        let moves = async |reader: usize| {
            let is_needed = readers[reader];
            if is_needed { self.moves_around(conversation, reader, bounds).await } else { Ok(Vec::new()) }
        };
        let (first, second) = tokio::try_join!(moves(0), moves(1))?;
        Ok(Reads { moves: [first, second], ..Reads::default() })
    }

    /// Looks up when each of some direct messages was read, if the loaded moves do not tell.
    pub(crate) async fn complete_reads(
        &self,
        reads: &mut Reads,
        conversation: &ConversationId,
        messages: &[Message],
    ) -> Result<(), Error> {
        if reads.viewer.is_some() {
            let (first, second) = tokio::try_join!(
                self.moves_past(reads, 0, conversation, messages),
                self.moves_past(reads, 1, conversation, messages)
            )?;
            replace(&mut reads.moves[0], first);
            replace(&mut reads.moves[1], second);
        }
        Ok(())
    }

    /// Reads the moves of a user of a direct conversation that tell when they read some messages, if the loaded ones do
    /// not.
    async fn moves_past(
        &self,
        reads: &Reads,
        reader: usize,
        conversation: &ConversationId,
        messages: &[Message],
    ) -> Result<Vec<Move>, Error> {
        let (range, mut found) = (direct_range(reader), Vec::new());
        let mut lacking = reads.without_times(reader, messages);
        while let Some(last) = lacking.pop() {
            let limit = lacking.len() + 1;
            let mut moves = self.moves_below(conversation, &range, Some(last), limit, true).await?;
            moves.reverse();
            while let Some(read) = moves.last().filter(|read| read.private && !reads.is_viewer(reader)) {
                // The peer learns of it by the next public one.
                let (later, _) =
                    self.moves_above(conversation, &range, read.from, PRIVATE_MOVES, true).await?;
                if later.is_empty() {
                    break;
                }
                moves.extend(later);
            }
            replace(&mut found, ending_at(Some(last), moves));
            lacking.retain(|message| time_in(&found, reads.is_viewer(reader), *message).is_none());
        }
        Ok(found)
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
            if row.owner_deleted {
                return Err(account_deleted());
            }
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
            // Marking anything as read also ends what was marked as unread.
            let target = if row.unread_from.is_some() { target.max(row.read) } else { target };
            let is_new = |target: &Stamp| row.unread_from.is_some() || !row.has_read(*target);
            let Some(target) = target.filter(is_new) else {
                let (watermark, delivery) = (watermark_at(row.read, row.unread), Delivery::default());
                return Ok(Marked { watermark, moved_at: None, delivery });
            };
            if was_known && row.head < Some(target) {
                // The row was read before the message was sent.
                continue;
            }
            let counted = self.count_unread(user, conversation, &row, target, is_large).await?;
            let counted = counted.ok_or(Error::NotFound("There is no such message."))?;
            let unread = counted.unread;
            let at = self.clock.now();
            let (writes, events) =
                self.read_writes(user, conversation, &row, group.as_ref(), (target, at), counted)?;
            if let Commit::Done(delivery) = self.commit_and_publish(writes.into(), events, began).await? {
                let moved_at = (!row.has_read(target)).then_some(at);
                return Ok(Marked { watermark: watermark_at(Some(target), unread), moved_at, delivery });
            }
        }
    }

    /// The writes and events that move a watermark to `target`, after which this many messages are unread. If it stands there
    /// already, only the reader learns of it.
    fn read_writes(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        row: &Row,
        group: Option<&Group>,
        (target, at): (Stamp, Timestamp),
        counted: Counted,
    ) -> Result<(Vec<Write>, Vec<OutgoingEvent>), Error> {
        let stamp = self.clock.stamp_above(row.event_floor());
        let own_row = Write::update(inbox::key(user, conversation))
            .set("read", &target)
            .set(inbox::LATEST_EVENT, &stamp)
            .if_below(inbox::LATEST_EVENT, &stamp)
            .remove("unread_from")
            .if_still("unread_from", row.unread_from.as_ref())
            .if_still("head", row.head.as_ref())
            .if_still("read", row.read.as_ref())
            .if_still("cleared", row.cleared.as_ref())
            .if_still_number("n", row.unread)
            .if_still_number("mn", row.mentions)
            .if_present("pk");
        let own_row = inbox::count(own_row, row, counted);
        let own_row =
            if counted.unread == 0 { own_row } else { own_row.if_still("activity", row.activity.as_ref()) };
        let private = row.is_blocked();
        let own_row =
            if private { own_row } else { own_row.if_missing("blocked_by_me").if_missing("blocked_by_peer") };
        let moves = !row.has_read(target);
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
            message: Some(target),
            at,
            unread,
            marked_unread: false,
        };
        let receipt = moves::receipt(conversation, user, row.peer.as_ref(), (row.read, target), at, private)?;
        // The row of a large conversation may lag behind the target.
        let unread = Unread {
            head: row.head.max(Some(target)),
            read: Some(target),
            ..Unread::of(&counted.applied_to(row.clone()))
        };
        let mut writes = vec![own_row];
        let mut events = vec![OutgoingEvent::new(user.clone(), stamp, event(Some(unread)))];
        if !moves {
            return Ok((writes, events));
        }
        writes.push(receipt);
        writes.extend(public_watermark);
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
            |row: &Row| row.head >= Some(id.stamp) && !row.counts_as_read(id.stamp) && row.shows(id.stamp);
        let known = match row.filter(moves_watermark) {
            Some(row) => Some((row, group)),
            None => Some((self.message_for(user, id).await?.0, group)),
        };
        self.mark(user, &id.conversation, target, known).await
    }

    /// Marks a message and the later ones as unread, for the user alone: the public watermark stays.
    ///
    /// # Errors
    /// `NotAParticipant` if the user does not take part in its conversation, `NotFound` if the message does not exist
    /// or is not visible to the user, `RateLimited`.
    #[boxed]
    pub async fn mark_unread(&self, user: &UserId, id: &MessageId) -> Result<Marked, Error> {
        let (began, conversation) = (Instant::now(), &id.conversation);
        let mut bucket_full_at = None;
        loop {
            let (row, _) = self.message_for(user, id).await?;
            if row.owner_deleted {
                return Err(account_deleted());
            }
            let mut after = Row { unread_from: Some(id.stamp), ..row.clone() };
            let low = after.counted_from().unwrap_or_else(|| Stamp::first_of(Timestamp::from_millis(0)));
            let counted = match row.head.filter(|head| *head > low) {
                Some(head) => self.unread_between(user, conversation, &row, (low, head)).await?,
                None => Counted::default(),
            };
            after = counted.applied_to(after);
            let message = |stamp| MessageId { conversation: conversation.clone(), stamp };
            let (message_id, unread_count) = (row.read.map(message), after.unread);
            let watermark = Watermark { conversation_id: conversation.clone(), message_id, unread_count };
            if after == row {
                return Ok(Marked { watermark, moved_at: None, delivery: Delivery::default() });
            }
            let at = self.clock.stamp_above(row.event_floor());
            let own = inbox::unless_changed(Write::update(inbox::key(user, conversation)), &row)
                .if_still("unread_from", row.unread_from.as_ref())
                .set("unread_from", &id.stamp)
                .set(inbox::LATEST_EVENT, &at);
            let own = self.limit(inbox::count(own, &row, counted), &limits::WRITES, bucket_full_at)?;
            let event = Event::MessageRead {
                conversation: conversation.clone(),
                user: user.clone(),
                message: row.read,
                at: at.time(),
                unread: Some(Unread::of(&after)),
                marked_unread: true,
            };
            let events = vec![OutgoingEvent::new(user.clone(), at, event)];
            match self.commit_and_publish(vec![own].into(), events, began).await? {
                Commit::Done(delivery) => return Ok(Marked { watermark, moved_at: None, delivery }),
                Commit::Refused(refusals) => {
                    let mut items = refusals.into_iter().filter_map(|((), item)| item);
                    bucket_full_at = items.find_map(|item| full_at(&item, &limits::WRITES));
                }
            }
        }
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
        let participants = group.into_iter().flat_map(|group| group.participants);
        let readers = participants.filter(|(user, participant)| {
            *user != message.sender && participant.sees(id.stamp) && participant.read >= Some(id.stamp)
        });
        let receipts = readers.map(async |(user_id, participant)| {
            let range = range_of(&user_id);
            // The last move that began below the message may be that of joining again, after they had read it.
            let mut moves = self.moves_below(&id.conversation, &range, Some(id.stamp), 2, false).await?;
            moves.retain(|read| read.covers(id.stamp));
            if moves.is_empty() {
                // They read it by joining.
                let before = Some(id.stamp.previous());
                moves = self.moves_above(&id.conversation, &range, before, 1, false).await?.0;
            }
            let first = moves.last();
            // The read is eventually consistent and may lack the newest move, but the participant's item has it.
            let newest = participant.read_at.map(Timestamp::from_millis);
            let read_at = first.map(|first| first.at).or(newest);
            Ok::<_, Error>(read_at.map(|read_at| Receipt { user_id, read_at }))
        });
        let receipts = stream::iter(receipts.collect::<Vec<_>>()).buffer_unordered(CONCURRENT_READERS);
        let receipts: Vec<Option<Receipt>> = receipts.try_collect().await?;
        let mut receipts: Vec<Receipt> = receipts.into_iter().flatten().collect();
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
        let mut reads = Reads::default();
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
