//! Conversations: a user's own row of each, and what groups and rooms have in common for all their participants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ConversationId, ConversationKind, MessageId, Stamp, UserId};
use crate::message::Message;
use crate::name::{Name, Picture};
use crate::time::{Timestamp, millis};
use crate::user::Profile;

/// Participants up to which a change is one transaction (of at most 100 items). Above that it is committed first, and
/// brought to each of them afterwards.
pub const SMALL: usize = 24;
/// Participants of a group or room at most.
pub const MAX_PARTICIPANTS: u64 = 1_000;
/// Participants up to which all learn of each other's reading; above, a page of messages says it.
pub const MAX_READ_EVENTS: usize = 8;
/// Participants up to which a message says how many have read it.
pub const MAX_COUNTED_READERS: u64 = 100;
/// Characters of a description at most.
const MAX_DESCRIPTION: usize = 500;

/// A description of 1-500 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = MAX_DESCRIPTION))]
pub struct Description(String);

impl TryFrom<String> for Description {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=MAX_DESCRIPTION).contains(&text.chars().count()) {
            Ok(Self(text))
        } else {
            Err("a description has 1-500 characters")
        }
    }
}

impl From<Description> for String {
    fn from(description: Description) -> Self {
        description.0
    }
}

/// A participant's row of a conversation, as the store holds it beside its key.
///
/// `head` never decreases. A row without `activity` is hidden: deleted by its owner, opened by the other, or there only
/// to carry a block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute of its own")]
pub struct Row {
    /// The other participant of a direct conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<UserId>,
    /// Their name, or the group's or room's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Their picture, or the group's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
    /// The version of the other's profile that these are from.
    #[serde(skip_serializing_if = "is_zero")]
    pub name_version: u64,
    /// The newest message that the row has taken in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<Stamp>,
    /// Where the row stands in the inbox; absent while it is hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<Stamp>,
    /// The message that the inbox shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_id: Option<Stamp>,
    /// The first characters of its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_text: Option<String>,
    /// Whether its sender is the row's owner.
    pub last_mine: bool,
    /// Unread messages.
    #[serde(rename = "n")]
    pub unread: u64,
    /// The owner's read watermark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Stamp>,
    /// The other's read watermark, in a direct conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_read: Option<Stamp>,
    /// Messages up to here are hidden from the owner: they deleted the conversation then, or joined it later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Stamp>,
    /// The event that told of its deletion; what comes later has greater ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_at: Option<Stamp>,
    /// The owner has blocked the other.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub blocked_by_me: bool,
    /// The other has blocked the owner.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub blocked_by_peer: bool,
    /// The owner is an admin of the group or room.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
    /// Participants of the group or room.
    #[serde(rename = "people", skip_serializing_if = "is_zero")]
    pub participant_count: u64,
    /// The newest change of a large conversation that the row has taken in.
    #[serde(skip_serializing_if = "is_zero")]
    pub seq: u64,
    /// The latest event about the conversation, beside those of its newest message, that what comes later must be
    /// above.
    #[serde(rename = "told", skip_serializing_if = "Option::is_none")]
    pub latest_event: Option<Stamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Row {
    /// A hidden row of a direct conversation, before anything happened.
    #[must_use]
    pub fn between(peer: &UserId, profile: &Profile) -> Self {
        Self { peer: Some(peer.clone()), ..Self::default() }.showing(profile)
    }

    /// The row with the other's name and picture.
    #[must_use]
    pub fn showing(self, profile: &Profile) -> Self {
        let (name, picture) = (profile.shown_name(), profile.picture.clone());
        Self { name, picture, name_version: profile.version, ..self }
    }

    /// Whether either has blocked the other.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked_by_me || self.blocked_by_peer
    }

    /// What the next event about the conversation must be above: the events of its newest message, and those by which
    /// the row came and went.
    #[must_use]
    pub fn event_floor(&self) -> Option<Stamp> {
        self.head.map(|head| head.plus(2)).max(self.latest_event).max(self.hidden_at)
    }

    /// The row once its owner is told something.
    #[must_use]
    pub fn published(self, event: Stamp) -> Self {
        Self { latest_event: self.latest_event.max(Some(event)), ..self }
    }

    /// Whether the owner may see a message of the conversation.
    #[must_use]
    pub fn shows(&self, message: Stamp) -> bool {
        self.cleared.is_none_or(|cleared| cleared < message)
    }

    /// Whether the owner has read up to a message.
    #[must_use]
    pub fn has_read(&self, message: Stamp) -> bool {
        self.read.is_some_and(|read| message <= read)
    }

    /// Whether a message of another's is among the unread.
    #[must_use]
    pub fn counts(&self, message: Stamp) -> bool {
        self.head >= Some(message) && !self.has_read(message) && self.shows(message)
    }

    /// The row once it has taken in a new message.
    #[must_use]
    pub fn with(self, message: &Message, is_mine: bool) -> Self {
        let stamp = message.id.stamp;
        let counts = !is_mine && !message.is_deleted() && !self.has_read(stamp);
        Self {
            head: Some(stamp),
            activity: Some(stamp),
            last_id: Some(stamp),
            last_text: Some(message.preview()),
            last_mine: is_mine,
            unread: self.unread + u64::from(counts),
            ..self
        }
    }

    /// The row with what all have in common as it stands.
    #[must_use]
    pub fn up_to_date(self, meta: Meta) -> Self {
        Self {
            name: Some(meta.name),
            picture: meta.picture,
            participant_count: meta.participant_count,
            ..self
        }
    }

    /// The row as the inbox shows it.
    #[must_use]
    pub fn shown(&self, conversation: &ConversationId) -> ConversationView {
        let message = |stamp| MessageId { conversation: conversation.clone(), stamp };
        let kind = conversation.kind();
        let (name, other_user_name) = if kind == ConversationKind::Direct {
            (None, self.name.clone())
        } else {
            (self.name.clone(), None)
        };
        ConversationView {
            conversation_id: conversation.clone(),
            kind,
            name,
            other_user_id: self.peer.clone(),
            other_user_name,
            photo_url: self.picture.clone(),
            last_message: self.last_text.clone(),
            last_message_id: self.last_id.map(message),
            last_message_at: self.last_id.map(Stamp::time),
            last_message_from_me: self.last_id.is_some() && self.last_mine,
            unread_count: self.unread,
            counted_to: self.head.map(message),
            last_read_message_id: self.read.map(message),
            participant_count: if kind == ConversationKind::Direct { 2 } else { self.participant_count },
            is_admin: self.admin,
        }
    }
}

/// An inbox row as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Conversation")]
pub struct ConversationView {
    conversation_id: ConversationId,
    #[serde(rename = "type")]
    kind: ConversationKind,
    name: Option<Name>,
    other_user_id: Option<UserId>,
    other_user_name: Option<Name>,
    photo_url: Option<Picture>,
    last_message: Option<String>,
    last_message_id: Option<MessageId>,
    last_message_at: Option<Timestamp>,
    last_message_from_me: bool,
    unread_count: u64,
    counted_to: Option<MessageId>,
    last_read_message_id: Option<MessageId>,
    participant_count: u64,
    is_admin: bool,
}

/// What all participants of a group or room have in common, as the store holds it beside its key.
///
/// Every change raises `seq` and `head`; one of the participants raises `members`, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Its name.
    pub name: Name,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Its picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
    /// Who made it.
    pub creator: UserId,
    /// When it was made.
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// The number of the latest change.
    pub seq: u64,
    /// The number of the latest change of participants.
    #[serde(rename = "members")]
    pub membership: u64,
    /// How many participants there are.
    #[serde(rename = "people")]
    pub participant_count: u64,
    /// The id of the latest event. (A row's `head` is something else: its newest message.)
    #[serde(rename = "head")]
    pub latest_event: Stamp,
    /// The newest message.
    #[serde(rename = "last", default, skip_serializing_if = "Option::is_none")]
    pub newest_message: Option<Stamp>,
    /// The first change after which it had more than 24 participants: from then on changes are logged.
    #[serde(rename = "large", default, skip_serializing_if = "Option::is_none")]
    pub large_since: Option<u64>,
    /// It is being made, and participants are still to come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// It was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

impl Meta {
    /// A conversation that is made now by its only participant.
    #[must_use]
    pub fn new(name: Name, creator: UserId, now: Timestamp, latest_event: Stamp) -> Self {
        Self {
            name,
            description: None,
            picture: None,
            creator,
            created_at: now,
            seq: 1,
            membership: 1,
            participant_count: 1,
            latest_event,
            newest_message: None,
            large_since: None,
            unfinished: false,
            deleted: false,
        }
    }

    /// The row of someone who joins with the next change, whose first event is `at`.
    #[must_use]
    pub fn new_row(&self, at: Stamp) -> Row {
        Row {
            name: Some(self.name.clone()),
            picture: self.picture.clone(),
            activity: Some(at),
            cleared: self.newest_message,
            participant_count: self.participant_count,
            latest_event: Some(at.plus(1)),
            ..Row::default()
        }
    }
}

/// A participant of a group or room, as the store holds it beside its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Whether they are an admin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
    /// When they joined.
    #[serde(with = "millis")]
    pub joined_at: Timestamp,
    /// Messages up to here are hidden from them: they came later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Stamp>,
    /// Their read watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Stamp>,
    /// When it moved there, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<i64>,
}

impl Participant {
    /// Whether they could see a message from the beginning.
    #[must_use]
    pub fn sees(&self, message: Stamp) -> bool {
        self.from.is_none_or(|from| from < message)
    }
}

/// Where a user has read up to, and what is unread after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Watermark {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The newest message that counts as read; null before the first.
    pub message_id: Option<MessageId>,
    /// Unread messages of the conversation.
    pub unread_count: u64,
}
