//! Buckets of limits that belong to nobody the table knows: an address, a name that may not exist.
//!
//! Invariant: a bucket lasts until it is full again, and says nothing more than how full it is.

use tokio::time::Instant;

use super::Store;
use super::item::{Key, Write, full_at};
use super::transact::{Commit, Verdict};
use crate::account::UniqueName;
use crate::error::Error;
use crate::http::Address;
use crate::id::UserId;
use crate::limits::{LOGINS_FROM_ADDRESS, Limit, PASSWORDS, PROFILE_CHANGES, REGISTRATIONS};

/// Seconds that a bucket is kept once it must be full: for clocks that differ.
const SLACK: i64 = 60;

pub(super) fn key(of: &str) -> Key {
    Key { pk: format!("L#{of}"), sk: "BUCKET".into() }
}

impl Store {
    /// Lets an address register someone.
    ///
    /// # Errors
    /// `RateLimited` where it has done so too often.
    pub async fn admit_registration(&self, from: Address) -> Result<(), Error> {
        self.take(&[(key(&format!("register#{from}")), REGISTRATIONS)]).await
    }

    /// Lets an address try a password on a name, whether anybody has it or not.
    ///
    /// # Errors
    /// `RateLimited` where either was tried too often.
    pub async fn admit_login(&self, name: &UniqueName, from: Address) -> Result<(), Error> {
        let address = (key(&format!("login#{from}")), LOGINS_FROM_ADDRESS);
        self.take(&[address, (key(&format!("password#{name}")), PASSWORDS)]).await
    }

    /// Lets a user who has a token try their password.
    ///
    /// # Errors
    /// `RateLimited` where they have done so too often.
    pub async fn admit_password(&self, user: &UserId) -> Result<(), Error> {
        self.take(&[(key(&format!("password#user#{user}")), PASSWORDS)]).await
    }

    /// Lets a user change their profile.
    ///
    /// # Errors
    /// `RateLimited` where they have done so too often.
    pub async fn admit_profile_change(&self, user: &UserId) -> Result<(), Error> {
        self.take(&[(key(&format!("profile#{user}")), PROFILE_CHANGES)]).await
    }

    /// Takes a token from each bucket, or from none.
    async fn take(&self, buckets: &[(Key, Limit)]) -> Result<(), Error> {
        if !self.limited {
            return Ok(());
        }
        let began = Instant::now();
        let mut known = vec![None; buckets.len()];
        loop {
            let now = self.clock.now();
            let writes = buckets.iter().zip(&known).map(|((key, limit), known)| {
                let kept = now.seconds() + limit.burst * limit.every / 1000 + SLACK;
                self.limit(Write::update(key.clone()).set("expires", &kept), limit, *known)
            });
            let verdicts = match self.commit(writes.collect::<Result<_, _>>()?, began).await? {
                Commit::Done => return Ok(()),
                Commit::Refused(verdicts) => verdicts,
            };
            for (((_, limit), known), verdict) in buckets.iter().zip(&mut known).zip(verdicts) {
                if let Verdict::Refused(item) = verdict {
                    *known = item.as_ref().and_then(|item| full_at(item, limit));
                }
            }
        }
    }
}
