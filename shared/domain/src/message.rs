//! Messages: drafts as clients send them, messages as the store holds them, and views as the API shows them.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::attachment::{Attachment, AttachmentFields, AttachmentView, FileKind, MAX_ATTACHMENTS};
use crate::custom::{self, Custom};
use crate::error::Error;
use crate::fields::{FromFields, is_zero, present};
use crate::has::{Has, HasSet, has_link, kind_of_link};
use crate::id::{ConversationId, FileId, MessageId, Stamp, UserId};
use crate::invisible::{bidi_class, blank_class, modifier_class, shows_something};
use crate::links::Links;
use crate::name::{WEB_URL, is_web_url};
use crate::reactions::{self, Emoji, Reaction, ReactionView};
use crate::time::Timestamp;

/// Maximum length of a message's text, in characters (Unicode scalar values).
const MAX_TEXT: usize = 10_000;
/// Maximum length of an attachment's URL, in bytes.
const MAX_URL: usize = 2_048;
/// Maximum length of an attachment's type, in characters.
const MAX_ATTACHMENT_TYPE: usize = 100;
/// The most users that a message mentions by their ids.
const MAX_MENTIONS: usize = 50;
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

/// An upper bound of the bytes on a page of everything but texts: names, ids and times.
const LARGEST_FRAME: usize = 2_000;
/// The most bytes that a byte of a text takes on a page: a control character is `\\u0001` there.
const LARGEST_BYTE: usize = 7;

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The text. It is empty if the message has only attachments, or was deleted.
    pub text: String,
    /// The files, which were uploaded before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The URL of an attachment elsewhere: absolute http(s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_url: Option<String>,
    /// The type of the attachment elsewhere, as the client named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_type: Option<String>,
    /// The message of the same conversation that this one replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Stamp>,
    /// The sender's idempotency key for the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// The users whom it mentions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<UserId>,
    /// Whether it mentions every participant.
    #[serde(rename = "all", default, skip_serializing_if = "std::ops::Not::not")]
    pub mention_all: bool,
    /// Whether it was forwarded.
    #[serde(rename = "fwd", default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// Data of the application.
    #[serde(default, with = "custom::text", skip_serializing_if = "Option::is_none")]
    pub custom: Option<Custom>,
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

/// Returns the mentioned users without repetitions.
fn each_once(mut mentions: Vec<UserId>) -> Result<Vec<UserId>, Error> {
    if mentions.len() > MAX_MENTIONS {
        return Err(Error::field("mentions", "A message mentions at most 50 users."));
    }
    mentions.sort_unstable();
    mentions.dedup();
    Ok(mentions)
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

impl Content {
    /// Checks the content. `has_files` tells whether the message has or will have attachments.
    fn validate(&self, has_files: bool) -> Result<(), Error> {
        let invalid = |field, message| Err(Error::field(field, message));
        let length = |text: &String| text.chars().count();
        if self.attachment_url.is_none() && !has_files && !shows_something(&self.text) {
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

/// The kind of a message, for the preview in inbox rows: that of its attachment, if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// It has no attachment.
    Text,
    /// A picture.
    Image,
    /// A video.
    Video,
    /// Music or another recording.
    Audio,
    /// A voice message.
    Voice,
    /// Any other file.
    File,
    /// It was deleted for everyone.
    Deleted,
}

impl From<FileKind> for MessageKind {
    fn from(kind: FileKind) -> Self {
        match kind {
            FileKind::Image => Self::Image,
            FileKind::Video => Self::Video,
            FileKind::Audio => Self::Audio,
            FileKind::Voice => Self::Voice,
            FileKind::File => Self::File,
        }
    }
}

impl MessageKind {
    /// The name of the kind, as in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::File => "file",
            Self::Deleted => "deleted",
        }
    }

    /// The kind that the client's description of a link tells, such as `image/png` or `voice`.
    fn of_type(described: &str) -> Self {
        match described.split('/').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "image" => Self::Image,
            "video" => Self::Video,
            "audio" => Self::Audio,
            "voice" => Self::Voice,
            _ => Self::File,
        }
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
    /// The reactions, in the order in which each emoji first came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// The version that it got when it was last restored after a deletion, which removes all reactions; else 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restored_version: u32,
    /// When it was pinned, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_at: Option<i64>,
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

/// The ids of all files of some attachments, previews included.
pub fn files_of(conversation: &ConversationId, attachments: &[Attachment]) -> impl Iterator<Item = FileId> {
    let id = |stamp| FileId { conversation: conversation.clone(), stamp };
    attachments.iter().flat_map(Attachment::files).map(id)
}

impl Message {
    /// An upper bound of the bytes that the message takes on a page, see [`PageSize`](crate::page_size::PageSize); `None`
    /// if it has more than a text, such as attachments.
    #[must_use]
    pub fn size_bound(&self) -> Option<usize> {
        let Content { text, client_message_id, attachments, attachment_url, mentions, custom, .. } =
            &self.content;
        let is_plain = attachments.is_empty()
            && attachment_url.is_none()
            && mentions.is_empty()
            && custom.is_none()
            && self.reactions.is_empty();
        let written = text.len() + client_message_id.as_ref().map_or(0, String::len);
        is_plain.then_some(LARGEST_FRAME + LARGEST_BYTE * written)
    }

    /// The first characters of the text, for inbox rows. Without a text, those of the first attachment's name.
    #[must_use]
    pub fn preview(&self) -> String {
        let Content { text, attachments, attachment_url: link, .. } = &self.content;
        let text = match attachments.first() {
            _ if shows_something(text) => text.clone(),
            Some(first) => first.name.as_str().to_owned(),
            None => link.as_deref().map(name_of_link).unwrap_or_default(),
        };
        text.chars().take(PREVIEW).collect()
    }

    /// The kind of the message.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        let Content { attachments, attachment_url: link, attachment_type: described, .. } = &self.content;
        match attachments.first() {
            _ if self.is_deleted() => MessageKind::Deleted,
            Some(first) => first.kind.into(),
            None if link.is_some() => MessageKind::of_type(described.as_deref().unwrap_or_default()),
            None => MessageKind::Text,
        }
    }

    /// Whether it has a file, here or elsewhere.
    #[must_use]
    pub fn has_attachment(&self) -> bool {
        !self.content.attachments.is_empty() || self.content.attachment_url.is_some()
    }

    /// The ids of all its files, previews included.
    pub fn files(&self) -> impl Iterator<Item = FileId> {
        files_of(&self.id.conversation, &self.content.attachments)
    }

    /// Whether it was deleted for everyone.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// All kinds of content that it has.
    #[must_use]
    pub fn has_set(&self) -> HasSet {
        let Content { text, attachments, attachment_url, attachment_type: described, .. } = &self.content;
        let linked = attachment_url.as_ref().map(|url| kind_of_link(url, described.as_deref()));
        let is_any = |kind| attachments.iter().any(|file| file.kind == kind) || linked == Some(kind);
        let has = |has: &Has| match has {
            Has::Attachment => self.has_attachment(),
            Has::Link => has_link(text),
            Has::Image => is_any(FileKind::Image),
            Has::File => is_any(FileKind::File),
        };
        Has::ALL.into_iter().filter(has).fold(HasSet::default(), HasSet::with)
    }

    /// The participant of a direct conversation who is not `user`; `None` in groups and rooms.
    #[must_use]
    pub fn other_than(&self, user: &UserId) -> Option<&UserId> {
        self.recipient.as_ref().map(|recipient| if recipient == user { &self.sender } else { recipient })
    }

    /// Whether it mentions a participant, who is not its sender.
    #[must_use]
    pub fn mentions(&self, user: &UserId) -> bool {
        let Content { mentions, mention_all, .. } = &self.content;
        *user != self.sender && !self.is_deleted() && (*mention_all || mentions.contains(user))
    }

    /// The message after a change. Fields that the edit does not name stay.
    ///
    /// # Errors
    /// `Invalid` if the text is too long, or shows nothing and there is no attachment.
    pub fn edited(&self, edit: &Edit, now: Timestamp) -> Result<Self, Error> {
        let before = self.content.clone();
        let content = Content {
            text: edit.message_text.clone().map_or(before.text, String::from),
            mentions: edit.mentions.clone().map_or(Ok(before.mentions), each_once)?,
            mention_all: edit.mention_all.unwrap_or(before.mention_all),
            custom: edit.custom.clone().unwrap_or(before.custom),
            ..self.content.clone()
        };
        content.validate(!content.attachments.is_empty())?;
        Ok(Self { content, version: self.version + 1, edited_at: Some(now.millis()), ..self.clone() })
    }

    /// The message after a user has added or removed a reaction; `None` if nothing changes. A user who adds one is listed
    /// if fewer than `listed` are.
    ///
    /// # Errors
    /// `Conflict` if it has 20 different reactions already.
    pub fn with_reaction(
        &self,
        user: &UserId,
        emoji: &Emoji,
        add: bool,
        listed: usize,
    ) -> Result<Option<Self>, Error> {
        let changed = reactions::changed(&self.reactions, user, emoji, add, listed);
        let reactions = changed.map_err(Error::Conflict)?;
        Ok(reactions.map(|reactions| Self { reactions, version: self.version + 1, ..self.clone() }))
    }

    /// The message after it was pinned or unpinned; `None` if nothing changes.
    #[must_use]
    pub fn with_pin(&self, pinned_at: Option<Timestamp>) -> Option<Self> {
        let changes = self.pinned_at.is_some() != pinned_at.is_some();
        let pinned_at = pinned_at.map(Timestamp::millis);
        changes.then(|| Self { pinned_at, version: self.version + 1, ..self.clone() })
    }

    /// The message after a deletion for everyone: without text, attachments, mentions, reactions and pin.
    #[must_use]
    pub fn deleted(&self, now: Timestamp) -> Self {
        let content = Content {
            text: String::new(),
            attachments: Vec::new(),
            attachment_url: None,
            attachment_type: None,
            mentions: Vec::new(),
            mention_all: false,
            custom: None,
            ..self.content.clone()
        };
        let (reactions, pinned_at, deleted_at) = (Vec::new(), None, Some(now.millis()));
        Self { content, version: self.version + 1, reactions, pinned_at, deleted_at, ..self.clone() }
    }

    /// The message with the content that it had before its deletion.
    #[must_use]
    pub fn restored(&self, content: Content) -> Self {
        let version = self.version + 1;
        Self { content, version, restored_version: version, deleted_at: None, ..self.clone() }
    }

    /// The message as a participant sees it. For clients that know only links, the first attachment is one.
    #[must_use]
    pub fn shown_to(&self, viewer: &UserId, reads: &ReadState, links: &Links) -> MessageView {
        let Content {
            text,
            attachments,
            attachment_url,
            attachment_type,
            reply_to,
            client_message_id,
            mentions,
            mention_all,
            forwarded,
            custom,
        } = self.content.clone();
        let conversation = &self.id.conversation;
        let id = |stamp| FileId { conversation: conversation.clone(), stamp };
        let attachments: Vec<AttachmentView> =
            attachments.iter().map(|attachment| attachment.shown(id(attachment.file), links)).collect();
        let (attachment_url, attachment_type) = match attachments.first() {
            Some(first) if attachment_url.is_none() => {
                (Some(first.url.clone()), Some(first.content_type.clone()))
            }
            _ => (attachment_url, attachment_type),
        };
        MessageView {
            id: self.id.clone(),
            conversation_id: conversation.clone(),
            sender_id: self.sender.clone(),
            recipient_id: self.recipient.clone(),
            message_text: text,
            attachment_url,
            attachment_type,
            attachments,
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
            reactions: self.reactions.iter().map(|reaction| reaction.shown_to(viewer)).collect(),
            mentions,
            mention_all,
            is_forwarded: forwarded,
            pinned_at: self.pinned_at.map(Timestamp::from_millis),
            custom,
        }
    }
}

/// The name of the file that a web URL points to: its last segment, else its host.
fn name_of_link(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// A message, as a participant sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Message")]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate field of the API")]
pub struct MessageView {
    id: MessageId,
    conversation_id: ConversationId,
    sender_id: UserId,
    recipient_id: Option<UserId>,
    message_text: String,
    attachment_url: Option<String>,
    attachment_type: Option<String>,
    attachments: Vec<AttachmentView>,
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
    reactions: Vec<ReactionView>,
    /// The users whom it mentions.
    mentions: Vec<UserId>,
    /// Whether it mentions every participant.
    mention_all: bool,
    is_forwarded: bool,
    /// When it was pinned, if it is.
    pinned_at: Option<Timestamp>,
    /// Data of the application, as it came.
    custom: Option<Custom>,
}

/// A change of a message. Missing fields stay as they are.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MessageEdit", extend("minProperties" = 1))]
pub struct Edit {
    /// The new text.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Text")]
    message_text: Option<Text>,
    /// The users whom the message mentions from now on: participants, up to 50.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Vec<UserId>", length(max = MAX_MENTIONS))]
    mentions: Option<Vec<UserId>>,
    /// Whether it mentions every participant.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    mention_all: Option<bool>,
    /// The new data of the application. Null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Custom>")]
    #[expect(clippy::option_option, reason = "missing, null, or an object")]
    custom: Option<Option<Custom>>,
}

impl Edit {
    /// An edit of the text alone.
    #[must_use]
    pub fn of_text(text: Text) -> Self {
        Self { message_text: Some(text), ..Self::default() }
    }

    /// Refuses an edit of nothing.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { message_text, mentions, mention_all, custom } = self;
        if message_text.is_none() && mentions.is_none() && mention_all.is_none() && custom.is_none() {
            return Err(Error::field(
                "message_text",
                "Send a message_text, mentions, mention_all or custom.",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Clock;

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
    fn no_plain_message_is_larger_than_its_bound() {
        let user = |letter: &str| letter.repeat(128).parse::<UserId>().unwrap();
        let (alice, bob) = (user("a"), user("b"));
        let conversation = ConversationId::direct(&alice, &bob);
        let stamp = Stamp::first_of(Timestamp::from_millis(1_700_000_000_000));
        for text in ["\u{1}", "\"", "\\", "x", "é", "😀"] {
            let message = Message {
                id: MessageId { conversation: conversation.clone(), stamp },
                sender: alice.clone(),
                recipient: Some(bob.clone()),
                content: Content {
                    text: text.repeat(10_000),
                    reply_to: Some(stamp),
                    client_message_id: Some(text.repeat(MAX_CLIENT_ID)),
                    attachments: Vec::new(),
                    attachment_url: None,
                    attachment_type: None,
                    mentions: Vec::new(),
                    mention_all: true,
                    forwarded: true,
                    custom: None,
                },
                version: u32::MAX,
                edited_at: Some(stamp.time().millis()),
                deleted_at: Some(stamp.time().millis()),
                reactions: Vec::new(),
                restored_version: 0,
                pinned_at: Some(stamp.time().millis()),
            };
            let links = Links::new("https://chat.example", &[b"a secret"], Clock::default());
            let shown = message.shown_to(&bob, &ReadState::UNREAD, &links);
            let body = serde_json::to_string(&shown).unwrap();
            let size = serde_json::to_string(&body).unwrap().len();
            assert!(size <= message.size_bound().unwrap(), "{text:?}: {size}");
        }
    }

    #[test]
    fn length_is_counted_in_scalar_values() {
        let with_length = |n: usize| draft(json!({"recipient_id": "bob", "message_text": "😀".repeat(n)}));
        assert!(with_length(10_000).is_ok());
        assert!(with_length(10_001).is_err());
    }
}
