//! Notifications: which messages lead to one, and what it says.
//!
//! Invariant: whether a message leads to a notification is decided from the receiver's row as it is at that moment, never
//! from what it was when the message was sent.

use serde::Serialize;

use crate::conversation::{DELETED_USER, Row};
use crate::id::{ConversationId, ConversationKind, MessageId, UserId, short_digest};
use crate::invisible::shows_something;
use crate::message::{Message, MessageKind};
use crate::settings::NotifyLevel;
use crate::time::Timestamp;

/// Maximum size of a notification before its encryption, in bytes.
pub const MAX_PAYLOAD: usize = 2_000;
/// Maximum length of a title, and of the sender's name before a text, in characters.
const MAX_NAME: usize = 60;
/// Maximum length of a text, in characters.
const MAX_TEXT: usize = 240;
/// Milliseconds for which a user who says that they are active gets no notifications.
pub const ACTIVE: i64 = 60_000;

/// Whether a message leads to a notification of a user, by their row of its conversation: somebody else sent it, it is
/// unread and not deleted, the user may see it and has not hidden it, there is no block, the conversation is not muted,
/// and its level includes the message.
///
/// The row of a large conversation may not contain the message yet, so the watermark decides, and not the unread count.
#[must_use]
pub fn leads_to(message: &Message, is_hidden: bool, user: &UserId, row: &Row, now: Timestamp) -> bool {
    let stamp = message.id.stamp;
    let is_included = match row.notify_level(message.id.conversation.kind()) {
        NotifyLevel::All => true,
        NotifyLevel::Mentions => message.mentions(user),
        NotifyLevel::None => false,
    };
    message.sender != *user
        && !message.is_deleted()
        && !is_hidden
        && !row.owner_deleted
        && row.shows(stamp)
        && !row.counts_as_read(stamp)
        && !row.is_blocked()
        && !row.is_muted(now)
        && is_included
}

/// How soon the push service should deliver a notification (RFC 8030, section 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Even if that wakes the device.
    High,
    /// When the device is awake.
    Normal,
}

impl Urgency {
    /// The value of the header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
        }
    }
}

/// The notification that a browser shows (Declarative Web Push).
#[derive(Debug, Clone, Serialize)]
struct Shown {
    title: String,
    body: String,
    /// The URL that a click opens.
    navigate: String,
    /// A notification replaces an earlier one with the same tag.
    tag: String,
    /// The number on the app's icon: unread messages in conversations that are neither muted nor archived.
    #[serde(skip_serializing_if = "Option::is_none")]
    app_badge: Option<u64>,
    /// The direction of the texts follows from their letters.
    dir: &'static str,
}

/// A notification: the JSON that a push contains.
#[expect(clippy::struct_field_names, reason = "Declarative Web Push names the field")]
#[derive(Debug, Clone, Serialize)]
pub struct Notification {
    /// Marks the JSON as a declarative push: 8030.
    web_push: u16,
    notification: Shown,
    conversation_id: Option<ConversationId>,
    message_id: Option<MessageId>,
    #[serde(skip)]
    urgency: Urgency,
}

impl Notification {
    /// The notification of a message for the owner of a row. `sender` is the name of its sender, `badge` the number of the
    /// owner's unread messages.
    #[must_use]
    pub fn of(message: &Message, row: &Row, sender: &str, user: &UserId, badge: u64) -> Self {
        let conversation = &message.id.conversation;
        let is_direct = conversation.kind() == ConversationKind::Direct;
        let (title, body) = if is_direct {
            (sender.to_owned(), said(message))
        } else {
            let name = row.name.as_ref().map_or_else(|| conversation.to_string(), ToString::to_string);
            (name, format!("{}: {}", cut(sender, MAX_NAME), said(message)))
        };
        let is_urgent = is_direct || message.mentions(user);
        Self {
            web_push: 8030,
            notification: Shown {
                title: cut(&title, MAX_NAME),
                body,
                navigate: format!("/#/c/{conversation}"),
                tag: conversation.to_string(),
                app_badge: Some(badge),
                dir: "auto",
            },
            conversation_id: Some(conversation.clone()),
            message_id: Some(message.id.clone()),
            urgency: if is_urgent { Urgency::High } else { Urgency::Normal },
        }
    }

    /// The notification with which users try their subscriptions.
    #[must_use]
    pub fn test() -> Self {
        Self {
            web_push: 8030,
            notification: Shown {
                title: "Tidings".to_owned(),
                body: "Notifications work on this device.".to_owned(),
                navigate: "/".to_owned(),
                tag: "test".to_owned(),
                app_badge: None,
                dir: "auto",
            },
            conversation_id: None,
            message_id: None,
            urgency: Urgency::High,
        }
    }

    /// The same notification without the text of the message.
    #[must_use]
    pub fn without_text(&self) -> Self {
        let shown = Shown { body: "New message".to_owned(), ..self.notification.clone() };
        Self { notification: shown, ..self.clone() }
    }

    /// The JSON, in at most [`MAX_PAYLOAD`] bytes.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        let mut fitting = self.clone();
        loop {
            let json = serde_json::to_vec(&fitting).unwrap_or_default();
            let length = fitting.notification.body.chars().count();
            if json.len() <= MAX_PAYLOAD || length == 0 {
                return json;
            }
            fitting.notification.body = cut(&fitting.notification.body, length * 3 / 4);
        }
    }

    /// The topic: of several notifications with the same one, the push service keeps only the latest (RFC 8030, section
    /// 5.4).
    #[must_use]
    pub fn topic(&self) -> String {
        short_digest(&self.notification.tag)
    }

    /// How soon it should be delivered.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        self.urgency
    }
}

/// The name of a message's sender, in a direct conversation, for the owner of a row.
#[must_use]
pub fn name_of_peer(row: &Row, peer: &UserId) -> String {
    match &row.name {
        _ if row.peer_deleted => DELETED_USER.to_owned(),
        Some(name) => name.to_string(),
        None => peer.to_string(),
    }
}

/// Returns the body of a notification: the message's text or, without one, the kind of its picture or recording, else the name of its file.
fn said(message: &Message) -> String {
    if shows_something(&message.content.text) {
        return cut(&message.content.text, MAX_TEXT);
    }
    let kind = match message.kind() {
        MessageKind::Image => "Photo",
        MessageKind::Video => "Video",
        MessageKind::Voice => "Voice message",
        MessageKind::Audio | MessageKind::File if shows_something(&message.preview()) => {
            return message.preview();
        }
        MessageKind::Audio => "Audio",
        MessageKind::File => "File",
        MessageKind::Text | MessageKind::Deleted => "New message",
    };
    kind.to_owned()
}

/// The first characters of a text; an ellipsis shows that there are more.
fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        None => text.to_owned(),
        Some(_) => {
            text.chars().take(length.saturating_sub(1)).chain(['…'].into_iter().take(length)).collect()
        }
    }
}
