//! Events: what a user should learn of, in the words of the contract's section 6.

use serde::{Deserialize, Serialize};

use crate::conversation::{ConversationView, Row};
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::message::{Message, MessageView};
use crate::presence::PresenceView;
use crate::time::{Timestamp, millis};

/// A change that a user's devices learn of. Stored in the user's queue in the transaction that makes the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// A message was sent.
    #[serde(rename = "message.created")]
    MessageCreated {
        /// The message.
        message: Message,
    },
    /// Someone has read up to a message.
    #[serde(rename = "message.read")]
    MessageRead {
        /// Where.
        conversation: ConversationId,
        /// The reader.
        user: UserId,
        /// The newest message that counts as read.
        message: Stamp,
        /// When it was read.
        #[serde(with = "millis")]
        at: Timestamp,
        /// On the reader's own devices: what is unread now, and the newest message that this counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unread: Option<(u64, Option<Stamp>)>,
    },
    /// A row appeared in the inbox.
    #[serde(rename = "conversation.created")]
    ConversationCreated {
        /// Which.
        conversation: ConversationId,
        /// The receiver's row after the change.
        row: Box<Row>,
    },
    /// A row is gone from the inbox.
    #[serde(rename = "conversation.deleted")]
    ConversationDeleted {
        /// Which.
        conversation: ConversationId,
    },
    /// Someone types, or has stopped. Passing: a reader who comes later does not hear of it.
    #[serde(rename = "typing")]
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Whether they do.
        is_typing: bool,
        /// When it ends by itself.
        #[serde(with = "millis")]
        until: Timestamp,
    },
}

impl Event {
    /// Whether it has passed by a time.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        matches!(self, Self::Typing { until, .. } if *until <= now)
    }

    /// The event as its receiver sees it.
    #[must_use]
    pub fn shown_to(self, receiver: &UserId, id: Stamp) -> EventView {
        let (kind, conversation, data) = match self {
            Self::MessageCreated { message } => {
                let conversation = message.id.conversation.clone();
                ("message.created", conversation, Data::Message { message: message.shown_to(receiver, None) })
            }
            Self::MessageRead { conversation, user, message, at, unread } => {
                let public = |stamp| MessageId { conversation: conversation.clone(), stamp };
                let data = Data::Read {
                    user_id: user,
                    message_id: public(message),
                    read_at: at,
                    unread_count: unread.map(|(count, _)| count),
                    counted_to: unread.and_then(|(_, head)| head).map(public),
                };
                ("message.read", conversation, data)
            }
            Self::ConversationCreated { conversation, row } => {
                let row = Box::new(row.shown(&conversation));
                ("conversation.created", conversation, Data::Conversation { conversation: row })
            }
            Self::ConversationDeleted { conversation } => {
                ("conversation.deleted", conversation, Data::Nothing {})
            }
            Self::Typing { conversation, user, is_typing, until } => {
                ("typing", conversation, Data::Typing { user_id: user, is_typing, expires_at: until })
            }
        };
        EventView {
            id,
            kind,
            conversation_id: Some(conversation),
            occurred_at: id.time(),
            data: Some(data),
            truncated: false,
        }
    }
}

/// An event as the API and the sockets show it (contract, section 6).
#[derive(Debug, Clone, Serialize)]
pub struct EventView {
    /// Its place in the queue.
    pub id: Stamp,
    #[serde(rename = "type")]
    kind: &'static str,
    conversation_id: Option<ConversationId>,
    occurred_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl EventView {
    /// A change of someone's presence. It is in no queue: sockets alone hear of it.
    #[must_use]
    pub fn presence(id: Stamp, presence: PresenceView, expires_at: Option<Timestamp>) -> Self {
        let data = Some(Data::Presence { presence, expires_at });
        Self { id, kind: "presence", conversation_id: None, occurred_at: id.time(), data, truncated: false }
    }

    /// The event without its data, where that is too large for a frame: the client polls for it.
    #[must_use]
    pub fn truncated(&self) -> Self {
        Self { data: None, truncated: true, ..self.clone() }
    }
}

/// What an event tells.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Data {
    Message {
        message: MessageView,
    },
    Read {
        user_id: UserId,
        message_id: MessageId,
        read_at: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        unread_count: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        counted_to: Option<MessageId>,
    },
    Conversation {
        conversation: Box<ConversationView>,
    },
    Typing {
        user_id: UserId,
        is_typing: bool,
        expires_at: Timestamp,
    },
    Presence {
        #[serde(flatten)]
        presence: PresenceView,
        expires_at: Option<Timestamp>,
    },
    Nothing {},
}
