//! Names and picture URLs of users, groups and rooms.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum length of a name, in characters.
const MAX_NAME: usize = 100;
/// Maximum length of a picture's URL, in bytes. It is copied into inbox rows, which must each fit into one write unit.
const MAX_PICTURE: usize = 500;
/// The beginning of a web URL, as a pattern for the OpenAPI document. [`is_web_url`] makes the full check.
pub const WEB_URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?://";

/// A name of 1-100 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = MAX_NAME))]
pub struct Name(String);

impl Name {
    /// Trims a text from a token or a username, and cuts it to 100 characters; `None` if nothing is left.
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

/// Whether a text is an absolute http(s) URL (RFC 3986) of at most `max_bytes` bytes.
#[must_use]
pub fn is_web_url(text: &str, max_bytes: usize) -> bool {
    let Ok(url) = text.parse::<http::Uri>() else { return false };
    let Some(authority) = url.authority() else { return false };
    let address = authority.as_str().rsplit('@').next().unwrap_or_default();
    let has_port = address.len() > authority.host().len();
    text.len() <= max_bytes
        && matches!(url.scheme_str(), Some("http" | "https"))
        && !authority.host().is_empty()
        && (!has_port || authority.port_u16().is_some())
}

/// A picture's URL: absolute http(s), at most 500 bytes.
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
            Err("a picture is an absolute http(s) URL of at most 500 bytes")
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
