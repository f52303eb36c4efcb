//! The directory: an entry for each word that a user is found by.
//!
//! Invariant: entries are written in the transaction that writes the profile they come from. Each holds all of the
//! user's words and what is shown of them, so that one query answers a search, however many users there are.

use std::collections::BTreeSet;

use async_recursion::async_recursion as boxed;
use domain::error::Error;
use domain::id::UserId;
use domain::people::{PeopleQuery, words_of};
use domain::user::Profile;
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::item::{Item, Key, Write, from_item, text};

/// Entries that a search reads at most; what it leaves is in its cursor.
const MAX_READ: usize = 400;
/// Entries that are read at once where most of them may be of people without the other terms.
const CHUNK: usize = 100;

pub(crate) fn key(word: &str, user: &UserId) -> Key {
    Key { pk: partition(word), sk: format!("{word}#{user}") }
}

/// One for each first character: words that begin alike stand together.
fn partition(word: &str) -> String {
    format!("S#{}", word.chars().next().unwrap_or_default())
}

/// What an entry holds beside its key.
#[derive(Serialize, Deserialize)]
struct Entry {
    words: BTreeSet<String>,
    profile: Profile,
}

/// Where a page of people ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PeoplePosition {
    word: String,
    user: UserId,
}

impl PeoplePosition {
    fn of(item: &Item) -> Result<Self, Error> {
        let (word, user) =
            text(item, "sk")?.rsplit_once('#').ok_or_else(|| Error::internal("an entry without a user"))?;
        Ok(Self { word: word.to_owned(), user: user.parse().map_err(Error::internal)? })
    }
}

/// Replaces the entries of a profile by those of another; `None` stands for none.
pub(crate) fn replace(
    user: &UserId,
    before: Option<&Profile>,
    after: Option<&Profile>,
) -> Result<Vec<Write>, Error> {
    let words = after.map(words_of).unwrap_or_default();
    let old = before.map(words_of).unwrap_or_default();
    let mut writes: Vec<Write> = old.difference(&words).map(|word| Write::delete(key(word, user))).collect();
    if let Some(profile) = after {
        let profile = Profile { email: None, spreading: false, ..profile.clone() };
        let entry = Entry { words, profile };
        for word in &entry.words {
            writes.push(Write::put(key(word, user), &entry)?);
        }
    }
    Ok(writes)
}

impl Store {
    /// People who have all terms of a query, after a position, in the order of the words they are found by. A page
    /// may be shorter than `limit` and still go on.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn find_people(
        &self,
        query: &PeopleQuery,
        after: Option<PeoplePosition>,
        limit: usize,
    ) -> Result<(Vec<(UserId, Profile)>, Option<PeoplePosition>), Error> {
        let mut found = Vec::new();
        let mut position = after;
        let mut read = 0;
        loop {
            let wanted = limit - found.len();
            let count = if query.is_one_term() { wanted } else { CHUNK };
            let start = position.as_ref().map(|position| key(&position.word, &position.user).attributes());
            let entries = self.prefixed(&partition(query.longest()), query.longest());
            let entries = entries.set_exclusive_start_key(start);
            let (items, more) = self.query_up_to(entries, count).await?;
            read += items.len();
            for item in items {
                if found.len() == limit {
                    return Ok((found, position));
                }
                let at = PeoplePosition::of(&item)?;
                let Entry { words, profile } = from_item(item)?;
                if query.finds(&at.word, &words) {
                    found.push((at.user.clone(), profile));
                }
                position = Some(at);
            }
            if !more {
                return Ok((found, None));
            }
            if found.len() == limit || read >= MAX_READ {
                return Ok((found, position));
            }
        }
    }
}
