//! A participant's own settings of a conversation: muted, notification level, pinned, archived.
//!
//! Invariant: a conversation is in one list of the inbox at a time. The row's place tells which, and orders the list.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;
use crate::fields::present;
use crate::id::Stamp;
use crate::time::Timestamp;

/// The most conversations that a user can pin.
pub const MAX_PINNED: u64 = 10;
/// The text of [`Mute::Always`] in the API.
const ALWAYS: &str = "always";
/// Begins the places of pinned conversations, above all stamps.
const PINNED: char = '~';
/// Begins the places of archived conversations, below all stamps.
const ARCHIVED: char = '!';
/// More milliseconds than any pin's time has. The difference orders pins by time, the first one on top.
const LAST_PIN: i64 = 9_999_999_999_999;

/// How long a conversation is muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mute {
    /// Until a time.
    Until(Timestamp),
    /// Until its owner ends it.
    Always,
}

impl Mute {
    /// Whether it is in force at a time.
    #[must_use]
    pub fn lasts(self, now: Timestamp) -> bool {
        self.end() > now.millis()
    }

    /// When it ends, in milliseconds since 1970; the greatest number if never.
    #[must_use]
    pub fn end(self) -> i64 {
        match self {
            Self::Until(time) => time.millis(),
            Self::Always => i64::MAX,
        }
    }

    /// The reverse of [`Self::end`].
    #[must_use]
    pub fn ending(end: i64) -> Self {
        if end == i64::MAX { Self::Always } else { Self::Until(Timestamp::from_millis(end)) }
    }
}

impl Serialize for Mute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Until(time) => time.serialize(serializer),
            Self::Always => serializer.serialize_str(ALWAYS),
        }
    }
}

impl<'de> Deserialize<'de> for Mute {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let time = || Timestamp::parse(&text).map(Self::Until);
        let mute = if text == ALWAYS { Some(Self::Always) } else { time() };
        mute.ok_or_else(|| {
            serde::de::Error::custom("send a time of the form 2026-01-31T12:00:00Z, \"always\" or null")
        })
    }
}

impl JsonSchema for Mute {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MutedUntil".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A time, or `always`.",
            "anyOf": [{"type": "string", "format": "date-time"}, {"const": ALWAYS}],
        })
    }
}

/// The messages of a conversation that lead to notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotifyLevel {
    /// Every message.
    All,
    /// Those that mention the user.
    Mentions,
    /// None.
    None,
}

impl NotifyLevel {
    /// The name of the level, as in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Mentions => "mentions",
            Self::None => "none",
        }
    }
}

/// A list of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxList {
    /// Ordered by the latest activity.
    Active,
    /// Shown before the active ones, in the order in which they were pinned.
    Pinned,
    /// Shown on their own.
    Archived,
}

impl InboxList {
    /// The lowest and the highest text that a place in the list can have.
    #[must_use]
    pub fn bounds(self) -> (&'static str, &'static str) {
        match self {
            Self::Active => ("-", "z~"),
            Self::Pinned => ("~", "~~"),
            Self::Archived => ("!", "!~"),
        }
    }

    /// The bounds of the active and the pinned ones together.
    #[must_use]
    pub fn bounds_of_inbox() -> (&'static str, &'static str) {
        (Self::Active.bounds().0, Self::Pinned.bounds().1)
    }
}

/// The place of a row in the inbox. The inbox is ordered by it, the greatest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxPlace(String);

impl InboxPlace {
    /// The place among the active conversations, by the latest message or the row's creation.
    #[must_use]
    pub fn active(since: Stamp) -> Self {
        Self(since.to_string())
    }

    /// The place of a conversation that is pinned at this time.
    #[must_use]
    pub fn pinned(at: Timestamp) -> Self {
        Self(format!("{PINNED}{:013}", LAST_PIN - at.millis()))
    }

    /// The place of a conversation that is archived with this event.
    #[must_use]
    pub fn archived(at: Stamp) -> Self {
        Self(format!("{ARCHIVED}{at}"))
    }

    /// The place with this text.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The list that the place is in.
    #[must_use]
    pub fn list(&self) -> InboxList {
        match self.0.chars().next() {
            Some(PINNED) => InboxList::Pinned,
            Some(ARCHIVED) => InboxList::Archived,
            _ => InboxList::Active,
        }
    }

    /// When the conversation was pinned.
    #[must_use]
    pub fn pinned_at(&self) -> Option<Timestamp> {
        let difference: i64 = self.0.strip_prefix(PINNED)?.parse().ok()?;
        Some(Timestamp::from_millis(LAST_PIN - difference))
    }

    /// The stamp of an active conversation.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        self.0.parse().ok()
    }
}

impl fmt::Display for InboxPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A change of a user's own settings of a conversation. Missing fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct SettingsChange {
    /// Until when the conversation is muted; null ends it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Mute>")]
    pub muted_until: Option<Option<Mute>>,
    /// The messages that lead to notifications.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "NotifyLevel")]
    pub notify: Option<NotifyLevel>,
    /// Whether the conversation is pinned. Pinning takes it out of the archive.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    pub pinned: Option<bool>,
    /// Whether the conversation is archived. Archiving ends a pin.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "bool")]
    pub archived: Option<bool>,
}

impl SettingsChange {
    /// Refuses a change of nothing, and one to two lists at once.
    ///
    /// # Errors
    /// `Invalid` with the field.
    pub fn validate(&self) -> Result<(), Error> {
        if *self == Self::default() {
            let message = "Send at least one of muted_until, notify, pinned and archived.".to_owned();
            return Err(Error::Invalid { field: None, message });
        }
        if self.pinned == Some(true) && self.archived == Some(true) {
            return Err(Error::field("archived", "A conversation is pinned or archived, not both."));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_sort_as_the_inbox_shows_them() {
        let at = |millis| Timestamp::from_millis(millis);
        let stamp = |millis| Stamp::first_of(at(millis));
        let mut places = [
            InboxPlace::pinned(at(1_700_000_000_000)),
            InboxPlace::pinned(at(1_800_000_000_000)),
            InboxPlace::active(stamp(1_900_000_000_000)),
            InboxPlace::active(stamp(1_600_000_000_000)),
            InboxPlace::archived(stamp(1_950_000_000_000)),
            InboxPlace::archived(stamp(1_000)),
        ];
        let wanted = places.clone();
        places.sort_by_key(|place| std::cmp::Reverse(place.to_string()));
        assert_eq!(places, wanted);
        for place in wanted {
            let (low, high) = place.list().bounds();
            let text = place.to_string();
            assert!(low <= text.as_str() && text.as_str() <= high, "{text}");
        }
        assert_eq!(places[0].pinned_at(), Some(at(1_700_000_000_000)));
    }
}
