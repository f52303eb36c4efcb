//! Users: their names, pictures and profiles.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::account::{EmailAddress, Username};
use crate::auth::Caller;
use crate::id::UserId;
use crate::time::{Timestamp, millis};

/// Characters of a name at most.
const MAX_NAME: usize = 100;
/// Bytes of a picture's URL at most: it is copied into inbox rows, which stay below a write unit.
const MAX_PICTURE: usize = 500;
/// What a web URL begins with, as a pattern of the API's document; the rest of the check is [`is_web_url`].
pub(crate) const WEB_URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?://";

/// A name of 1-100 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = MAX_NAME))]
pub struct Name(String);

impl Name {
    /// The name in a token, cut to its first 100 characters; `None` where it is empty.
    #[must_use]
    pub fn shortened(text: &str) -> Option<Self> {
        let name: String = text.trim().chars().take(MAX_NAME).collect();
        (!name.is_empty()).then_some(Self(name))
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=MAX_NAME).contains(&text.chars().count()) {
            Ok(Self(text))
        } else {
            Err("a name has 1-100 characters")
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is an absolute http(s) URL (RFC 3986) of at most so many bytes.
#[must_use]
pub fn is_web_url(text: &str, max_bytes: usize) -> bool {
    let Ok(url) = text.parse::<http::Uri>() else { return false };
    let Some(authority) = url.authority() else { return false };
    let address = authority.as_str().rsplit('@').next().unwrap_or_default();
    let names_a_port = address.len() > authority.host().len();
    text.len() <= max_bytes
        && matches!(url.scheme_str(), Some("http" | "https"))
        && !authority.host().is_empty()
        && (!names_a_port || authority.port_u16().is_some())
}

/// A picture's URL: absolute http(s), up to 500 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("format" = "uri", "pattern" = WEB_URL, "maxLength" = MAX_PICTURE))]
pub struct Picture(String);

impl TryFrom<String> for Picture {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_web_url(&text, MAX_PICTURE) {
            Ok(Self(text))
        } else {
            Err("a picture is an absolute http(s) URL of up to 500 bytes")
        }
    }
}

impl From<Picture> for String {
    fn from(picture: Picture) -> Self {
        picture.0
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_urls_are_absolute_http() {
        for good in [
            "https://a.example/x?y=1",
            "http://127.0.0.1:8080",
            "HTTPS://EXAMPLE.COM/ü".trim_end_matches('ü'),
        ] {
            assert!(is_web_url(good, 100), "{good}");
        }
        for bad in [
            "",
            "/x",
            "a.example",
            "ftp://a.example",
            "javascript:alert(1)",
            "https://",
            "http:///x",
            "https://a b",
            "https://a:port",
            "http://a:99999",
        ] {
            assert!(!is_web_url(bad, 100), "{bad}");
        }
        assert!(!is_web_url("https://a.example/long", 10));
    }

    #[test]
    fn a_long_name_is_cut_by_characters() {
        let name = Name::shortened(&"é".repeat(200)).unwrap();
        assert_eq!(String::from(name).chars().count(), 100);
        assert_eq!(Name::shortened("   "), None);
    }
}
