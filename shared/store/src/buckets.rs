//! Buckets of limits that belong to nobody the table knows: an address, a name that may not exist.
//!
//! Invariant: a bucket lasts until it is full again, and says nothing more than how full it is.

use async_recursion::async_recursion as boxed;
use domain::account::UniqueName;
use domain::address::ClientAddress;
use domain::error::Error;
use domain::id::UserId;
use domain::limits::{LOGINS_FROM_ADDRESS, PASSWORDS, PROFILE_CHANGES, REGISTRATIONS, RateLimit};
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Key, Write, full_at};
use crate::transact::{Commit, Transaction};

/// Seconds that a bucket is kept once it must be full: for clocks that differ.
const SLACK: i64 = 60;

pub(crate) fn key(of: &str) -> Key {
    Key { pk: format!("L#{of}"), sk: "BUCKET".into() }
}

impl Store {
    /// Lets an address register someone.
    ///
    /// # Errors
    /// `RateLimited` where it has done so too often.
    #[boxed]
    pub async fn admit_registration(&self, from: ClientAddress) -> Result<(), Error> {
        self.take(&[(key(&format!("register#{from}")), REGISTRATIONS)]).await
    }

    /// Lets an address try a password on a name, whether anybody has it or not.
    ///
    /// # Errors
    /// `RateLimited` where either was tried too often.
    #[boxed]
    pub async fn admit_login(&self, name: &UniqueName, from: ClientAddress) -> Result<(), Error> {
        let address = (key(&format!("login#{from}")), LOGINS_FROM_ADDRESS);
        self.take(&[address, (key(&format!("password#{name}")), PASSWORDS)]).await
    }

    /// Lets a user who has a token try their password.
    ///
    /// # Errors
    /// `RateLimited` where they have done so too often.
    #[boxed]
    pub async fn admit_password(&self, user: &UserId) -> Result<(), Error> {
        self.take(&[(key(&format!("password#user#{user}")), PASSWORDS)]).await
    }

    /// Lets a user change their profile.
    ///
    /// # Errors
    /// `RateLimited` where they have done so too often.
    #[boxed]
    pub async fn admit_profile_change(&self, user: &UserId) -> Result<(), Error> {
        self.take(&[(key(&format!("profile#{user}")), PROFILE_CHANGES)]).await
    }

    /// Takes a token from each bucket, or from none.
    async fn take(&self, buckets: &[(Key, RateLimit)]) -> Result<(), Error> {
        if !self.limited {
            return Ok(());
        }
        let began = Instant::now();
        let mut known = vec![None; buckets.len()];
        loop {
            let now = self.clock.now();
            let mut transaction = Transaction::new();
            for (index, ((key, limit), known)) in buckets.iter().zip(&known).enumerate() {
                let kept = now.seconds() + limit.burst * limit.every / 1000 + SLACK;
                let write = Write::update(key.clone()).set("expires", &kept);
                transaction.add(index, self.limit(write, limit, *known)?);
            }
            let Commit::Refused(refusals) = self.commit(transaction, began).await? else { return Ok(()) };
            for (index, item) in refusals {
                known[index] = item.and_then(|item| full_at(&item, &buckets[index].1));
            }
        }
    }
}
