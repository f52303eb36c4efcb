//! Conversations: a user's own row of each.

use serde::{Deserialize, Serialize};

use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::time::Timestamp;
use crate::user::{Name, Picture};

/// A participant's row of a conversation, as the store holds it beside its key.
///
/// `head` never decreases. A row without `activity` is hidden: deleted by its owner, or there only to carry a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The other participant.
    pub peer: UserId,
    /// Their name.
    #[serde(default)]
    pub peer_name: Option<Name>,
    /// Their picture.
    #[serde(default)]
    pub peer_picture: Option<Picture>,
    /// The newest message that the row has taken in.
    #[serde(default)]
    pub head: Option<Stamp>,
    /// Where the row stands in the inbox; absent while it is hidden.
    #[serde(default)]
    pub activity: Option<Stamp>,
    /// The message that the inbox shows.
    #[serde(default)]
    pub last_id: Option<Stamp>,
    /// The first characters of its text.
    #[serde(default)]
    pub last_text: Option<String>,
    /// Whether its sender is the row's owner.
    #[serde(default)]
    pub last_mine: bool,
    /// Unread messages.
    #[serde(default)]
    pub n: u64,
    /// The owner's read watermark.
    #[serde(default)]
    pub read: Option<Stamp>,
    /// The other's read watermark.
    #[serde(default)]
    pub peer_read: Option<Stamp>,
    /// Messages up to here are hidden from the owner, who deleted the conversation.
    #[serde(default)]
    pub cleared: Option<Stamp>,
    /// The event that told of its deletion; what comes later has greater ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_at: Option<Stamp>,
    /// The owner has blocked the other.
    #[serde(default)]
    pub blocked_by_me: bool,
    /// The other has blocked the owner.
    #[serde(default)]
    pub blocked_by_peer: bool,
}

impl Row {
    /// A hidden row, before anything happened.
    #[must_use]
    pub fn between(peer: UserId, peer_name: Option<Name>, peer_picture: Option<Picture>) -> Self {
        Self {
            peer,
            peer_name,
            peer_picture,
            head: None,
            activity: None,
            last_id: None,
            last_text: None,
            last_mine: false,
            n: 0,
            read: None,
            peer_read: None,
            cleared: None,
            hidden_at: None,
            blocked_by_me: false,
            blocked_by_peer: false,
        }
    }

    /// Whether either has blocked the other.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked_by_me || self.blocked_by_peer
    }

    /// What the next event about the conversation must be above: the events of its newest message.
    #[must_use]
    pub fn told_up_to(&self) -> Option<Stamp> {
        self.head.map(|head| head.plus(2))
    }

    /// Whether the owner may see a message of the conversation.
    #[must_use]
    pub fn shows(&self, message: Stamp) -> bool {
        self.cleared.is_none_or(|cleared| cleared < message)
    }

    /// Whether the owner has read up to a message.
    #[must_use]
    pub fn has_read(&self, message: Stamp) -> bool {
        self.read.is_some_and(|read| message <= read)
    }

    /// The row as the inbox shows it.
    #[must_use]
    pub fn shown(&self, conversation: &ConversationId) -> ConversationView {
        let message = |stamp| MessageId { conversation: conversation.clone(), stamp };
        ConversationView {
            conversation_id: conversation.clone(),
            kind: "direct",
            name: None,
            other_user_id: self.peer.clone(),
            other_user_name: self.peer_name.clone(),
            photo_url: self.peer_picture.clone(),
            last_message: self.last_text.clone(),
            last_message_id: self.last_id.map(message),
            last_message_at: self.last_id.map(Stamp::time),
            last_message_from_me: self.last_id.is_some() && self.last_mine,
            unread_count: self.n,
            counted_to: self.head.map(message),
            last_read_message_id: self.read.map(message),
            participant_count: 2,
            is_admin: false,
        }
    }
}

/// An inbox row as the API shows it (contract, section 3).
#[derive(Debug, Clone, Serialize)]
pub struct ConversationView {
    conversation_id: ConversationId,
    #[serde(rename = "type")]
    kind: &'static str,
    name: Option<Name>,
    other_user_id: UserId,
    other_user_name: Option<Name>,
    photo_url: Option<Picture>,
    last_message: Option<String>,
    last_message_id: Option<MessageId>,
    last_message_at: Option<Timestamp>,
    last_message_from_me: bool,
    unread_count: u64,
    counted_to: Option<MessageId>,
    last_read_message_id: Option<MessageId>,
    participant_count: u32,
    is_admin: bool,
}

/// Where a user has read up to, and what is unread after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Watermark {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The newest message that counts as read; null before the first.
    pub message_id: Option<MessageId>,
    /// Unread messages of the conversation.
    pub unread_count: u64,
}
