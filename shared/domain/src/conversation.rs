//! Conversations: each user's own row of a conversation, and the data that all participants of a group or room share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::custom::{self, Custom};
use crate::fields::is_zero;
use crate::id::{ConversationId, ConversationKind, MessageId, Stamp, UserId};
use crate::message::{Message, MessageKind};
use crate::name::{Name, Picture, stored, stored_option};
use crate::settings::{InboxList, InboxPlace, Mute, NotifyLevel, SettingsChange};
use crate::time::{Timestamp, millis};
use crate::user::Profile;

/// The maximum number of participants for whom a change commits in one transaction (of at most 100 items). In a larger
/// conversation the change commits first, and is fanned out to the participants afterwards.
pub const SMALL: usize = 24;
/// Maximum number of participants of a group or room.
pub const MAX_PARTICIPANTS: u64 = 1_000;
/// The maximum number of participants for whom `message.read` is published to the others. In a larger conversation,
/// clients learn the read state from pages of messages.
pub const MAX_READ_EVENTS: usize = 8;
/// The maximum number of participants for whom a message shows how many of them have read it.
pub const MAX_COUNTED_READERS: u64 = 100;
/// The name of a user whose account was deleted.
pub const DELETED_USER: &str = "Deleted user";
/// Maximum length of a description, in characters.
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
/// Invariant: `head` never decreases, so that no message is applied twice or out of order. A row without `activity` is
/// hidden: its owner deleted the conversation, only the peer has opened it, or the row exists only to hold a block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate attribute of the item")]
pub struct Row {
    /// The other participant of a direct conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<UserId>,
    /// The name of the peer, or of the group or room.
    #[serde(deserialize_with = "stored_option", skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The picture of the peer, or of the group or room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
    /// The version of the peer's profile that `name` and `picture` are copied from.
    #[serde(skip_serializing_if = "is_zero")]
    pub name_version: u64,
    /// The newest message that was applied to the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<Stamp>,
    /// The row's place in the inbox; absent while the row is hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<InboxPlace>,
    /// The place that the row keeps when a message arrives: that of a pinned conversation, or of a muted one in the
    /// archive.
    #[serde(rename = "place", skip_serializing_if = "Option::is_none")]
    pub kept_place: Option<InboxPlace>,
    /// When the row stops keeping it, because its mute ends, in milliseconds since 1970.
    #[serde(rename = "place_until", skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<i64>,
    /// The place before the conversation was pinned or archived. It returns there if it has no message.
    #[serde(rename = "place_before", skip_serializing_if = "Option::is_none")]
    pub earlier_place: Option<InboxPlace>,
    /// When its mute ends, as in [`Mute::end`].
    #[serde(rename = "mute", skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<i64>,
    /// The messages that lead to notifications, if the owner has chosen.
    #[serde(rename = "level", skip_serializing_if = "Option::is_none")]
    pub notify: Option<NotifyLevel>,
    /// The message that the inbox shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_id: Option<Stamp>,
    /// The preview of that message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_text: Option<String>,
    /// The kind of that message. Rows from before this attribute existed have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_kind: Option<MessageKind>,
    /// Whether the owner sent that message.
    pub last_mine: bool,
    /// The number of unread messages.
    #[serde(rename = "n")]
    pub unread: u64,
    /// The number of unread messages that mention the owner.
    #[serde(rename = "mn", skip_serializing_if = "is_zero")]
    pub mentions: u64,
    /// The oldest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_mention: Option<Stamp>,
    /// The owner's read watermark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Stamp>,
    /// The owner has marked the messages from this one on as unread. Nobody else sees this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread_from: Option<Stamp>,
    /// The peer's read watermark, in a direct conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_read: Option<Stamp>,
    /// Messages up to this one are hidden from the owner, who deleted the conversation then or joined it later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Stamp>,
    /// The event that published the row's deletion. Later events have greater ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_at: Option<Stamp>,
    /// The owner has blocked the peer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub blocked_by_me: bool,
    /// The peer has blocked the owner.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub blocked_by_peer: bool,
    /// The owner's account was deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub owner_deleted: bool,
    /// The peer's account was deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub peer_deleted: bool,
    /// The owner is an admin of the group or room.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
    /// The number of participants of the group or room.
    #[serde(rename = "people", skip_serializing_if = "is_zero")]
    pub participant_count: u64,
    /// The newest change of a large conversation that was applied to the row.
    #[serde(skip_serializing_if = "is_zero")]
    pub seq: u64,
    /// The conversation has once been large: the row may lag behind its messages.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub once_large: bool,
    /// The latest event about the conversation, apart from those of its newest message. Later events must have greater
    /// ids.
    #[serde(rename = "told", skip_serializing_if = "Option::is_none")]
    pub latest_event: Option<Stamp>,
}

impl Row {
    /// The hidden row of a direct conversation in which nothing has happened yet.
    #[must_use]
    pub fn between(peer: &UserId, profile: &Profile) -> Self {
        Self { peer: Some(peer.clone()), ..Self::default() }.with_profile(profile)
    }

    /// The row with the peer's name and picture, from the peer's profile.
    #[must_use]
    pub fn with_profile(self, profile: &Profile) -> Self {
        let (name, picture) = (profile.shown_name(), profile.picture.clone());
        Self { name, picture, name_version: profile.version, ..self }
    }

    /// Whether one of the two participants has blocked the other.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked_by_me || self.blocked_by_peer
    }

    /// The id that the next event about the conversation must be above. It covers the events of the newest message, the
    /// latest other event, and the deletion of the row.
    #[must_use]
    pub fn event_floor(&self) -> Option<Stamp> {
        self.head.map(|head| head.plus(2)).max(self.latest_event).max(self.hidden_at)
    }

    /// The row after an event about the conversation was published to its owner.
    #[must_use]
    pub fn with_event(self, event: Stamp) -> Self {
        Self { latest_event: self.latest_event.max(Some(event)), ..self }
    }

    /// Whether the owner may see a message of the conversation.
    #[must_use]
    pub fn shows(&self, message: Stamp) -> bool {
        self.cleared.is_none_or(|cleared| cleared < message)
    }

    /// Whether the owner has read a message, i.e. the watermark has reached it.
    #[must_use]
    pub fn has_read(&self, message: Stamp) -> bool {
        self.read.is_some_and(|read| message <= read)
    }

    /// Whether a message counts as read for its owner: the watermark has reached it, and it was not marked as unread.
    #[must_use]
    pub fn counts_as_read(&self, message: Stamp) -> bool {
        self.has_read(message) && self.unread_from.is_none_or(|from| message < from)
    }

    /// The message after which unread messages are counted: the read watermark, or the message before the oldest one that was
    /// marked as unread; at least the last cleared message.
    #[must_use]
    pub fn counted_from(&self) -> Option<Stamp> {
        let read = match self.unread_from {
            Some(from) => self.read.min(Some(from.previous())),
            None => self.read,
        };
        read.max(self.cleared)
    }

    /// Whether `unread` includes a message of another user.
    #[must_use]
    pub fn counts(&self, message: Stamp) -> bool {
        self.head >= Some(message) && !self.counts_as_read(message) && self.shows(message)
    }

    /// The list of the inbox that the row is in; `None` while it is hidden.
    #[must_use]
    pub fn list(&self) -> Option<InboxList> {
        self.activity.as_ref().map(InboxPlace::list)
    }

    /// Whether the row is in the archive.
    #[must_use]
    pub fn is_archived(&self) -> bool {
        self.list() == Some(InboxList::Archived)
    }

    /// Whether the conversation is muted at a time.
    #[must_use]
    pub fn is_muted(&self, now: Timestamp) -> bool {
        self.muted_until.is_some_and(|end| Mute::ending(end).lasts(now))
    }

    /// Whether a message that arrives now makes the row appear in the inbox: it is hidden, or archived and not muted.
    #[must_use]
    pub fn is_away(&self, now: Timestamp) -> bool {
        match self.list() {
            None => true,
            Some(InboxList::Archived) => !self.is_muted(now),
            Some(InboxList::Active | InboxList::Pinned) => false,
        }
    }

    /// The row after a new message was applied to it.
    #[must_use]
    pub fn with_message(self, message: &Message, owner: &UserId) -> Self {
        let (stamp, is_mine) = (message.id.stamp, message.sender == *owner);
        let counts = !is_mine && !message.is_deleted() && !self.counts_as_read(stamp);
        let mentions = counts && message.mentions(owner);
        let is_kept = self.kept_place.is_some() && !self.is_away(stamp.time());
        let row = Self {
            head: Some(stamp),
            last_id: Some(stamp),
            last_mine: is_mine,
            unread: self.unread + u64::from(counts),
            mentions: self.mentions + u64::from(mentions),
            first_mention: self.first_mention.or(Some(stamp).filter(|_| mentions)),
            ..self
        };
        let row = if is_kept { row } else { row.at_place(InboxPlace::active(stamp)) };
        row.with_preview(message)
    }

    /// The row at a place in the inbox.
    fn at_place(self, place: InboxPlace) -> Self {
        let earlier_place = match place.list() {
            InboxList::Active => None,
            _ => {
                self.activity.clone().filter(|place| place.list() == InboxList::Active).or(self.earlier_place)
            }
        };
        Self { activity: Some(place), earlier_place, ..self }.with_kept_place()
    }

    /// The row with the place that it keeps when a message arrives.
    fn with_kept_place(self) -> Self {
        let place = self.activity.clone();
        let (kept_place, kept_until) = match (self.list(), self.muted_until) {
            (Some(InboxList::Pinned), _) => (place, None),
            (Some(InboxList::Archived), Some(end)) => (place, Some(end)),
            _ => (None, None),
        };
        Self { kept_place, kept_until, ..self }
    }

    /// The row after its owner has changed their settings with an event that has the id `at`.
    #[must_use]
    pub fn with_settings(&self, change: &SettingsChange, at: Stamp) -> Self {
        let mut row = self.clone();
        if let Some(mute) = change.muted_until {
            row.muted_until = mute.map(Mute::end).filter(|end| *end > at.time().millis());
        }
        row.notify = change.notify.or(row.notify);
        let list = match (change.pinned, change.archived) {
            (Some(true), _) => InboxList::Pinned,
            (_, Some(true)) => InboxList::Archived,
            (Some(false), _) if row.list() == Some(InboxList::Pinned) => InboxList::Active,
            (_, Some(false)) if row.is_archived() => InboxList::Active,
            _ => return row.with_kept_place(),
        };
        if row.list() == Some(list) {
            return row.with_kept_place();
        }
        let place = match list {
            InboxList::Pinned => InboxPlace::pinned(at.time()),
            InboxList::Archived => InboxPlace::archived(at),
            InboxList::Active => {
                let newest = row.last_id.map(InboxPlace::active);
                newest.or(row.earlier_place.clone()).unwrap_or_else(|| InboxPlace::active(at))
            }
        };
        row.at_place(place)
    }

    /// The row after it was removed from the inbox, which ends its owner's settings.
    #[must_use]
    pub fn hidden(self) -> Self {
        let (activity, kept_place, kept_until, earlier_place) = Default::default();
        let (muted_until, notify, unread_from) = Default::default();
        Self { activity, kept_place, kept_until, earlier_place, muted_until, notify, unread_from, ..self }
    }

    /// The row with the preview of its last message.
    #[must_use]
    pub fn with_preview(self, last: &Message) -> Self {
        Self { last_text: Some(last.preview()), last_kind: Some(last.kind()), ..self }
    }

    /// The row with the current name, picture and participant count of the group or room.
    #[must_use]
    pub fn with_meta(self, meta: Meta) -> Self {
        Self {
            name: Some(meta.name),
            picture: meta.picture,
            participant_count: meta.participant_count,
            ..self
        }
    }

    /// The row as the API shows it.
    #[must_use]
    pub fn shown(&self, conversation: &ConversationId) -> ConversationView {
        let message = |stamp| MessageId { conversation: conversation.clone(), stamp };
        let kind = conversation.kind();
        let name = self.name.clone().filter(|_| kind != ConversationKind::Direct);
        let other_user_name = match (&self.peer, &self.name) {
            (Some(_), _) if self.peer_deleted => DELETED_USER.to_owned(),
            (_, Some(name)) => name.to_string(),
            (Some(peer), None) => peer.to_string(),
            (None, None) => conversation.to_string(),
        };
        let last_kind = self.last_kind.unwrap_or(MessageKind::Text);
        ConversationView {
            conversation_id: conversation.clone(),
            kind,
            name,
            other_user_id: self.peer.clone(),
            other_user_name,
            photo_url: self.picture.clone(),
            last_message: self.last_text.clone(),
            last_message_kind: self.last_id.map(|_| last_kind),
            last_message_id: self.last_id.map(message),
            last_message_at: self.last_id.or_else(|| self.created()).map(Stamp::time),
            last_message_from_me: self.last_id.is_some() && self.last_mine,
            unread_count: self.unread,
            counted_to: self.head.map(message),
            last_read_message_id: self.read.map(message),
            participant_count: if kind == ConversationKind::Direct { 2 } else { self.participant_count },
            is_admin: self.admin,
            mention_count: self.mentions,
            first_mention_id: self.first_mention.map(message),
            marked_unread: self.unread_from.is_some(),
            muted_until: self.muted_until.map(Mute::ending),
            notify: self.notify_level(kind),
            pinned_at: self.activity.as_ref().and_then(InboxPlace::pinned_at),
            is_archived: self.is_archived(),
        }
    }

    /// The messages of a conversation of this kind that lead to notifications.
    #[must_use]
    pub fn notify_level(&self, kind: ConversationKind) -> NotifyLevel {
        let default = if kind == ConversationKind::Room { NotifyLevel::Mentions } else { NotifyLevel::All };
        self.notify.unwrap_or(default)
    }

    /// When a row without messages was made.
    fn created(&self) -> Option<Stamp> {
        self.earlier_place.as_ref().or(self.activity.as_ref()).and_then(InboxPlace::stamp)
    }
}

/// A conversation, as the user's inbox shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Conversation")]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate field of the API")]
pub struct ConversationView {
    conversation_id: ConversationId,
    #[serde(rename = "type")]
    kind: ConversationKind,
    name: Option<Name>,
    other_user_id: Option<UserId>,
    /// Never null. In a direct conversation: the other user's name, else their username, else their id; `Deleted user`
    /// if their account was deleted. Otherwise the name of the group or room.
    other_user_name: String,
    photo_url: Option<Picture>,
    /// The first 100 characters of the last message. If it has no text: the name of its attachment.
    last_message: Option<String>,
    /// Null if there is no message.
    last_message_kind: Option<MessageKind>,
    last_message_id: Option<MessageId>,
    /// Without a message, when the row was made.
    last_message_at: Option<Timestamp>,
    last_message_from_me: bool,
    unread_count: u64,
    counted_to: Option<MessageId>,
    last_read_message_id: Option<MessageId>,
    participant_count: u64,
    is_admin: bool,
    /// The unread messages that mention the user.
    mention_count: u64,
    /// The oldest of them.
    first_mention_id: Option<MessageId>,
    /// Whether the user has marked messages as unread, and nothing as read since.
    marked_unread: bool,
    /// Null if the conversation was never muted. The time may have passed.
    muted_until: Option<Mute>,
    notify: NotifyLevel,
    pinned_at: Option<Timestamp>,
    is_archived: bool,
}

/// The data that all participants of a group or room share, as the store holds it beside its key.
///
/// Invariant: every change raises `seq` and `latest_event`, except reactions, read marks, pins (up to 24 participants)
/// and what users change for themselves alone. A change of participants also raises `membership`. So a conditional
/// write can detect what has changed since the last read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The name.
    #[serde(deserialize_with = "stored")]
    pub name: Name,
    /// The description, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// The picture, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
    /// Data of the application.
    #[serde(default, with = "custom::text", skip_serializing_if = "Option::is_none")]
    pub custom: Option<Custom>,
    /// The user who created it.
    pub creator: UserId,
    /// When it was created.
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// The number of the latest change.
    pub seq: u64,
    /// How often the participants have changed.
    #[serde(rename = "members")]
    pub membership: u64,
    /// The number of participants.
    #[serde(rename = "people")]
    pub participant_count: u64,
    /// The id of the latest event. The attribute is called `head`, but a row's `head` is its newest message.
    #[serde(rename = "head")]
    pub latest_event: Stamp,
    /// The newest message.
    #[serde(rename = "last", default, skip_serializing_if = "Option::is_none")]
    pub newest_message: Option<Stamp>,
    /// The change that exceeded 24 participants, if there was one. This change and all later ones are logged.
    #[serde(rename = "large", default, skip_serializing_if = "Option::is_none")]
    pub large_since: Option<u64>,
    /// The group is being created: some participants are not added yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// A digest of all participants that an unfinished group is to have: a retry may only add these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// The group or room was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

impl Meta {
    /// A new conversation, with its creator as the only participant.
    #[must_use]
    pub fn new(name: Name, creator: UserId, now: Timestamp, latest_event: Stamp) -> Self {
        Self {
            name,
            description: None,
            picture: None,
            custom: None,
            creator,
            created_at: now,
            seq: 1,
            membership: 1,
            participant_count: 1,
            latest_event,
            newest_message: None,
            large_since: None,
            unfinished: false,
            asked: None,
            deleted: false,
        }
    }

    /// The row of a user who joins with the next change, whose first event is `at`.
    #[must_use]
    pub fn new_row(&self, at: Stamp) -> Row {
        Row {
            name: Some(self.name.clone()),
            picture: self.picture.clone(),
            activity: Some(InboxPlace::active(at)),
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
    /// Messages up to this one are hidden from them, because they joined later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Stamp>,
    /// Their read watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Stamp>,
    /// When the watermark moved there, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<i64>,
}

impl Participant {
    /// Whether they could see a message at first. They may have hidden it since.
    #[must_use]
    pub fn sees(&self, message: Stamp) -> bool {
        self.from.is_none_or(|from| from < message)
    }
}

/// How far a user has read a conversation, and how many messages are unread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Watermark {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The newest message that counts as read; null if there is none.
    pub message_id: Option<MessageId>,
    /// The number of unread messages of the conversation.
    pub unread_count: u64,
}
