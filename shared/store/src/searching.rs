//! Searching a user's messages, newest first, across all conversations.
//!
//! A pass finds the newest hits below a bound. It reads the conversations backwards, most recently active first, each
//! until it cannot contain a newer hit than those kept, and skips the conversations that ended before the oldest hit
//! kept. A call has a budget. A pass that exceeds it resumes in the next call and goes through the rows in the order of
//! their ids, which new messages do not change.
//!
//! Invariant: a hit is returned only after its pass is complete, so hits are in order across all pages.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use domain::conversation::{Row, SMALL};
use domain::error::Error;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::links::Links;
use domain::message::{Message, ReadState};
use domain::page_size::PageSize;
use domain::text::TextQuery;
use domain::time::Timestamp;
use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::Store;
use crate::item::text;
use crate::messages::{self, StoredMessage};
use crate::reads::Reads;
use crate::{participants, partition};

/// How long one call scans before it leaves the rest to the next call.
const MAX_TIME: Duration = Duration::from_secs(2);
/// Bytes of text that one call scans before it leaves the rest to the next call. DynamoDB bills 1 read unit for each
/// 4 KB of items.
const MAX_BYTES: usize = 24 * 1024 * 1024;
/// Bytes of text after which a scan lets other requests run.
const SLICE: usize = 64 * 1024;
/// Messages of one conversation that are read before its hits are compared with those kept.
const STRIDE: usize = 5_000;
/// The most messages that one query reads. DynamoDB ends its answer at 1 MB, which bounds the memory of a search.
const MAX_QUERY: usize = 1_000;
/// Conversations that are read in parallel.
const AT_ONCE: usize = 8;

/// The filters of a search.
#[derive(Debug, Clone, Default)]
pub struct SearchScope {
    /// Only messages of this conversation.
    pub conversation: Option<ConversationId>,
    /// Only messages of this sender.
    pub from: Option<UserId>,
    /// Only messages sent before this time.
    pub before: Option<Timestamp>,
    /// Only messages sent after this time.
    pub after: Option<Timestamp>,
}

/// The most hits that a cursor carries, about 3,300 characters of it. API Gateway takes 10,240 bytes of URL and headers.
const MAX_CARRIED: usize = 50;

/// The progress of a search, kept in the cursor between two calls.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SearchProgress {
    /// Earlier pages have returned the hits at or above this stamp.
    below: Option<Stamp>,
    /// Where to resume an incomplete pass: in this conversation, below this message. Greater ids follow.
    at: Option<(ConversationId, Option<Stamp>)>,
    /// The newest hits of the incomplete pass so far, at most [`MAX_CARRIED`].
    found: Vec<MessageId>,
}

/// A message that matches a search.
pub struct Hit {
    /// The message.
    pub message: Message,
    /// Who has read it.
    pub reads: ReadState,
    /// The matching ranges of its text, in Unicode scalar values; the end of a range is exclusive.
    pub highlights: Vec<Range<u32>>,
}

impl Hit {
    /// What determines the hit's size in a response to a user.
    fn size_in(&self, user: &UserId, links: &Links) -> impl Serialize {
        let highlights: Vec<[u32; 2]> =
            self.highlights.iter().map(|range| [range.start, range.end]).collect();
        (self.message.shown_to(user, &self.reads, links), highlights, "highlights")
    }
}

/// A page of hits, newest first; empty if the call's budget ended before the pass was complete.
pub struct SearchPage {
    /// The hits.
    pub hits: Vec<Hit>,
    /// Where to resume; `None` at the end.
    pub next: Option<SearchProgress>,
}

/// The newest hits of a pass, at most `limit`.
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

    /// Whether a hit with this stamp would be kept.
    fn would_keep(&self, stamp: Stamp) -> bool {
        self.hits.len() < self.limit || self.hits.first_key_value().is_none_or(|(oldest, _)| stamp > *oldest)
    }
}

/// The result of scanning a part of a conversation.
struct ScanChunk {
    hits: Vec<MessageId>,
    /// The number of messages read.
    read: usize,
    /// The message below which to resume; `None` at the end of the conversation.
    rest: Option<Stamp>,
}

/// The parameters of one search.
struct Search<'a> {
    store: &'a Store,
    query: &'a TextQuery,
    from: Option<&'a UserId>,
    above: Option<Stamp>,
    limit: usize,
    began: Instant,
    /// Bytes of text scanned so far.
    bytes: AtomicUsize,
}

impl Store {
    /// Returns a page of up to `limit` of the user's messages that match a query.
    ///
    /// # Errors
    /// `NotAParticipant` if the scope is a conversation in which the user does not take part.
    #[boxed]
    pub async fn search(
        &self,
        user: &UserId,
        query: &TextQuery,
        scope: &SearchScope,
        limit: usize,
        progress: SearchProgress,
    ) -> Result<SearchPage, Error> {
        let mut rows = self.searchable_rows(user, scope).await?;
        let before = scope.before.map(Stamp::first_of);
        let top = [progress.below, before].into_iter().flatten().min();
        // `after` is exclusive: messages of the same millisecond are left out.
        let above =
            scope.after.map(|time| Stamp::first_of(Timestamp::from_millis(time.millis() + 1)).previous());
        let search = Search {
            store: self,
            query,
            from: scope.from.as_ref(),
            above,
            limit,
            began: Instant::now(),
            bytes: AtomicUsize::new(0),
        };
        // The older hits that a cursor did not carry are on a later page.
        let limit = if progress.at.is_some() { limit.min(MAX_CARRIED) } else { limit };
        let mut top_hits =
            TopHits { limit, hits: progress.found.into_iter().map(|id| (id.stamp, id)).collect() };

        let first = match &progress.at {
            None => {
                rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.head));
                None
            }
            Some((conversation, at)) => {
                rows.retain(|(id, _)| id >= conversation);
                *at
            }
        };
        let resume_at = search.scan_all(&rows, first.or(top), top, &mut top_hits).await?;
        let Some(at) = resume_at else {
            return self.complete(user, query, top_hits).await;
        };
        // After its first call, an incomplete pass starts again from the lowest id.
        let at = if progress.at.is_some() {
            at
        } else {
            rows.iter().map(|(id, _)| (id.clone(), None)).min().unwrap_or(at)
        };
        let next = SearchProgress {
            below: progress.below,
            at: Some(at),
            found: top_hits.hits.into_values().rev().take(MAX_CARRIED).collect(),
        };
        Ok(SearchPage { hits: Vec::new(), next: Some(next) })
    }

    /// Returns the rows whose messages a user may search, ordered by id.
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
        // The row of a large conversation may lag behind messages that must be found.
        let now = Stamp::first_of(self.clock.now()).plus(u64::MAX);
        let rows = rows.into_iter().map(|(id, row)| {
            let may_lag = row.once_large || row.participant_count > SMALL as u64;
            (id, if may_lag { Row { head: row.head.max(Some(now)), ..row } } else { row })
        });
        Ok(rows.filter(|(_, row)| row.head.is_some_and(|head| row.shows(head))).collect())
    }

    /// Returns the page of a complete pass, with the messages as they are now.
    async fn complete(
        &self,
        user: &UserId,
        query: &TextQuery,
        top_hits: TopHits,
    ) -> Result<SearchPage, Error> {
        let full = top_hits.hits.len() == top_hits.limit;
        let below = top_hits.hits.first_key_value().map(|(stamp, _)| *stamp);
        let next = full.then(|| SearchProgress { below, ..SearchProgress::default() });
        let items = self.get_all(top_hits.hits.values().map(messages::key).collect()).await?;
        let mut found = items.into_iter().map(messages::read_stored).collect::<Result<Vec<_>, _>>()?;
        found.sort_by_key(|stored| stored.message.id.clone());
        let by_conversation = found.chunk_by(|a, b| a.message.id.conversation == b.message.id.conversation);
        let lookups = by_conversation.map(|messages| self.hits_in(user, query, messages.to_vec()));
        let mut lookups = stream::iter(lookups.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        let mut hits = Vec::with_capacity(top_hits.limit);
        while let Some(found) = lookups.next().await {
            hits.append(&mut found?);
        }
        hits.sort_by_key(|hit| std::cmp::Reverse(hit.message.id.stamp));
        let mut size = PageSize::default();
        let count = hits.iter().take_while(|hit| size.takes(&hit.size_in(user, &self.links))).count();
        let next = match hits.get(count.wrapping_sub(1)).filter(|_| count < hits.len()) {
            Some(last) => {
                Some(SearchProgress { below: Some(last.message.id.stamp), ..SearchProgress::default() })
            }
            None => next,
        };
        hits.truncate(count);
        Ok(SearchPage { hits, next })
    }

    /// Returns the hits among messages of one conversation, with who has read them.
    async fn hits_in(
        &self,
        user: &UserId,
        query: &TextQuery,
        messages: Vec<StoredMessage>,
    ) -> Result<Vec<Hit>, Error> {
        let Some(first) = messages.first() else { return Ok(Vec::new()) };
        let conversation = first.message.id.conversation.clone();
        let Some(row) = self.row(user, &conversation).await? else { return Ok(Vec::new()) };
        let visible = messages
            .into_iter()
            .filter(|stored| row.shows(stored.message.id.stamp) && !stored.is_hidden_by(user));
        let visible: Vec<Message> = visible.map(|stored| stored.message).collect();
        let mut reads = Reads::default();
        if conversation.is_direct() {
            reads.set_direct_watermarks(user, &row);
            self.complete_reads(&mut reads, &conversation, &visible).await?;
        } else if let Some(group) = self.group(&conversation, participants::ALL, false).await? {
            reads = Reads::of_group(&group);
        }
        let hits = visible.into_iter().filter_map(|message| {
            let highlights = query.find_in(&message.content.text)?;
            Some(Hit { reads: reads.state_of(&message), message, highlights })
        });
        Ok(hits.collect())
    }
}

impl Search<'_> {
    /// Whether the call has scanned for long enough, or enough text.
    fn is_exhausted(&self) -> bool {
        self.began.elapsed() >= MAX_TIME || self.bytes.load(Ordering::Relaxed) >= MAX_BYTES
    }

    /// Scans conversations in the order of `rows`, the first below `first`, the others below `top`. Returns where to
    /// resume if the budget is used up, `None` if the pass is complete.
    async fn scan_all(
        &self,
        rows: &[(ConversationId, Row)],
        first: Option<Stamp>,
        top: Option<Stamp>,
        top_hits: &mut TopHits,
    ) -> Result<Option<(ConversationId, Option<Stamp>)>, Error> {
        let scans = rows.iter().enumerate();
        let scans = scans.map(|(index, (id, row))| self.scan(id, row, if index == 0 { first } else { top }));
        let mut scans = stream::iter(scans.collect::<Vec<_>>()).buffered(AT_ONCE).zip(stream::iter(rows));
        let mut scanned = 0;
        while let Some((chunk, (id, row))) = scans.next().await {
            let mut chunk = chunk?;
            loop {
                chunk.hits.into_iter().for_each(|hit| top_hits.add(hit));
                let Some(rest) = chunk.rest.filter(|rest| top_hits.would_keep(*rest)) else { break };
                if self.is_exhausted() {
                    return Ok(Some((id.clone(), Some(rest))));
                }
                chunk = self.scan(id, row, Some(rest)).await?;
            }
            scanned += 1;
            // In the order of activity the remaining rows end earlier still; in the order of ids they may not.
            let Some((next, _)) = rows[scanned..]
                .iter()
                .find(|(_, row)| row.head.is_some_and(|head| top_hits.would_keep(head)))
            else {
                break;
            };
            if self.is_exhausted() {
                return Ok(Some((next.clone(), None)));
            }
        }
        Ok(None)
    }

    /// Scans up to `STRIDE` messages of a conversation, newest first, below a stamp.
    async fn scan(&self, id: &ConversationId, row: &Row, below: Option<Stamp>) -> Result<ScanChunk, Error> {
        let low = row.cleared.max(self.above);
        let mut chunk = ScanChunk { hits: Vec::new(), read: 0, rest: None };
        let mut below = below;
        while let Some(range) = messages::between(low, below) {
            let query = self
                .store
                .between(&partition::of_conversation(id), &range.0, &range.1)
                .consistent_read(true)
                .projection_expression("sk, sender, content.#text")
                .expression_attribute_names("#text", "text")
                .scan_index_forward(false);
            // A common word needs only the first, small queries; a rare one is worth large ones.
            let count = (chunk.read * 3).clamp(self.limit.max(50) * 2, MAX_QUERY);
            let (items, more) = self.store.query_page(query, count).await?;
            chunk.read += items.len();
            let mut slice = 0;
            for item in &items {
                let text_bytes = messages::text_of(item).len();
                self.bytes.fetch_add(text_bytes, Ordering::Relaxed);
                slice += text_bytes;
                if slice >= SLICE {
                    slice = 0;
                    tokio::task::yield_now().await;
                }
                let stamp = messages::stamp_of(item)?;
                below = Some(stamp);
                let is_from_sender = match self.from {
                    Some(from) => text(item, "sender")? == from.as_str(),
                    None => true,
                };
                if is_from_sender && self.query.find_in(messages::text_of(item)).is_some() {
                    chunk.hits.push(MessageId { conversation: id.clone(), stamp });
                }
            }
            if !more {
                break;
            }
            if chunk.hits.len() >= self.limit || chunk.read >= STRIDE || self.is_exhausted() {
                chunk.rest = below;
                break;
            }
        }
        Ok(chunk)
    }
}
