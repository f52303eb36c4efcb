//! Events: what a user should learn of, in the words of the contract's section 6.

use serde::{Deserialize, Serialize};

use crate::conversation::Row;
use crate::id::{ConversationId, Stamp, UserId};
use crate::message::Message;
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
}
