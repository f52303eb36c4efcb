//! Events: the changes that a user's devices learn of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::conversation::{ConversationView, Row};
use crate::custom::Custom;
use crate::fields::is_zero;
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::links::Links;
use crate::message::{Message, MessageView, ReadState};
use crate::presence::PresenceView;
use crate::time::{Timestamp, millis};

/// A change that a user's devices learn of. It is written to the user's queue in the transaction that makes the change;
/// only a typing signal changes nothing and is written alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// A message was sent.
    #[serde(rename = "message.created")]
    MessageCreated {
        /// The message.
        message: Message,
        /// Whether the conversation is too large for its messages to show a read count.
        #[serde(rename = "crowd", default, skip_serializing_if = "std::ops::Not::not")]
        uncounted: bool,
    },
    /// A message was edited, pinned, got a reaction, or was restored after a deletion.
    #[serde(rename = "message.updated")]
    MessageUpdated {
        /// The message after the change.
        message: Message,
        /// The read state of the message.
        reads: ReadState,
        /// If the message was restored, or mentions the receiver only now or no longer: the receiver's unread counts, which
        /// replace all earlier ones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unread: Option<Unread>,
    },
    /// A message was deleted for everyone, or hidden from the receiver alone.
    #[serde(rename = "message.deleted")]
    MessageDeleted {
        /// The message without its content.
        message: Message,
        /// The read state of the message.
        reads: ReadState,
        /// Whether it is hidden from the receiver alone.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        only_me: bool,
        /// The receiver's unread count after the deletion.
        unread: Unread,
    },
    /// A user has read up to a message.
    #[serde(rename = "message.read")]
    MessageRead {
        /// The conversation.
        conversation: ConversationId,
        /// The reader.
        user: UserId,
        /// The reader's watermark; `None` if they have read nothing, and mark as unread.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<Stamp>,
        /// When it was read.
        #[serde(with = "millis")]
        at: Timestamp,
        /// For the reader's own devices: the unread count after reading.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unread: Option<Unread>,
        /// Whether they have marked messages as unread instead. Then only their own devices learn of it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        marked_unread: bool,
    },
    /// A row appeared in the receiver's inbox.
    #[serde(rename = "conversation.created")]
    ConversationCreated {
        /// The conversation.
        conversation: ConversationId,
        /// The receiver's row after the change.
        row: Box<Row>,
    },
    /// Fields of a conversation have changed.
    #[serde(rename = "conversation.updated")]
    ConversationUpdated {
        /// The conversation.
        conversation: ConversationId,
        /// The changed fields, under their names in the API. Custom data is its JSON as a text, so that it stays as it
        /// came.
        changes: Map<String, Value>,
        /// Rises with each change of the same field.
        version: u64,
    },
    /// A row disappeared from the receiver's inbox.
    #[serde(rename = "conversation.deleted")]
    ConversationDeleted {
        /// The conversation.
        conversation: ConversationId,
    },
    /// A user has joined a group or room.
    #[serde(rename = "participant.joined")]
    ParticipantJoined {
        /// The conversation.
        conversation: ConversationId,
        /// The user who joined.
        user: UserId,
        /// The user who added them; the same user if they joined by themselves.
        by: UserId,
    },
    /// A user has left a group or room.
    #[serde(rename = "participant.left")]
    ParticipantLeft {
        /// The conversation.
        conversation: ConversationId,
        /// The user who left.
        user: UserId,
        /// The user who removed them; the same user if they left by themselves.
        by: UserId,
    },
    /// A user is typing, or has stopped. Ephemeral: polls do not return it after it has expired.
    #[serde(rename = "typing")]
    Typing {
        /// The conversation.
        conversation: ConversationId,
        /// The user.
        user: UserId,
        /// Whether the user is typing.
        is_typing: bool,
        /// When the signal expires.
        #[serde(with = "millis")]
        until: Timestamp,
    },
}

/// An unread count, and the messages that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The number of unread messages.
    #[serde(rename = "n")]
    pub count: u64,
    /// The newest message that the count covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Stamp>,
    /// The read watermark, after which the count begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Stamp>,
    /// The unread messages that mention the user.
    #[serde(rename = "mn", default, skip_serializing_if = "is_zero")]
    pub mentions: u64,
    /// The oldest of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_mention: Option<Stamp>,
}

impl Unread {
    /// The unread count of a row.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        let Row { unread: count, head, read, mentions, first_mention, .. } = *row;
        Self { count, head, read, mentions, first_mention }
    }

    fn shown(self, conversation: &ConversationId) -> UnreadView {
        let message = |stamp| MessageId { conversation: conversation.clone(), stamp };
        UnreadView {
            unread_count: self.count,
            counted_to: self.head.map(message),
            last_read_message_id: self.read.map(message),
            mention_count: self.mentions,
            first_mention_id: self.first_mention.map(message),
        }
    }
}

/// An unread count as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct UnreadView {
    unread_count: u64,
    counted_to: Option<MessageId>,
    last_read_message_id: Option<MessageId>,
    mention_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_mention_id: Option<MessageId>,
}

impl Event {
    /// Whether the event has expired. Only typing signals expire.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self, Self::Typing { until, .. } if *until <= now)
    }

    /// The event as its receiver sees it.
    #[must_use]
    pub fn shown_to(self, receiver: &UserId, id: Stamp, links: &Links) -> EventView {
        let (kind, conversation, data) = match self {
            Self::MessageCreated { message, uncounted } => {
                let reads = if uncounted { ReadState::UNCOUNTED } else { ReadState::UNREAD };
                let conversation = message.id.conversation.clone();
                (
                    "message.created",
                    conversation,
                    Data::Message { message: message.shown_to(receiver, &reads, links) },
                )
            }
            Self::MessageUpdated { message, reads, unread } => {
                let conversation = message.id.conversation.clone();
                let message = message.shown_to(receiver, &reads, links);
                let data = match unread {
                    Some(unread) => Data::Restored { message, unread: unread.shown(&conversation) },
                    None => Data::Message { message },
                };
                ("message.updated", conversation, data)
            }
            Self::MessageDeleted { message, reads, only_me, unread } => {
                let conversation = message.id.conversation.clone();
                let data = Data::Deleted {
                    message: message.shown_to(receiver, &reads, links),
                    scope: if only_me { "me" } else { "everyone" },
                    unread: unread.shown(&conversation),
                };
                ("message.deleted", conversation, data)
            }
            Self::MessageRead { conversation, user, message, at, unread, marked_unread } => {
                let message_id = |stamp| MessageId { conversation: conversation.clone(), stamp };
                let data = Data::Read {
                    user_id: user,
                    message_id: message.map(message_id),
                    read_at: at,
                    unread_count: unread.map(|unread| unread.count),
                    counted_to: unread.and_then(|unread| unread.head).map(message_id),
                    marked_unread: unread.map(|_| marked_unread),
                    mention_count: unread.map(|unread| unread.mentions),
                    first_mention_id: unread.and_then(|unread| unread.first_mention).map(message_id),
                };
                ("message.read", conversation, data)
            }
            Self::ConversationUpdated { conversation, mut changes, version } => {
                changes.insert("version".to_owned(), version.into());
                // Clients that show `other_user_name` show it for groups, too.
                if let Some(name) = changes.get("name").cloned() {
                    changes.insert("other_user_name".to_owned(), name);
                }
                ("conversation.updated", conversation, Data::Changes(Changes(changes)))
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

/// An event, as polls return it and sockets receive it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct EventView {
    /// The event's id, which orders the queue.
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
    /// A change of a user's presence. It is pushed to sockets only, and never stored in a queue.
    #[must_use]
    pub fn presence(id: Stamp, presence: PresenceView, expires_at: Option<Timestamp>) -> Self {
        let data = Some(Data::Presence { presence, expires_at });
        Self { id, kind: "presence", conversation_id: None, occurred_at: id.time(), data, truncated: false }
    }

    /// The event without its data, which is too large for a frame: the client polls for it.
    #[must_use]
    pub fn truncated(&self) -> Self {
        Self { data: None, truncated: true, ..self.clone() }
    }
}

/// The changed fields of a conversation, as `Event::ConversationUpdated` has them.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(inline)]
struct Changes(Map<String, Value>);

impl Serialize for Changes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| {
            let custom = value.as_str().filter(|_| name == "custom").map(str::to_owned);
            (name, custom.and_then(Custom::from_json).map_or(Change::Value(value), Change::Custom))
        }))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Change<'a> {
    Value(&'a Value),
    Custom(Custom),
}

/// The data of an event.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Data {
    #[schemars(title = "Message")]
    Message {
        message: MessageView,
    },
    /// The deleted message, the scope of the deletion, and the receiver's unread count after it.
    #[schemars(title = "Deleted")]
    Deleted {
        message: MessageView,
        scope: &'static str,
        #[serde(flatten)]
        unread: UnreadView,
    },
    /// The restored message, and the receiver's unread count after it.
    #[schemars(title = "Restored")]
    Restored {
        message: MessageView,
        #[serde(flatten)]
        unread: UnreadView,
    },
    Changes(Changes),
    #[schemars(title = "Participant")]
    Participant {
        user_id: UserId,
        by: UserId,
    },
    #[schemars(title = "Read")]
    Read {
        user_id: UserId,
        message_id: Option<MessageId>,
        read_at: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        unread_count: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        counted_to: Option<MessageId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        marked_unread: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mention_count: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        first_mention_id: Option<MessageId>,
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
