//! Messages as clients send them, before they are stored.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::json;

use crate::attachment::{Attachment, AttachmentFields, MAX_ATTACHMENTS};
use crate::content::{
    Content, MAX_ATTACHMENT_TYPE, MAX_CLIENT_ID, MAX_MENTIONS, MAX_TEXT, MAX_URL, each_once,
};
use crate::custom::Custom;
use crate::error::Error;
use crate::fields::FromFields;
use crate::id::{ConversationId, MessageId, UserId};
use crate::invisible::{bidi_class, blank_class, modifier_class};
use crate::message::Message;
use crate::name::WEB_URL;

/// A character that shows, as a pattern.
const SHOWN: &str = concat!("[^", blank_class!(), modifier_class!(), bidi_class!(), "]");

/// The destination of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A user, in the direct conversation with them.
    User(UserId),
    /// A conversation that the sender takes part in.
    Conversation(ConversationId),
}

impl Destination {
    /// The conversation in which a message of `sender` arrives.
    #[must_use]
    pub fn conversation(&self, sender: &UserId) -> ConversationId {
        match self {
            Self::User(peer) => ConversationId::direct(sender, peer),
            Self::Conversation(id) => id.clone(),
        }
    }
}

/// A valid message that is not sent yet: the validated fields of `POST /api/messages/send`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The destination.
    pub destination: Destination,
    /// The content, in which [`Draft::content_in`] fills in `reply_to` and the attachments.
    content: Content,
    reply_to: Option<MessageId>,
    /// The uploads that become the attachments.
    pub uploads: Vec<AttachmentFields>,
    /// The message whose text and attachments it takes over.
    pub forward: Option<MessageId>,
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
    /// The uploaded files, up to 10. Only in JSON.
    #[schemars(length(max = MAX_ATTACHMENTS))]
    attachments: Option<Vec<AttachmentFields>>,
    /// The message of the same conversation that this one replies to.
    reply_to: Option<MessageId>,
    /// An idempotency key. A send with the same key to the same conversation within 24 hours returns the first message.
    #[schemars(length(min = 1, max = MAX_CLIENT_ID))]
    client_message_id: Option<String>,
    /// The users whom the message mentions: participants, up to 50. Only in JSON.
    #[schemars(length(max = MAX_MENTIONS))]
    mentions: Option<Vec<UserId>>,
    /// Whether the message mentions every participant. In conversations of more than 24, admins only. Only in JSON.
    mention_all: Option<bool>,
    /// A message whose text and attachments are sent instead of others. Only in JSON.
    forward: Option<MessageId>,
    /// Data of the application. Only in JSON.
    custom: Option<Custom>,
}

/// Adds the rules that concern several fields to the schema.
fn add_rules_across_fields(schema: &mut Schema) {
    let present =
        |name: &str| json!({"properties": {name: {"type": "string", "minLength": 1}}, "required": [name]});
    let shown = json!({"properties": {"message_text": {"type": "string", "pattern": SHOWN}}, "required": ["message_text"]});
    let uploaded =
        json!({"properties": {"attachments": {"type": "array", "minItems": 1}}, "required": ["attachments"]});
    let not_uploaded = json!({"properties": {"attachments": {"maxItems": 0}}});
    // An empty field of a form counts as absent.
    let absent = |name: &str| json!({"properties": {name: {"enum": [null, ""]}}});
    schema.insert(
        "allOf".to_owned(),
        json!([
            {"anyOf": [
                {"allOf": [present("recipient_id"), absent("conversation_id")]},
                {"allOf": [present("conversation_id"), absent("recipient_id")]},
            ]},
            {"anyOf": [shown, present("attachment_url"), uploaded, present("forward")]},
            {"anyOf": [present("attachment_url"), absent("attachment_type")]},
            {"anyOf": [
                absent("forward"),
                {"allOf": [absent("message_text"), absent("attachment_url"), not_uploaded]},
            ]},
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
            attachments: Vec::new(),
            attachment_url: fields.attachment_url,
            attachment_type: fields.attachment_type,
            reply_to: None,
            client_message_id: fields.client_message_id,
            mentions: each_once(fields.mentions.unwrap_or_default())?,
            mention_all: fields.mention_all.unwrap_or(false),
            forwarded: fields.forward.is_some(),
            custom: fields.custom,
        };
        let uploads = fields.attachments.unwrap_or_default();
        let has_own = !content.text.is_empty() || content.attachment_url.is_some() || !uploads.is_empty();
        if fields.forward.is_some() && has_own {
            return invalid("forward", "A forwarded message has no text and no attachments of its own.");
        }
        content.validate(!uploads.is_empty() || fields.forward.is_some())?;
        validate_uploads(&uploads)?;
        Ok(Self { destination, content, reply_to: fields.reply_to, uploads, forward: fields.forward })
    }
}

/// Checks what a client says of the uploads of a message.
fn validate_uploads(uploads: &[AttachmentFields]) -> Result<(), Error> {
    if uploads.len() > MAX_ATTACHMENTS {
        return Err(Error::field("attachments", "A message has at most 10 attachments."));
    }
    let is_repeated = |(index, upload): (usize, &AttachmentFields)| {
        uploads[..index].iter().any(|earlier| earlier.attachment_id == upload.attachment_id)
    };
    if uploads.iter().enumerate().any(is_repeated) {
        return Err(Error::field("attachments", "An upload is there twice."));
    }
    uploads.iter().try_for_each(AttachmentFields::validate)
}

impl Draft {
    /// The idempotency key, if the client has chosen one.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.content.client_message_id.as_deref()
    }

    /// The draft with its files, which replace the uploads.
    #[must_use]
    pub fn with_attachments(self, attachments: Vec<Attachment>) -> Self {
        Self { content: Content { attachments, ..self.content }, uploads: Vec::new(), ..self }
    }

    /// The draft with the text and the link of the message that it forwards, and with these copies of its files.
    #[must_use]
    pub fn forwarding(self, message: &Message, attachments: Vec<Attachment>) -> Self {
        let Content { text, attachment_url, attachment_type, .. } = message.content.clone();
        let content = Content { text, attachments, attachment_url, attachment_type, ..self.content };
        Self { content, forward: None, ..self }
    }

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
