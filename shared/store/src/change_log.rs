//! The change log of a large conversation, and the checkpoint of its fan-out.
//!
//! Invariant: entries are numbered by the conversation's `seq`, without a gap, so a reader notices an entry that it
//! cannot see yet.

use std::collections::BTreeSet;

use domain::error::Error;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::message::Message;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::item::Key;
use crate::partition;
use crate::write::Write;

/// Seconds for which an entry is kept: 30 days.
const LOG_LIFE: i64 = 30 * 24 * 3600;
/// The prefix of the sort keys of items that wake the fan-out when they are new.
pub const LOG: &str = "L#";
/// The prefix of the sort keys of users' reactions to a message that does not list all of them. Each change of such an
/// item wakes the fan-out.
pub const REACTION: &str = "X#";
/// The end of the sort key of the item that hands a rename over to the fan-out.
const RENAME: &str = "PROFILE";

/// A task of the fan-out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// To fan out the changes in the log of a large conversation.
    Changes(ConversationId),
    /// To append the reactions to a message to that log.
    Reactions(MessageId),
    /// To copy a user's name into the rows of the remaining peers.
    Rename(UserId),
}

impl Task {
    /// The task that the item with this key hands over; `None` if it is another kind of item.
    #[must_use]
    pub fn of(pk: &str, sk: &str) -> Option<Self> {
        if let (Some(conversation), Some(rest)) = (pk.strip_prefix("C#"), sk.strip_prefix(REACTION)) {
            let (conversation, (stamp, _)) = (conversation.parse().ok()?, rest.split_once('#')?);
            return Some(Self::Reactions(MessageId { conversation, stamp: stamp.parse().ok()? }));
        }
        let entry = sk.strip_prefix(LOG)?;
        if let Some(conversation) = pk.strip_prefix("C#") {
            return conversation.parse().ok().map(Self::Changes);
        }
        let user = pk.strip_prefix("U#").filter(|_| entry.starts_with(RENAME))?;
        user.parse().ok().map(Self::Rename)
    }
}

/// The key of the item that hands a user's rename over to the fan-out. Each version of the profile has its own.
pub(crate) fn rename_key(user: &UserId, version: u64) -> Key {
    Key { pk: partition::of_user(user), sk: format!("{LOG}{RENAME}#{version:020}") }
}

/// The attributes of that item, without its key.
#[derive(Serialize)]
pub(crate) struct Handover {
    expires: i64,
}

impl Handover {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self { expires: now.seconds() + LOG_LIFE }
    }
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
    /// The message changed: it was edited, pinned, or got a reaction.
    Edited {
        message: Stamp,
        /// The users who are no longer mentioned, or only now.
        #[serde(default, skip_serializing_if = "MentionChange::is_none")]
        mentions_of: MentionChange,
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

/// The users for whom an edit changes whether a message mentions them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MentionChange {
    #[default]
    None,
    Of(Vec<UserId>),
    Everyone,
}

impl MentionChange {
    /// Compares a message before and after an edit.
    pub(crate) fn between(before: &Message, after: &Message) -> Self {
        if before.content.mention_all != after.content.mention_all {
            return Self::Everyone;
        }
        let both = || before.content.mentions.iter().chain(&after.content.mentions);
        let changed = both().filter(|user| before.mentions(user) != after.mentions(user));
        let users: BTreeSet<UserId> = changed.cloned().collect();
        if users.is_empty() { Self::None } else { Self::Of(users.into_iter().collect()) }
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::None
    }

    pub(crate) fn concerns(&self, user: &UserId) -> bool {
        match self {
            Self::None => false,
            Self::Of(users) => users.contains(user),
            Self::Everyone => true,
        }
    }
}

impl Change {
    pub(crate) fn message(&self) -> Option<Stamp> {
        match self {
            Self::Sent { message }
            | Self::Edited { message, .. }
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
    fn only_the_keys_of_log_entries_reactions_and_renames_are_tasks() {
        let id = ConversationId::new(domain::id::ConversationKind::Group);
        let pk = format!("C#{id}");
        assert_eq!(Task::of(&pk, "L#000000000001"), Some(Task::Changes(id.clone())));
        let alice: UserId = "alice".parse().unwrap();
        let Key { pk: alices, sk } = rename_key(&alice, 7);
        assert_eq!(Task::of(&alices, &sk), Some(Task::Rename(alice)));
        let stamp = Stamp::first_of(Timestamp::from_millis(1_000));
        let reacted = Task::of(&pk, &format!("X#{stamp}#some#one"));
        assert_eq!(reacted, Some(Task::Reactions(MessageId { conversation: id.clone(), stamp })));
        for (pk, sk) in [
            (pk.as_str(), "M#000000000001"),
            (&pk, "X#1"),
            (&pk, &format!("R#some#{stamp}")),
            ("U#alice", "X#1#bob"),
            (&pk, "META"),
            (&pk, ""),
            (id.as_str(), "L#1"),
            ("U#alice", "L#1"),
            ("U#alice", "PROFILE"),
            ("C#", "L#1"),
        ] {
            assert_eq!(Task::of(pk, sk), None, "{pk} {sk}");
        }
    }
}
