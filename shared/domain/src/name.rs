//! Names and picture URLs of users, groups and rooms.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::invisible::{
    bidi_class, blank_class, is_bidi_control, is_blank, is_line_break, is_modifier, line_break_class,
    modifier_class, shows_nothing,
};

/// Maximum length of a name, in characters.
const MAX_NAME: usize = 100;
/// Maximum length of a picture's URL, in bytes. It is copied into inbox rows, which must each fit into one write unit.
const MAX_PICTURE: usize = 500;
/// The beginning of a web URL, as a pattern for the OpenAPI document. [`is_web_url`] makes the full check.
pub const WEB_URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?://";

/// A name as a pattern: what shows nothing before it, its first character, the others, and blanks after it.
const NAME: &str = concat!(
    "^[",
    blank_class!(),
    modifier_class!(),
    "]*",
    "[^",
    blank_class!(),
    modifier_class!(),
    bidi_class!(),
    "]",
    "(?:[^",
    line_break_class!(),
    bidi_class!(),
    "]{0,98}[^",
    blank_class!(),
    bidi_class!(),
    "])?",
    "[",
    blank_class!(),
    "]*$",
);

/// A name of 1-100 characters, without line breaks and bidi controls. It begins with a character that shows. Blanks at
/// either end are cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("minLength" = 1, "pattern" = NAME))]
pub struct Name(String);

impl Name {
    /// Makes a name of a text from a token or a username: takes line breaks for spaces, removes bidi controls, and cuts
    /// the text to 100 characters; `None` if nothing that shows is left.
    #[must_use]
    pub fn shortened(text: &str) -> Option<Self> {
        let text: String = text
            .chars()
            .filter(|c| !is_bidi_control(*c))
            .map(|c| if is_line_break(c) { ' ' } else { c })
            .collect();
        let name: String = trimmed(&text).chars().take(MAX_NAME).collect();
        Self::try_from(name).ok()
    }
}

/// A text without what shows nothing at its start, and without blanks at its end.
fn trimmed(text: &str) -> &str {
    let start = text.trim_start_matches(|c| is_blank(c) || is_modifier(c));
    start.trim_end_matches(is_blank)
}

impl TryFrom<String> for Name {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let name = trimmed(&text);
        let refused = |c| is_line_break(c) || is_bidi_control(c);
        let begins = name.chars().next().is_some_and(|c| !shows_nothing(c));
        if begins && name.chars().count() <= MAX_NAME && !name.chars().any(refused) {
            Ok(Self(name.to_owned()))
        } else {
            Err(
                "a name has 1-100 characters, at least one of which shows, without line breaks and bidi controls",
            )
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl Stored for Name {
    fn stored(text: String) -> Self {
        Self(text)
    }
}

/// A text that was checked when the store took it, perhaps by other rules than today's.
pub(crate) trait Stored: Sized {
    /// Takes the text as it is.
    fn stored(text: String) -> Self;
}

/// Reads a text that the store holds. It is not checked again: items that are older than a rule stay readable.
pub(crate) fn stored<'de, T: Stored, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from).map(T::stored)
}

/// Reads a text that the store may hold, like [`stored`].
pub(crate) fn stored_option<'de, T: Stored, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(T::stored))
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
    use std::sync::LazyLock;

    use super::*;
    use proptest::prelude::*;

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

    fn name(text: &str) -> Option<String> {
        Name::try_from(text.to_owned()).ok().map(String::from)
    }

    #[test]
    fn a_name_shows_and_blanks_at_its_ends_are_cut() {
        for (sent, kept) in [
            ("General", "General"),
            (" \t\nGeneral\u{3164}\u{200b}\r\n", "General"),
            ("\u{fe0f}\u{200d}x", "x"),
            ("Anna ❤\u{fe0f}", "Anna ❤\u{fe0f}"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("a\tb  c", "a\tb  c"),
        ] {
            assert_eq!(name(sent).as_deref(), Some(kept), "{sent:?}");
        }
        for refused in [
            "",
            " ",
            "\t",
            "\u{200b}",
            "\u{3164}",
            "\u{2800}\u{feff}",
            "a\nb",
            "a\u{2028}b",
            "\u{202e}evil",
            "a\u{200f}",
        ] {
            assert_eq!(name(refused), None, "{refused:?}");
        }
        assert!(name(&format!(" {} ", "é".repeat(100))).is_some());
        assert!(name(&"é".repeat(101)).is_none());
    }

    #[test]
    fn a_tokens_name_is_cleaned() {
        let cleaned = |text: &str| Name::shortened(text).map(String::from);
        assert_eq!(cleaned("\u{202e}Eve\nMallory ").as_deref(), Some("Eve Mallory"));
        assert_eq!(cleaned(&format!("{} b", "a".repeat(99))).unwrap(), "a".repeat(99));
        assert_eq!(cleaned("\u{202e}\u{3164}\n"), None);
    }

    #[test]
    fn a_name_that_was_stored_before_a_rule_stays_readable() {
        let read = stored::<Name, _>(serde_json::json!("a\nb")).unwrap();
        assert_eq!(read.to_string(), "a\nb");
    }

    proptest! {
        #[test]
        fn the_schema_agrees_with_the_parser(
            text in "[ab \\t\\n\\u{85}\\u{a0}\\u{ad}\\u{200b}\\u{200d}\\u{202e}\\u{2066}\\u{2800}\\u{3164}\\u{fe0f}\\u{e0041}é]{0,6}",
            length in 0usize..105,
        ) {
            static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
                jsonschema::validator_for(&serde_json::to_value(schemars::schema_for!(Name)).unwrap()).unwrap()
            });
            for text in [text.clone(), text + &"x".repeat(length)] {
                prop_assert_eq!(SCHEMA.is_valid(&serde_json::json!(text)), name(&text).is_some(), "{:?}", text);
                if let Some(kept) = name(&text) {
                    prop_assert_eq!(name(&kept), Some(kept.clone()));
                }
                prop_assert!(Name::shortened(&text).is_none_or(|kept| name(&kept.to_string()) == Some(kept.0)));
            }
        }
    }
}
