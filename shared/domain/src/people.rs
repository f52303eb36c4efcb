//! Finding people: the words that they are found by, and what is looked for.
//!
//! Words are compared as message search compares them: without case, and without accents where a letter has them
//! (see [`crate::text`]).

use std::collections::BTreeSet;

use unicode_normalization::char::is_combining_mark;

use crate::text::{begins_with, folded};
use crate::user::Profile;

/// Words that a user is found by at most: each is an item that is written with the profile.
const MAX_WORDS: usize = 12;
/// Characters of a word that count: words stand in keys.
const MAX_LENGTH: usize = 40;
/// Words of a query at most; the others are ignored.
const MAX_TERMS: usize = 8;

/// The words that a user is found by, in their order: the username, and every word of the name. A word that has
/// others within (`Jean-Luc`, `O'Neil`) is also found by those.
#[must_use]
pub fn words_of(profile: &Profile) -> BTreeSet<String> {
    let username = profile.username.clone().map(|username| word(&String::from(username)));
    let name = profile.name.clone().map(String::from).unwrap_or_default();
    let parts = name.split_whitespace().flat_map(|part| starts(part).map(|at| word(&part[at..])));
    // The username first, so that it is never the one left out.
    username.into_iter().chain(parts).filter(|word| !word.is_empty()).take(MAX_WORDS).collect()
}

/// Where words begin within a part of a name.
fn starts(part: &str) -> impl Iterator<Item = usize> + '_ {
    let mut inside = false;
    part.char_indices().filter_map(move |(at, c)| {
        let begins = !inside && c.is_alphanumeric();
        inside = c.is_alphanumeric() || (inside && is_combining_mark(c));
        begins.then_some(at)
    })
}

/// A word as it is compared; empty where there is nothing but signs.
fn word(text: &str) -> String {
    folded(text.trim_start_matches(|c: char| !c.is_alphanumeric())).chars().take(MAX_LENGTH).collect()
}

/// What is looked for: the starts of words, all of which someone must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleQuery {
    terms: Vec<String>,
}

impl PeopleQuery {
    /// Reads a query; `None` where nothing is left to look for.
    #[must_use]
    pub fn parse(query: &str) -> Option<Self> {
        let terms = query.split_whitespace().map(word).filter(|term| !term.is_empty());
        let terms: BTreeSet<String> = terms.take(MAX_TERMS).collect();
        (!terms.is_empty()).then(|| Self { terms: terms.into_iter().collect() })
    }

    /// The term that is looked up: the longest, for fewest people have it.
    #[must_use]
    pub fn longest(&self) -> &str {
        self.terms.iter().max_by_key(|term| term.chars().count()).map_or("", String::as_str)
    }

    /// Whether the entry of one of a user's words is the one to show them by: they have all terms, and none of their
    /// words before it begins with the longest.
    #[must_use]
    pub fn finds(&self, entry: &str, words: &BTreeSet<String>) -> bool {
        let shown_by = words.iter().find(|word| begins_with(word, self.longest()));
        shown_by.is_some_and(|word| word == entry)
            && self.terms.iter().all(|term| words.iter().any(|word| begins_with(word, term)))
    }

    /// Whether all of it is one term, which nearly every entry that begins with it is found by.
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
    fn all_terms_must_be_there_and_one_entry_shows_a_user() {
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
