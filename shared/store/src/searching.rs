//! Searching one's messages, newest first, over all conversations.
//!
//! A pass finds the best hits below a bound: it reads each conversation backwards until that has no better hit to
//! give, the liveliest first, and leaves out those that end before the worst hit kept. A call has a budget; a pass
//! that it cuts short goes on in the next call, through the rows in the order of their ids, which no new message
//! changes. Nothing is shown before its pass is complete, so the order holds over all pages.

use std::collections::BTreeMap;
use std::ops::Range;

use async_recursion::async_recursion as boxed;
use domain::conversation::{Row, SMALL};
use domain::error::Error;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::{Message, ReadState};
use domain::text::TextQuery;
use domain::time::Timestamp;
use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::item::text;
use crate::messages::{self, StoredMessage};
use crate::reads::Reads;
use crate::{participants, partition};

/// Messages that one call reads before it leaves the rest to the next.
const BUDGET: usize = 20_000;
/// Messages of one conversation that are read before its hits are looked at.
const STRIDE: usize = 5_000;
/// Messages that one query reads at most: what a search holds in memory.
const QUERY: usize = 1_000;
/// Conversations that are read side by side.
const AT_ONCE: usize = 8;
/// Conversations that one call opens.
const OPENED: usize = 400;

/// Which messages are searched.
#[derive(Debug, Clone, Default)]
pub struct SearchScope {
    /// Only this conversation.
    pub conversation: Option<ConversationId>,
    /// Only messages of this sender.
    pub from: Option<UserId>,
    /// Only messages sent before this time.
    pub before: Option<Timestamp>,
    /// Only messages sent after this time.
    pub after: Option<Timestamp>,
}

/// How far a search has come.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SearchProgress {
    /// Earlier pages have shown what is at or above.
    below: Option<Stamp>,
    /// The conversation to go on with, and the message below which; in the order of ids.
    at: Option<(ConversationId, Option<Stamp>)>,
    /// The best hits so far.
    found: Vec<MessageId>,
}

/// A message that was found.
pub struct Hit {
    /// The message.
    pub message: Message,
    /// Who has read it.
    pub reads: ReadState,
    /// Where in it the query was found, in characters.
    pub highlights: Vec<Range<u32>>,
}

/// A page of hits, newest first; empty where the call's budget ended before its pass did.
pub struct SearchPage {
    /// The hits.
    pub hits: Vec<Hit>,
    /// How to go on; `None` at the end.
    pub next: Option<SearchProgress>,
}

/// The best hits of a pass.
struct TopHits {
    limit: usize,
    hits: BTreeMap<Stamp, MessageId>,
}

impl TopHits {
    fn add(&mut self, id: MessageId) {
        self.hits.insert(id.stamp, id);
        if self.hits.len() > self.limit {
            self.hits.pop_first();
        }
    }

    /// Whether a message of that stamp would still be kept.
    fn takes(&self, stamp: Stamp) -> bool {
        self.hits.len() < self.limit || self.hits.first_key_value().is_none_or(|(worst, _)| stamp > *worst)
    }
}

/// What one look into a conversation gave.
struct ScanChunk {
    hits: Vec<MessageId>,
    read: usize,
    /// Where to read on; `None` at its end.
    rest: Option<Stamp>,
}

/// One search, as its looks need it.
struct Search<'a> {
    store: &'a Store,
    query: &'a TextQuery,
    from: Option<&'a UserId>,
    above: Option<Stamp>,
    limit: usize,
}

impl Store {
    /// A page of a user's messages that hold a query.
    ///
    /// # Errors
    /// `NotAParticipant` where the scope is another's conversation.
    #[boxed]
    pub async fn search(
        &self,
        user: &UserId,
        query: &TextQuery,
        scope: &SearchScope,
        limit: usize,
        pass: SearchProgress,
    ) -> Result<SearchPage, Error> {
        let mut rows = self.searchable_rows(user, scope).await?;
        let before = scope.before.map(Stamp::first_of);
        let top = [pass.below, before].into_iter().flatten().min();
        // `after` is excluded: its own millisecond is passed over.
        let above =
            scope.after.map(|time| Stamp::first_of(Timestamp::from_millis(time.millis() + 1)).previous());
        let search = Search { store: self, query, from: scope.from.as_ref(), above, limit };
        let mut pool = TopHits { limit, hits: pass.found.into_iter().map(|id| (id.stamp, id)).collect() };

        let first = match &pass.at {
            None => {
                rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.head));
                None
            }
            Some((conversation, at)) => {
                rows.retain(|(id, _)| id >= conversation);
                *at
            }
        };
        let cut = search.read(&rows, first.or(top), top, &mut pool).await?;
        let Some(at) = cut else {
            return self.complete(user, query, pool).await;
        };
        // The first cut starts the order of ids from its beginning.
        let at = if pass.at.is_some() {
            at
        } else {
            rows.iter().map(|(id, _)| (id.clone(), None)).min().unwrap_or(at)
        };
        let next =
            SearchProgress { below: pass.below, at: Some(at), found: pool.hits.into_values().collect() };
        Ok(SearchPage { hits: Vec::new(), next: Some(next) })
    }

    /// The rows whose messages a user may search, in the order of their ids.
    async fn searchable_rows(
        &self,
        user: &UserId,
        scope: &SearchScope,
    ) -> Result<Vec<(ConversationId, Row)>, Error> {
        let rows = if let Some(id) = &scope.conversation {
            vec![(id.clone(), self.row(user, id).await?.ok_or(Error::NotAParticipant)?)]
        } else {
            self.rows(user).await?
        };
        // A large conversation's row may not have taken in yet what is to be found.
        let now = Stamp::first_of(self.clock.now()).plus(u64::MAX);
        let rows = rows.into_iter().map(|(id, row)| {
            let is_large = row.participant_count > SMALL as u64;
            (id, if is_large { Row { head: row.head.max(Some(now)), ..row } } else { row })
        });
        Ok(rows.filter(|(_, row)| row.head.is_some_and(|head| row.shows(head))).collect())
    }

    /// The page of a complete pass: its hits as they are now.
    async fn complete(&self, user: &UserId, query: &TextQuery, pool: TopHits) -> Result<SearchPage, Error> {
        let full = pool.hits.len() == pool.limit;
        let below = pool.hits.first_key_value().map(|(stamp, _)| *stamp);
        let next = full.then(|| SearchProgress { below, ..SearchProgress::default() });
        let items = self.get_all(pool.hits.values().map(messages::key).collect()).await?;
        let mut found = items.into_iter().map(messages::read_stored).collect::<Result<Vec<_>, _>>()?;
        found.sort_by_key(|stored| stored.message.id.clone());
        let of_one = found.chunk_by(|a, b| a.message.id.conversation == b.message.id.conversation);
        let of_one = of_one.map(|messages| self.hits_in(user, query, messages.to_vec()));
        let mut looks = stream::iter(of_one.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        let mut hits = Vec::with_capacity(pool.limit);
        while let Some(found) = looks.next().await {
            hits.append(&mut found?);
        }
        hits.sort_by_key(|hit| std::cmp::Reverse(hit.message.id.stamp));
        Ok(SearchPage { hits, next })
    }

    /// The hits among messages of one conversation, and who has read them.
    async fn hits_in(
        &self,
        user: &UserId,
        query: &TextQuery,
        messages: Vec<StoredMessage>,
    ) -> Result<Vec<Hit>, Error> {
        let Some(first) = messages.first() else { return Ok(Vec::new()) };
        let MessageId { conversation, stamp } = first.message.id.clone();
        let Some(row) = self.row(user, &conversation).await? else { return Ok(Vec::new()) };
        let shown = messages
            .into_iter()
            .filter(|stored| row.shows(stored.message.id.stamp) && !stored.is_hidden_by(user));
        let shown: Vec<Message> = shown.map(|stored| stored.message).collect();
        let mut reads = Reads::nothing_below(stamp);
        if conversation.is_direct() {
            reads.know(user, &row);
            self.complete_reads(&mut reads, &conversation, &shown).await?;
        } else if let Some(group) = self.group(&conversation, participants::ALL, false).await? {
            reads = Reads::of_group(&group);
        }
        let hits = shown.into_iter().filter_map(|message| {
            let highlights = query.find_in(&message.content.text)?;
            Some(Hit { reads: reads.state_of(&message), message, highlights })
        });
        Ok(hits.collect())
    }
}

impl Search<'_> {
    /// Reads conversations in their order into the pool: the first below `first`, the others below `top`. Gives
    /// where the budget ended, if it did.
    async fn read(
        &self,
        rows: &[(ConversationId, Row)],
        first: Option<Stamp>,
        top: Option<Stamp>,
        pool: &mut TopHits,
    ) -> Result<Option<(ConversationId, Option<Stamp>)>, Error> {
        let mut read = 0;
        let looks = rows.iter().enumerate();
        let looks = looks.map(|(index, (id, row))| self.look(id, row, if index == 0 { first } else { top }));
        let mut looks = stream::iter(looks.collect::<Vec<_>>()).buffered(AT_ONCE).zip(stream::iter(rows));
        let mut opened = 0;
        while let Some((look, (id, row))) = looks.next().await {
            let mut look = look?;
            loop {
                read += look.read;
                look.hits.into_iter().for_each(|hit| pool.add(hit));
                let Some(rest) = look.rest.filter(|rest| pool.takes(*rest)) else { break };
                if read >= BUDGET {
                    return Ok(Some((id.clone(), Some(rest))));
                }
                look = self.look(id, row, Some(rest)).await?;
            }
            opened += 1;
            // By liveliness, the rows after this one end earlier still; by id, they may not.
            let Some((next, _)) =
                rows[opened..].iter().find(|(_, row)| row.head.is_some_and(|head| pool.takes(head)))
            else {
                break;
            };
            if read >= BUDGET || opened >= OPENED {
                return Ok(Some((next.clone(), None)));
            }
        }
        Ok(None)
    }

    /// Reads up to a stride of a conversation's messages, newest first below a stamp.
    async fn look(&self, id: &ConversationId, row: &Row, below: Option<Stamp>) -> Result<ScanChunk, Error> {
        let low = row.cleared.max(self.above);
        let mut look = ScanChunk { hits: Vec::new(), read: 0, rest: None };
        let mut below = below;
        while let Some(range) = messages::between(low, below) {
            let query = self
                .store
                .between(&partition::of_conversation(id), &range.0, &range.1)
                .consistent_read(true)
                .projection_expression("sk, sender, content.#text")
                .expression_attribute_names("#text", "text")
                .scan_index_forward(false);
            // A common word ends with the first, small reads; a rare one is worth large ones.
            let count = (look.read * 3).clamp(self.limit.max(50) * 2, QUERY);
            let (items, more) = self.store.query_up_to(query, count).await?;
            look.read += items.len();
            for item in &items {
                let stamp = messages::stamp_of(item)?;
                below = Some(stamp);
                let wanted = match self.from {
                    Some(from) => text(item, "sender")? == from.as_str(),
                    None => true,
                };
                if wanted && self.query.find_in(messages::text_of(item)).is_some() {
                    look.hits.push(MessageId { conversation: id.clone(), stamp });
                }
            }
            if !more {
                break;
            }
            if look.hits.len() >= self.limit || look.read >= STRIDE {
                look.rest = below;
                break;
            }
        }
        Ok(look)
    }
}
