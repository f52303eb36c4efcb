//! Presence: who is there, as far as they let others know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ConversationId, UserId};
use crate::time::{Timestamp, millis};

/// Milliseconds that a poll counts as being online.
pub const POLL_COUNTS: i64 = 90_000;

/// What someone shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PresenceStatus")]
pub enum Status {
    /// There.
    #[default]
    Online,
    /// There, and busy elsewhere.
    Away,
    /// There, and not to be disturbed.
    DoNotDisturb,
    /// Not there, or not to be seen.
    Offline,
}

impl Status {
    /// Its name in the API.
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

/// What is stored of someone's presence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// What they chose to show.
    #[serde(default)]
    pub status: Status,
    /// The conversation that they look at.
    #[serde(default)]
    pub conversation: Option<ConversationId>,
    /// When they polled last, to the minute.
    #[serde(default)]
    pub polled: Option<Millis>,
    /// When their last socket closed.
    #[serde(default)]
    pub left: Option<Millis>,
}

/// A stored time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(#[serde(with = "millis")] pub Timestamp);

impl Presence {
    /// Until when they count as online, given until when their sockets hold.
    #[must_use]
    pub fn online_until(&self, sockets: Option<Timestamp>) -> Option<Timestamp> {
        let polling = self.polled.map(|Millis(at)| Timestamp::from_millis(at.millis() + POLL_COUNTS));
        polling.max(sockets)
    }

    /// The presence as someone sees it who may: `shares` says whether they are in the conversation it names.
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
            // Whoever chose not to be seen is not seen polling either.
            last_seen_at: self
                .polled
                .max(self.left)
                .filter(|_| self.status != Status::Offline)
                .map(|Millis(at)| at),
            current_conversation_id: self.conversation.clone().filter(|id| is_online && shares(id)),
        }
    }
}

/// Someone's presence as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Presence")]
pub struct PresenceView {
    user_id: UserId,
    status: Status,
    last_seen_at: Option<Timestamp>,
    current_conversation_id: Option<ConversationId>,
}

impl PresenceView {
    /// What they show.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// What someone sees who may not know.
    #[must_use]
    pub fn hidden(user_id: UserId) -> Self {
        Self { user_id, status: Status::Offline, last_seen_at: None, current_conversation_id: None }
    }
}
