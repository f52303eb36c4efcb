//! Searching a user's messages, newest first, across all conversations.
//!
//! A search has sources: the user's own archive, and the conversations that it does not cover. It always goes on with
//! the source that can contain the newest message not yet read, and stops when all hits of the page are newer than
//! everything not yet read. So a cursor is one stamp: everything above it was returned, or is no hit. What a search
//! reads from messages it archives, so the next call and the next search read it at a fraction of the cost.
//!
//! Invariant: hits are in order across all pages, whatever is archived in between: archives say where to look, never what
//! a page contains.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use domain::conversation::Row;
use domain::error::Error;
use domain::id::{ConversationId, Stamp, UserId};
use domain::page_size::PageSize;
use domain::search::SearchQuery;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::Store;
use crate::search_hits::{Candidate, Hit};
use crate::search_sources::{Scan, Source, end_of_time};
use crate::user_archive::{Opened, UserArchive};

/// How long one call searches before it leaves the rest to the next call.
const MAX_TIME: Duration = Duration::from_secs(2);
/// The bytes of messages and packs that a call reads for a page of mentions before it leaves the rest to the next call.
/// They cost up to about 4,000 read units. The packs of the user's own archive are read in any case, and do not count.
const MAX_MENTIONS_READ: usize = 8 * 1024 * 1024;
/// The sources that are read in parallel.
const AT_ONCE: usize = 8;
/// The most candidates that are checked at a time.
const MAX_CHECKED: usize = 100;

/// The progress of a search, kept in the cursor between two calls.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SearchProgress {
    /// Every hit at or above this stamp was returned by earlier pages.
    below: Option<Stamp>,
}

/// A page of hits, newest first. It has fewer hits than the limit only at the end, at its maximum size, or if the call has
/// searched for 2 s; a page of mentions also if the call has read 8 MB.
pub struct SearchPage {
    /// The hits.
    pub hits: Vec<Hit>,
    /// Where to resume; `None` at the end.
    pub next: Option<SearchProgress>,
}

/// A search in progress.
struct Search<'a> {
    scan: Scan<'a>,
    began: Instant,
    /// The bytes that the call reads at most, and a little more.
    max_read: usize,
    sources: Vec<Source>,
    archive: Option<UserArchive>,
    /// By the highest stamp that each can have.
    candidates: BTreeMap<(Stamp, ConversationId), Candidate>,
    hits: BTreeMap<(Stamp, ConversationId), Hit>,
    /// The user's rows, as they were read in this call.
    rows: HashMap<ConversationId, Row>,
}

impl Store {
    /// Returns a page of up to `limit` of the user's messages that match a query.
    ///
    /// # Errors
    /// `NotAParticipant` if the query names a conversation in which the user does not take part.
    #[boxed]
    pub async fn search(
        &self,
        user: &UserId,
        query: &SearchQuery,
        limit: usize,
        progress: SearchProgress,
    ) -> Result<SearchPage, Error> {
        self.search_within(usize::MAX, user, query, limit, progress).await
    }

    /// Returns a page of up to `limit` messages that mention a user, alone or with everyone, newest first. Messages that
    /// the user has sent do not mention them.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn mentions(
        &self,
        user: &UserId,
        limit: usize,
        progress: SearchProgress,
    ) -> Result<SearchPage, Error> {
        let query = SearchQuery::mentioning(user.clone());
        self.search_within(MAX_MENTIONS_READ, user, &query, limit, progress).await
    }

    async fn search_within(
        &self,
        max_read: usize,
        user: &UserId,
        query: &SearchQuery,
        limit: usize,
        progress: SearchProgress,
    ) -> Result<SearchPage, Error> {
        let below = [progress.below, query.upper_bound()].into_iter().flatten().min();
        let below = below.unwrap_or_else(end_of_time);
        let mut search = Search {
            scan: Scan::new(self, user, query, limit, below),
            began: Instant::now(),
            max_read,
            sources: Vec::new(),
            archive: None,
            candidates: BTreeMap::new(),
            hits: BTreeMap::new(),
            rows: HashMap::new(),
        };
        if let [conversation] = &query.within[..] {
            let mut source = Source::open(conversation.clone(), None, below);
            let candidates = search.scan.advance(&mut source).await?;
            if source.row.is_none() {
                return Err(Error::NotAParticipant);
            }
            source.is_done |= query.is_impossible();
            search.add_candidates(candidates);
            search.add_source(source);
        } else if !query.is_impossible() {
            let Opened { archive, candidates, sources } = search.scan.open_user_archive().await?;
            search.archive = Some(archive);
            search.add_candidates(candidates);
            search.sources = sources;
        }
        search.run().await?;
        search.finish().await
    }
}

impl Search<'_> {
    fn add_candidates(&mut self, candidates: Vec<Candidate>) {
        let keyed = |found: Candidate| ((found.highest(), found.conversation.clone()), found);
        self.candidates.extend(candidates.into_iter().map(keyed));
    }

    /// Adds a source whose row was read.
    fn add_source(&mut self, source: Source) {
        self.rows.extend(source.row.clone().map(|row| (source.conversation.clone(), row)));
        self.sources.push(source);
    }

    /// The lowest stamp from which on everything has been read; `None` if everything has.
    fn line(&self) -> Option<Stamp> {
        let unread = self.sources.iter().filter(|source| !source.is_done);
        unread.map(|source| source.next.min(self.scan.below)).max()
    }

    /// The lowest stamp from which on all hits are known; `None` if all are.
    fn settled_from(&self) -> Option<Stamp> {
        self.line().max(self.candidates.keys().next_back().map(|(highest, _)| highest.plus(1)))
    }

    /// The number of hits at or above a stamp.
    fn hits_from(&self, line: Option<Stamp>) -> usize {
        self.hits.keys().rev().take_while(|(stamp, _)| Some(*stamp) >= line).count()
    }

    /// Searches until the page is full, everything has been read, or the call has worked enough.
    async fn run(&mut self) -> Result<(), Error> {
        let limit = self.scan.limit;
        while self.hits_from(self.settled_from()) < limit {
            let line = self.line();
            let missing = limit.saturating_sub(self.hits_from(line)).clamp(1, MAX_CHECKED);
            let above = self.candidates.keys().rev().take_while(|(highest, _)| Some(*highest) >= line);
            let above: Vec<_> = above.take(missing).cloned().collect();
            let is_spent = self.is_spent(line);
            // Candidates are checked when they may fill the page, or when nothing more is read.
            if !above.is_empty() && (above.len() == missing || line.is_none() || is_spent) {
                self.check(above).await?;
            } else if line.is_none() || is_spent {
                break;
            } else {
                self.advance().await?;
            }
        }
        Ok(())
    }

    /// Whether to leave the rest to the next call, which must begin further down than this one.
    fn is_spent(&self, line: Option<Stamp>) -> bool {
        let elapsed = self.began.elapsed();
        let is_spent = elapsed >= MAX_TIME || self.scan.bytes_read() >= self.max_read;
        is_spent && line < Some(self.scan.below) || elapsed >= MAX_TIME * 4
    }

    /// Compares candidates with their messages.
    async fn check(&mut self, keys: Vec<(Stamp, ConversationId)>) -> Result<(), Error> {
        let candidates = keys.iter().filter_map(|key| self.candidates.remove(key)).collect();
        let Scan { store, user, query, below, .. } = self.scan;
        let hits = store.hits_among(user, query, candidates, &mut self.rows).await?;
        for hit in hits.into_iter().filter(|hit| hit.message.id.stamp < below) {
            let id = &hit.message.id;
            self.hits.insert((id.stamp, id.conversation.clone()), hit);
        }
        Ok(())
    }

    /// Reads the next parts of the sources that can contain the newest messages.
    async fn advance(&mut self) -> Result<(), Error> {
        let known = self.candidates.keys().chain(self.hits.keys()).map(|(stamp, _)| *stamp);
        let mut known: Vec<Stamp> = known.collect();
        known.sort_unstable_by(|one, other| other.cmp(one));
        // Older candidates have no place on the page.
        let oldest = known.get(self.scan.limit.saturating_sub(1)).copied();
        let mut sources: Vec<&mut Source> =
            self.sources.iter_mut().filter(|source| !source.is_done).collect();
        sources.sort_by_key(|source| std::cmp::Reverse(source.next));
        sources.retain(|source| Some(source.next) > oldest);
        sources.truncate(AT_ONCE);
        let scan = &self.scan;
        let found = try_join_all(sources.into_iter().map(|source| scan.advance(source))).await?;
        for candidates in found {
            self.add_candidates(candidates);
        }
        for source in &self.sources {
            if let Some(row) = &source.row
                && !self.rows.contains_key(&source.conversation)
            {
                self.rows.insert(source.conversation.clone(), row.clone());
            }
        }
        Ok(())
    }

    /// Archives what was read, and returns the page.
    async fn finish(mut self) -> Result<SearchPage, Error> {
        let settled = self.settled_from();
        let scan = &self.scan;
        futures_util::future::join_all(self.sources.iter_mut().map(|source| scan.finish(source))).await;
        if let Some(archive) = self.archive.take()
            && let Err(error) = archive.save(scan, self.sources).await
        {
            tracing::info!(error = observe::log::reason(&error), "an archive is not saved");
        }
        let mut hits = Vec::new();
        let mut size = PageSize::default();
        let mut next = settled;
        for ((stamp, _), hit) in
            self.hits.into_iter().rev().take_while(|((stamp, _), _)| Some(*stamp) >= settled)
        {
            if hits.len() == scan.limit || !size.takes(&hit.size_in(scan.user, &scan.store.links)) {
                next = Some(stamp.plus(1));
                break;
            }
            hits.push(hit);
        }
        Ok(SearchPage { hits, next: next.map(|below| SearchProgress { below: Some(below) }) })
    }
}
