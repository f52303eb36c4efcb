//! Accounts of those who registered here, and the guards that keep usernames and e-mail addresses unique.
//!
//! Invariant: a profile with an e-mail address, its account and its two guards are made in one transaction, and go in
//! one. A password changes by its version, on which every session of the account rests.

use async_recursion::async_recursion as boxed;
use domain::account::{Account, UniqueName};
use domain::error::Error;
use domain::id::UserId;
use domain::user::Profile;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Item, Key, Write, from_item};
use crate::transact::{Commit, Transaction};
use crate::{directory, partition, profiles};

pub(crate) fn key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: "ACCOUNT".into() }
}

pub(crate) fn guard_key(name: &UniqueName) -> Key {
    Key { pk: format!("N#{name}"), sk: "GUARD".into() }
}

/// What a guard holds beside its key.
#[derive(Serialize, Deserialize)]
struct Guard {
    user: UserId,
}

/// An account that exists, whose, and their profile.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Whose it is.
    pub user: UserId,
    /// The account.
    pub account: Account,
    /// Their profile.
    pub profile: Profile,
}

/// Refuses unless the password is still the one of a version.
pub(crate) fn check(user: &UserId, password_version: u64) -> Write {
    Write::check(key(user)).if_still("password_version", Some(&password_version))
}

/// What a write of a registration is about.
#[derive(Clone, PartialEq)]
enum Target {
    Username,
    Email,
    Other,
}

impl Store {
    /// Makes an account and its user's profile.
    ///
    /// A call whose answer was lost is repeated under the same id, and finds its own work done. A client who asks
    /// again is told that the name is taken.
    ///
    /// # Errors
    /// `AlreadyExists` where someone has the username or the e-mail address.
    #[boxed]
    pub async fn register(&self, new: &Registered) -> Result<(), Error> {
        let Registered { user, account, profile } = new;
        let guard = Guard { user: user.clone() };
        let mut transaction = Transaction::new();
        let guarded = |name: &UniqueName| Ok(Write::put(guard_key(name), &guard)?.if_missing("pk"));
        transaction.add(Target::Username, guarded(&account.username.unique())?);
        transaction.add(Target::Email, guarded(&account.email.unique())?);
        transaction.add(Target::Other, Write::put(key(user), account)?.if_missing("pk"));
        transaction.add(Target::Other, Write::put(profiles::key(user), profile)?.if_missing("pk"));
        transaction.add_all(Target::Other, directory::replace(user, None, Some(profile))?);
        let Commit::Refused(refusals) = self.commit(transaction, Instant::now()).await? else {
            return Ok(());
        };
        for (target, guard) in refusals {
            match target {
                // An attempt whose answer was lost has committed.
                Target::Username if guard.map(holder).transpose()?.as_ref() == Some(user) => return Ok(()),
                Target::Username => return Err(Error::AlreadyExists("This username is taken.")),
                Target::Email => return Err(Error::AlreadyExists("This e-mail address is taken.")),
                Target::Other => {}
            }
        }
        Err(Error::internal("a new user's id is in use"))
    }

    /// The account of a username or e-mail address. An unknown one makes the same calls as a known one.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn account_named(&self, name: &UniqueName) -> Result<Option<Registered>, Error> {
        let guard = self.get(guard_key(name), true).await?;
        let user = guard.map(holder).transpose()?;
        self.account_of(&user.unwrap_or_else(UserId::random)).await
    }

    /// A user's account; `None` for those who came with a token from elsewhere.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn account_of(&self, user: &UserId) -> Result<Option<Registered>, Error> {
        let items = self.get_all(vec![key(user), profiles::key(user)]).await?;
        registered(user, items)
    }
}

fn holder(guard: Item) -> Result<UserId, Error> {
    Ok(from_item::<Guard>(guard)?.user)
}

/// The account and profile among some items of a user.
pub(crate) fn registered(user: &UserId, items: Vec<Item>) -> Result<Option<Registered>, Error> {
    let (mut account, mut profile) = (None, None);
    for item in items {
        if key(user).is_of(&item) {
            account = Some(from_item(item)?);
        } else if profiles::key(user).is_of(&item) {
            profile = Some(from_item(item)?);
        }
    }
    let both = account.zip(profile);
    Ok(both.map(|(account, profile)| Registered { user: user.clone(), account, profile }))
}
