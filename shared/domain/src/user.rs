//! Users' profiles: what the store holds, what a user may change, what the API shows.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::account::{EmailAddress, Username};
use crate::caller::Caller;
use crate::id::UserId;
use crate::name::{Name, Picture};
use crate::time::{Timestamp, millis};

/// What is known of a user, as the store holds it beside the id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
    /// When the user was first seen.
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// The username of someone who registered here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Username>,
    /// Their e-mail address, which nobody else sees. Those who have none came with a token from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// Rises with each change of the name or the picture.
    #[serde(default)]
    pub version: u64,
    /// The change that made this version has not reached all rows of others yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spreading: bool,
}

impl Profile {
    /// The profile of someone first seen now.
    #[must_use]
    pub fn new(name: Option<Name>, picture: Option<Picture>, now: Timestamp) -> Self {
        let (username, email) = (None, None);
        Self { name, picture, created_at: now, username, email, version: 1, spreading: false }
    }

    /// The profile of someone first seen now, from what their token says.
    #[must_use]
    pub fn of(caller: &Caller, now: Timestamp) -> Self {
        Self::new(caller.name.clone(), caller.picture.clone(), now)
    }

    /// The profile with what the token says now; what it does not say stays, as does all of the profile of someone
    /// who registered here.
    #[must_use]
    pub fn refreshed(&self, caller: &Caller) -> Self {
        if self.email.is_some() {
            return self.clone();
        }
        Self {
            name: caller.name.clone().or_else(|| self.name.clone()),
            picture: caller.picture.clone().or_else(|| self.picture.clone()),
            ..self.clone()
        }
    }

    /// The profile after a change; what the change does not say stays.
    #[must_use]
    pub fn changed(&self, change: &ProfileChange) -> Self {
        Self {
            name: change.full_name.clone().or_else(|| self.name.clone()),
            picture: change.avatar_url.clone().unwrap_or_else(|| self.picture.clone()),
            ..self.clone()
        }
    }

    /// The profile without anything that tells who it is, as of an account that goes.
    #[must_use]
    pub fn nameless(&self) -> Self {
        Self { name: None, picture: None, username: None, ..self.clone() }
    }

    /// The name that others see: the full name or, where there is none, the username.
    #[must_use]
    pub fn shown_name(&self) -> Option<Name> {
        self.name.clone().or_else(|| self.username.as_ref().and_then(Username::as_name))
    }
}

/// What a user changes of their profile.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileChange {
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Name")]
    full_name: Option<Name>,
    /// Null takes the picture away.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<Picture>")]
    #[expect(clippy::option_option, reason = "not said, none, and one")]
    avatar_url: Option<Option<Picture>>,
}

/// A field that is there, so that null is not the same as one that is missing.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A user as the API shows them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct UserView {
    id: UserId,
    username: Option<Username>,
    full_name: Option<Name>,
    avatar_url: Option<Picture>,
    created_at: Timestamp,
    /// Only in one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<EmailAddress>")]
    #[expect(clippy::option_option, reason = "not shown, none, and one")]
    email: Option<Option<EmailAddress>>,
}

impl UserView {
    /// Oneself. Users who came with a token from elsewhere have neither username nor e-mail address here.
    #[must_use]
    pub fn own(id: UserId, profile: Profile) -> Self {
        let email = Some(profile.email.clone());
        Self { email, ..Self::other(id, profile) }
    }

    /// Someone else: without the e-mail address.
    #[must_use]
    pub fn other(id: UserId, profile: Profile) -> Self {
        let Profile { name, picture, created_at, username, .. } = profile;
        Self { id, username, full_name: name, avatar_url: picture, created_at, email: None }
    }
}
