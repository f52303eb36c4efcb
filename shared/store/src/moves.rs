//! The receipts of moves of read watermarks.
//!
//! Invariant: the key of a receipt is the reader and where the watermark stood before. The moves of a reader follow one
//! another without a gap, so the move past a message is the last one that began below it, however many moves of others
//! there are; only joining leaves a gap.

use std::iter::successors;

use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use domain::error::Error;
use domain::id::{ConversationId, Stamp, UserId};
use domain::time::{Timestamp, millis};
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::database::query_between;
use crate::item::{Item, Key, from_item, suffix};
use crate::messages::PageBounds;
use crate::partition;
use crate::write::Write;

/// The key of the receipt of a move from a message on. `peer` is the other user of a direct conversation.
pub(crate) fn key(
    conversation: &ConversationId,
    from: Option<Stamp>,
    reader: &UserId,
    peer: Option<&UserId>,
) -> Key {
    let range = match peer {
        Some(peer) => direct_range(usize::from(reader > peer)),
        None => range_of(reader),
    };
    let from = from.map_or_else(String::new, |from| from.to_string());
    Key { pk: partition::of_conversation(conversation), sk: format!("{range}{from}") }
}

/// The prefix of the sort keys of a participant's receipts in a group or room.
pub(crate) fn range_of(reader: &UserId) -> String {
    format!("R#{reader}#")
}

/// The prefix of the sort keys of the receipts of one user of a direct conversation: of the one whose id sorts first
/// (0), or of the other one (1). So a page can be read by the conversation's id alone, which does not tell its users.
pub(crate) fn direct_range(reader: usize) -> String {
    format!("R#{reader}#")
}

/// The attributes of a receipt, without its key.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// Left out in a direct conversation: there it is where the next move begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Stamp>,
    #[serde(with = "millis")]
    at: Timestamp,
    /// The reader moved while there was a block: the peer does not learn of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    private: bool,
}

/// Writes the receipt of a user who joins a group or room: what they see up to `to` counts as read, unless they read it
/// when they were there before.
pub(crate) fn first_receipt(
    conversation: &ConversationId,
    to: Stamp,
    reader: &UserId,
    at: Timestamp,
) -> Write {
    let write = Write::update(key(conversation, Some(to.previous()), reader, None));
    write.set_if_missing("to", Some(&to)).set_if_missing("at", Some(&at))
}

/// Writes the receipt of a move. `peer` is the other user of a direct conversation; `private` moves are shown to the
/// reader alone.
pub(crate) fn receipt(
    conversation: &ConversationId,
    reader: &UserId,
    peer: Option<&UserId>,
    (from, to): (Option<Stamp>, Stamp),
    at: Timestamp,
    private: bool,
) -> Result<Write, Error> {
    let to = peer.is_none().then_some(to);
    Write::put(key(conversation, from, reader, peer), &Stored { to, at, private })
}

/// One move of a reader's watermark, as its receipt records it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub(crate) from: Option<Stamp>,
    /// `None`: not below any message that the reader has read.
    pub(crate) to: Option<Stamp>,
    pub(crate) at: Timestamp,
    pub(crate) private: bool,
}

impl Move {
    fn read(item: &Item) -> Result<Self, Error> {
        let malformed = || Error::internal("malformed key of a receipt");
        let suffix = suffix(item, "sk", "R#")?;
        let (_, from) = suffix.split_once('#').ok_or_else(malformed)?;
        let from = if from.is_empty() { None } else { Some(from.parse().map_err(Error::internal)?) };
        let Stored { to, at, private } = from_item(item)?;
        Ok(Self { from, to, at, private })
    }

    /// Whether this is the reader's first move to a message or past it, if they have read it.
    pub(crate) fn covers(&self, message: Stamp) -> bool {
        self.from < Some(message) && self.to.is_none_or(|to| message <= to)
    }
}

impl Store {
    /// Reads the moves of a user of a direct conversation around a page, as far as its bounds tell which these are.
    pub(crate) async fn moves_around(
        &self,
        conversation: &ConversationId,
        reader: usize,
        bounds: PageBounds,
    ) -> Result<Vec<Move>, Error> {
        let (range, limit) = (direct_range(reader), bounds.limit + 1);
        let Some(after) = bounds.after else {
            let mut moves =
                self.moves_below(conversation, &range, bounds.before, limit + bounds.offset, false).await?;
            moves.reverse();
            return Ok(ending_at(bounds.before.map(Stamp::previous), moves));
        };
        let (covering, (later, more)) = tokio::try_join!(
            self.moves_below(conversation, &range, Some(after.plus(1)), 1, false),
            self.moves_above(conversation, &range, Some(after), limit, false)
        )?;
        let mut moves: Vec<Move> = covering.into_iter().chain(later).collect();
        // If there are more moves, the end of the last one is unknown, so it is left out.
        let end = if more { moves.pop().and_then(|last| last.from) } else { None };
        Ok(ending_at(end, moves))
    }

    /// Reads up to `limit` moves of a reader that began below a message, descending. The first of them covers the message
    /// below it, if the reader has read that.
    pub(crate) async fn moves_below(
        &self,
        conversation: &ConversationId,
        range: &str,
        message: Option<Stamp>,
        limit: usize,
        consistent: bool,
    ) -> Result<Vec<Move>, Error> {
        let high = message.map_or_else(|| "~".to_owned(), |message| message.previous().to_string());
        let query =
            query_between(&partition::of_conversation(conversation), range, &format!("{range}{high}"));
        let query = query.scan_index_forward(false).consistent_read(consistent);
        Ok(self.moves(query, limit).await?.0)
    }

    /// Reads up to `limit` moves of a reader that began above a message, ascending; and whether there may be more.
    pub(crate) async fn moves_above(
        &self,
        conversation: &ConversationId,
        range: &str,
        message: Option<Stamp>,
        limit: usize,
        consistent: bool,
    ) -> Result<(Vec<Move>, bool), Error> {
        // `!` sorts below every stamp.
        let low = message.map_or_else(|| "!".to_owned(), |message| message.plus(1).to_string());
        let (low, high) = (format!("{range}{low}"), format!("{range}~"));
        let query = query_between(&partition::of_conversation(conversation), &low, &high);
        self.moves(query.consistent_read(consistent), limit).await
    }

    async fn moves(&self, query: QueryInputBuilder, limit: usize) -> Result<(Vec<Move>, bool), Error> {
        let (items, more) = self.query_up_to(query, limit).await?;
        Ok((items.iter().map(Move::read).collect::<Result<_, _>>()?, more))
    }

    /// Returns when the watermark of a user of a direct conversation moved to this message, by an eventually consistent
    /// read.
    pub(crate) async fn moved_at(
        &self,
        conversation: &ConversationId,
        message: Stamp,
        reader: &UserId,
        peer: &UserId,
    ) -> Result<Option<Timestamp>, Error> {
        let range = direct_range(usize::from(reader > peer));
        let moves = self.moves_below(conversation, &range, Some(message), 1, false).await?;
        Ok(moves.first().map(|read| read.at))
    }
}

/// Adds moves of a reader to known ones. Of these, the end of the last one may not have been known.
pub(crate) fn replace(known: &mut Vec<Move>, moves: Vec<Move>) {
    known.retain(|known| moves.iter().all(|read| read.from != known.from));
    known.extend(moves);
}

/// Completes moves of a user of a direct conversation, which follow one another: each ends where the next one begins, and
/// the last one ends at `end` or later.
pub(crate) fn ending_at(mut end: Option<Stamp>, mut moves: Vec<Move>) -> Vec<Move> {
    for read in moves.iter_mut().rev() {
        (read.to, end) = (end, read.from);
    }
    moves
}

/// When a user of a direct conversation first moved to a message or past it, by some of their moves. A private move shows
/// only to themselves; others see the next public one. `None` if these moves do not tell.
pub(crate) fn time_in(moves: &[Move], is_own: bool, message: Stamp) -> Option<Timestamp> {
    let next = |read: &Move| moves.iter().find(|next| next.from.is_some() && next.from == read.to);
    let covering = moves.iter().filter(|read| read.covers(message));
    let shown =
        covering.map(|first| successors(Some(first), |read| next(read)).find(|read| is_own || !read.private));
    shown.flatten().next().map(|read| read.at)
}
