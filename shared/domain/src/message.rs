//! Messages: what a client may send, what the store holds, what the API shows.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::fields::FromFields;
use crate::id::{ConversationId, MessageId, Stamp, UserId};
use crate::name::{WEB_URL, is_web_url};
use crate::time::Timestamp;

/// Characters (Unicode scalar values) of a message at most.
const MAX_TEXT: usize = 10_000;
/// Bytes of an attachment's URL at most.
const MAX_URL: usize = 2_048;
/// Characters of an attachment's type at most.
const MAX_ATTACHMENT_TYPE: usize = 100;
/// Characters of a client's id for a message at most.
const MAX_CLIENT_ID: usize = 64;
/// Characters of the preview in an inbox row.
const PREVIEW: usize = 100;

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

/// A client's own id for what it makes: 1-64 characters.
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
            Err("a client's id has 1-64 characters")
        }
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

/// Whom a message goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A user, in the direct conversation with them.
    User(UserId),
    /// A conversation of the sender's.
    Conversation(ConversationId),
}

/// What a message says, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The text; empty only beside an attachment.
    pub text: String,
    /// An absolute http(s) URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_url: Option<String>,
    /// What the attachment is, in the client's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_type: Option<String>,
    /// The message of the same conversation that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Stamp>,
    /// The sender's own id for the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
}

/// A valid message on its way. Read from the fields of `POST /api/messages/send`; each check is made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Whom it goes to.
    pub destination: Destination,
    /// What it says. `reply_to` is filled in by [`Draft::content_in`].
    content: Content,
    reply_to: Option<MessageId>,
}

/// The fields of a message, as a client sends them.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "NewMessage", transform = has_an_address_and_something_to_say)]
pub struct DraftFields {
    /// Whom it goes to, in the direct conversation with them.
    recipient_id: Option<UserId>,
    /// Or where it goes.
    conversation_id: Option<ConversationId>,
    /// What it says.
    #[schemars(length(max = MAX_TEXT))]
    message_text: Option<String>,
    /// An absolute http(s) URL.
    #[schemars(length(max = MAX_URL), extend("format" = "uri", "pattern" = WEB_URL))]
    attachment_url: Option<String>,
    /// What the attachment is, in the client's words; beside an `attachment_url` only.
    #[schemars(length(min = 1, max = MAX_ATTACHMENT_TYPE))]
    attachment_type: Option<String>,
    /// The message of the same conversation that this one answers.
    reply_to: Option<MessageId>,
    /// The sender's own id: the same again in the same conversation, within 24 hours, is the same message.
    #[schemars(length(min = 1, max = MAX_CLIENT_ID))]
    client_message_id: Option<String>,
}

/// Says in the schema what no field says alone.
fn has_an_address_and_something_to_say(schema: &mut Schema) {
    let is =
        |name: &str| json!({"properties": {name: {"type": "string", "minLength": 1}}, "required": [name]});
    // An empty field of a form counts as absent.
    let is_not = |name: &str| json!({"properties": {name: {"enum": [null, ""]}}});
    schema.insert(
        "allOf".to_owned(),
        json!([
            {"anyOf": [
                {"allOf": [is("recipient_id"), is_not("conversation_id")]},
                {"allOf": [is("conversation_id"), is_not("recipient_id")]},
            ]},
            {"anyOf": [is("message_text"), is("attachment_url")]},
            {"anyOf": [is("attachment_url"), is_not("attachment_type")]},
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
        let refused = |field, message| Err(Error::field(field, message));
        let destination = match (fields.recipient_id, fields.conversation_id) {
            (Some(user), None) => Destination::User(user),
            (None, Some(conversation)) => Destination::Conversation(conversation),
            (Some(_), Some(_)) => {
                return refused("conversation_id", "Send recipient_id or conversation_id, not both.");
            }
            (None, None) => return refused("recipient_id", "Send recipient_id or conversation_id."),
        };
        let text = fields.message_text.unwrap_or_default();
        let content = Content {
            text,
            attachment_url: fields.attachment_url,
            attachment_type: fields.attachment_type,
            reply_to: None,
            client_message_id: fields.client_message_id,
        };
        content.checked()?;
        Ok(Self { destination, content, reply_to: fields.reply_to })
    }
}

impl Content {
    fn checked(&self) -> Result<(), Error> {
        let refused = |field, message| Err(Error::field(field, message));
        let length = |text: &String| text.chars().count();
        if self.text.is_empty() && self.attachment_url.is_none() {
            return refused("message_text", "The text is missing or empty.");
        }
        if length(&self.text) > MAX_TEXT {
            return refused("message_text", "A text has at most 10,000 characters.");
        }
        if self.attachment_url.as_ref().is_some_and(|url| !is_web_url(url, MAX_URL)) {
            return refused(
                "attachment_url",
                "An attachment is an absolute http(s) URL of up to 2,048 bytes.",
            );
        }
        if let Some(kind) = &self.attachment_type
            && (self.attachment_url.is_none() || !(1..=MAX_ATTACHMENT_TYPE).contains(&length(kind)))
        {
            return refused(
                "attachment_type",
                "A type has 1-100 characters and stands beside an attachment_url.",
            );
        }
        if self.client_message_id.as_ref().is_some_and(|id| !(1..=MAX_CLIENT_ID).contains(&length(id))) {
            return refused("client_message_id", "A client_message_id has 1-64 characters.");
        }
        Ok(())
    }
}

impl Draft {
    /// What the message says once its conversation is known.
    ///
    /// # Errors
    /// `Invalid` where it answers a message of another conversation.
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
    /// Where it is.
    pub id: MessageId,
    /// Who sent it.
    pub sender: UserId,
    /// Who gets it, in a direct conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<UserId>,
    /// What it says; nothing once it is deleted.
    pub content: Content,
    /// Rises with each change, from 1.
    pub version: u32,
    /// When its text was last changed, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<i64>,
    /// When it was deleted for everyone, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<i64>,
}

/// Who has read a message, as it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadState {
    /// Every other participant who could see it has.
    pub read: bool,
    /// When its recipient did, in a direct conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// How many others have; `None` in conversations of more than 100.
    pub count: Option<u32>,
}

impl ReadState {
    /// Nobody has.
    pub const UNREAD: Self = Self { read: false, at: None, count: Some(0) };
    /// Nobody has, in a conversation where nobody counts.
    pub const UNCOUNTED: Self = Self { read: false, at: None, count: None };

    /// Of a direct conversation, by when the recipient read it.
    #[must_use]
    pub fn direct(read_at: Option<Timestamp>) -> Self {
        let read = read_at.is_some();
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

    /// The other participant of its direct conversation.
    #[must_use]
    pub fn other_than(&self, user: &UserId) -> Option<&UserId> {
        self.recipient.as_ref().map(|recipient| if recipient == user { &self.sender } else { recipient })
    }

    /// The message with another text.
    ///
    /// # Errors
    /// `Invalid` where the text is empty without an attachment, or too long.
    pub fn edited(&self, text: String, now: Timestamp) -> Result<Self, Error> {
        let content = Content { text, ..self.content.clone() };
        content.checked()?;
        Ok(Self { content, version: self.version + 1, edited_at: Some(now.millis()), ..self.clone() })
    }

    /// The message without what it said.
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

    /// The message with what it said before it was deleted.
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

/// A message as the API shows it.
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
    fn a_draft_has_one_address_and_something_to_say() {
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
    fn length_is_counted_in_scalar_values() {
        let of = |n: usize| draft(json!({"recipient_id": "bob", "message_text": "😀".repeat(n)}));
        assert!(of(10_000).is_ok());
        assert!(of(10_001).is_err());
    }
}
