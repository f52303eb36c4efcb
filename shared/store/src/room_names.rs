//! The list of rooms: one entry per room, keyed by its folded name.
//!
//! Invariant: a room's name and its entry change in one transaction, so the entry keeps the name unique.

use aws_lc_rs::digest;
use base64::Engine as _;
use domain::error::Error;
use domain::id::{ConversationId, ORDERED};
use domain::name::Name;
use domain::text::folded_name;
use serde::{Deserialize, Serialize};

use crate::item::{Key, Write};

/// Characters of a folded name that order the list. The digest after them makes the key unique.
const SORTED_CHARS: usize = 40;
/// The partition key of the list.
pub(crate) const LIST: &str = "ROOMS";

/// The error of a name that another room has.
pub(crate) const TAKEN: Error = Error::AlreadyExists("A room with this name already exists.");

pub(crate) fn key(name: &Name) -> Key {
    let folded = folded_name(&name.to_string());
    let unique = ORDERED.encode(digest::digest(&digest::SHA256, folded.as_bytes()));
    let sorted: String = folded.chars().take(SORTED_CHARS).collect();
    Key { pk: LIST.into(), sk: format!("N#{sorted}#{unique}") }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) conversation: ConversationId,
}

/// Moves a room's entry to another name.
pub(crate) fn renaming(room: &ConversationId, from: &Name, to: &Name) -> Result<Vec<Write>, Error> {
    let old = key(from);
    if old == key(to) {
        return Ok(Vec::new());
    }
    Ok(vec![taking(to, room)?, Write::delete(old)])
}

/// Creates the entry that gives a name to a room. Refused if another room has the name.
pub(crate) fn taking(name: &Name, room: &ConversationId) -> Result<Write, Error> {
    Ok(Write::put(key(name), &Entry { conversation: room.clone() })?.if_missing("pk"))
}
