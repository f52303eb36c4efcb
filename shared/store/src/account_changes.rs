//! Changing an account's password, and deleting accounts.

use std::time::Duration;

use async_recursion::async_recursion as boxed;
use domain::account::{Account, PasswordHash};
use domain::error::Error;
use domain::id::{SessionId, UserId};
use domain::user::Profile;
use tokio::time::Instant;

use crate::accounts::key;
use crate::client::Store;
use crate::item::from_item;
use crate::transact::{Commit, Transaction};
use crate::write::Write;
use crate::{presences, profiles, sessions, subscriptions};

/// How long a call goes on removing the name from the rows of others.
const DELETION_TIME: Duration = Duration::from_secs(8);
/// Seconds for which the deletion is remembered in the presence: longer than an access token is valid.
const PRESENCE_LIFE: i64 = 24 * 3600;

/// Identifies the account's write in a refusal.
#[derive(Clone, PartialEq)]
enum Target {
    Account,
    Other,
}

impl Store {
    /// Changes a password that was verified against `account`, and ends all sessions of the user except `kept`: a
    /// session is valid only for the password version that it was bound to, and this raises the version.
    ///
    /// # Errors
    /// `NotAuthenticated` if the account was deleted or its password has changed since.
    #[boxed]
    pub async fn change_password(
        &self,
        user: &UserId,
        account: &Account,
        hash: PasswordHash,
        kept: Option<&SessionId>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let version = account.password_version;
        loop {
            let item = match kept {
                Some(session) => self.get(sessions::key(user, session), true).await?,
                None => None,
            };
            let changed = Account { hash: hash.clone(), password_version: version + 1, ..account.clone() };
            let change = Write::put(key(user), &changed)?.if_still("password_version", Some(&version));
            let mut transaction = Transaction::new();
            transaction.add(Target::Account, change);
            // Do not revive a session that has already ended.
            if let (Some(session), Some(_)) = (kept, item.filter(|item| sessions::rests_on(item, version))) {
                transaction.add(Target::Other, sessions::keep(user, session, version));
            }
            let Commit::Refused(refusals) = self.commit(transaction, began).await? else { return Ok(()) };
            if let Some((_, found)) = refusals.into_iter().find(|(target, _)| *target == Target::Account) {
                let committed = found.as_ref().map(from_item::<Account>).transpose()?;
                return if committed == Some(changed) { Ok(()) } else { Err(account_changed()) };
            }
        }
    }

    /// Deletes an account whose password was verified: account, profile, guards, directory entries, sessions and push
    /// subscriptions, and the user's name in the rows of others. Their messages stay.
    ///
    /// The name is removed first. If the call fails half-way, the account still exists, without a name, and can be
    /// deleted again; that call goes on where this one has stopped.
    ///
    /// # Errors
    /// `NotAuthenticated` if the account was deleted or its password has changed since, `Unavailable` if the rows of so
    /// many others have the name that removing it takes longer.
    #[boxed]
    pub async fn delete_account(&self, user: &UserId, account: &Account) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            if began.elapsed() >= DELETION_TIME {
                return Err(Error::Unavailable("the name is not removed everywhere yet".into()));
            }
            let profile = self.revise(user, || Err(account_changed()), Profile::nameless, false).await?.after;
            if profile.spreading {
                continue;
            }
            self.end_sessions(user).await?;
            self.remove(subscriptions::key(user)).await?;
            let guards = self.deleting_guards(user, account).await?;
            let account_write = Write::delete(key(user));
            let account_write = account_write.if_still("password_version", Some(&account.password_version));
            let mut transaction = Transaction::new();
            transaction.add(Target::Account, account_write);
            let profile_write =
                Write::delete(profiles::key(user)).if_still("version", Some(&profile.version));
            transaction.add(Target::Other, profile_write);
            transaction.add_all(Target::Other, guards);
            // Access tokens of the account may still be valid for some minutes.
            let presence = Write::update(presences::key(user)).set("deleted", &true);
            let expires = self.clock.now().seconds() + PRESENCE_LIFE;
            transaction.add(Target::Other, presence.set("expires", &expires));
            let Commit::Refused(refusals) = self.commit(transaction, Instant::now()).await? else {
                return Ok(());
            };
            match refusals.into_iter().find(|(target, _)| *target == Target::Account) {
                // Already deleted: by an earlier attempt whose response was lost, or by another call.
                Some((_, None)) => return Ok(()),
                Some((_, Some(_))) => return Err(account_changed()),
                // The profile has changed meanwhile: try again.
                None => {}
            }
        }
    }
}

fn account_changed() -> Error {
    Error::NotAuthenticated("The account was deleted, or its password has changed.")
}
