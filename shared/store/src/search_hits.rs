//! The candidates of a search, and the messages among them that are hits.
//!
//! Invariant: every hit is a message as it was read in this call, consistently, and compared with the query, with the
//! reader's row and with the list of those who have hidden it. An archive decides none of these.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use domain::conversation::Row;
use domain::error::Error;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::links::Links;
use domain::message::{Message, ReadState};
use domain::search::SearchQuery;
use domain::time::Timestamp;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use crate::client::Store;
use crate::database::query_between;
use crate::item::{Item, Key, from_item};
use crate::messages::{self, PageBounds, StoredMessage};
use crate::reads::Reads;
use crate::{inbox, participants, partition};

/// The queries of one search that run in parallel.
pub(crate) const AT_ONCE: usize = 16;
/// Messages that a query reads rather than leaving them out: about as many cost one read unit.
pub(crate) const WORTH_READING: usize = 24;

/// A message that matches a search.
pub struct Hit {
    /// The message.
    pub message: Message,
    /// The read state.
    pub reads: ReadState,
    /// The matching ranges of its text, in Unicode scalar values; the end of a range is exclusive.
    pub highlights: Vec<Range<u32>>,
}

impl Hit {
    /// The data that determines the hit's size in a response to a user.
    pub(crate) fn size_in(&self, user: &UserId, links: &Links) -> impl Serialize {
        let highlights: Vec<[u32; 2]> =
            self.highlights.iter().map(|range| [range.start, range.end]).collect();
        (self.message.shown_to(user, &self.reads, links), highlights, "highlights")
    }
}

/// The data known about a candidate.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// It was read in this call.
    Message(Box<StoredMessage>),
    /// Its stamp, and perhaps its sender and the other user of a direct conversation.
    Stamp { sender: Option<UserId>, peer: Option<UserId> },
    /// Its millisecond, and its number among the messages that were searched.
    Millisecond { number: usize },
}

/// A message that may be a hit.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) conversation: ConversationId,
    /// The stamp or, if only the millisecond is known, the first one of it.
    pub(crate) stamp: Stamp,
    pub(crate) known: Known,
}

impl Candidate {
    /// The highest stamp that the message can have.
    pub(crate) fn highest(&self) -> Stamp {
        match self.known {
            Known::Millisecond { .. } => end_of_millisecond(self.stamp),
            _ => self.stamp,
        }
    }

    fn id(&self) -> MessageId {
        MessageId { conversation: self.conversation.clone(), stamp: self.stamp }
    }

    /// The bytes of memory of the message.
    pub(crate) fn bytes(&self) -> usize {
        match &self.known {
            Known::Message(stored) => stored.message.content.text.len(),
            _ => 0,
        }
    }

    /// Forgets the message, which is then read again.
    pub(crate) fn forget(&mut self) {
        if let Known::Message(_) = self.known {
            self.known = Known::Stamp { sender: None, peer: None };
        }
    }
}

/// The highest stamp of the millisecond of a stamp.
pub(crate) fn end_of_millisecond(stamp: Stamp) -> Stamp {
    Stamp::first_of(Timestamp::from_millis(stamp.time().millis() + 1)).previous()
}

/// Candidates by conversation.
type Groups = BTreeMap<ConversationId, Vec<Candidate>>;

/// The keys of the messages whose stamps are known, and of the rows that are not.
fn keys_to_read(user: &UserId, groups: &Groups, rows: &HashMap<ConversationId, Row>) -> Vec<Key> {
    let exact = |candidate: &&Candidate| matches!(candidate.known, Known::Stamp { .. });
    let messages = groups.values().flatten().filter(exact).map(|candidate| messages::key(&candidate.id()));
    let unknown = groups.keys().filter(|id| !rows.contains_key(*id));
    messages.chain(unknown.map(|id| inbox::key(user, id))).collect()
}

/// Joins the milliseconds of candidates to ranges `(low, high)`, which one query each reads.
fn ranges_of(candidates: &[Candidate]) -> Vec<(Stamp, Stamp)> {
    let mut ranges: Vec<(Stamp, Stamp, usize)> = Vec::new();
    let mut sorted: Vec<(&Candidate, usize)> = Vec::new();
    for candidate in candidates {
        if let Known::Millisecond { number } = candidate.known {
            sorted.push((candidate, number));
        }
    }
    sorted.sort_by_key(|(_, number)| *number);
    for (candidate, number) in sorted {
        let (low, high) = (candidate.stamp, candidate.highest());
        match ranges.last_mut() {
            Some(last) if number - last.2 <= WORTH_READING => {
                *last = (last.0.min(low), last.1.max(high), number);
            }
            _ => ranges.push((low, high, number)),
        }
    }
    ranges.into_iter().map(|(low, high, _)| (low, high)).collect()
}

/// Which of the users of a direct conversation receive the candidates: the one whose id sorts first, and the other one.
fn receivers(user: &UserId, candidates: &[Candidate], row: Option<&Row>) -> [bool; 2] {
    let mut receivers = [false; 2];
    for candidate in candidates {
        let (sender, peer) = match &candidate.known {
            Known::Message(stored) => (Some(&stored.message.sender), stored.message.other_than(user)),
            Known::Stamp { sender, peer } => (sender.as_ref(), peer.as_ref()),
            Known::Millisecond { .. } => (None, None),
        };
        let peer = peer.or_else(|| row.and_then(|row| row.peer.as_ref()));
        let (Some(sender), Some(peer)) = (sender, peer) else { return [true; 2] };
        let is_mine = sender == user;
        receivers[usize::from((user > peer) != is_mine)] = true;
    }
    receivers
}

impl Store {
    /// Returns the hits among candidates, with who has read them. `rows` has the rows of the reader that were read in
    /// this call; those that are missing are added.
    pub(crate) async fn hits_among(
        &self,
        user: &UserId,
        query: &SearchQuery,
        candidates: Vec<Candidate>,
        rows: &mut HashMap<ConversationId, Row>,
    ) -> Result<Vec<Hit>, Error> {
        let mut groups = Groups::new();
        for candidate in candidates {
            groups.entry(candidate.conversation.clone()).or_default().push(candidate);
        }
        let reads =
            groups.iter().map(|(id, group)| self.reads_about_candidates(user, id, group, rows.get(id)));
        let reads = stream::iter(reads.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect::<Vec<Reads>>();
        let (items, in_ranges, reads) = tokio::try_join!(
            self.items_by_keys(keys_to_read(user, &groups, rows), true),
            self.messages_in_ranges(&groups),
            reads
        )?;
        let mut found: HashMap<ConversationId, Vec<StoredMessage>> = HashMap::new();
        for item in items.into_iter().chain(in_ranges) {
            if messages::stamp_of(&item).is_ok() {
                let stored = messages::read_stored(&item)?;
                found.entry(stored.message.id.conversation.clone()).or_default().push(stored);
            } else {
                rows.insert(inbox::conversation_of(&item)?, from_item(&item)?);
            }
        }
        let mut hits = Vec::new();
        for ((conversation, group), reads) in groups.into_iter().zip(reads) {
            let known = group.into_iter().filter_map(|candidate| match candidate.known {
                Known::Message(stored) => Some(*stored),
                _ => None,
            });
            let messages = known.chain(found.remove(&conversation).unwrap_or_default());
            // Without a row, the user takes no part in it any more.
            let Some(row) = rows.get(&conversation) else { continue };
            let visible =
                messages.filter(|stored| row.shows(stored.message.id.stamp) && !stored.is_hidden_by(user));
            let matching: Vec<_> = visible
                .filter_map(|stored| Some((query.find_in(&stored.message)?, stored.message)))
                .collect();
            hits.push(self.with_reads(user, conversation, row.clone(), reads, matching));
        }
        let mut hits: Vec<Hit> = try_join_all(hits).await?.into_iter().flatten().collect();
        self.mark_own_reactions(user, hits.iter_mut().map(|hit| &mut hit.message)).await?;
        Ok(hits)
    }

    /// Adds who has read them to messages of one conversation.
    async fn with_reads(
        &self,
        user: &UserId,
        conversation: ConversationId,
        row: Row,
        mut reads: Reads,
        matching: Vec<(Vec<Range<u32>>, Message)>,
    ) -> Result<Vec<Hit>, Error> {
        if conversation.is_direct() {
            let messages: Vec<Message> = matching.iter().map(|(_, message)| message.clone()).collect();
            reads.set_direct_watermarks(user, &row);
            self.complete_reads(&mut reads, &conversation, &messages).await?;
        }
        let hits = matching.into_iter().map(|(highlights, message)| Hit {
            reads: reads.state_of(&message),
            message,
            highlights,
        });
        Ok(hits.collect())
    }

    /// Reads the watermarks that tell who has read candidates of one conversation, as far as possible in parallel with
    /// the messages.
    async fn reads_about_candidates(
        &self,
        user: &UserId,
        conversation: &ConversationId,
        candidates: &[Candidate],
        row: Option<&Row>,
    ) -> Result<Reads, Error> {
        if !conversation.is_direct() {
            let group = self.group(conversation, participants::ALL, false).await?;
            return Ok(group.as_ref().map(Reads::of_group).unwrap_or_default());
        }
        let before = candidates.iter().map(|candidate| candidate.highest().plus(1)).max();
        let bounds = PageBounds { before, limit: candidates.len(), ..PageBounds::default() };
        self.reads_by(receivers(user, candidates, row), conversation, bounds).await
    }

    /// Reads the messages of the milliseconds of candidates. A query may read messages between candidates, too; these are
    /// dropped unparsed.
    async fn messages_in_ranges(&self, groups: &Groups) -> Result<Vec<Item>, Error> {
        let mut queries = Vec::new();
        for (conversation, candidates) in groups {
            let times: Arc<HashSet<Timestamp>> =
                Arc::new(candidates.iter().map(|candidate| candidate.stamp.time()).collect());
            for (low, high) in ranges_of(candidates) {
                let Some((low, high)) = messages::between(Some(low.previous()), Some(high.plus(1))) else {
                    continue;
                };
                let partition = partition::of_conversation(conversation);
                let query = query_between(&partition, &low, &high).consistent_read(true);
                let times = times.clone();
                queries.push(async move {
                    let mut items = self.query_all(query).await?;
                    items.retain(|item| {
                        messages::stamp_of(item).is_ok_and(|stamp| times.contains(&stamp.time()))
                    });
                    Ok::<_, Error>(items)
                });
            }
        }
        let found = stream::iter(queries).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        Ok(found.into_iter().flatten().collect())
    }
}
