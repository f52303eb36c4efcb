//! Accounts of users who registered here: usernames, e-mail addresses and password hashes.
//!
//! Invariant: `Debug` never shows a password hash, so none can end up in a log.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::invisible::{bidi_class, blank_class, is_ignorable, modifier_class, shows_nothing};
use crate::name::{Name, Stored, stored};
use crate::text::{appearances, folded_name};

/// Maximum length of a username, in characters.
const MAX_USERNAME: usize = 50;
/// Maximum length of an e-mail address, in bytes (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const MAX_EMAIL: usize = 254;

/// A character that shows nothing, as a pattern.
const INVISIBLE: &str = concat!("[", blank_class!(), modifier_class!(), bidi_class!(), "]");

/// A username: 1-50 letters, combining marks and digits of any script, and `_ . -`. It begins with a letter or a digit.
/// Characters that show nothing are refused. Stored in NFC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend(
    "maxLength" = MAX_USERNAME, "pattern" = r"^[\p{L}\p{N}][\p{L}\p{M}\p{N}_.-]*$", "not" = {"pattern": INVISIBLE}
))]
pub struct Username(String);

impl Username {
    /// The folded form, by which usernames are compared.
    #[must_use]
    pub fn unique(&self) -> UniqueName {
        UniqueName::of("username", &self.0)
    }

    /// The username as a display name, for users without a full name.
    #[must_use]
    pub fn as_name(&self) -> Option<Name> {
        Name::shortened(&self.0)
    }
}

impl TryFrom<String> for Username {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let name: String = text.nfc().collect();
        let allowed =
            |c: char| (c.is_alphanumeric() || is_combining_mark(c) || "_.-".contains(c)) && !is_ignorable(c);
        let is_word =
            |form: &str| form.chars().next().is_some_and(char::is_alphanumeric) && form.chars().all(allowed);
        // The folded form must be a word, too: some characters fold to several words.
        if name.chars().count() <= MAX_USERNAME && is_word(&name) && is_word(&folded_name(&name)) {
            Ok(Self(name))
        } else {
            Err("a username has 1-50 letters, digits and _ . - and begins with a letter or a digit")
        }
    }
}

impl Stored for Username {
    fn stored(text: String) -> Self {
        Self(text)
    }
}

impl From<Username> for String {
    fn from(username: Username) -> Self {
        username.0
    }
}

/// An e-mail address. Only its form is checked: one `@` with text on both sides, no white space, control
/// characters or others that show nothing, at most 254 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend(
    "maxLength" = MAX_EMAIL, "pattern" = r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+$",
    "not" = {"pattern": INVISIBLE}
))]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The folded form, by which addresses are compared. `A@x.example` and `a@x.example` count as the same address,
    /// even if their server distinguishes them.
    #[must_use]
    pub fn unique(&self) -> UniqueName {
        UniqueName::of("email", &self.0)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_address = |form: &str| {
            let sides = form.split_once('@');
            let has_sides = sides.is_some_and(|(local, domain)| {
                !local.is_empty() && !domain.is_empty() && !domain.contains('@')
            });
            has_sides && !form.chars().any(shows_nothing)
        };
        if text.len() <= MAX_EMAIL && is_address(&text) && is_address(&folded_name(&text)) {
            Ok(Self(text))
        } else {
            Err("an e-mail address has the form name@domain, without spaces, and at most 254 bytes")
        }
    }
}

impl Stored for EmailAddress {
    fn stored(text: String) -> Self {
        Self(text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

/// A name that only one account may have: a username or an e-mail address, folded, and what it looks like. Two are equal
/// if their folded forms are.
#[derive(Debug, Clone, Eq)]
pub struct UniqueName {
    kind: &'static str,
    folded: String,
    appearances: Vec<String>,
}

impl PartialEq for UniqueName {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.folded) == (other.kind, &other.folded)
    }
}

impl UniqueName {
    fn of(kind: &'static str, text: &str) -> Self {
        Self { kind, folded: folded_name(text), appearances: appearances(text) }
    }

    /// The name, and what it looks like where that differs from the folded form. No other account may have any of them.
    /// Users sign in with the first one only.
    pub fn reserved(&self) -> impl Iterator<Item = Self> + '_ {
        let forms = std::iter::once(&self.folded).chain(&self.appearances);
        forms.map(|form| Self { kind: self.kind, folded: form.clone(), appearances: Vec::new() })
    }

    /// Interprets the text that a user signs in with: an e-mail address if it contains an `@`, else a username. An
    /// invalid text becomes a name that no account has, so that it is handled like any unknown name.
    #[must_use]
    pub fn to_sign_in(text: &str) -> Self {
        let (kind, unique) = if text.contains('@') {
            ("email", EmailAddress::try_from(text.to_owned()).map(|address| address.unique()))
        } else {
            ("username", Username::try_from(text.to_owned()).map(|username| username.unique()))
        };
        unique.unwrap_or(Self { kind, folded: String::new(), appearances: Vec::new() })
    }
}

impl fmt::Display for UniqueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.kind, self.folded)
    }
}

/// The hash of a password, as a PHC string. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// An account, as the store holds it beside the user's profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The username. The profile shows it.
    #[serde(deserialize_with = "stored")]
    pub username: Username,
    /// The e-mail address. Only its user sees it.
    #[serde(deserialize_with = "stored")]
    pub email: EmailAddress,
    /// The hash of the password.
    pub hash: PasswordHash,
    /// Rises with each change of the password. A session is valid only for the version that it is bound to.
    pub password_version: u64,
}

impl Account {
    /// Whether this is the account's username or e-mail address.
    #[must_use]
    pub fn has_name(&self, name: &UniqueName) -> bool {
        [self.username.unique(), self.email.unique()].contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_are_words() {
        for good in ["a", "Bob", "jean-luc", "x_1.y", "7", "Ünal", "संदीप", "東京", &"é".repeat(50)]
        {
            assert!(Username::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            " ",
            "a b",
            "a@b",
            "a#b",
            "_a",
            ".a",
            "-",
            "a\n",
            "a/b",
            "\u{301}a",
            "ﷺ",
            "a\u{200b}",
            "a\u{3164}",
            "\u{3164}",
            "\u{ffa0}a",
            "a\u{fe0f}",
            "a\u{34f}",
            "a\u{e0100}",
        ] {
            assert!(Username::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        assert!(Username::try_from("é".repeat(51)).is_err());
        let decomposed = Username::try_from("e\u{301}".repeat(50)).unwrap();
        assert_eq!(String::from(decomposed), "é".repeat(50));
    }

    #[test]
    fn addresses_have_two_sides() {
        for good in ["a@b", "first.last+tag@sub.example", "ü@bücher.example", "\"quoted\"@x"] {
            assert!(EmailAddress::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a@b\n",
            "a＠b@c",
            "a\u{a0}@b",
            "a\u{200b}@b",
            "a\u{202e}@b",
            "a@b\u{3164}",
            "a\u{ad}@b",
            "\u{2800}@b",
            "a\u{fe0f}@b",
        ] {
            assert!(EmailAddress::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        assert!(EmailAddress::try_from(format!("{}@x", "a".repeat(253))).is_err());
    }

    #[test]
    fn names_that_look_alike_are_reserved_together() {
        let reserved = |name: &str| -> Vec<String> {
            UniqueName::to_sign_in(name).reserved().map(|form| form.to_string()).collect()
        };
        assert_eq!(reserved("bob"), ["username#bob"]);
        assert_eq!(reserved("mary"), ["username#mary", "username#rnary"]);
        for (one, other) in [
            ("alice", "аlice"),
            ("alice", "AIice"),
            ("mary", "rnary"),
            ("bob", "b0b"),
            ("scope", "ѕсоре"),
            ("ann@x", "аnn@x"),
        ] {
            assert!(reserved(one).iter().any(|form| reserved(other).contains(form)), "{one} {other}");
        }
        for (one, other) in [("zoe", "zoë"), ("bob", "rob"), ("anna", "ana"), ("ivan", "lvan")] {
            assert!(!reserved(one).iter().any(|form| reserved(other).contains(form)), "{one} {other}");
        }
    }

    #[test]
    fn a_reserved_name_fits_into_a_key() {
        for c in '\0'..=char::MAX {
            let longest = appearances(&c.to_string()).iter().map(String::len).max().unwrap_or_default();
            // 254 bytes of an e-mail address, in a key of 2,048 bytes.
            assert!(
                longest <= 7 * c.len_utf8()
                    || !folded_name(&c.to_string()).chars().all(|c| !shows_nothing(c)),
                "{c}"
            );
        }
    }

    #[test]
    fn users_sign_in_with_a_username_or_an_email_address() {
        assert_eq!(UniqueName::to_sign_in("BOB").to_string(), "username#bob");
        assert_eq!(UniqueName::to_sign_in("Bob@X.example").to_string(), "email#bob@x.example");
        for neither in ["", "a b", "a@@b", &"ﷺ".repeat(9_000), "username#bob"] {
            assert!(UniqueName::to_sign_in(neither).to_string().ends_with('#'), "{neither}");
        }
    }
}
