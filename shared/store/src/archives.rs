//! Archives: packs of messages that searches make and share, and the indexes that say what they cover.
//!
//! Invariant: a pack never changes, and DynamoDB removes it after [`PACK_LIFE`], in use or not. So a text that was deleted
//! or edited leaves the archives by itself, no later than a deleted text leaves its recovery item. An index changes only
//! on the condition that it is as it was read, so of two searches that build at once one wins.
//!
//! Invariant: an edit of a text or of mentions, and a restore, leave a mark in the conversation, in their own transaction.
//! A pack names the marks that it was built after, so a search knows which messages of a pack to read again.

use std::collections::HashMap;
use std::sync::Arc;

use domain::content::Content;
use domain::error::Error;
use domain::id::{self, ConversationId, MessageId, Stamp, UserId};
use domain::message::Message;
use domain::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use crate::client::Store;
use crate::database::query_between;
use crate::item::{Key, from_item, suffix, text};
use crate::pack::Pack;
use crate::partition;
use crate::write::Write;

/// Seconds for which a pack is kept: 30 days, as long as the content of a deleted message.
pub(crate) const PACK_LIFE: i64 = 30 * 24 * 3600;
/// Seconds for which the mark of an edit is kept: longer than any pack that was built before it.
const MARK_LIFE: i64 = PACK_LIFE + 2 * 24 * 3600;
/// The packs that one call reads: less than 4 MB.
const PACKS_AT_ONCE: usize = 10;

pub(crate) fn pack_key(id: &str) -> Key {
    // Each pack has a partition of its own, so that many readers of one conversation do not throttle each other.
    Key { pk: format!("A#{id}"), sk: "PACK".into() }
}

pub(crate) fn user_index_key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: "ARCHIVE".into() }
}

/// Sorts after the marks, so that one query reads both, the index last.
pub(crate) fn index_key(conversation: &ConversationId) -> Key {
    Key { pk: partition::of_conversation(conversation), sk: "A#INDEX".into() }
}

pub(crate) fn mark_key(message: &MessageId) -> Key {
    Key { pk: partition::of_conversation(&message.conversation), sk: format!("A#E#{}", message.stamp) }
}

/// A pack, in the index that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PackRef {
    pub(crate) id: String,
    /// It covers the messages above this one; in the archive of a user, what its segments say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) low: Option<Stamp>,
    /// It covers the messages up to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) high: Option<Stamp>,
    /// The number of messages.
    pub(crate) count: usize,
    /// The compressed bytes.
    pub(crate) bytes: usize,
    /// When it expires, in seconds since 1970.
    pub(crate) expires: i64,
}

/// The archive of a conversation, which all participants share.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConversationArchive {
    version: u64,
    /// The packs, newest first. They do not overlap, but there may be gaps.
    pub(crate) packs: Vec<PackRef>,
    /// The messages that were edited or restored, each with its version then.
    pub(crate) edits: Vec<(Stamp, u32)>,
}

/// The index of the archive of a user, which holds the conversations that are not worth an archive of their own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct UserIndex {
    #[serde(skip)]
    pub(crate) version: u64,
    /// The events from this time on, in milliseconds since 1970, say what has changed since.
    pub(crate) since: i64,
    /// Whether every message that the user could see then is in a pack or in one of `open`.
    pub(crate) is_complete: bool,
    pub(crate) packs: Vec<PackRef>,
    /// The conversations that are always looked into: large or long ones.
    pub(crate) open: Vec<ConversationId>,
}

#[derive(Serialize, Deserialize)]
struct StoredMark {
    version: u32,
    expires: i64,
}

#[derive(Deserialize)]
struct StoredIndex {
    version: u64,
    index: String,
}

#[derive(Serialize)]
struct StoredPack {
    data: Bytes,
    expires: i64,
}

/// Bytes that become a binary attribute.
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// Marks an edited message, if the edit changes what a search compares.
pub(crate) fn mark_of_edit(
    before: &Message,
    after: &Message,
    now: Timestamp,
) -> Result<Option<Write>, Error> {
    let compared = |message: &Message| {
        let Content { text, mentions, mention_all, .. } = message.content.clone();
        (text, mentions, mention_all)
    };
    let is_changed = compared(before) != compared(after);
    is_changed.then(|| mark(&after.id, after.version, now)).transpose()
}

/// Marks a message as edited or restored, after which it has this version.
pub(crate) fn mark(message: &MessageId, version: u32, now: Timestamp) -> Result<Write, Error> {
    Write::put(mark_key(message), &StoredMark { version, expires: now.seconds() + MARK_LIFE })
}

fn parse_index<T: DeserializeOwned>(stored: &StoredIndex) -> Result<T, Error> {
    serde_json::from_str(&stored.index).map_err(Error::internal)
}

impl Store {
    /// Returns a conversation's archive as it is now, without expired packs.
    pub(crate) async fn conversation_archive(
        &self,
        conversation: &ConversationId,
    ) -> Result<ConversationArchive, Error> {
        let index = index_key(conversation);
        let query = query_between(&index.pk, "A#E#", &index.sk).consistent_read(true);
        let now = self.clock.now().seconds();
        let mut archive = ConversationArchive::default();
        for item in self.query_all(query).await? {
            if text(&item, "sk")? == index.sk {
                let stored: StoredIndex = from_item(&item)?;
                archive.packs = parse_index(&stored)?;
                archive.version = stored.version;
            } else {
                let stamp: Stamp = suffix(&item, "sk", "A#E#")?.parse().map_err(Error::internal)?;
                let mark: StoredMark = from_item(&item)?;
                archive.edits.push((stamp, mark.version));
            }
        }
        archive.packs.retain(|pack| pack.expires > now);
        Ok(archive)
    }

    /// Replaces the packs of a conversation's archive, unless it has changed since it was read.
    pub(crate) async fn replace_packs(
        &self,
        conversation: &ConversationId,
        archive: &ConversationArchive,
        packs: &[PackRef],
    ) -> Result<(), Error> {
        self.save_index(index_key(conversation), archive.version, &packs).await
    }

    /// Returns the index of a user's archive as it is now; `None` if there is none.
    pub(crate) async fn user_index(&self, user: &UserId) -> Result<Option<UserIndex>, Error> {
        let Some(item) = self.get(user_index_key(user), true).await? else { return Ok(None) };
        let stored: StoredIndex = from_item(&item)?;
        Ok(Some(UserIndex { version: stored.version, ..parse_index(&stored)? }))
    }

    /// Replaces the index of a user's archive, unless it has changed since it was read.
    pub(crate) async fn replace_user_index(&self, user: &UserId, index: &UserIndex) -> Result<(), Error> {
        self.save_index(user_index_key(user), index.version, index).await
    }

    async fn save_index(&self, key: Key, version: u64, index: &impl Serialize) -> Result<(), Error> {
        let index = serde_json::to_string(index).map_err(Error::internal)?;
        let write = Write::update(key)
            .set("index", &index)
            .set("expires", &(self.clock.now().seconds() + PACK_LIFE))
            .add("version", 1)
            .if_still_number("version", version);
        // A refused write means that another search has replaced it.
        self.update_one(write).await.map(|_| ())
    }

    /// Stores a pack. Returns its id.
    pub(crate) async fn save_pack(&self, data: Vec<u8>, expires: i64) -> Result<String, Error> {
        let id = id::request_token();
        self.put(pack_key(&id), &StoredPack { data: Bytes(data), expires }).await?;
        Ok(id)
    }

    /// Reads packs by their ids. Those that are missing or damaged are left out.
    pub(crate) async fn packs(&self, ids: &[&str]) -> Result<HashMap<String, Arc<Pack>>, Error> {
        let kept = |id: &&str| Some(((*id).to_owned(), self.pack_cache.get(id)?));
        let mut packs: HashMap<String, Arc<Pack>> = ids.iter().filter_map(kept).collect();
        // A pack never changes, so a read at half the price returns it or nothing.
        for is_consistent in [false, true] {
            let missing: Vec<Key> =
                ids.iter().filter(|id| !packs.contains_key(**id)).map(|id| pack_key(id)).collect();
            let reads = missing.chunks(PACKS_AT_ONCE).map(|keys| self.get_some(keys.to_vec(), is_consistent));
            for item in futures_util::future::try_join_all(reads).await?.into_iter().flatten() {
                let id = suffix(&item, "pk", "A#")?.into_owned();
                let data = item.binary("data");
                if let Some(pack) = data.and_then(|data| Pack::read(&data)).map(Arc::new) {
                    self.pack_cache.insert(&id, &pack);
                    packs.insert(id, pack);
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(packs)
    }
}
