//! User profiles: as the store holds them, as users change them, and as the API shows them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::{EmailAddress, Username};
use crate::attachment::MAX_UPLOAD_ID;
use crate::caller::Caller;
use crate::custom::{self, Custom};
use crate::error::Error;
use crate::fields::present;
use crate::id::{ConversationId, UserId};
use crate::name::{Name, Picture, stored_option};
use crate::time::{Timestamp, millis};

/// A user's profile, as the store holds it beside the user's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The full name.
    #[serde(default, deserialize_with = "stored_option", skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
    /// When the user was first seen.
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// The username, if the user registered here.
    #[serde(default, deserialize_with = "stored_option", skip_serializing_if = "Option::is_none")]
    pub username: Option<Username>,
    /// The e-mail address, which only the user sees. Users who came with a token from elsewhere have none.
    #[serde(default, deserialize_with = "stored_option", skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// Data of the application.
    #[serde(default, with = "custom::text", skip_serializing_if = "Option::is_none")]
    pub custom: Option<Custom>,
    /// Rises with each change of the profile.
    #[serde(default)]
    pub version: u64,
    /// Whether the latest change has not been copied to the rows of all peers yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spreading: bool,
    /// How far that copy has come: it has reached the peers up to this conversation, in the order of their ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread_to: Option<ConversationId>,
    /// Whether the account is being deleted. From then on the user counts as unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

impl Profile {
    /// The profile of a user who is first seen now.
    #[must_use]
    pub fn new(name: Option<Name>, picture: Option<Picture>, now: Timestamp) -> Self {
        let (username, email, custom, spread_to) = (None, None, None, None);
        let (version, spreading, deleted) = (1, false, false);
        Self {
            name,
            picture,
            created_at: now,
            username,
            email,
            custom,
            version,
            spreading,
            spread_to,
            deleted,
        }
    }

    /// The profile of a user who is first seen now, from the token's claims.
    #[must_use]
    pub fn of(caller: &Caller, now: Timestamp) -> Self {
        Self::new(caller.name.clone(), caller.picture.clone(), now)
    }

    /// The profile, updated from the token's claims. Fields without a claim stay. The profile of a user who registered
    /// here stays as it is.
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

    /// The profile after a change. Fields that the change does not contain stay.
    #[must_use]
    pub fn changed(&self, change: &ProfileChange) -> Self {
        Self {
            name: change.full_name.clone().or_else(|| self.name.clone()),
            picture: change.avatar_url.clone().unwrap_or_else(|| self.picture.clone()),
            custom: change.custom.clone().unwrap_or_else(|| self.custom.clone()),
            ..self.clone()
        }
    }

    /// The profile without name, picture, username and custom data, for an account that is being deleted.
    #[must_use]
    pub fn nameless(&self) -> Self {
        Self { name: None, picture: None, username: None, custom: None, deleted: true, ..self.clone() }
    }

    /// Whether the rows of peers, which hold a name and a picture, differ after a change.
    #[must_use]
    pub fn differs_in_rows(&self, after: &Self) -> bool {
        self.shown_name() != after.shown_name()
            || self.picture != after.picture
            || self.deleted != after.deleted
    }

    /// The name that others see: the full name or, if there is none, the username.
    #[must_use]
    pub fn shown_name(&self) -> Option<Name> {
        self.name.clone().or_else(|| self.username.as_ref().and_then(Username::as_name))
    }
}

/// A change of the user's own profile. Missing fields stay as they are.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileChange {
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Name")]
    full_name: Option<Name>,
    /// The URL of the new picture. Null removes the picture.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Picture>")]
    #[expect(clippy::option_option, reason = "missing, null, or a picture")]
    avatar_url: Option<Option<Picture>>,
    /// The `attachment_id` of an upload with the purpose `picture`, which becomes the picture. Not with an `avatar_url`.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = MAX_UPLOAD_ID))]
    avatar_attachment_id: Option<String>,
    /// Data of the application, which everybody sees. Null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Custom>")]
    #[expect(clippy::option_option, reason = "missing, null, or an object")]
    custom: Option<Option<Custom>>,
}

impl ProfileChange {
    /// The upload that becomes the picture.
    ///
    /// # Errors
    /// `Invalid` if the change has a URL as well.
    pub fn upload(&self) -> Result<Option<&str>, Error> {
        if self.avatar_url.is_some() && self.avatar_attachment_id.is_some() {
            return Err(Error::field("avatar_attachment_id", "Send this or avatar_url, not both."));
        }
        Ok(self.avatar_attachment_id.as_deref())
    }

    /// The change with this picture.
    #[must_use]
    pub fn with_picture(self, picture: Picture) -> Self {
        Self { avatar_url: Some(Some(picture)), ..self }
    }
}

/// A user's profile, as the API shows it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct UserView {
    id: UserId,
    username: Option<Username>,
    full_name: Option<Name>,
    avatar_url: Option<Picture>,
    created_at: Timestamp,
    /// Data of the application.
    custom: Option<Custom>,
    /// Shown only to the user themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<EmailAddress>")]
    #[expect(clippy::option_option, reason = "not shown, none, or an address")]
    email: Option<Option<EmailAddress>>,
}

impl UserView {
    /// The view for the user themselves. Users who came with a token from elsewhere have no username or e-mail address.
    #[must_use]
    pub fn own(id: UserId, profile: Profile) -> Self {
        let email = Some(profile.email.clone());
        Self { email, ..Self::other(id, profile) }
    }

    /// The view for other users, without the e-mail address.
    #[must_use]
    pub fn other(id: UserId, profile: Profile) -> Self {
        let Profile { name, picture, created_at, username, custom, .. } = profile;
        Self { id, username, full_name: name, avatar_url: picture, created_at, custom, email: None }
    }
}
