//! The sources of a search: conversations, each read from its newest message back, from packs where it is archived and
//! from its messages elsewhere. What is read from messages may be archived.
//!
//! Invariant: a source has read all its messages from [`Source::next`] on. So a hit above the `next` of every source is
//! newer than every message that has not been read.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::conversation::Row;
use domain::error::Error;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::Message;
use domain::search::SearchQuery;
use domain::text::folded;
use domain::time::Timestamp;

use crate::archives::{ConversationArchive, PACK_LIFE, PackRef};
use crate::client::Store;
use crate::database::query_between;
use crate::item::Item;
use crate::messages::{self, StoredMessage};
use crate::pack::{Applied, Entry, MAX_TEXT, Pack, Precision, Segment, pack};
use crate::partition;
use crate::search_hits::{Candidate, Known, WORTH_READING, end_of_millisecond};

/// The messages from which on a conversation gets an archive of its own, and a range of it a pack.
pub(crate) const LONG: usize = 1_000;
/// The same in bytes of text.
const LONG_TEXT: usize = 256 * 1024;
/// The most messages of a pack: as many are worth one item.
const MAX_ENTRIES: usize = 12_000;
/// A pack of fewer messages is merged with newer ones, so that the packs of a conversation stay few.
const SMALL_PACK: usize = 6_000;
/// The packs of a conversation beyond which no more are made, so that their index fits into an item.
const MAX_PACKS: usize = 2_000;
/// The edited messages from which on a pack is made anew: reading them costs as much as the pack.
const MANY_EDITS: usize = 16;
/// The candidates that the first step looks for in packs: enough for a page if a few are no hits.
const MIN_WANTED: usize = 150;
/// The most packs that one step reads.
const MAX_PACKS_AT_ONCE: usize = 8;
/// The newest messages that are read together with the index of an archive.
const FIRST_PAGE: usize = 50;
/// The most messages that one query reads. DynamoDB ends its answer at 1 MB, which bounds the memory of a search.
const MAX_QUERY: usize = 4_000;
/// Bytes of text after which a scan lets other requests run.
const SLICE: usize = 64 * 1024;
/// The most bytes of messages that a search keeps for its archives.
const MAX_COLLECTED: usize = 16 * 1024 * 1024;
/// The bytes of unparsed messages from which on a search parses all.
const MAX_UNPARSED: usize = 1024 * 1024;
/// The most bytes of candidates that a search keeps; it reads further ones again.
const MAX_KEPT: usize = 8 * 1024 * 1024;
/// About the bytes that an entry takes besides its text.
const ENTRY: usize = 64;

/// A stamp above those of all messages.
pub(crate) fn end_of_time() -> Stamp {
    Stamp::first_of(Timestamp::from_millis((1 << 48) - 1))
}

/// Messages that were read and may be archived: a range without a gap, newest first.
pub(crate) struct Collected {
    pub(crate) high: Stamp,
    pub(crate) low: Option<Stamp>,
    entries: Vec<Entry>,
    /// Messages that follow those of `entries`, each with its folded text: up to [`LONG`], and two pages of 1 MB. They are
    /// parsed only if more follow or a pack is made: most searches of one conversation end before.
    unparsed: Vec<(Item, String)>,
    /// The bytes of `unparsed`.
    unparsed_bytes: usize,
    bytes: usize,
    applied: Applied,
    /// The packs whose messages it has taken over.
    replaced: Vec<String>,
    /// When the oldest of what it contains expires, in seconds since 1970.
    expires: i64,
}

impl Collected {
    /// The number of messages, including those that were deleted if they are not parsed yet.
    fn len(&self) -> usize {
        self.entries.len() + self.unparsed.len()
    }

    fn add_unparsed(&mut self, item: Item, text: String) {
        self.unparsed_bytes += item.len() + text.len();
        self.unparsed.push((item, text));
    }

    fn add(&mut self, message: &Message, text: String) {
        if message.version > 1 {
            self.applied.push((message.id.stamp, message.version));
        }
        if !message.is_deleted() {
            self.entries.push(Entry::of(message, text));
        }
    }

    /// Parses the messages that are not parsed yet.
    fn parse(&mut self) -> Result<(), Error> {
        self.unparsed_bytes = 0;
        for (item, text) in std::mem::take(&mut self.unparsed) {
            self.add(&messages::read(&item)?, text);
        }
        Ok(())
    }
}

/// A conversation that a search reads.
#[expect(clippy::struct_excessive_bools, reason = "they do not depend on each other")]
pub(crate) struct Source {
    pub(crate) conversation: ConversationId,
    /// The other user of a direct conversation, if known.
    peer: Option<UserId>,
    /// The reader's row, once it was read.
    pub(crate) row: Option<Row>,
    /// Whether the participants share its archive; otherwise the reader's own archive holds it.
    pub(crate) is_open: bool,
    /// Everything from here on has been read.
    pub(crate) next: Stamp,
    /// Nothing up to here is read.
    pub(crate) floor: Option<Stamp>,
    /// Whether `floor` is known; otherwise the row says where the visible messages begin.
    knows_floor: bool,
    pub(crate) is_done: bool,
    /// The reader takes no part in it any more.
    pub(crate) is_left: bool,
    archive: Option<ConversationArchive>,
    /// The messages read since the last pack; `None` if the conversation is not archived.
    pub(crate) collected: Option<Collected>,
    /// Whether what it reads is kept for an archive.
    pub(crate) collects: bool,
    added: Vec<PackRef>,
    replaced: Vec<String>,
    /// The messages that were read or searched.
    scanned: usize,
    /// The number of messages among them that match the query. Messages in packs are not counted.
    matched: usize,
    packs_at_once: usize,
    /// The candidates that a step looks for in packs: the rest of them is searched when it is needed.
    wanted: usize,
}

impl Source {
    fn new(conversation: ConversationId, row: Option<Row>, next: Stamp) -> Self {
        let (peer, floor, archive, collected, added, replaced) = Default::default();
        Self {
            conversation,
            peer,
            row,
            is_open: false,
            next,
            floor,
            knows_floor: false,
            is_done: false,
            is_left: false,
            archive,
            collected,
            collects: true,
            added,
            replaced,
            scanned: 0,
            matched: 0,
            packs_at_once: 1,
            wanted: MIN_WANTED,
        }
    }

    /// A conversation whose archive the participants share.
    pub(crate) fn open(conversation: ConversationId, row: Option<Row>, next: Stamp) -> Self {
        Self { is_open: true, ..Self::new(conversation, row, next) }
    }

    /// A conversation that the reader's own archive does not hold.
    pub(crate) fn new_private(conversation: ConversationId) -> Self {
        Self::new(conversation, None, end_of_time())
    }

    /// A conversation that the reader's own archive holds up to `floor`.
    pub(crate) fn private(
        conversation: ConversationId,
        peer: Option<UserId>,
        next: Stamp,
        floor: Option<Stamp>,
    ) -> Self {
        Self { peer, floor, knows_floor: true, ..Self::new(conversation, None, next) }
    }

    /// The messages that the reader's own archive takes: all above the floor, if they were all read.
    pub(crate) fn into_segment(self, user: &UserId) -> Option<Segment> {
        let collected = self.collected.filter(|_| self.is_done && !self.is_open)?;
        let Collected { high, entries, .. } = collected;
        let peer = if self.conversation.is_direct() {
            self.peer
                .or_else(|| entries.iter().map(|entry| &entry.sender).find(|sender| *sender != user).cloned())
        } else {
            None
        };
        Some(Segment { conversation: self.conversation, peer, low: self.floor, high, entries })
    }

    /// The next part to read.
    fn part(&self) -> Part {
        let below = self.next.previous();
        if Some(below) <= self.floor {
            return Part::Nothing;
        }
        let packs = self.archive.as_ref().map_or(&[][..], |archive| &archive.packs);
        let from = packs.iter().position(|pack| pack.high >= Some(below) && pack.low < Some(below));
        let Some(from) = from else {
            let pack = packs.iter().filter_map(|pack| pack.high).filter(|high| *high < below).max();
            return Part::Messages { above: pack.max(self.floor) };
        };
        let mut taken = vec![packs[from].clone()];
        for pack in packs[from + 1..].iter().take(self.packs_at_once - 1) {
            let Some(low) = taken[taken.len() - 1].low.filter(|low| Some(*low) > self.floor) else { break };
            if pack.high != Some(low) {
                break;
            }
            taken.push(pack.clone());
        }
        Part::Packs(taken)
    }

    /// Moves on, after everything above `low` has been read.
    fn move_to(&mut self, low: Option<Stamp>) {
        match low.filter(|low| Some(*low) > self.floor) {
            Some(low) => self.next = low.plus(1),
            None => self.is_done = true,
        }
    }

    fn drop_collected(&mut self, scan: &Scan<'_>) {
        if let Some(collected) = self.collected.take() {
            scan.collected.fetch_sub(collected.bytes, Ordering::Relaxed);
        }
    }
}

/// A part of a source.
enum Part {
    /// Packs that follow one another.
    Packs(Vec<PackRef>),
    /// Messages above a stamp.
    Messages {
        above: Option<Stamp>,
    },
    Nothing,
}

/// The data shared by all sources of a search.
pub(crate) struct Scan<'a> {
    pub(crate) store: &'a Store,
    pub(crate) user: &'a UserId,
    pub(crate) query: &'a SearchQuery,
    /// The hits of a page.
    pub(crate) limit: usize,
    /// Only messages below this stamp are sought.
    pub(crate) below: Stamp,
    /// When the search began.
    pub(crate) now: Timestamp,
    /// The bytes of the messages and packs that were read.
    read: AtomicUsize,
    collected: AtomicUsize,
    kept: AtomicUsize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(
        store: &'a Store,
        user: &'a UserId,
        query: &'a SearchQuery,
        limit: usize,
        below: Stamp,
    ) -> Self {
        let now = store.now();
        Self {
            store,
            user,
            query,
            limit,
            below,
            now,
            read: AtomicUsize::new(0),
            collected: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
        }
    }

    /// The bytes of the messages and packs that were read.
    pub(crate) fn bytes_read(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }

    /// Whether a message with this stamp may be sought.
    pub(crate) fn seeks(&self, stamp: Stamp) -> bool {
        stamp < self.below && Some(stamp) > self.query.lower_bound()
    }

    /// Reads the next part of a source. Returns its candidates.
    pub(crate) async fn advance(&self, source: &mut Source) -> Result<Vec<Candidate>, Error> {
        if source.is_open && source.archive.is_none() {
            return self.open(source).await;
        }
        if !source.knows_floor {
            source.knows_floor = true;
            let row = self.store.row(self.user, &source.conversation).await?;
            source.floor = row.as_ref().and_then(|row| row.cleared);
            (source.is_done, source.is_left) = (row.is_none(), row.is_none());
            source.row = row;
            if source.is_left {
                return Ok(Vec::new());
            }
        }
        match source.part() {
            Part::Packs(packs) => self.read_packs(source, packs).await,
            Part::Messages { above } => {
                let (items, more) = self.page(source, above, self.next_count(source)).await?;
                self.take_messages(source, items, more, above).await
            }
            Part::Nothing => {
                source.is_done = true;
                Ok(Vec::new())
            }
        }
    }

    /// Returns how many messages to read next. The share of matches so far tells how many should fill the page; a quarter
    /// more are read, because matches are not spread evenly.
    fn next_count(&self, source: &Source) -> usize {
        let most = (source.scanned * 3).clamp(self.limit.max(FIRST_PAGE) * 2, MAX_QUERY);
        let missing = self.limit.saturating_sub(source.matched);
        match (source.scanned * missing * 5 / 4).checked_div(source.matched) {
            Some(expected) if missing > 0 => expected.clamp(FIRST_PAGE, most),
            // Nothing tells how many it takes: there are no matches, or enough of them and some are no hits.
            _ => most,
        }
    }

    /// Reads the reader's row, the index of the archive and the newest messages.
    async fn open(&self, source: &mut Source) -> Result<Vec<Candidate>, Error> {
        let row = async {
            match source.row.clone() {
                Some(row) => Ok(Some(row)),
                None => self.store.row(self.user, &source.conversation).await,
            }
        };
        let is_new = source.scanned == 0 && source.next == end_of_time();
        let first = async {
            if is_new { self.page(source, source.floor, FIRST_PAGE).await } else { Ok((Vec::new(), true)) }
        };
        let archive = self.store.conversation_archive(&source.conversation);
        let (row, archive, (items, more)) = tokio::try_join!(row, archive, first)?;
        let Some(row) = row else {
            (source.is_done, source.is_left) = (true, true);
            return Ok(Vec::new());
        };
        let low = source.collected.as_ref().and_then(|collected| collected.low);
        if archive.packs.first().is_some_and(|newest| newest.high > low) {
            source.drop_collected(self);
        }
        source.floor = source.floor.max(row.cleared).max(self.query.lower_bound());
        source.knows_floor = true;
        (source.row, source.archive) = (Some(row), Some(archive));
        match source.part() {
            Part::Messages { above } if is_new => self.take_messages(source, items, more, above).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Reads the next messages of a source, newest first, and whether there may be more.
    async fn page(
        &self,
        source: &Source,
        above: Option<Stamp>,
        count: usize,
    ) -> Result<(Vec<Item>, bool), Error> {
        let Some((low, high)) = messages::between(above, Some(source.next)) else {
            return Ok((Vec::new(), false));
        };
        let query = query_between(&partition::of_conversation(&source.conversation), &low, &high);
        self.store.query_page(query.consistent_read(true).scan_index_forward(false), count).await
    }

    /// Takes the messages of a query above a stamp.
    async fn take_messages(
        &self,
        source: &mut Source,
        items: Vec<Item>,
        more: bool,
        above: Option<Stamp>,
    ) -> Result<Vec<Candidate>, Error> {
        let is_lazy = self.is_lazy(source, items.len());
        if let Some(collected) = source.collected.as_mut().filter(|_| !is_lazy) {
            collected.parse()?;
        }
        let (mut candidates, mut slice, mut last) = (Vec::new(), 0, None);
        let mut has_more = more;
        for item in items {
            let stamp = messages::stamp_of(&item)?;
            if Some(stamp) <= above {
                has_more = false;
                break;
            }
            let parsed = if is_lazy { None } else { Some(messages::read_stored(&item)?) };
            let text = match &parsed {
                Some(stored) => Cow::Borrowed(stored.message.content.text.as_str()),
                None => messages::text_of(&item)?,
            };
            last = Some(stamp);
            source.scanned += 1;
            slice += text.len();
            self.read.fetch_add(text.len() + ENTRY, Ordering::Relaxed);
            if slice >= SLICE {
                slice = 0;
                tokio::task::yield_now().await;
            }
            let folded = folded(&text);
            let matches = self.seeks(stamp) && self.query.text.matches(&folded);
            drop(text);
            if let Some(collected) = self.collected_from(source, stamp, folded.len() + ENTRY) {
                match &parsed {
                    Some(stored) => collected.add(&stored.message, folded),
                    None => collected.add_unparsed(item.clone(), folded),
                }
            }
            if matches {
                let stored = parsed.map_or_else(|| messages::read_stored(&item), Ok)?;
                if self.query.admits_message(&stored.message) {
                    source.matched += 1;
                    candidates.push(self.candidate(stored));
                }
            }
        }
        let low = if has_more { last.map(Stamp::previous) } else { above };
        if let Some(collected) = &mut source.collected {
            collected.low = low;
        }
        source.move_to(low);
        let (length, bytes) =
            source.collected.as_ref().map_or((0, 0), |collected| (collected.len(), collected.bytes));
        source.is_open |= length > LONG || bytes > LONG_TEXT;
        if source.archive.is_some() && (length >= MAX_ENTRIES || bytes >= MAX_TEXT) {
            self.flush(source).await?;
        }
        Ok(candidates)
    }

    fn candidate(&self, stored: StoredMessage) -> Candidate {
        let MessageId { conversation, stamp } = stored.message.id.clone();
        let known = Known::Message(Box::new(stored));
        let mut candidate = Candidate { conversation, stamp, known };
        if self.kept.fetch_add(candidate.bytes(), Ordering::Relaxed) > MAX_KEPT {
            candidate.forget();
        }
        candidate
    }

    /// Whether messages that do not match are not parsed, in a search of one conversation that has not read much. `count`
    /// more messages were read.
    fn is_lazy(&self, source: &Source, count: usize) -> bool {
        let unparsed = source.collected.as_ref().map_or(0, |collected| collected.unparsed_bytes);
        let is_short = source.scanned + count <= LONG && unparsed <= MAX_UNPARSED;
        is_short && !self.query.within.is_empty() && !self.query.text.is_empty()
    }

    /// Counts a message of a source that the archive gets. Returns what is collected of the source; `None` if nothing is.
    fn collected_from<'s>(
        &self,
        source: &'s mut Source,
        stamp: Stamp,
        bytes: usize,
    ) -> Option<&'s mut Collected> {
        if !source.collects {
            return None;
        }
        if self.collected.fetch_add(bytes, Ordering::Relaxed) > MAX_COLLECTED {
            self.collected.fetch_sub(bytes, Ordering::Relaxed);
            source.drop_collected(self);
            source.collects = false;
            return None;
        }
        // A range begins where the last one ended, at the top at the newest message.
        let high = if source.next == end_of_time() { stamp } else { source.next.previous() };
        let collected = source.collected.get_or_insert_with(|| self.new_range(high));
        collected.bytes += bytes;
        Some(collected)
    }

    fn new_range(&self, high: Stamp) -> Collected {
        let (low, entries, unparsed, applied, replaced) = Default::default();
        let expires = self.now.seconds() + PACK_LIFE;
        let (unparsed_bytes, bytes) = (0, 0);
        Collected { high, low, entries, unparsed, unparsed_bytes, bytes, applied, replaced, expires }
    }

    /// Searches packs that follow one another. Messages that were edited since are read.
    async fn read_packs(&self, source: &mut Source, refs: Vec<PackRef>) -> Result<Vec<Candidate>, Error> {
        source.packs_at_once = (source.packs_at_once * 2).min(MAX_PACKS_AT_ONCE);
        let ids: Vec<&str> = refs.iter().map(|found| found.id.as_str()).collect();
        let mut data = self.store.packs(&ids).await?;
        let mut candidates = Vec::new();
        for found in refs {
            let Some(pack) = data.remove(&found.id) else {
                // It has expired, or cannot be read: its messages are read instead, and archived again.
                if let Some(archive) = &mut source.archive {
                    archive.packs.retain(|known| known.id != found.id);
                }
                break;
            };
            tokio::task::yield_now().await;
            self.read.fetch_add(found.bytes, Ordering::Relaxed);
            let edited = self.edited_since(source, &found, &pack).await?;
            let is_made_again = merges(source, &found) || edited.len() >= MANY_EDITS;
            let wanted = if is_made_again { usize::MAX } else { source.wanted };
            let rest = self.find_in_pack(&pack, source, wanted, &mut candidates);
            let edits: Vec<Candidate> = edited
                .iter()
                .filter(|stored| self.seeks(stored.message.id.stamp))
                .map(|stored| self.candidate(stored.clone()))
                .collect();
            candidates.extend(edits);
            self.archive_again(source, &found, &pack, edited).await?;
            source.move_to(rest.or(found.low));
            if rest.is_some() {
                source.wanted *= 4;
                source.packs_at_once = 1;
                break;
            }
        }
        candidates.retain(|candidate| {
            candidate.stamp < self.below && Some(candidate.highest()) > self.query.lower_bound()
        });
        Ok(candidates)
    }

    /// Searches a pack from where the source has got to, for about `wanted` candidates. Returns the stamp up to which the
    /// rest of it is to be searched; `None` if nothing is left.
    fn find_in_pack(
        &self,
        pack: &Pack,
        source: &mut Source,
        wanted: usize,
        candidates: &mut Vec<Candidate>,
    ) -> Option<Stamp> {
        let first = pack.first_up_to(source.next.previous());
        let (before, mut end, mut rest) = (source.scanned, pack.len(), None);
        let mut last = None;
        let enough = candidates.len().saturating_add(wanted);
        pack.find(self.query, first, |entry, number| {
            // Messages of the same millisecond are found together.
            if candidates.len() >= enough && last != Some(entry.stamp) {
                (end, rest) = (number, Some(end_of_millisecond(entry.stamp)));
                return false;
            }
            last = Some(entry.stamp);
            let known = Known::Millisecond { number: before + number - first };
            let conversation = entry.segment.conversation.clone();
            candidates.push(Candidate { conversation, stamp: entry.stamp, known });
            true
        });
        source.scanned += end - first;
        rest
    }

    /// Reads the messages of a pack that were edited after it was made.
    async fn edited_since(
        &self,
        source: &Source,
        found: &PackRef,
        pack: &Pack,
    ) -> Result<Vec<StoredMessage>, Error> {
        let edits = source.archive.iter().flat_map(|archive| &archive.edits);
        let edits = edits.filter(|(stamp, version)| {
            Some(*stamp) > found.low && Some(*stamp) <= found.high && !pack.contains_edit(*stamp, *version)
        });
        let id = |stamp: Stamp| MessageId { conversation: source.conversation.clone(), stamp };
        let keys = edits.map(|(stamp, _)| messages::key(&id(*stamp))).collect();
        self.store.items_by_keys(keys, true).await?.iter().map(messages::read_stored).collect()
    }

    /// Decides whether a pack is made anew: with the newer messages, if it is small, or with its edited messages, if they
    /// are many. Otherwise the newer messages get a pack of their own, if they are many.
    async fn archive_again(
        &self,
        source: &mut Source,
        found: &PackRef,
        pack: &Pack,
        edited: Vec<StoredMessage>,
    ) -> Result<(), Error> {
        let merges = merges(source, found);
        if !merges {
            self.flush(source).await?;
            if edited.len() < MANY_EDITS {
                return Ok(());
            }
        }
        let Some(high) = found.high.filter(|_| source.collects) else { return Ok(()) };
        let applied = pack.applied.clone();
        let mut entries: Vec<Entry> =
            pack.full_segments().into_iter().flat_map(|segment| segment.entries).collect();
        for StoredMessage { message, .. } in &edited {
            let first = Stamp::first_of(message.id.stamp.time());
            // If several messages share the millisecond, the old text stays until the pack expires.
            if entries.iter().filter(|entry| entry.stamp == first).count() == 1 {
                entries.retain(|entry| entry.stamp != first);
            }
        }
        let collected = source.collected.get_or_insert_with(|| self.new_range(high));
        collected.parse()?;
        let bytes: usize = entries.iter().map(|entry| entry.text.len() + ENTRY).sum();
        collected.bytes += bytes;
        self.collected.fetch_add(bytes, Ordering::Relaxed);
        collected.entries.extend(entries);
        collected.applied.extend(applied);
        for StoredMessage { message, .. } in &edited {
            collected.add(message, folded(&message.content.text));
        }
        collected.entries.sort_by_key(|entry| std::cmp::Reverse(entry.stamp));
        collected.low = found.low;
        collected.replaced.push(found.id.clone());
        collected.expires = collected.expires.min(found.expires);
        Ok(())
    }

    /// Makes packs of what was collected, if it is much; it is dropped otherwise. If the database refuses a pack, a later
    /// search makes it.
    ///
    /// # Errors
    /// `Internal` if a message is malformed.
    async fn flush(&self, source: &mut Source) -> Result<(), Error> {
        let Some(mut collected) = source.collected.take() else { return Ok(()) };
        self.collected.fetch_sub(collected.bytes, Ordering::Relaxed);
        let Some(archive) = &source.archive else { return Ok(()) };
        // The ranges between packs and below them never grow again, unless they end where the query does.
        let is_whole = collected.low.is_none() || collected.low != self.query.lower_bound();
        let packs = archive.packs.iter().chain(&source.added);
        let is_old = is_whole && packs.into_iter().any(|pack| pack.low == Some(collected.high));
        let least = if is_old { WORTH_READING } else { LONG };
        let is_worth = |count: usize, text: usize| count >= least || text >= LONG_TEXT;
        if !is_worth(collected.len(), collected.bytes) && collected.replaced.is_empty() {
            return Ok(());
        }
        collected.parse()?;
        let Collected { high, low, entries, mut applied, replaced, expires, .. } = collected;
        // Reactions raise versions too: only those of marked messages matter.
        let marked: HashSet<Stamp> = archive.edits.iter().map(|(stamp, _)| *stamp).collect();
        applied.retain(|(stamp, _)| marked.contains(stamp));
        let text = entries.iter().map(|entry| entry.text.len()).sum();
        if !is_worth(entries.len(), text) && replaced.is_empty() {
            return Ok(());
        }
        let conversation = source.conversation.clone();
        let mut parts = vec![Segment { conversation, peer: None, low, high, entries }];
        let mut added = Vec::new();
        while let Some(segment) = parts.pop() {
            let covered = |stamp: Stamp| Some(stamp) > segment.low && stamp <= segment.high;
            let own = applied.iter().filter(|(stamp, _)| covered(*stamp)).copied().collect();
            let is_small = segment.entries.len() <= MAX_ENTRIES
                && segment.entries.iter().map(|entry| entry.text.len()).sum::<usize>() <= 2 * MAX_TEXT;
            let segments = std::slice::from_ref(&segment);
            let packed = is_small.then(|| pack(segments, &own, Precision::Millisecond)).flatten();
            let Some(packed) = packed else {
                match split(segment) {
                    Some((newer, older)) => parts.extend([newer, older]),
                    None => return Ok(()),
                }
                continue;
            };
            let (count, bytes) = (segment.entries.len(), packed.len());
            let Ok(id) = self.store.save_pack(packed, expires).await else { return Ok(()) };
            added.push(PackRef { id, low: segment.low, high: Some(segment.high), count, bytes, expires });
        }
        source.added.extend(added);
        source.replaced.extend(replaced);
        Ok(())
    }

    /// Archives what is left of a source, and names its new packs in the index.
    pub(crate) async fn finish(&self, source: &mut Source) {
        if source.is_open
            && let Err(error) = self.archive_rest(source).await
        {
            tracing::info!(error = observe::log::reason(&error), "an archive is not saved");
        }
    }

    async fn archive_rest(&self, source: &mut Source) -> Result<(), Error> {
        self.flush(source).await?;
        let Some(archive) = source.archive.as_ref().filter(|_| !source.added.is_empty()) else {
            return Ok(());
        };
        let kept = archive.packs.iter().filter(|pack| !source.replaced.contains(&pack.id)).cloned();
        let mut packs: Vec<PackRef> = kept.chain(std::mem::take(&mut source.added)).collect();
        packs.sort_by_key(|pack| std::cmp::Reverse(pack.high));
        if packs.len() <= MAX_PACKS {
            self.store.replace_packs(&source.conversation, archive, &packs).await?;
        }
        Ok(())
    }
}

/// Whether the newer messages of a source are to be in one pack with those of a small one.
fn merges(source: &Source, pack: &PackRef) -> bool {
    let newer = source.collected.as_ref().map_or(0, Collected::len);
    newer >= LONG && pack.count < SMALL_PACK
}

/// Splits a segment in two, between two milliseconds; `None` if all its messages are of one.
fn split(segment: Segment) -> Option<(Segment, Segment)> {
    let Segment { conversation, low, high, mut entries, .. } = segment;
    let middle = entries.len() / 2;
    let is_border = |at: &usize| entries[at - 1].stamp.time() != entries[*at].stamp.time();
    let at = (middle.max(1)..entries.len()).find(is_border).or_else(|| (1..middle).rev().find(is_border))?;
    let older = entries.split_off(at);
    let border = Stamp::first_of(entries[at - 1].stamp.time()).previous();
    let of =
        |low, high, entries| Segment { conversation: conversation.clone(), peer: None, low, high, entries };
    Some((of(Some(border), high, entries), of(low, border, older)))
}
