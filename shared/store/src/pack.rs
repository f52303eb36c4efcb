//! Packs: the folded texts of ranges of conversations, compressed for search.
//!
//! Invariant: a pack only proposes candidates. It never decides what a user may see or what a message says now: each
//! candidate is compared with the message itself before it becomes a hit.

use std::collections::HashMap;

use domain::has::HasSet;
use domain::id::{ConversationId, Stamp, UserId};
use domain::message::Message;
use domain::search::SearchQuery;
use domain::time::Timestamp;
use memchr::memchr_iter;

/// Bytes of text that one pack holds: compressed, it fits into an item of 400 KB.
pub(crate) const MAX_TEXT: usize = 1024 * 1024;
/// The most bytes of a compressed pack. DynamoDB's items have at most 400 KB, with keys and names.
const MAX_PACKED: usize = 390 * 1024;
/// The most bytes of an uncompressed pack, which bounds the memory that reading one takes.
const MAX_PLAIN: usize = 4 * 1024 * 1024;
/// The level of compression: 24 ms for 1 MB of chat, to 27% of its size.
const LEVEL: i32 = 9;
/// In the byte that says what a message has: it mentions every participant.
const MENTIONS_ALL: u8 = 0x80;
/// In the same byte: it mentions some users, who are listed.
const MENTIONS_SOME: u8 = 0x40;
/// The bytes of memory that an entry takes besides its text: those of the columns.
const ENTRY: usize = size_of::<Stamp>() + 2 * size_of::<usize>() + size_of::<HasSet>() + size_of::<bool>();
/// The first byte of a pack. A pack of another format counts as missing.
const FORMAT: u8 = 1;

/// A message in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) stamp: Stamp,
    pub(crate) sender: UserId,
    pub(crate) has: HasSet,
    /// Whether it mentions every participant.
    pub(crate) mention_all: bool,
    /// The users whom it mentions.
    pub(crate) mentions: Vec<UserId>,
    /// The folded text.
    pub(crate) text: String,
}

impl Entry {
    /// A message with its folded text.
    pub(crate) fn of(message: &Message, text: String) -> Self {
        Self {
            stamp: message.id.stamp,
            sender: message.sender.clone(),
            has: message.has_set(),
            mention_all: message.content.mention_all,
            mentions: message.content.mentions.clone(),
            text,
        }
    }
}

/// The messages of a conversation above `low` and up to `high`, without those that were deleted when they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) conversation: ConversationId,
    /// The other user of a direct conversation, if the archive is that of one user.
    pub(crate) peer: Option<UserId>,
    pub(crate) low: Option<Stamp>,
    pub(crate) high: Stamp,
    pub(crate) entries: Vec<Entry>,
}

/// How much of a message's stamp a pack holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// All of it, so that many messages of many conversations are read with one call.
    Exact,
    /// Its millisecond, in a third of the space: a message is found by a query for that millisecond.
    Millisecond,
}

/// The edits that a pack contains: those it was built after, each with the version of the message.
pub(crate) type Applied = Vec<(Stamp, u32)>;

/// A pack that was read: its segments, its entries as columns, and all texts in one buffer.
pub(crate) struct Pack {
    pub(crate) applied: Applied,
    /// The segments without their entries, each with the number of its first entry.
    segments: Vec<(Segment, usize)>,
    stamps: Vec<Stamp>,
    /// Those who sent messages or are mentioned.
    users: Vec<UserId>,
    sent_by: Vec<usize>,
    has: Vec<HasSet>,
    /// Whether each entry mentions every participant.
    mention_all: Vec<bool>,
    /// The users whom entries mention, of those that mention some.
    mentions: HashMap<usize, Vec<usize>>,
    /// The texts, each followed by a line break.
    texts: String,
    /// The end of each text.
    ends: Vec<usize>,
}

/// An entry of a pack that matches a query.
pub(crate) struct Found<'a> {
    pub(crate) segment: &'a Segment,
    pub(crate) sender: &'a UserId,
    /// In a pack of [`Precision::Millisecond`], the first stamp of the millisecond.
    pub(crate) stamp: Stamp,
}

/// Packs segments; `None` if they do not fit into one item.
pub(crate) fn pack(segments: &[Segment], applied: &Applied, precision: Precision) -> Option<Vec<u8>> {
    let plain = write_plain(segments, applied, precision);
    if plain.len() > MAX_PLAIN {
        return None;
    }
    let mut packed = vec![FORMAT];
    packed.extend(u32::try_from(plain.len()).ok()?.to_be_bytes());
    packed.extend(zstd::bulk::compress(&plain, LEVEL).ok()?);
    (packed.len() <= MAX_PACKED).then_some(packed)
}

fn write_plain(segments: &[Segment], applied: &Applied, precision: Precision) -> Vec<u8> {
    let mut plain = Writer(Vec::new());
    plain.0.push(u8::from(precision == Precision::Exact));
    plain.number(applied.len() as u64);
    for (stamp, version) in applied {
        plain.0.extend(stamp.to_bytes());
        plain.number(u64::from(*version));
    }
    let entries = || segments.iter().flat_map(|segment| &segment.entries);
    let mut users: Vec<&UserId> =
        entries().flat_map(|entry| entry.mentions.iter().chain([&entry.sender])).collect();
    users.sort_unstable();
    users.dedup();
    plain.number(users.len() as u64);
    for user in &users {
        plain.text(user.as_str());
    }
    let number_of = |user: &UserId| users.binary_search(&user).unwrap_or_default() as u64;
    plain.number(segments.len() as u64);
    for segment in segments {
        plain.text(segment.conversation.as_str());
        plain.text(segment.peer.as_ref().map_or("", UserId::as_str));
        plain.0.push(u8::from(segment.low.is_some()));
        plain.0.extend(segment.low.iter().flat_map(|low| low.to_bytes()));
        plain.0.extend(segment.high.to_bytes());
        plain.number(segment.entries.len() as u64);
    }
    for segment in segments {
        let mut before = segment.high.time().millis();
        for entry in &segment.entries {
            let millis = entry.stamp.time().millis();
            plain.signed(before - millis);
            before = millis;
        }
    }
    if precision == Precision::Exact {
        entries().for_each(|entry| plain.0.extend(&entry.stamp.to_bytes()[6..]));
    }
    for entry in entries() {
        plain.number(number_of(&entry.sender));
    }
    for Entry { has, mention_all, mentions, .. } in entries() {
        let all = if *mention_all { MENTIONS_ALL } else { 0 };
        let some = if mentions.is_empty() { 0 } else { MENTIONS_SOME };
        plain.0.push(has.0 | all | some);
    }
    for Entry { mentions, .. } in entries().filter(|entry| !entry.mentions.is_empty()) {
        plain.number(mentions.len() as u64);
        for user in mentions {
            plain.number(number_of(user));
        }
    }
    for entry in entries() {
        plain.0.extend(entry.text.bytes());
        plain.0.push(b'\n');
    }
    plain.0
}

struct Writer(Vec<u8>);

impl Writer {
    /// Writes 7 bits a byte, the lowest first.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push((number & 0x7f) as u8);
    }

    fn signed(&mut self, number: i64) {
        self.number((number.unsigned_abs() << 1) | u64::from(number < 0));
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.bytes());
    }
}

/// Reads the plain form of a pack. Every method returns `None` at the end of the bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.bytes(1)?[0])
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// Reads a number of things, each of which takes at least one byte.
    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= self.0.len())
    }

    /// Reads a number below `bound`.
    fn index(&mut self, bound: usize) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|index| *index < bound)
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        let size = i64::try_from(number >> 1).ok()?;
        Some(if number & 1 == 1 { -size } else { size })
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.count()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    fn stamp(&mut self) -> Option<Stamp> {
        Stamp::from_bytes(self.bytes(16)?.try_into().ok()?)
    }
}

impl Pack {
    /// Reads a pack; `None` if it is damaged or has another format.
    pub(crate) fn read(packed: &[u8]) -> Option<Self> {
        let (format, rest) = packed.split_first()?;
        let (size, rest) = rest.split_at_checked(4)?;
        let size = usize::try_from(u32::from_be_bytes(size.try_into().ok()?)).ok()?;
        if *format != FORMAT || size > MAX_PLAIN {
            return None;
        }
        let plain = zstd::bulk::decompress(rest, size).ok()?;
        Self::read_plain(&mut Reader(&plain))
    }

    fn read_plain(plain: &mut Reader<'_>) -> Option<Self> {
        let precision = if plain.byte()? == 1 { Precision::Exact } else { Precision::Millisecond };
        let applied = (0..plain.count()?)
            .map(|_| Some((plain.stamp()?, u32::try_from(plain.number()?).ok()?)))
            .collect::<Option<Applied>>()?;
        let users =
            (0..plain.count()?).map(|_| plain.text()?.parse().ok()).collect::<Option<Vec<UserId>>>()?;
        let (mut segments, mut counts, mut first) = (Vec::new(), Vec::new(), 0);
        for _ in 0..plain.count()? {
            let conversation = plain.text()?.parse().ok()?;
            let peer = plain.text().map(|peer| if peer.is_empty() { None } else { peer.parse().ok() })?;
            let low = if plain.byte()? == 1 { Some(plain.stamp()?) } else { None };
            let high = plain.stamp()?;
            segments.push((Segment { conversation, peer, low, high, entries: Vec::new() }, first));
            let count = plain.count()?;
            counts.push(count);
            first += count;
        }
        let mut millis = Vec::with_capacity(first.min(plain.0.len()));
        for ((segment, _), count) in segments.iter().zip(counts) {
            let mut before = segment.high.time().millis();
            for _ in 0..count {
                before -= plain.signed()?;
                millis.push(before);
            }
        }
        let stamps = millis.into_iter().map(|millis| match precision {
            Precision::Exact => {
                let mut bytes = [0; 16];
                bytes[..6].copy_from_slice(millis.to_be_bytes().get(2..)?);
                bytes[6..].copy_from_slice(plain.bytes(10)?);
                Stamp::from_bytes(bytes)
            }
            Precision::Millisecond => Some(Stamp::first_of(Timestamp::from_millis(millis))),
        });
        let stamps = stamps.collect::<Option<Vec<_>>>()?;
        let sent_by = (0..first).map(|_| plain.index(users.len())).collect::<Option<Vec<_>>>()?;
        let flags = plain.bytes(first)?;
        let mut mentions = HashMap::new();
        for (entry, _) in flags.iter().enumerate().filter(|(_, flags)| *flags & MENTIONS_SOME != 0) {
            let listed = (0..plain.count()?).map(|_| plain.index(users.len()));
            mentions.insert(entry, listed.collect::<Option<Vec<_>>>()?);
        }
        let texts = std::str::from_utf8(plain.0).ok()?.to_owned();
        let ends: Vec<usize> = memchr_iter(b'\n', texts.as_bytes()).collect();
        (ends.len() == first).then_some(Self {
            applied,
            segments,
            stamps,
            users,
            sent_by,
            has: flags.iter().map(|flags| HasSet(flags & !(MENTIONS_ALL | MENTIONS_SOME))).collect(),
            mention_all: flags.iter().map(|flags| flags & MENTIONS_ALL != 0).collect(),
            mentions,
            texts,
            ends,
        })
    }

    /// Whether it contains the edit of a message.
    pub(crate) fn contains_edit(&self, message: Stamp, version: u32) -> bool {
        self.applied.iter().any(|(stamp, applied)| *stamp == message && *applied >= version)
    }

    /// The segments, without their entries.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().map(|(segment, _)| segment)
    }

    /// Where the text of an entry begins; the end of all texts for the number after the last.
    fn start_of(&self, entry: usize) -> usize {
        entry.checked_sub(1).map_or(0, |before| self.ends[before] + 1)
    }

    fn text_of(&self, entry: usize) -> &str {
        &self.texts[self.start_of(entry)..self.ends[entry]]
    }

    /// The segment that contains an entry.
    fn segment_of(&self, entry: usize) -> &Segment {
        let after = self.segments.partition_point(|(_, first)| *first <= entry);
        &self.segments[after.saturating_sub(1)].0
    }

    /// Calls `found` for each entry from a number on that matches a query, with its number, until it returns false.
    pub(crate) fn find(
        &self,
        query: &SearchQuery,
        first: usize,
        mut found: impl FnMut(Found<'_>, usize) -> bool,
    ) {
        let mut from = self.start_of(first);
        // Its number, if the query asks for a mention of a user who is in the list.
        let sought = query.mentions.as_ref().and_then(|user| self.users.binary_search(user).ok());
        while let Some(at) = query.text.skip(&self.texts, from) {
            let entry = self.ends.partition_point(|end| *end < at);
            let (Some(end), Some(has)) = (self.ends.get(entry), self.has.get(entry)) else { return };
            from = end + 1;
            let sender = &self.users[self.sent_by[entry]];
            let mentions = |_: &UserId| {
                let listed = self.mentions.get(&entry);
                self.mention_all[entry]
                    || listed.zip(sought).is_some_and(|(users, sought)| users.contains(&sought))
            };
            if query.admits(sender, *has, mentions) && query.text.matches(self.text_of(entry)) {
                let stamp = self.stamps[entry];
                if !found(Found { segment: self.segment_of(entry), sender, stamp }, entry) {
                    return;
                }
            }
        }
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// About the bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.len() + self.len() * ENTRY + self.segments.len() * size_of::<(Segment, usize)>()
    }

    /// The number of the first entry that is not above a stamp, in a pack of one segment.
    pub(crate) fn first_up_to(&self, stamp: Stamp) -> usize {
        self.stamps.partition_point(|above| *above > stamp)
    }

    /// The segments with their entries.
    pub(crate) fn full_segments(&self) -> Vec<Segment> {
        let mut segments: Vec<Segment> = self.segments().cloned().collect();
        for (index, segment) in segments.iter_mut().enumerate() {
            let first = self.segments[index].1;
            let end = self.segments.get(index + 1).map_or(self.ends.len(), |(_, next)| *next);
            segment.entries = (first..end)
                .map(|entry| Entry {
                    stamp: self.stamps[entry],
                    sender: self.users[self.sent_by[entry]].clone(),
                    has: self.has[entry],
                    mention_all: self.mention_all[entry],
                    mentions: self
                        .mentions
                        .get(&entry)
                        .map(|users| users.iter().map(|user| self.users[*user].clone()).collect())
                        .unwrap_or_default(),
                    text: self.text_of(entry).to_owned(),
                })
                .collect();
        }
        segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(peer: &str, texts: &[String]) -> Segment {
        let (alice, bob): (UserId, UserId) = ("alice".parse().unwrap(), peer.parse().unwrap());
        let stamp = |n: usize| {
            let n = u32::try_from(n).unwrap();
            Stamp::first_of(Timestamp::from_millis(1_700_000_000_000 + 700 * i64::from(n))).plus(u64::from(n))
        };
        let entries = texts.iter().enumerate().rev().map(|(n, text)| Entry {
            stamp: stamp(n),
            sender: if n % 3 == 0 { alice.clone() } else { bob.clone() },
            has: HasSet(u8::try_from(n % 4).unwrap()),
            mention_all: n % 5 == 0,
            mentions: if n % 4 == 1 { vec![alice.clone(), "zoe".parse().unwrap()] } else { Vec::new() },
            text: domain::text::folded(text),
        });
        Segment {
            conversation: ConversationId::direct(&alice, &bob),
            peer: Some(bob.clone()),
            low: None,
            high: stamp(texts.len() + 1),
            entries: entries.collect(),
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_is_read_and_found(
            first in prop::collection::vec("[a-c é\n]{0,8}", 0..9),
            second in prop::collection::vec("[a-c é\n]{0,8}", 0..9),
            query in "(-?[a-c]{1,2} ?){0,2}(from:alice|has:link)?",
            mentioned in prop::option::of(prop::sample::select(vec!["alice", "bob", "zoe", "nobody"])),
            exact: bool,
        ) {
            let segments = [segment("bob", &first), segment("carol", &second)];
            let applied = vec![(segments[0].high, 3)];
            let precision = if exact { Precision::Exact } else { Precision::Millisecond };
            let pack = Pack::read(&pack(&segments, &applied, precision).unwrap()).unwrap();
            prop_assert!(pack.contains_edit(segments[0].high, 3) && !pack.contains_edit(segments[0].high, 4));
            let mut query = SearchQuery::parse(&query, &"alice".parse().unwrap());
            query.mentions = mentioned.map(|user| user.parse().unwrap());
            let mut found = Vec::new();
            pack.find(&query, 0, |entry, _| {
                found.push((entry.segment.conversation.clone(), entry.sender.clone(), entry.stamp));
                true
            });
            let rounded = |stamp: Stamp| if exact { stamp } else { Stamp::first_of(stamp.time()) };
            let expected: Vec<_> = segments.iter().flat_map(|segment| {
                let matching = segment.entries.iter().filter(|entry| {
                    let mentions = |user: &UserId| entry.mention_all || entry.mentions.contains(user);
                    query.admits(&entry.sender, entry.has, mentions) && query.text.matches(&entry.text)
                });
                matching.map(|entry| (segment.conversation.clone(), entry.sender.clone(), rounded(entry.stamp)))
            }).collect();
            prop_assert_eq!(found, expected);
            if exact {
                prop_assert_eq!(pack.full_segments(), segments);
            }
        }

        #[test]
        fn damaged_packs_are_refused(at in 0usize..400, bit in 0u8..8, cut in 0usize..400) {
            let mut packed = pack(&[segment("bob", &["abc".into(), "b".into()])], &Vec::new(), Precision::Exact).unwrap();
            if let Some(byte) = packed.get_mut(at) {
                *byte ^= 1 << bit;
            }
            packed.truncate(cut);
            if let Some(pack) = Pack::read(&packed) {
                pack.find(&SearchQuery::default(), 0, |_, _| true);
            }
        }
    }
}
