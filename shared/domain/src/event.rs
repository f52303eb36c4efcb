//! Events: what a user should learn of, in the words of the contract's section 6.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::conversation::{ConversationView, Row};
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::message::{Message, MessageView, ReadState};
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
        /// In a conversation of so many that nobody counts its readers.
        #[serde(rename = "crowd", default, skip_serializing_if = "std::ops::Not::not")]
        uncounted: bool,
    },
    /// A message's text was changed, or brought back.
    #[serde(rename = "message.updated")]
    MessageUpdated {
        /// The message as it is now.
        message: Message,
        /// Who had read it.
        reads: ReadState,
        /// Where it was brought back: what is unread to the receiver now. What was told before holds no longer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unread: Option<Unread>,
    },
    /// A message was deleted for everyone, or hidden from the receiver alone.
    #[serde(rename = "message.deleted")]
    MessageDeleted {
        /// What is left of it.
        message: Message,
        /// Who had read it.
        reads: ReadState,
        /// From the receiver alone.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        only_me: bool,
        /// What is unread to the receiver now.
        unread: Unread,
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
        /// On the reader's own devices: what is unread now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unread: Option<Unread>,
    },
    /// A row appeared in the inbox.
    #[serde(rename = "conversation.created")]
    ConversationCreated {
        /// Which.
        conversation: ConversationId,
        /// The receiver's row after the change.
        row: Box<Row>,
    },
    /// Some of what a row shows of a conversation has changed.
    #[serde(rename = "conversation.updated")]
    ConversationUpdated {
        /// Which.
        conversation: ConversationId,
        /// What has changed, by the names of the API.
        changes: Map<String, Value>,
        /// Rises with each change.
        version: u64,
    },
    /// A row is gone from the inbox.
    #[serde(rename = "conversation.deleted")]
    ConversationDeleted {
        /// Which.
        conversation: ConversationId,
    },
    /// Someone has joined a group or room.
    #[serde(rename = "participant.joined")]
    ParticipantJoined {
        /// Which.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Who did it: themselves, or who added them.
        by: UserId,
    },
    /// Someone has left a group or room.
    #[serde(rename = "participant.left")]
    ParticipantLeft {
        /// Which.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Who did it: themselves, or who removed them.
        by: UserId,
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

/// An unread count, and what it holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// Unread messages.
    #[serde(rename = "n")]
    pub count: u64,
    /// The newest message that this counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Stamp>,
    /// The watermark after which it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Stamp>,
}

impl Unread {
    /// What a row says.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        Self { count: row.unread, head: row.head, read: row.read }
    }

    fn shown(self, conversation: &ConversationId) -> UnreadView {
        let message = |stamp| MessageId { conversation: conversation.clone(), stamp };
        UnreadView {
            unread_count: self.count,
            counted_to: self.head.map(message),
            last_read_message_id: self.read.map(message),
        }
    }
}

/// An unread count as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct UnreadView {
    unread_count: u64,
    counted_to: Option<MessageId>,
    last_read_message_id: Option<MessageId>,
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
            Self::MessageCreated { message, uncounted } => {
                let reads = if uncounted { ReadState::UNCOUNTED } else { ReadState::UNREAD };
                let conversation = message.id.conversation.clone();
                (
                    "message.created",
                    conversation,
                    Data::Message { message: message.shown_to(receiver, &reads) },
                )
            }
            Self::MessageUpdated { message, reads, unread } => {
                let conversation = message.id.conversation.clone();
                let message = message.shown_to(receiver, &reads);
                let data = match unread {
                    Some(unread) => Data::Restored { message, unread: unread.shown(&conversation) },
                    None => Data::Message { message },
                };
                ("message.updated", conversation, data)
            }
            Self::MessageDeleted { message, reads, only_me, unread } => {
                let conversation = message.id.conversation.clone();
                let data = Data::Deleted {
                    message: message.shown_to(receiver, &reads),
                    scope: if only_me { "me" } else { "everyone" },
                    unread: unread.shown(&conversation),
                };
                ("message.deleted", conversation, data)
            }
            Self::MessageRead { conversation, user, message, at, unread } => {
                let public = |stamp| MessageId { conversation: conversation.clone(), stamp };
                let data = Data::Read {
                    user_id: user,
                    message_id: public(message),
                    read_at: at,
                    unread_count: unread.map(|unread| unread.count),
                    counted_to: unread.and_then(|unread| unread.head).map(public),
                };
                ("message.read", conversation, data)
            }
            Self::ConversationUpdated { conversation, mut changes, version } => {
                changes.insert("version".to_owned(), version.into());
                ("conversation.updated", conversation, Data::Changes(changes))
            }
            Self::ParticipantJoined { conversation, user, by } => {
                ("participant.joined", conversation, Data::Participant { user_id: user, by })
            }
            Self::ParticipantLeft { conversation, user, by } => {
                ("participant.left", conversation, Data::Participant { user_id: user, by })
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

/// An event as the API and the sockets show it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
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
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Data {
    #[schemars(title = "Message")]
    Message {
        message: MessageView,
    },
    /// Whether it is gone for the receiver alone, and what is unread since.
    #[schemars(title = "Deleted")]
    Deleted {
        message: MessageView,
        scope: &'static str,
        #[serde(flatten)]
        unread: UnreadView,
    },
    /// What is unread since.
    #[schemars(title = "Restored")]
    Restored {
        message: MessageView,
        #[serde(flatten)]
        unread: UnreadView,
    },
    Changes(Map<String, Value>),
    #[schemars(title = "Participant")]
    Participant {
        user_id: UserId,
        by: UserId,
    },
    #[schemars(title = "Read")]
    Read {
        user_id: UserId,
        message_id: MessageId,
        read_at: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        unread_count: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        counted_to: Option<MessageId>,
    },
    #[schemars(title = "Conversation")]
    Conversation {
        conversation: Box<ConversationView>,
    },
    #[schemars(title = "Typing")]
    Typing {
        user_id: UserId,
        is_typing: bool,
        expires_at: Timestamp,
    },
    #[schemars(title = "Presence")]
    Presence {
        #[serde(flatten)]
        presence: PresenceView,
        expires_at: Option<Timestamp>,
    },
    Nothing {},
}
