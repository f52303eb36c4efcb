//! The user directory: an entry for each word by which a user can be found.
//!
//! Invariant: entries are written in the same transaction as the profile they come from, so they always agree with
//! it. Each entry holds all of the user's words and the profile to show, so one query answers a search, however many
//! users there are.

use std::collections::BTreeSet;

use async_recursion::async_recursion as boxed;
use domain::error::Error;
use domain::id::UserId;
use domain::people::{PeopleQuery, words_of};
use domain::user::Profile;
use serde::{Deserialize, Serialize};

use crate::client::Store;
use crate::database::query_prefixed;
use crate::item::{Item, Key, from_item, text};
use crate::write::Write;

/// The maximum number of entries that one search reads; its cursor continues after them.
const MAX_READ: usize = 400;
/// Entries read per query if there are several terms, as most entries may lack the other terms.
const CHUNK: usize = 100;

pub(crate) fn key(word: &str, user: &UserId) -> Key {
    Key { pk: partition(word), sk: format!("{word}#{user}") }
}

/// One partition per first character, so that words with the same beginning are in the same partition.
fn partition(word: &str) -> String {
    format!("S#{}", word.chars().next().unwrap_or_default())
}

/// The attributes of an entry, without its key.
#[derive(Serialize, Deserialize)]
struct Entry {
    words: BTreeSet<String>,
    profile: Profile,
}

/// The position at which a page of users ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PeoplePosition {
    word: String,
    user: UserId,
}

impl PeoplePosition {
    fn of(item: &Item) -> Result<Self, Error> {
        let sk = text(item, "sk")?;
        let (word, user) = sk.rsplit_once('#').ok_or_else(|| Error::internal("an entry has no user"))?;
        Ok(Self { word: word.to_owned(), user: user.parse().map_err(Error::internal)? })
    }
}

/// Replaces the entries of one profile by those of another; `None` is a profile without entries.
pub(crate) fn replace(
    user: &UserId,
    before: Option<&Profile>,
    after: Option<&Profile>,
) -> Result<Vec<Write>, Error> {
    let words = after.map(words_of).unwrap_or_default();
    let old = before.map(words_of).unwrap_or_default();
    let mut writes: Vec<Write> = old.difference(&words).map(|word| Write::delete(key(word, user))).collect();
    if let Some(profile) = after {
        let profile = Profile { email: None, spreading: false, spread_to: None, ..profile.clone() };
        let entry = Entry { words, profile };
        for word in &entry.words {
            writes.push(Write::put(key(word, user), &entry)?);
        }
    }
    Ok(writes)
}

impl Store {
    /// Returns users who match all terms of a query, ordered by the word that was found, and the position of the next
    /// page; `None` at the end. A page may be shorter than `limit` although there are more.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
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
            let entries = query_prefixed(&partition(query.longest()), query.longest());
            let entries = entries.set_exclusive_start_key(start);
            let (items, more) = self.query_up_to(entries, count).await?;
            read += items.len();
            for item in items {
                if found.len() == limit {
                    return Ok((found, position));
                }
                let at = PeoplePosition::of(&item)?;
                let Entry { words, profile } = from_item(&item)?;
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
