//! Accounts of users who registered here: usernames, e-mail addresses and password hashes.
//!
//! Invariant: `Debug` never shows a password hash, so none can end up in a log.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::name::Name;
use crate::text::folded_name;

/// Maximum length of a username, in characters.
const MAX_USERNAME: usize = 50;
/// Maximum length of an e-mail address, in bytes (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const MAX_EMAIL: usize = 254;

/// A username: 1-50 letters, combining marks and digits of any script, and `_ . -`. It begins with a letter or a digit.
/// Stored in NFC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("maxLength" = MAX_USERNAME, "pattern" = r"^[\p{L}\p{N}][\p{L}\p{M}\p{N}_.-]*$"))]
pub struct Username(String);

impl Username {
    /// The folded form, by which usernames are compared.
    #[must_use]
    pub fn unique(&self) -> UniqueName {
        UniqueName { kind: "username", folded: folded_name(&self.0) }
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
        let allowed = |c: char| c.is_alphanumeric() || is_combining_mark(c) || "_.-".contains(c);
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

impl From<Username> for String {
    fn from(username: Username) -> Self {
        username.0
    }
}

/// An e-mail address. Only its form is checked: one `@` with text on both sides, no white space or control characters,
/// at most 254 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("maxLength" = MAX_EMAIL, "pattern" = r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+$"))]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The folded form, by which addresses are compared. `A@x.example` and `a@x.example` count as the same address,
    /// even if their server distinguishes them.
    #[must_use]
    pub fn unique(&self) -> UniqueName {
        UniqueName { kind: "email", folded: folded_name(&self.0) }
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
            has_sides && !form.chars().any(|c| c.is_whitespace() || c.is_control())
        };
        if text.len() <= MAX_EMAIL && is_address(&text) && is_address(&folded_name(&text)) {
            Ok(Self(text))
        } else {
            Err("an e-mail address has the form name@domain, without spaces, and at most 254 bytes")
        }
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

/// A name that only one account may have: a username or an e-mail address, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueName {
    kind: &'static str,
    folded: String,
}

impl UniqueName {
    /// Interprets the text that a user signs in with: an e-mail address if it contains an `@`, else a username. An
    /// invalid text becomes a name that no account has, so that it is handled like any unknown name.
    #[must_use]
    pub fn to_sign_in(text: &str) -> Self {
        let (kind, unique) = if text.contains('@') {
            ("email", EmailAddress::try_from(text.to_owned()).map(|address| address.unique()))
        } else {
            ("username", Username::try_from(text.to_owned()).map(|username| username.unique()))
        };
        unique.unwrap_or(Self { kind, folded: String::new() })
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
    pub username: Username,
    /// The e-mail address. Only its user sees it.
    pub email: EmailAddress,
    /// The hash of the password.
    pub hash: PasswordHash,
    /// Rises with each change of the password. A session is valid only for the version that it is bound to.
    pub password_version: u64,
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
        for bad in ["", " ", "a b", "a@b", "a#b", "_a", ".a", "-", "a\n", "a/b", "\u{301}a", "ﷺ", "a\u{200b}"]
        {
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
        for bad in ["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "a＠b@c", "a\u{a0}@b"] {
            assert!(EmailAddress::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        assert!(EmailAddress::try_from(format!("{}@x", "a".repeat(253))).is_err());
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
