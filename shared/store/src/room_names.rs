//! The list of rooms: one entry per room, whose key is its folded name.
//!
//! Invariant: a room's name and its entry change in one transaction. So the entry guards the name.

use aws_lc_rs::digest;
use base64::Engine as _;
use domain::error::Error;
use domain::id::{ConversationId, ORDERED};
use domain::name::Name;
use domain::text::folded_name;
use serde::{Deserialize, Serialize};

use crate::item::{Key, Write};

/// Characters of a folded name by which the list is in order; what makes it unique is the digest behind them.
const SORTED: usize = 40;
/// The partition of the list.
pub(crate) const LIST: &str = "ROOMS";

/// Another room has the name.
pub(crate) const TAKEN: Error = Error::AlreadyExists("There is a room of this name.");

pub(crate) fn key(name: &Name) -> Key {
    let folded = folded_name(&name.to_string());
    let unique = ORDERED.encode(digest::digest(&digest::SHA256, folded.as_bytes()));
    let sorted: String = folded.chars().take(SORTED).collect();
    Key { pk: LIST.into(), sk: format!("N#{sorted}#{unique}") }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) conversation: ConversationId,
}

/// Gives a room another name.
pub(crate) fn renaming(room: &ConversationId, from: &Name, to: &Name) -> Result<Vec<Write>, Error> {
    let old = key(from);
    if old == key(to) {
        return Ok(Vec::new());
    }
    Ok(vec![taking(to, room)?, Write::delete(old)])
}

/// Gives a name to a room, unless another room has it.
pub(crate) fn taking(name: &Name, room: &ConversationId) -> Result<Write, Error> {
    Ok(Write::put(key(name), &Entry { conversation: room.clone() })?.if_missing("pk"))
}
