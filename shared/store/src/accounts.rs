//! Accounts of registered users, and the guards that keep usernames and e-mail addresses unique.
//!
//! Invariant: a profile with an e-mail address, its account and its guards are created in one transaction and deleted in
//! one, so a name is reserved exactly while its account exists. A name has a guard for its folded form and, where they
//! differ, for what it looks like: so a name that looks like a taken one meets that one's guard. Every password change raises the password
//! version, which ends the sessions that are bound to the old one.

use async_recursion::async_recursion as boxed;
use domain::account::{Account, UniqueName};
use domain::error::Error;
use domain::id::UserId;
use domain::user::Profile;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Item, Key, from_item};
use crate::transact::{Commit, Transaction};
use crate::write::Write;
use crate::{directory, partition, profiles};

pub(crate) fn key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: "ACCOUNT".into() }
}

pub(crate) fn guard_key(name: &UniqueName) -> Key {
    Key { pk: format!("N#{name}"), sk: "GUARD".into() }
}

/// The attributes of a guard, without its key.
#[derive(Serialize, Deserialize)]
struct Guard {
    user: UserId,
}

/// A registered user: id, account and profile.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The user's id.
    pub user: UserId,
    /// The account.
    pub account: Account,
    /// The profile.
    pub profile: Profile,
}

/// Checks that the account still has a password version.
pub(crate) fn check(user: &UserId, password_version: u64) -> Write {
    Write::check(key(user)).if_still("password_version", Some(&password_version))
}

/// Identifies the writes of a registration in a refusal.
#[derive(Clone, PartialEq)]
enum Target {
    Username,
    Email,
    Other,
}

impl Store {
    /// Creates an account and its user's profile.
    ///
    /// Succeeds if an earlier attempt for the same user id has committed and its response was lost. A client that
    /// registers again gets `AlreadyExists`: each request has a new user id.
    ///
    /// # Errors
    /// `AlreadyExists` if the username or the e-mail address is taken, or looks like a taken one.
    #[boxed]
    pub async fn register(&self, new: &Registered) -> Result<(), Error> {
        let Registered { user, account, profile } = new;
        let guard = Guard { user: user.clone() };
        let mut transaction = Transaction::new();
        for (target, name) in
            [(Target::Username, account.username.unique()), (Target::Email, account.email.unique())]
        {
            for form in name.reserved() {
                transaction.add(target.clone(), Write::put(guard_key(&form), &guard)?.if_missing("pk"));
            }
        }
        transaction.add(Target::Other, Write::put(key(user), account)?.if_missing("pk"));
        transaction.add(Target::Other, Write::put(profiles::key(user), profile)?.if_missing("pk"));
        transaction.add_all(Target::Other, directory::replace(user, None, Some(profile))?);
        let Commit::Refused(refusals) = self.commit(transaction, Instant::now()).await? else {
            return Ok(());
        };
        for (target, guard) in refusals {
            match target {
                // An earlier attempt has committed, and its response was lost.
                Target::Username if guard.as_ref().map(holder).transpose()?.as_ref() == Some(user) => {
                    return Ok(());
                }
                Target::Username => return Err(Error::AlreadyExists("This username is taken.")),
                Target::Email => return Err(Error::AlreadyExists("This e-mail address is taken.")),
                Target::Other => {}
            }
        }
        Err(Error::internal("the id of a new user is already in use"))
    }

    /// Returns the user whose account has a username or e-mail address, or one that looks like it.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn holder_of(&self, name: &UniqueName) -> Result<Option<UserId>, Error> {
        self.get(guard_key(name), true).await?.as_ref().map(holder).transpose()
    }

    /// Returns the writes that delete the guards of an account. Accounts that are older than the guards for looks may
    /// lack these, and another account may have them.
    pub(crate) async fn deleting_guards(
        &self,
        user: &UserId,
        account: &Account,
    ) -> Result<Vec<Write>, Error> {
        let names = [account.username.unique(), account.email.unique()];
        let keys: Vec<Key> =
            names.iter().flat_map(UniqueName::reserved).map(|name| guard_key(&name)).collect();
        let found = self.get_all(keys.clone()).await?;
        let mut writes = Vec::new();
        for key in keys {
            let guard = found.iter().find(|item| key.is_of(item));
            if guard.map(holder).transpose()?.as_ref() == Some(user) {
                writes.push(Write::delete(key).if_still("user", Some(user)));
            }
        }
        Ok(writes)
    }

    /// Returns a user's account; `None` for a user who did not register here.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn account_of(&self, user: &UserId) -> Result<Option<Registered>, Error> {
        let items = self.get_all(vec![key(user), profiles::key(user)]).await?;
        registered(user, &items)
    }
}

fn holder(guard: &Item) -> Result<UserId, Error> {
    Ok(from_item::<Guard>(guard)?.user)
}

/// Finds the account and the profile among a user's items; `None` unless both are there.
pub(crate) fn registered(user: &UserId, items: &[Item]) -> Result<Option<Registered>, Error> {
    let (mut account, mut profile) = (None, None);
    for item in items {
        if key(user).is_of(item) {
            account = Some(from_item(item)?);
        } else if profiles::key(user).is_of(item) {
            profile = Some(from_item(item)?);
        }
    }
    let both = account.zip(profile);
    Ok(both.map(|(account, profile)| Registered { user: user.clone(), account, profile }))
}
