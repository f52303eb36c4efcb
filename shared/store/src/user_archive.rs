//! The archive of one user: the messages of their small conversations, packed together.
//!
//! Invariant: what the archive lacks of the conversations that it covers is in the queue's events from `since` on. So a
//! search reads neither rows nor messages of a conversation in which nothing has happened.

use std::collections::{HashMap, HashSet};

use domain::conversation::{Row, SMALL};
use domain::error::Error;
use domain::id::{ConversationId, MessageId, Stamp};
use domain::text::folded;
use domain::time::Timestamp;

use crate::archives::{PACK_LIFE, PackRef, UserIndex};
use crate::client::{Store, WINDOW_MILLIS};
use crate::messages;
use crate::news::News;
use crate::pack::{Entry, MAX_TEXT, Pack, Precision, Segment, pack};
use crate::queue;
use crate::search_hits::{Candidate, Known};
use crate::search_sources::{Scan, Source, end_of_time};

/// The conversations from which on they are worth an archive, or a pack.
const WORTH_PACKING: usize = 16;
/// Bytes of events from which on the archive is brought up to date: reading them again costs 16 units.
const MANY_EVENTS: usize = 64 * 1024;
/// Edited messages from which on the archive is brought up to date.
const MANY_EDITS: usize = 32;
/// The packs from which on small ones are merged.
const MANY_PACKS: usize = 6;
/// Compressed bytes of a pack that is not merged any more.
const LARGE_PACK: usize = 128 * 1024;
/// Milliseconds after which events may have expired, with a day to spare.
const MAX_SILENCE: i64 = (queue::RETENTION - 24 * 3600) * 1000;
/// Messages from which on they are worth a pack.
const WORTH_MESSAGES: usize = 500;
/// The most open conversations and the most packs that an index lists.
const MAX_LISTED: usize = 2_000;

/// The part of a conversation that an archive covers.
#[derive(Debug, Clone)]
struct Coverage {
    low: Option<Stamp>,
    high: Stamp,
}

/// A user's archive, as a search found it.
pub(crate) struct UserArchive {
    index: UserIndex,
    covered: HashMap<ConversationId, Coverage>,
    /// The messages in it that were edited since.
    edited: Vec<MessageId>,
    news: News,
    /// Whether the rows were read, and all of them became sources if they have messages that are not covered.
    has_all_rows: bool,
    /// When the search began.
    began: Timestamp,
}

/// The starting point of a search in all conversations.
pub(crate) struct Opened {
    pub(crate) archive: UserArchive,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) sources: Vec<Source>,
}

impl Scan<'_> {
    /// Searches the user's archive, and returns the conversations that it does not cover.
    pub(crate) async fn open_user_archive(&self) -> Result<Opened, Error> {
        let (store, began) = (self.store, self.now);
        let kept = store.user_index(self.user).await?;
        let oldest = began.millis() - MAX_SILENCE;
        let is_usable = |index: &UserIndex| {
            index.since > oldest && index.packs.iter().all(|pack| pack.expires > began.seconds())
        };
        let version = kept.as_ref().map_or(0, |index| index.version);
        let mut index = kept.filter(is_usable);
        let (mut segments, mut candidates) = (Vec::new(), Vec::new());
        let (mut news, mut rows) = (News::default(), None);
        if let Some(found) = &index {
            let ids: Vec<&str> = found.packs.iter().map(|pack| pack.id.as_str()).collect();
            let rows_if_needed =
                async { if found.is_complete { Ok(None) } else { store.rows(self.user).await.map(Some) } };
            let since = Timestamp::from_millis(found.since);
            let read =
                tokio::try_join!(store.packs(&ids), store.news_since(self.user, since), rows_if_needed)?;
            let (mut data, found_news, found_rows) = read;
            (news, rows) = (found_news, found_rows);
            for id in &ids {
                let Some(pack) = data.remove(*id) else {
                    // It has expired, or cannot be read: the archive is built again.
                    (segments, candidates) = (Vec::new(), Vec::new());
                    index = None;
                    break;
                };
                self.find_in(&pack, &mut candidates);
                segments.extend(pack.segments().cloned());
                tokio::task::yield_now().await;
            }
        }
        let has_all_rows = index.as_ref().is_none_or(|index| !index.is_complete);
        let index = index.unwrap_or_else(|| UserIndex {
            version,
            since: began.millis() - WINDOW_MILLIS,
            ..UserIndex::default()
        });
        if rows.is_none() && has_all_rows {
            (news, rows) = (News::default(), Some(store.rows(self.user).await?));
        }
        let covered = coverage(&segments);
        let edited = Vec::new();
        let mut archive = UserArchive { index, covered, edited, news, has_all_rows, began };
        archive.find_edits();
        let sources = match rows {
            Some(rows) => archive.sources_of_rows(rows, self),
            None => archive.sources_of_news(self),
        };
        let edits = archive.edited.iter().filter(|id| id.stamp < self.below).map(|id| Candidate {
            conversation: id.conversation.clone(),
            stamp: id.stamp,
            known: Known::Stamp { sender: None, peer: None },
        });
        let candidates = candidates.into_iter().chain(edits).collect();
        Ok(Opened { archive, candidates, sources })
    }

    fn find_in(&self, pack: &Pack, candidates: &mut Vec<Candidate>) {
        pack.find(self.query, 0, |found, _| {
            if self.seeks(found.stamp) {
                let known =
                    Known::Stamp { sender: Some(found.sender.clone()), peer: found.segment.peer.clone() };
                let conversation = found.segment.conversation.clone();
                candidates.push(Candidate { conversation, stamp: found.stamp, known });
            }
            true
        });
    }
}

/// The parts of conversations that segments cover: from the newest segment of each down, as far as there is no gap.
fn coverage(segments: &[Segment]) -> HashMap<ConversationId, Coverage> {
    let mut sorted: Vec<&Segment> = segments.iter().collect();
    sorted.sort_by_key(|segment| std::cmp::Reverse(segment.high));
    let mut covered: HashMap<ConversationId, Coverage> = HashMap::new();
    for Segment { conversation, low, high, .. } in sorted {
        match covered.get_mut(conversation) {
            Some(known) if Some(*high) >= known.low => known.low = known.low.min(*low),
            Some(_) => {}
            None => {
                covered.insert(conversation.clone(), Coverage { low: *low, high: *high });
            }
        }
    }
    covered
}

impl UserArchive {
    /// Notes the edited messages that the archive covers. Those of open conversations leave marks there.
    fn find_edits(&mut self) {
        for (conversation, news) in &self.news.conversations {
            let Some(covered) = self.covered.get(conversation) else { continue };
            let edited = news.edited.iter().filter(|stamp| **stamp <= covered.high);
            let id = |stamp: &Stamp| MessageId { conversation: conversation.clone(), stamp: *stamp };
            self.edited.extend(edited.map(id));
        }
    }

    fn is_open(&self, conversation: &ConversationId) -> bool {
        self.index.open.contains(conversation)
    }

    /// The sources for rows, each as far as the archive does not cover it.
    fn sources_of_rows(&mut self, rows: Vec<(ConversationId, Row)>, scan: &Scan<'_>) -> Vec<Source> {
        let mut sources = Vec::new();
        for (conversation, row) in rows {
            if is_large(&row) || self.is_open(&conversation) {
                sources.push(Source::open(conversation, None, scan.below.min(end_of_time())));
                continue;
            }
            let Some(head) = row.head.filter(|head| row.shows(*head)) else { continue };
            let covered = self.covered.get(&conversation).filter(|covered| covered.low <= row.cleared);
            let floor = covered.map_or(row.cleared, |covered| row.cleared.max(Some(covered.high)));
            if floor >= Some(head) {
                continue;
            }
            if scan.query.lower_bound() >= Some(head) {
                self.has_all_rows = false;
                continue;
            }
            sources.push(Source::private(conversation, row.peer, head.plus(1), floor));
        }
        sources
    }

    /// The sources for what has happened since, and those that are always looked into.
    fn sources_of_news(&self, scan: &Scan<'_>) -> Vec<Source> {
        let open = |id: &ConversationId| Source::open(id.clone(), None, scan.below.min(end_of_time()));
        let mut sources: Vec<Source> = self.index.open.iter().map(open).collect();
        for (conversation, news) in &self.news.conversations {
            if self.is_open(conversation) {
                continue;
            }
            let holds = |covered: &&Coverage| news.appeared.is_none_or(|row| covered.low <= row.above);
            let covered = self.covered.get(conversation).filter(holds);
            if news.has_grown {
                sources.push(open(conversation));
            } else if let Some(covered) = covered {
                if news.newest > Some(covered.high) {
                    sources.push(Source::private(
                        conversation.clone(),
                        None,
                        end_of_time(),
                        Some(covered.high),
                    ));
                }
            } else if news.newest.is_some() || news.appeared.is_some() {
                sources.push(Source::new_private(conversation.clone()));
            }
        }
        sources
    }

    /// Adds to the archive what a search has read, if it is much.
    pub(crate) async fn save(mut self, scan: &Scan<'_>, sources: Vec<Source>) -> Result<(), Error> {
        let private = |source: &&Source| !source.is_open;
        let all_done = sources.iter().filter(private).all(|source| source.is_done && source.collects);
        let is_complete = self.index.is_complete || self.has_all_rows && all_done;
        let becomes_complete = is_complete && !self.index.is_complete;
        let known: HashSet<ConversationId> = self.index.open.drain(..).collect();
        let mut open = known.clone();
        for source in &sources {
            if source.is_open && !source.is_left {
                open.insert(source.conversation.clone());
            } else {
                open.remove(&source.conversation);
            }
        }
        let mut segments: Vec<Segment> = Vec::new();
        for source in sources {
            segments.extend(source.into_segment(scan.user));
        }
        let messages: usize = segments.iter().map(|segment| segment.entries.len()).sum();
        let count = segments.len() + self.covered.len();
        let is_worth = segments.len() >= WORTH_PACKING
            || messages >= WORTH_MESSAGES
            || !open.is_subset(&known)
            || becomes_complete && (count >= WORTH_PACKING || !self.index.packs.is_empty())
            || all_done && (self.news.bytes >= MANY_EVENTS || self.edited.len() >= MANY_EDITS);
        if !is_worth || open.len() > MAX_LISTED || self.index.packs.len() > MAX_LISTED {
            return Ok(());
        }
        if all_done {
            segments.extend(self.edited_segments(scan.store).await?);
            self.index.since = self.began.millis() - WINDOW_MILLIS;
        }
        self.index.is_complete = is_complete;
        self.index.open = open.into_iter().collect();
        self.add_packs(scan, segments).await?;
        scan.store.replace_user_index(scan.user, &self.index).await?;
        Ok(())
    }

    /// The edited messages as they are now.
    async fn edited_segments(&self, store: &Store) -> Result<Vec<Segment>, Error> {
        let mut segments = Vec::new();
        for item in store.items_by_keys(self.edited.iter().map(messages::key).collect(), true).await? {
            let message = messages::read(&item)?;
            let conversation = message.id.conversation.clone();
            let Some(high) = self.covered.get(&conversation).map(|covered| covered.high) else {
                continue;
            };
            if !message.is_deleted() {
                let entries = vec![Entry::of(&message, folded(&message.content.text))];
                segments.push(Segment { conversation, peer: None, low: Some(high), high, entries });
            }
        }
        Ok(segments)
    }

    /// Packs segments, with those of small packs if there are many.
    async fn add_packs(&mut self, scan: &Scan<'_>, mut segments: Vec<Segment>) -> Result<(), Error> {
        let mut expires = self.began.seconds() + PACK_LIFE;
        let packs = &mut self.index.packs;
        let small: Vec<PackRef> = packs.iter().filter(|pack| pack.bytes < LARGE_PACK).cloned().collect();
        if small.len() >= MANY_PACKS {
            let ids: Vec<&str> = small.iter().map(|pack| pack.id.as_str()).collect();
            let mut data = scan.store.packs(&ids).await?;
            let read = small.iter().map(|pack| Some(data.remove(&pack.id)?.full_segments()));
            let Some(older) = read.collect::<Option<Vec<_>>>() else { return Ok(()) };
            let newer = std::mem::take(&mut segments);
            segments = without_old_texts(older.into_iter().flatten().chain(newer).collect());
            expires = small.iter().map(|pack| pack.expires).min().unwrap_or(expires);
            packs.retain(|pack| pack.bytes >= LARGE_PACK);
        }
        for part in parts_of(segments) {
            let count = part.iter().map(|segment| segment.entries.len()).sum();
            let mut rest = vec![part];
            while let Some(mut part) = rest.pop() {
                let Some(packed) = pack(&part, &Vec::new(), Precision::Exact) else {
                    let half = part.split_off(part.len() / 2);
                    if part.is_empty() {
                        return Err(Error::internal(
                            "the messages of one conversation do not fit into a pack",
                        ));
                    }
                    rest.extend([part, half]);
                    continue;
                };
                let bytes = packed.len();
                let id = scan.store.save_pack(packed, expires).await?;
                packs.push(PackRef { id, low: None, high: None, count, bytes, expires });
            }
        }
        Ok(())
    }
}

/// Whether changes of the conversation may be missing in the queue: it has more than 24 participants, or once had.
fn is_large(row: &Row) -> bool {
    row.once_large || row.participant_count > SMALL as u64
}

/// Leaves out the texts that later segments replace.
fn without_old_texts(mut segments: Vec<Segment>) -> Vec<Segment> {
    let mut known: HashSet<(ConversationId, Stamp)> = HashSet::new();
    for segment in segments.iter_mut().rev() {
        let conversation = segment.conversation.clone();
        segment.entries.retain(|entry| known.insert((conversation.clone(), entry.stamp)));
    }
    segments
}

/// Divides segments into packs.
fn parts_of(segments: Vec<Segment>) -> Vec<Vec<Segment>> {
    let (mut parts, mut bytes) = (vec![Vec::new()], 0);
    for segment in segments {
        bytes += segment.entries.iter().map(|entry| entry.text.len() + 16).sum::<usize>();
        if bytes > MAX_TEXT {
            bytes = 0;
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(segment);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}
