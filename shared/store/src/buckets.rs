//! Rate-limit buckets that are items of their own: for client addresses, names that may not exist, and users.
//!
//! Invariant: a bucket holds nothing but how full it is, and a missing bucket counts as full. So it can expire as soon
//! as it must be full again.

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

/// Seconds for which a bucket is kept after it must be full, to allow for clock skew.
const SLACK: i64 = 60;

pub(crate) fn key(subject: &str) -> Key {
    Key { pk: format!("L#{subject}"), sk: "BUCKET".into() }
}

impl Store {
    /// Admits a registration from a client address.
    ///
    /// # Errors
    /// `RateLimited` after too many registrations from the address.
    #[boxed]
    pub async fn admit_registration(&self, from: ClientAddress) -> Result<(), Error> {
        self.take_tokens(&[(key(&format!("register#{from}")), REGISTRATIONS)]).await
    }

    /// Admits a login attempt on a username or e-mail address from a client address, whether the name exists or not.
    ///
    /// # Errors
    /// `RateLimited` after too many attempts on the name or from the address.
    #[boxed]
    pub async fn admit_login(&self, name: &UniqueName, from: ClientAddress) -> Result<(), Error> {
        let address = (key(&format!("login#{from}")), LOGINS_FROM_ADDRESS);
        self.take_tokens(&[address, (key(&format!("password#{name}")), PASSWORDS)]).await
    }

    /// Admits a password attempt by a user who is already authenticated.
    ///
    /// # Errors
    /// `RateLimited` after too many attempts.
    #[boxed]
    pub async fn admit_password(&self, user: &UserId) -> Result<(), Error> {
        self.take_tokens(&[(key(&format!("password#user#{user}")), PASSWORDS)]).await
    }

    /// Admits a change of a user's profile.
    ///
    /// # Errors
    /// `RateLimited` after too many changes.
    #[boxed]
    pub async fn admit_profile_change(&self, user: &UserId) -> Result<(), Error> {
        self.take_tokens(&[(key(&format!("profile#{user}")), PROFILE_CHANGES)]).await
    }

    /// Takes a token from each bucket, or from none.
    async fn take_tokens(&self, buckets: &[(Key, RateLimit)]) -> Result<(), Error> {
        if !self.limited {
            return Ok(());
        }
        let began = Instant::now();
        let mut full_times = vec![None; buckets.len()];
        loop {
            let now = self.clock.now();
            let mut transaction = Transaction::new();
            for (index, ((key, limit), known)) in buckets.iter().zip(&full_times).enumerate() {
                let expires = now.seconds() + limit.burst * limit.every / 1000 + SLACK;
                let write = Write::update(key.clone()).set("expires", &expires);
                transaction.add(index, self.limit(write, limit, *known)?);
            }
            let Commit::Refused(refusals) = self.commit(transaction, began).await? else { return Ok(()) };
            for (index, item) in refusals {
                full_times[index] = item.and_then(|item| full_at(&item, &buckets[index].1));
            }
        }
    }
}
