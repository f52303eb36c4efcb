//! The partition keys that several kinds of items share.

use domain::id::{ConversationId, UserId};

/// The partition of a user's own items: profile, rows, sockets, sessions.
pub(crate) fn of_user(user: &UserId) -> String {
    format!("U#{user}")
}

/// The partition of a conversation's items: messages, receipts, participants.
pub(crate) fn of_conversation(conversation: &ConversationId) -> String {
    format!("C#{conversation}")
}
