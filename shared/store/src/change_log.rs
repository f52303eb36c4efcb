//! The change log of a large conversation, and the checkpoint of its fan-out.
//!
//! Invariant: entries are numbered by the conversation's `seq`, without a gap, so a reader notices an entry that it
//! cannot see yet.

use domain::error::Error;
use domain::id::{ConversationId, Stamp, UserId};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::item::{Key, Write};
use crate::partition;

/// Seconds for which an entry is kept: 30 days.
const LOG_LIFE: i64 = 30 * 24 * 3600;
/// The prefix of the log's sort keys. Only new items with this prefix wake the fan-out.
pub const LOG: &str = "L#";

/// Returns the conversation whose log contains the item with this key; `None` if the item is not a log entry.
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

/// A change of a large conversation, as its log stores it.
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
        /// The participant who became an admin because the last admin left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        successor: Option<UserId>,
    },
    /// Details changed. `changes` is a JSON object with the API's field names.
    Updated {
        changes: String,
    },
    /// A participant became an admin, or is no longer one.
    Role {
        user: UserId,
        is_admin: bool,
    },
    /// A change without events for the other participants.
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

    /// The number of events per participant that a batch reserves for the change.
    pub(crate) fn event_count(&self) -> usize {
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
    /// When the change was made: to the millisecond for a sent message, else to the second.
    pub(crate) fn made_at(&self) -> Timestamp {
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

/// Appends a change to the log of a large conversation, as entry number `seq`.
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
    fn only_the_key_of_a_log_entry_names_a_logged_conversation() {
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
