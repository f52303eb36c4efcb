//! Accounts of those who registered here, and the guards that keep usernames and e-mail addresses unique.
//!
//! Invariant: a profile with an e-mail address, its account and its two guards are made in one transaction, and go in
//! one. A password changes by its version, on which every session of the account rests.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::item::{Item, Key, Write, from_item, text};
use super::profiles::{self, partition};
use super::transact::{Commit, Verdict};
use super::{Store, directory, sessions};
use crate::account::{Account, PasswordHash, UniqueName};
use crate::error::Error;
use crate::id::{SessionId, UserId};
use crate::user::Profile;

pub(super) fn key(user: &UserId) -> Key {
    Key { pk: partition(user), sk: "ACCOUNT".into() }
}

pub(super) fn guard_key(name: &UniqueName) -> Key {
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
pub(super) fn check(user: &UserId, password_version: u64) -> Write {
    Write::check(key(user)).if_still("password_version", Some(&password_version))
}

impl Store {
    /// Makes an account and its user's profile.
    ///
    /// A call whose answer was lost is repeated under the same id, and finds its own work done. A client who asks
    /// again is told that the name is taken.
    ///
    /// # Errors
    /// `AlreadyExists` where someone has the username or the e-mail address.
    pub async fn register(&self, new: &Registered) -> Result<(), Error> {
        let Registered { user, account, profile } = new;
        let guard = Guard { user: user.clone() };
        let mut writes = vec![
            Write::put(guard_key(&account.username.unique()), &guard)?.if_missing("pk"),
            Write::put(guard_key(&account.email.unique()), &guard)?.if_missing("pk"),
            Write::put(key(user), account)?.if_missing("pk"),
            Write::put(profiles::key(user), profile)?.if_missing("pk"),
        ];
        writes.extend(directory::replace(user, None, Some(profile))?);
        let Commit::Refused(verdicts) = self.commit(writes, Instant::now()).await? else { return Ok(()) };
        match verdicts.as_slice() {
            [Verdict::Refused(Some(guard)), ..] if holder(guard)? == *user => Ok(()),
            [Verdict::Refused(_), ..] => Err(Error::AlreadyExists("This username is taken.")),
            [_, Verdict::Refused(_), ..] => Err(Error::AlreadyExists("This e-mail address is taken.")),
            _ => Err(Error::internal("a new user's id is in use")),
        }
    }

    /// The account of a username or e-mail address. An unknown one makes the same calls as a known one.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    pub async fn account_named(&self, name: &UniqueName) -> Result<Option<Registered>, Error> {
        let guard = self.get(guard_key(name), true).await?;
        let user = guard.as_ref().map(holder).transpose()?;
        self.account_of(&user.unwrap_or_else(UserId::random)).await
    }

    /// A user's account; `None` for those who came with a token from elsewhere.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    pub async fn account_of(&self, user: &UserId) -> Result<Option<Registered>, Error> {
        let items = self.get_all(vec![key(user), profiles::key(user)]).await?;
        registered(user, &items)
    }

    /// Changes a password that was checked against `account`, and ends all sessions but one: they rest on the
    /// version that it raises.
    ///
    /// # Errors
    /// `NotAuthenticated` where the account has gone, or its password changed since.
    pub async fn change_password(
        &self,
        user: &UserId,
        account: &Account,
        hash: PasswordHash,
        but: Option<&SessionId>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let version = account.password_version;
        loop {
            let own = match but {
                Some(session) => self.get(sessions::key(user, session), true).await?,
                None => None,
            };
            let changed = Account { hash: hash.clone(), password_version: version + 1, ..account.clone() };
            let change = Write::put(key(user), &changed)?.if_still("password_version", Some(&version));
            let mut writes = vec![change];
            // One that has ended stays so.
            if let (Some(session), Some(_)) = (but, own.filter(|own| sessions::rests_on(own, version))) {
                writes.push(sessions::keep(user, session, version));
            }
            match self.commit(writes, began).await? {
                Commit::Done => return Ok(()),
                Commit::Refused(verdicts) => {
                    if let Some(Verdict::Refused(found)) = verdicts.into_iter().next() {
                        let committed = found.as_ref().map(from_item::<Account>).transpose()?;
                        let is_done = committed.is_some_and(|found| found == changed);
                        return if is_done { Ok(()) } else { Err(gone()) };
                    }
                }
            }
        }
    }

    /// Deletes an account whose password was checked: account, profile, guards, entries of the directory and
    /// sessions, and its name in the rows of others. Messages stay.
    ///
    /// The name goes first. If the call dies half-way, the account is there without one, and can be deleted again.
    ///
    /// # Errors
    /// `NotAuthenticated` where the account has gone, or its password changed since.
    pub async fn delete_account(&self, user: &UserId, account: &Account) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let profile = self.revise(user, || Err(gone()), Profile::nameless).await?;
            self.end_sessions(user).await?;
            let guard = |name: &UniqueName| Write::delete(guard_key(name)).if_still("user", Some(user));
            let writes = vec![
                Write::delete(key(user)).if_still("password_version", Some(&account.password_version)),
                Write::delete(profiles::key(user)).if_still("version", Some(&profile.version)),
                guard(&account.username.unique()),
                guard(&account.email.unique()),
            ];
            let Commit::Refused(verdicts) = self.commit(writes, began).await? else { return Ok(()) };
            match verdicts.first() {
                // Gone already: by an attempt whose answer was lost, or by another call.
                Some(Verdict::Refused(None)) => return Ok(()),
                Some(Verdict::Refused(Some(_))) => return Err(gone()),
                // Someone gave it a name again.
                _ => {}
            }
        }
    }
}

fn gone() -> Error {
    Error::NotAuthenticated("The account is gone, or its password has changed.")
}

fn holder(guard: &Item) -> Result<UserId, Error> {
    Ok(from_item::<Guard>(guard)?.user)
}

/// The account and profile among some items of a user.
pub(super) fn registered(user: &UserId, items: &[Item]) -> Result<Option<Registered>, Error> {
    let find = |key: Key| items.iter().find(|item| text(item, "sk").is_ok_and(|sk| sk == key.sk));
    let (Some(account), Some(profile)) = (find(key(user)), find(profiles::key(user))) else {
        return Ok(None);
    };
    Ok(Some(Registered { user: user.clone(), account: from_item(account)?, profile: from_item(profile)? }))
}

#[cfg(test)]
mod tests {
    use super::super::buckets;
    use super::*;

    #[test]
    fn the_keys_of_accounts() {
        let alice: UserId = "alice".parse().unwrap();
        let session: SessionId = "00000000-0000-4000-8000-000000000000".parse().unwrap();
        let all = [
            key(&alice),
            guard_key(&UniqueName::to_sign_in("Alice")),
            guard_key(&UniqueName::to_sign_in("A@x.example")),
            sessions::key(&alice, &session),
            directory::key("ann#a", &alice),
            buckets::key("login#::1"),
        ];
        insta::assert_snapshot!(all.map(|key| format!("{} | {}", key.pk, key.sk)).join("\n"), @r"
        U#alice | ACCOUNT
        N#username#alice | GUARD
        N#email#a@x.example | GUARD
        U#alice | F#00000000-0000-4000-8000-000000000000
        S#a | ann#a#alice
        L#login#::1 | BUCKET
        ");
    }
}
