//! User search: the words that users are found by, and queries.
//!
//! Words are compared as in message search: without case, and without accents on the letters of some scripts (see
//! [`crate::text`]).

use std::collections::BTreeSet;

use unicode_normalization::char::is_combining_mark;

use crate::text::{begins_with, folded};
use crate::user::Profile;

/// Maximum number of words that a user is found by: each is an item that is written with the profile.
const MAX_WORDS: usize = 12;
/// Maximum length of a word, in characters. Longer words are cut, because words are part of keys.
const MAX_LENGTH: usize = 40;
/// Maximum number of terms of a query. Further terms are ignored.
const MAX_TERMS: usize = 8;

/// Returns the words that a user is found by, sorted: the username, and every word of the name. A word with several
/// parts (`Jean-Luc`, `O'Neil`) is also found by its later parts.
#[must_use]
pub fn words_of(profile: &Profile) -> BTreeSet<String> {
    let username = profile.username.clone().map(|username| normalized(&String::from(username)));
    let name = profile.name.clone().map(String::from).unwrap_or_default();
    let parts = name.split_whitespace().flat_map(|part| word_starts(part).map(|at| normalized(&part[at..])));
    // The username comes first, so that it is never cut off.
    username.into_iter().chain(parts).filter(|word| !word.is_empty()).take(MAX_WORDS).collect()
}

/// Returns the positions in a part of a name at which words begin.
fn word_starts(part: &str) -> impl Iterator<Item = usize> + '_ {
    let mut inside = false;
    part.char_indices().filter_map(move |(at, c)| {
        let begins = !inside && c.is_alphanumeric();
        inside = c.is_alphanumeric() || (inside && is_combining_mark(c));
        begins.then_some(at)
    })
}

/// A word in the form that is compared; empty if it has no letters or digits.
fn normalized(text: &str) -> String {
    folded(text.trim_start_matches(|c: char| !c.is_alphanumeric())).chars().take(MAX_LENGTH).collect()
}

/// A query: beginnings of words, all of which a user must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleQuery {
    terms: Vec<String>,
}

impl PeopleQuery {
    /// Parses a query; `None` if it has no terms.
    #[must_use]
    pub fn parse(query: &str) -> Option<Self> {
        let terms = query.split_whitespace().map(normalized).filter(|term| !term.is_empty());
        let terms: BTreeSet<String> = terms.take(MAX_TERMS).collect();
        (!terms.is_empty()).then(|| Self { terms: terms.into_iter().collect() })
    }

    /// The term to look up: the longest, because it matches the fewest users.
    #[must_use]
    pub fn longest(&self) -> &str {
        self.terms.iter().max_by_key(|term| term.chars().count()).map_or("", String::as_str)
    }

    /// Whether a user is a hit at the directory entry of one of their `words`. They must match all terms, and `entry`
    /// must be their first word that begins with the longest term, so that no user is found twice.
    #[must_use]
    pub fn finds(&self, entry: &str, words: &BTreeSet<String>) -> bool {
        let first_match = words.iter().find(|word| begins_with(word, self.longest()));
        first_match.is_some_and(|word| word == entry)
            && self.terms.iter().all(|term| words.iter().any(|word| begins_with(word, term)))
    }

    /// Whether the query is a single term. Nearly every entry that begins with the term is then a hit.
    #[must_use]
    pub fn is_one_term(&self) -> bool {
        self.terms.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;
    use crate::time::Timestamp;

    fn words(name: &str) -> Vec<String> {
        let name = Name::try_from(name.to_owned()).unwrap();
        let profile = Profile::new(Some(name), None, Timestamp::from_millis(0));
        words_of(&profile).into_iter().collect()
    }

    #[test]
    fn names_are_found_by_their_words() {
        assert_eq!(words("Zoë  van-Dijk"), ["dijk", "van-dijk", "zoe"]);
        assert_eq!(words("O'Neil (Bob)"), ["bob)", "neil", "o'neil"]);
        assert_eq!(words("🚀 — !"), [""; 0]);
        assert_eq!(words("Ａｎｎａ STRAẞE"), ["anna", "strasse"]);
        assert_eq!(words(&"a b c d e f g h i j k l m n o p ".repeat(3)).len(), MAX_WORDS);
        assert_eq!(words(&"x".repeat(100)), ["x".repeat(MAX_LENGTH)]);
    }

    #[test]
    fn all_terms_must_match_and_a_user_is_found_once() {
        let words: BTreeSet<String> = words("Anna Annika Berg").into_iter().collect();
        let found = |query: &str| {
            let query = PeopleQuery::parse(query).unwrap();
            words.iter().filter(|entry| query.finds(entry, &words)).count()
        };
        for query in ["ann", "ANN ber", "anna annika", "b", "  ánn  "] {
            assert_eq!(found(query), 1, "{query}");
        }
        for query in ["nna", "ann x", "annax"] {
            assert_eq!(found(query), 0, "{query}");
        }
        for nothing in ["", "  ", "-", "@ !"] {
            assert_eq!(PeopleQuery::parse(nothing), None);
        }
    }
}
