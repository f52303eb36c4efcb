//! Names and picture URLs, as users, groups and rooms have them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Characters of a name at most.
const MAX_NAME: usize = 100;
/// Bytes of a picture's URL at most: it is copied into inbox rows, which stay below a write unit.
const MAX_PICTURE: usize = 500;
/// What a web URL begins with, as a pattern of the API's document; the rest of the check is [`is_web_url`].
pub const WEB_URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?://";

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
