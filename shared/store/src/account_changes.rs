//! Changing an account's password, and deleting the account.

use async_recursion::async_recursion as boxed;
use domain::account::{Account, PasswordHash, UniqueName};
use domain::error::Error;
use domain::id::{SessionId, UserId};
use domain::user::Profile;
use tokio::time::Instant;

use crate::accounts::{guard_key, key};
use crate::client::Store;
use crate::item::{Write, from_item};
use crate::transact::{Commit, Transaction};
use crate::{profiles, sessions};

/// What a write is about.
#[derive(Clone, PartialEq)]
enum Target {
    Account,
    Other,
}

impl Store {
    /// Changes a password that was checked against `account`, and ends all sessions but one: they rest on the
    /// version that it raises.
    ///
    /// # Errors
    /// `NotAuthenticated` where the account has gone, or its password changed since.
    #[boxed]
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
            let mut transaction = Transaction::new();
            transaction.add(Target::Account, change);
            // One that has ended stays so.
            if let (Some(session), Some(_)) = (but, own.filter(|own| sessions::rests_on(own, version))) {
                transaction.add(Target::Other, sessions::keep(user, session, version));
            }
            let Commit::Refused(refusals) = self.commit(transaction, began).await? else { return Ok(()) };
            if let Some((_, found)) = refusals.into_iter().find(|(target, _)| *target == Target::Account) {
                let committed = found.map(from_item::<Account>).transpose()?;
                return if committed == Some(changed) { Ok(()) } else { Err(gone()) };
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
    #[boxed]
    pub async fn delete_account(&self, user: &UserId, account: &Account) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let profile = self.revise(user, || Err(gone()), Profile::nameless).await?;
            self.end_sessions(user).await?;
            let guard = |name: &UniqueName| Write::delete(guard_key(name)).if_still("user", Some(user));
            let account_write = Write::delete(key(user));
            let account_write = account_write.if_still("password_version", Some(&account.password_version));
            let mut transaction = Transaction::new();
            transaction.add(Target::Account, account_write);
            transaction.add_all(
                Target::Other,
                [
                    Write::delete(profiles::key(user)).if_still("version", Some(&profile.version)),
                    guard(&account.username.unique()),
                    guard(&account.email.unique()),
                ],
            );
            let Commit::Refused(refusals) = self.commit(transaction, began).await? else { return Ok(()) };
            match refusals.into_iter().find(|(target, _)| *target == Target::Account) {
                // It is gone already: by an attempt whose answer was lost, or by another call.
                Some((_, None)) => return Ok(()),
                Some((_, Some(_))) => return Err(gone()),
                // Its profile was changed meanwhile.
                None => {}
            }
        }
    }
}

fn gone() -> Error {
    Error::NotAuthenticated("The account is gone, or its password has changed.")
}
