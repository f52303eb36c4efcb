//! Presence: whether users are online, as far as they let others know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ConversationId, UserId};
use crate::time::{Timestamp, millis};

/// Milliseconds for which a user counts as online after a poll.
pub const ONLINE_AFTER_POLL: i64 = 90_000;

/// The status that a user shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PresenceStatus")]
pub enum Status {
    /// Online.
    #[default]
    Online,
    /// Online, but busy elsewhere.
    Away,
    /// Online, but not to be disturbed.
    DoNotDisturb,
    /// Offline, or invisible.
    Offline,
}

impl Status {
    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::DoNotDisturb => "do_not_disturb",
            Self::Offline => "offline",
        }
    }
}

/// A user's presence, as the store holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The status that the user chose.
    #[serde(default)]
    pub status: Status,
    /// The conversation that the user is looking at.
    #[serde(default)]
    pub conversation: Option<ConversationId>,
    /// When a poll of the user was last recorded. A poll is recorded about once a minute.
    #[serde(default)]
    pub polled: Option<Millis>,
    /// When the user's last socket closed.
    #[serde(default)]
    pub left: Option<Millis>,
    /// Until when the user is active, so that they get no notifications.
    #[serde(default)]
    pub active_until: Option<Millis>,
    /// The user's account was deleted, so that they are offline, whatever tokens there still are.
    #[serde(default)]
    pub deleted: bool,
}

/// A stored time, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(#[serde(with = "millis")] pub Timestamp);

impl Presence {
    /// The time until which the user counts as online. `sockets` is the time until which their sockets are valid.
    #[must_use]
    pub fn online_until(&self, sockets: Option<Timestamp>) -> Option<Timestamp> {
        let polling = self.polled.map(|Millis(at)| Timestamp::from_millis(at.millis() + ONLINE_AFTER_POLL));
        polling.max(sockets).filter(|_| !self.deleted)
    }

    /// The presence, for a viewer who may see it. `shares` decides whether the viewer learns the current conversation.
    #[must_use]
    pub fn shown(
        &self,
        user: UserId,
        sockets: Option<Timestamp>,
        now: Timestamp,
        shares: impl Fn(&ConversationId) -> bool,
    ) -> PresenceView {
        let is_online =
            self.online_until(sockets).is_some_and(|until| until > now) && self.status != Status::Offline;
        PresenceView {
            user_id: user,
            status: if is_online { self.status } else { Status::Offline },
            // The time of the last poll must not reveal a user who chose to appear offline.
            last_seen_at: self
                .polled
                .max(self.left)
                .filter(|_| self.status != Status::Offline && !self.deleted)
                .map(|Millis(at)| at),
            current_conversation_id: self.conversation.clone().filter(|id| is_online && shares(id)),
        }
    }
}

/// A user's presence, as another user sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Presence")]
pub struct PresenceView {
    user_id: UserId,
    status: Status,
    last_seen_at: Option<Timestamp>,
    current_conversation_id: Option<ConversationId>,
}

impl PresenceView {
    /// The status that is shown.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The presence, for a viewer who may not see it: offline.
    #[must_use]
    pub fn hidden(user_id: UserId) -> Self {
        Self { user_id, status: Status::Offline, last_seen_at: None, current_conversation_id: None }
    }
}
