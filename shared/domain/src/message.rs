//! Messages as the store holds them, and views of them as the API shows them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::attachment::{Attachment, AttachmentView, FileKind};
use crate::content::{Content, Edit};
use crate::custom::Custom;
use crate::error::Error;
use crate::fields::is_zero;
use crate::has::{Has, HasSet, has_link, kind_of_link};
use crate::id::{ConversationId, FileId, MessageId, UserId};
use crate::invisible::shows_something;
use crate::links::Links;
use crate::reactions::{self, Emoji, Reaction, ReactionView};
use crate::time::Timestamp;

/// Length of the preview in an inbox row, in characters.
const PREVIEW: usize = 100;

/// An upper bound of the bytes on a page of everything but texts: names, ids and times.
const LARGEST_FRAME: usize = 2_000;
/// The most bytes that a byte of a text takes on a page: a control character is `\\u0001` there.
const LARGEST_BYTE: usize = 7;

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
        let content = edit.applied_to(&self.content)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::MAX_CLIENT_ID;
    use crate::id::{Clock, Stamp};

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
}
