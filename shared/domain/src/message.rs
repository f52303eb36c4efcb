//! Messages: drafts as clients send them, messages as the store holds them, and views as the API shows them.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::fields::FromFields;
use crate::has::{Has, HasSet, has_link, media_of};
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::invisible::{bidi_class, blank_class, modifier_class, shows_something};
use crate::name::{WEB_URL, is_web_url};
use crate::time::Timestamp;

/// Maximum length of a message's text, in characters (Unicode scalar values).
const MAX_TEXT: usize = 10_000;
/// Maximum length of an attachment's URL, in bytes.
const MAX_URL: usize = 2_048;
/// Maximum length of an attachment's type, in characters.
const MAX_ATTACHMENT_TYPE: usize = 100;
/// Maximum length of a client id, in characters.
const MAX_CLIENT_ID: usize = 64;
/// Length of the preview in an inbox row, in characters.
const PREVIEW: usize = 100;

/// A character that shows, as a pattern.
const SHOWN: &str = concat!("[^", blank_class!(), modifier_class!(), bidi_class!(), "]");

/// A message's text: up to 10,000 characters (Unicode scalar values).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("maxLength" = MAX_TEXT))]
pub struct Text(String);

impl TryFrom<String> for Text {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.chars().count() <= MAX_TEXT {
            Ok(Self(text))
        } else {
            Err("a text has at most 10,000 characters")
        }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

/// An idempotency key that the client chooses: 1-64 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = MAX_CLIENT_ID))]
pub struct ClientId(String);

impl TryFrom<String> for ClientId {
    type Error = &'static str;
    fn try_from(id: String) -> Result<Self, Self::Error> {
        if (1..=MAX_CLIENT_ID).contains(&id.chars().count()) {
            Ok(Self(id))
        } else {
            Err("a client id has 1-64 characters")
        }
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

/// The destination of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A user, in the direct conversation with them.
    User(UserId),
    /// A conversation that the sender takes part in.
    Conversation(ConversationId),
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The text. It is empty if the message has only an attachment, or was deleted.
    pub text: String,
    /// The URL of the attachment: absolute http(s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_url: Option<String>,
    /// The type of the attachment, as the client named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_type: Option<String>,
    /// The message of the same conversation that this one replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Stamp>,
    /// The sender's idempotency key for the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
}

/// A valid message that is not sent yet: the validated fields of `POST /api/messages/send`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The destination.
    pub destination: Destination,
    /// The content, in which [`Draft::content_in`] fills in `reply_to`.
    content: Content,
    reply_to: Option<MessageId>,
}

/// A message to send.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "NewMessage", transform = add_rules_across_fields)]
pub struct DraftFields {
    /// The user to send to, in the direct conversation with them. Send this or `conversation_id`, not both.
    recipient_id: Option<UserId>,
    /// The conversation to send to.
    conversation_id: Option<ConversationId>,
    /// The text. Required without an attachment; then at least one of its characters must show.
    #[schemars(length(max = MAX_TEXT))]
    message_text: Option<String>,
    /// The URL of an attachment: absolute http(s).
    #[schemars(length(max = MAX_URL), extend("format" = "uri", "pattern" = WEB_URL))]
    attachment_url: Option<String>,
    /// The type of the attachment, in any form. Allowed only with an `attachment_url`.
    #[schemars(length(min = 1, max = MAX_ATTACHMENT_TYPE))]
    attachment_type: Option<String>,
    /// The message of the same conversation that this one replies to.
    reply_to: Option<MessageId>,
    /// An idempotency key. A send with the same key to the same conversation within 24 hours returns the first message.
    #[schemars(length(min = 1, max = MAX_CLIENT_ID))]
    client_message_id: Option<String>,
}

/// Adds the rules that concern several fields to the schema.
fn add_rules_across_fields(schema: &mut Schema) {
    let present =
        |name: &str| json!({"properties": {name: {"type": "string", "minLength": 1}}, "required": [name]});
    let shown = json!({"properties": {"message_text": {"type": "string", "pattern": SHOWN}}, "required": ["message_text"]});
    // An empty field of a form counts as absent.
    let absent = |name: &str| json!({"properties": {name: {"enum": [null, ""]}}});
    schema.insert(
        "allOf".to_owned(),
        json!([
            {"anyOf": [
                {"allOf": [present("recipient_id"), absent("conversation_id")]},
                {"allOf": [present("conversation_id"), absent("recipient_id")]},
            ]},
            {"anyOf": [shown, present("attachment_url")]},
            {"anyOf": [present("attachment_url"), absent("attachment_type")]},
        ]),
    );
}

impl FromFields for Draft {
    type Fields = DraftFields;
    const NAMES: &'static [&'static str] = &[
        "recipient_id",
        "conversation_id",
        "message_text",
        "attachment_url",
        "attachment_type",
        "reply_to",
        "client_message_id",
    ];

    fn from_fields(fields: DraftFields) -> Result<Self, Error> {
        let invalid = |field, message| Err(Error::field(field, message));
        let destination = match (fields.recipient_id, fields.conversation_id) {
            (Some(user), None) => Destination::User(user),
            (None, Some(conversation)) => Destination::Conversation(conversation),
            (Some(_), Some(_)) => {
                return invalid("conversation_id", "Send recipient_id or conversation_id, not both.");
            }
            (None, None) => return invalid("recipient_id", "Send recipient_id or conversation_id."),
        };
        let text = fields.message_text.unwrap_or_default();
        let content = Content {
            text,
            attachment_url: fields.attachment_url,
            attachment_type: fields.attachment_type,
            reply_to: None,
            client_message_id: fields.client_message_id,
        };
        content.validate()?;
        Ok(Self { destination, content, reply_to: fields.reply_to })
    }
}

impl Content {
    fn validate(&self) -> Result<(), Error> {
        let invalid = |field, message| Err(Error::field(field, message));
        let length = |text: &String| text.chars().count();
        if self.attachment_url.is_none() && !shows_something(&self.text) {
            return invalid("message_text", "The text is missing or shows nothing.");
        }
        if length(&self.text) > MAX_TEXT {
            return invalid("message_text", "A text has at most 10,000 characters.");
        }
        if self.attachment_url.as_ref().is_some_and(|url| !is_web_url(url, MAX_URL)) {
            return invalid(
                "attachment_url",
                "An attachment_url is an absolute http(s) URL of at most 2,048 bytes.",
            );
        }
        if let Some(kind) = &self.attachment_type
            && (self.attachment_url.is_none() || !(1..=MAX_ATTACHMENT_TYPE).contains(&length(kind)))
        {
            return invalid(
                "attachment_type",
                "An attachment_type has 1-100 characters and requires an attachment_url.",
            );
        }
        if self.client_message_id.as_ref().is_some_and(|id| !(1..=MAX_CLIENT_ID).contains(&length(id))) {
            return invalid("client_message_id", "A client_message_id has 1-64 characters.");
        }
        Ok(())
    }
}

impl Draft {
    /// Returns the content, once the conversation is known.
    ///
    /// # Errors
    /// `Invalid` if it replies to a message of another conversation.
    pub fn content_in(self, conversation: &ConversationId) -> Result<Content, Error> {
        let reply_to = match self.reply_to {
            Some(id) if id.conversation == *conversation => Some(id.stamp),
            Some(_) => {
                return Err(Error::field("reply_to", "reply_to is not a message of this conversation."));
            }
            None => None,
        };
        Ok(Content { reply_to, ..self.content })
    }
}

/// A message as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The id, which also names the conversation.
    pub id: MessageId,
    /// The user who sent it.
    pub sender: UserId,
    /// The user who receives it; only in a direct conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<UserId>,
    /// The content; without text and attachment once the message is deleted.
    pub content: Content,
    /// Starts at 1 and rises with each change.
    pub version: u32,
    /// When its text was last edited, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<i64>,
    /// When it was deleted for everyone, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<i64>,
}

/// The read state of a message, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadState {
    /// Whether every other participant who could see it has read it.
    pub read: bool,
    /// When the recipient read it, in milliseconds since 1970; only in a direct conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// How many other participants have read it; `None` in conversations of more than 100.
    pub count: Option<u32>,
}

impl ReadState {
    /// Nobody has read it.
    pub const UNREAD: Self = Self { read: false, at: None, count: Some(0) };
    /// Nobody has read it, in a conversation that is too large for a read count.
    pub const UNCOUNTED: Self = Self { read: false, at: None, count: None };

    /// The state of a message of a direct conversation: whether the recipient has read it, and when, if that is known.
    #[must_use]
    pub fn direct(read: bool, read_at: Option<Timestamp>) -> Self {
        Self { read, at: read_at.map(Timestamp::millis), count: Some(u32::from(read)) }
    }
}

impl Message {
    /// The first characters of the text, for inbox rows.
    #[must_use]
    pub fn preview(&self) -> String {
        self.content.text.chars().take(PREVIEW).collect()
    }

    /// Whether it was deleted for everyone.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// Whether it has this kind of content.
    #[must_use]
    pub fn has(&self, has: Has) -> bool {
        let Content { text, attachment_url, attachment_type, .. } = &self.content;
        let media = attachment_url.as_ref().map(|url| media_of(url, attachment_type.as_deref()));
        match has {
            Has::Attachment => media.is_some(),
            Has::Link => has_link(text),
            Has::Image => media == Some(Some("image")),
            Has::File => media == Some(None),
        }
    }

    /// All kinds of content that it has.
    #[must_use]
    pub fn has_set(&self) -> HasSet {
        Has::ALL.into_iter().filter(|has| self.has(*has)).fold(HasSet::default(), HasSet::with)
    }

    /// The participant of a direct conversation who is not `user`; `None` in groups and rooms.
    #[must_use]
    pub fn other_than(&self, user: &UserId) -> Option<&UserId> {
        self.recipient.as_ref().map(|recipient| if recipient == user { &self.sender } else { recipient })
    }

    /// The message with a new text.
    ///
    /// # Errors
    /// `Invalid` if the text is too long, or shows nothing and there is no attachment.
    pub fn edited(&self, text: String, now: Timestamp) -> Result<Self, Error> {
        let content = Content { text, ..self.content.clone() };
        content.validate()?;
        Ok(Self { content, version: self.version + 1, edited_at: Some(now.millis()), ..self.clone() })
    }

    /// The message after a deletion for everyone: without text and attachment.
    #[must_use]
    pub fn deleted(&self, now: Timestamp) -> Self {
        let content = Content {
            text: String::new(),
            attachment_url: None,
            attachment_type: None,
            ..self.content.clone()
        };
        Self { content, version: self.version + 1, deleted_at: Some(now.millis()), ..self.clone() }
    }

    /// The message with the content that it had before its deletion.
    #[must_use]
    pub fn restored(&self, content: Content) -> Self {
        Self { content, version: self.version + 1, deleted_at: None, ..self.clone() }
    }

    /// The message as a participant sees it.
    #[must_use]
    pub fn shown_to(&self, viewer: &UserId, reads: &ReadState) -> MessageView {
        let Content { text, attachment_url, attachment_type, reply_to, client_message_id } =
            self.content.clone();
        let conversation = &self.id.conversation;
        MessageView {
            id: self.id.clone(),
            conversation_id: conversation.clone(),
            sender_id: self.sender.clone(),
            recipient_id: self.recipient.clone(),
            message_text: text,
            attachment_url,
            attachment_type,
            reply_to: reply_to.map(|stamp| MessageId { conversation: conversation.clone(), stamp }),
            client_message_id: client_message_id.filter(|_| *viewer == self.sender),
            sent_at: self.id.stamp.time(),
            is_edited: self.edited_at.is_some(),
            edited_at: self.edited_at.map(Timestamp::from_millis),
            is_deleted: self.is_deleted(),
            deleted_at: self.deleted_at.map(Timestamp::from_millis),
            read: reads.read,
            read_at: reads.at.map(Timestamp::from_millis),
            read_count: reads.count,
            version: self.version,
        }
    }
}

/// A message, as a participant sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Message")]
pub struct MessageView {
    id: MessageId,
    conversation_id: ConversationId,
    sender_id: UserId,
    recipient_id: Option<UserId>,
    message_text: String,
    attachment_url: Option<String>,
    attachment_type: Option<String>,
    reply_to: Option<MessageId>,
    client_message_id: Option<String>,
    sent_at: Timestamp,
    is_edited: bool,
    edited_at: Option<Timestamp>,
    is_deleted: bool,
    deleted_at: Option<Timestamp>,
    read: bool,
    read_at: Option<Timestamp>,
    read_count: Option<u32>,
    version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(body: serde_json::Value) -> Result<Draft, String> {
        let fields = serde_json::from_value(body).map_err(|e| e.to_string())?;
        Draft::from_fields(fields).map_err(|e| e.to_string())
    }

    #[test]
    fn a_draft_needs_one_destination_and_some_content() {
        assert!(draft(json!({"recipient_id": "bob", "message_text": "x"})).is_ok());
        assert!(draft(json!({"recipient_id": "bob", "attachment_url": "https://a.example/cat.png"})).is_ok());
        for bad in [
            json!({"message_text": "x"}),
            json!({"recipient_id": "bob"}),
            json!({"recipient_id": "bob", "message_text": ""}),
            json!({"recipient_id": "b b", "message_text": "x"}),
            json!({"recipient_id": 7, "message_text": "x"}),
            json!({"recipient_id": "bob", "message_text": "x", "sender_id": "bob"}),
            json!({"recipient_id": "bob", "message_text": "x", "attachment_url": "cat.png"}),
            json!({"recipient_id": "bob", "message_text": "x", "attachment_type": "image/png"}),
            json!({"recipient_id": "bob", "message_text": "x", "client_message_id": ""}),
        ] {
            assert!(draft(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_text_that_shows_nothing_needs_an_attachment() {
        for nothing in [" ", "\u{200b}", "\u{3164}", "\n\r\n", "\u{202e}", "\u{2800}", "\u{fe0f}"] {
            let text = json!({"recipient_id": "bob", "message_text": nothing});
            assert!(draft(text).is_err(), "{nothing:?}");
            let with_attachment = json!({"recipient_id": "bob", "message_text": nothing, "attachment_url": "https://a.example/x"});
            assert!(draft(with_attachment).is_ok(), "{nothing:?}");
        }
    }

    #[test]
    fn length_is_counted_in_scalar_values() {
        let with_length = |n: usize| draft(json!({"recipient_id": "bob", "message_text": "😀".repeat(n)}));
        assert!(with_length(10_000).is_ok());
        assert!(with_length(10_001).is_err());
    }
}
