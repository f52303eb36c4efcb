//! The list of rooms: one entry per room, keyed by its folded name, and entries that reserve what the names look like.
//!
//! Invariant: a room's name and its entries change in one transaction, so they keep the name unique: a name that looks
//! like a taken one shares a key with it.

use aws_lc_rs::digest;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use base64::Engine as _;
use domain::error::Error;
use domain::id::{ConversationId, ORDERED};
use domain::name::Name;
use domain::text::{appearances, folded_name};
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::item::{Key, text};
use crate::write::Write;

/// Characters of a folded name that order the list. The digest after them makes the key unique.
const SORTED_CHARS: usize = 40;
/// The partition key of the list.
pub(crate) const LIST: &str = "ROOMS";

/// The error of a name that another room has.
pub(crate) const TAKEN: Error = Error::AlreadyExists("A room with this name already exists.");

/// The key of a name's entry.
fn key(name: &Name) -> Key {
    key_of(&folded_name(&name.to_string()))
}

fn key_of(folded: &str) -> Key {
    let unique = ORDERED.encode(digest::digest(&digest::SHA256, folded.as_bytes()));
    let sorted: String = folded.chars().take(SORTED_CHARS).collect();
    Key { pk: LIST.into(), sk: format!("N#{sorted}#{unique}") }
}

/// The keys of what a name looks like, where that differs from its folded form.
fn keys_of_looks(name: &Name) -> Vec<Key> {
    appearances(&name.to_string()).iter().map(|form| key_of(form)).collect()
}

/// An entry, without its key.
#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) conversation: ConversationId,
    /// Whether it only reserves what the name looks like. The list of rooms passes over it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    look: bool,
}

/// The entries that give a name to a room: that of the name, and those of what it looks like.
fn entries(name: &Name, room: &ConversationId) -> Vec<(Key, Entry)> {
    let entry = |look| Entry { conversation: room.clone(), look };
    let looks = keys_of_looks(name).into_iter().map(|key| (key, entry(true)));
    std::iter::once((key(name), entry(false))).chain(looks).collect()
}

/// Restricts a query of the list to the entries that show a room.
pub(crate) fn without_looks(list: QueryInputBuilder) -> QueryInputBuilder {
    list.filter_expression("attribute_not_exists(#look)").expression_attribute_names("#look", "look")
}

/// Creates the entries that give a name to a new room. Refused if another room has the name, or one that looks like it.
pub(crate) fn taking(name: &Name, room: &ConversationId) -> Result<Vec<Write>, Error> {
    let put = |(key, entry)| Ok(Write::put(key, &entry)?.if_missing("pk"));
    entries(name, room).into_iter().map(put).collect()
}

impl Store {
    /// Moves a room's entries to another name.
    pub(crate) async fn renaming_room(
        &self,
        room: &ConversationId,
        from: &Name,
        to: &Name,
    ) -> Result<Vec<Write>, Error> {
        let new = entries(to, room);
        let old: Vec<Key> = entries(from, room).into_iter().map(|(key, _)| key).collect();
        if old.iter().eq(new.iter().map(|(key, _)| key)) {
            return Ok(Vec::new());
        }
        let own = self.own_entries(room, old).await?;
        let mut writes = Vec::new();
        for (key, entry) in &new {
            let put = Write::put(key.clone(), entry)?;
            writes.push(if own.contains(key) {
                put.if_still("conversation", Some(room))
            } else {
                put.if_missing("pk")
            });
        }
        let left = own.into_iter().filter(|key| new.iter().all(|(kept, _)| kept != key));
        writes.extend(left.map(Write::delete));
        Ok(writes)
    }

    /// Deletes a room's entries.
    pub(crate) async fn deleting_room_name(
        &self,
        room: &ConversationId,
        name: &Name,
    ) -> Result<Vec<Write>, Error> {
        let keys = entries(name, room).into_iter().map(|(key, _)| key).collect();
        Ok(self.own_entries(room, keys).await?.into_iter().map(Write::delete).collect())
    }

    /// Returns those of a room's keys that hold its entries. A room that is older than the entries for looks may lack
    /// these, and another room may have them. The first key is the room's own at any rate.
    async fn own_entries(&self, room: &ConversationId, keys: Vec<Key>) -> Result<Vec<Key>, Error> {
        if keys.len() == 1 {
            return Ok(keys);
        }
        let found = self.get_all(keys.clone()).await?;
        let is_own = |key: &Key| {
            let item = found.iter().find(|item| key.is_of(item));
            item.is_some_and(|item| text(item, "conversation").is_ok_and(|id| id == room.as_str()))
        };
        Ok(keys
            .into_iter()
            .enumerate()
            .filter(|(at, key)| *at == 0 || is_own(key))
            .map(|(_, key)| key)
            .collect())
    }
}
