//! Tags: the short forms of the events that a reader has received above their position.
//!
//! A cursor carries the tags. When they no longer fit, a poll saves them in an item of the reader's queue partition,
//! and the cursor carries the item's id. The id is a digest of the tags, so a poll that repeats an old cursor writes
//! the same item again.

use std::collections::BTreeSet;

use async_recursion::async_recursion as boxed;
use aws_lc_rs::digest;
use base64::Engine as _;
use domain::error::Error;
use domain::id::{ORDERED, Stamp, UserId};
use serde::{Serialize, Serializer};

use crate::client::Store;
use crate::item::Key;
use crate::queue::{self, RETENTION};

/// The short form of an event's id: its second, and the last 5 bytes of the id. These are random, so two ids of one
/// second almost never have the same tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag {
    second: u32,
    random: [u8; 5],
}

impl Tag {
    pub(crate) fn of(id: Stamp) -> Self {
        let mut random = [0; 5];
        random.copy_from_slice(&id.to_bytes()[11..]);
        Self { second: second_of(id), random }
    }

    /// Whether the event may be above a position.
    pub(crate) fn is_above(self, position: Stamp) -> bool {
        self.second >= second_of(position)
    }
}

fn second_of(id: Stamp) -> u32 {
    u32::try_from(id.time().seconds()).unwrap_or(u32::MAX)
}

/// Encodes tags: for each second 4 bytes, 2 bytes with the number of its tags, and 5 bytes for each tag.
pub(crate) fn encode(tags: &BTreeSet<Tag>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(tags.len() * 6);
    let tags: Vec<Tag> = tags.iter().copied().collect();
    for of_second in tags.chunk_by(|a, b| a.second == b.second) {
        for some in of_second.chunks(u16::MAX.into()) {
            bytes.extend_from_slice(&some[0].second.to_be_bytes());
            bytes.extend_from_slice(&u16::try_from(some.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend(some.iter().flat_map(|tag| tag.random));
        }
    }
    bytes
}

/// Decodes the bytes of [`encode`]; `None` if they are malformed.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<BTreeSet<Tag>> {
    let mut tags = BTreeSet::new();
    while !bytes.is_empty() {
        let (second, rest) = bytes.split_first_chunk::<4>()?;
        let (count, rest) = rest.split_first_chunk::<2>()?;
        let (of_second, rest) = rest.split_at_checked(5 * usize::from(u16::from_be_bytes(*count)))?;
        let second = u32::from_be_bytes(*second);
        tags.extend(of_second.as_chunks::<5>().0.iter().map(|random| Tag { second, random: *random }));
        bytes = rest;
    }
    Some(tags)
}

/// Refers to an item of saved tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SavedTags {
    pub(crate) id: [u8; SavedTags::ID],
    /// The number of tags.
    pub(crate) count: u16,
}

impl SavedTags {
    pub(crate) const ID: usize = 16;
}

/// The key of saved tags. It sorts before the events, so polls do not read it with them.
pub(crate) fn key(user: &UserId, id: &[u8; SavedTags::ID]) -> Key {
    Key { pk: queue::partition(user), sk: format!("D#{}", ORDERED.encode(id)) }
}

/// The attributes of saved tags, without their key.
#[derive(Serialize)]
struct Stored {
    #[serde(serialize_with = "as_binary")]
    tags: Vec<u8>,
    expires: i64,
}

fn as_binary<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

impl Store {
    /// Saves tags for as long as the cursor that refers to them is valid.
    #[boxed]
    pub(crate) async fn save_tags(&self, user: &UserId, tags: &BTreeSet<Tag>) -> Result<SavedTags, Error> {
        let stored = Stored { tags: encode(tags), expires: self.clock.now().seconds() + RETENTION };
        let mut id = [0; SavedTags::ID];
        id.copy_from_slice(&digest::digest(&digest::SHA256, &stored.tags).as_ref()[..SavedTags::ID]);
        self.put(key(user, &id), &stored).await?;
        Ok(SavedTags { id, count: u16::try_from(tags.len()).unwrap_or(u16::MAX) })
    }

    /// Reads saved tags; none without a reference.
    ///
    /// # Errors
    /// `CursorExpired` if the item is gone.
    #[boxed]
    pub(crate) async fn saved_tags(
        &self,
        user: &UserId,
        saved: Option<SavedTags>,
    ) -> Result<BTreeSet<Tag>, Error> {
        let Some(saved) = saved else { return Ok(BTreeSet::new()) };
        // Half the price of a consistent read. Only an item that was just written needs one.
        let found = match self.get(key(user, &saved.id), false).await? {
            Some(item) => Some(item),
            None => self.get(key(user, &saved.id), true).await?,
        };
        let bytes = found.and_then(|item| item.binary("tags"));
        decode(&bytes.ok_or(Error::CursorExpired)?).ok_or_else(|| Error::internal("malformed tags"))
    }
}

#[cfg(test)]
mod tests {
    use domain::time::Timestamp;

    use super::*;

    #[test]
    fn tags_are_decoded_as_they_were_encoded() {
        let id =
            |n: u64| Stamp::first_of(Timestamp::from_millis(i64::try_from(n).unwrap() * 70)).plus(n * 977);
        let tags: BTreeSet<Tag> = (0..2_000).map(|n| Tag::of(id(n))).collect();
        assert_eq!(tags.len(), 2_000);
        let bytes = encode(&tags);
        assert!(bytes.len() < 2_000 * 6, "{}", bytes.len());
        assert_eq!(decode(&bytes), Some(tags));
        assert_eq!(decode(&bytes[1..]), None);
        assert_eq!(decode(&[]), Some(BTreeSet::new()));
    }
}
