//! The change log of a large conversation, and how far it was fanned out.
//!
//! Invariant: entries are numbered without a gap, by the conversation's `seq`.

use domain::error::Error;
use domain::id::{ConversationId, Stamp, UserId};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::item::{Key, Write};
use crate::partition;

/// Seconds that an entry is kept.
const LOG_LIFE: i64 = 30 * 24 * 3600;
/// What the sort keys of the log begin with; the table's stream wakes for nothing else.
pub const LOG: &str = "L#";

/// The conversation whose log holds an item of this key; `None` for every other kind of item.
#[must_use]
pub fn logged_conversation(pk: &str, sk: &str) -> Option<ConversationId> {
    sk.strip_prefix(LOG)?;
    pk.strip_prefix("C#")?.parse().ok()
}

pub(crate) fn log_key(conversation: &ConversationId, seq: u64) -> Key {
    Key { pk: partition::of_conversation(conversation), sk: format!("{LOG}{seq:020}") }
}

pub(crate) fn checkpoint_key(conversation: &ConversationId) -> Key {
    Key { pk: partition::of_conversation(conversation), sk: "FANOUT".into() }
}

/// A change of a large conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    Sent {
        message: Stamp,
    },
    Edited {
        message: Stamp,
    },
    Deleted {
        message: Stamp,
    },
    Restored {
        message: Stamp,
    },
    Joined {
        users: Vec<UserId>,
        by: UserId,
        people: u64,
    },
    Left {
        user: UserId,
        by: UserId,
        people: u64,
        /// Who became an admin thereby.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        successor: Option<UserId>,
    },
    /// What has changed, by the names of the API.
    Updated {
        changes: String,
    },
    /// Someone became an admin, or is no longer one.
    Role {
        user: UserId,
        is_admin: bool,
    },
    /// Nothing that all have to learn of.
    Quiet,
    /// The room was deleted.
    Closed,
}

impl Change {
    pub(crate) fn message(&self) -> Option<Stamp> {
        match self {
            Self::Sent { message }
            | Self::Edited { message }
            | Self::Deleted { message }
            | Self::Restored { message } => Some(*message),
            _ => None,
        }
    }

    /// How many events it may take to tell someone of it.
    pub(crate) fn events(&self) -> usize {
        match self {
            Self::Joined { users, .. } => users.len() + 1,
            Self::Quiet => 0,
            Self::Left { .. } | Self::Closed { .. } => 2,
            _ => 1,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) change: Change,
    expires: i64,
}

impl Entry {
    /// When the change was made: to the millisecond by the message's stamp, else to the second.
    pub(crate) fn made(&self) -> Timestamp {
        match self.change {
            Change::Sent { message } => message.time(),
            _ => Timestamp::from_millis((self.expires - LOG_LIFE) * 1000),
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) seq: u64,
}

/// Puts a change into the log of a large conversation, under its number.
pub(crate) fn entry(
    conversation: &ConversationId,
    seq: u64,
    change: &Change,
    now: Timestamp,
) -> Result<Write, Error> {
    let entry = Entry { change: change.clone(), expires: now.seconds() + LOG_LIFE };
    Ok(Write::put(log_key(conversation, seq), &entry)?.if_missing("pk"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_item_names_its_conversation_and_nothing_else_does() {
        let id = ConversationId::new(domain::id::ConversationKind::Group);
        let pk = format!("C#{id}");
        assert_eq!(logged_conversation(&pk, "L#000000000001"), Some(id.clone()));
        for (pk, sk) in [
            (pk.as_str(), "M#000000000001"),
            (&pk, "META"),
            (&pk, ""),
            (id.as_str(), "L#1"),
            ("U#alice", "L#1"),
            ("C#", "L#1"),
        ] {
            assert_eq!(logged_conversation(pk, sk), None, "{pk} {sk}");
        }
    }
}
