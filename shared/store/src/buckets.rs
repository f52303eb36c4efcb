//! Rate-limit buckets that are items of their own: for client addresses, accounts that may not exist, and users.
//!
//! Invariant: a bucket holds nothing but how full it is, and a missing bucket counts as full. So it can expire as soon
//! as it must be full again.

use std::slice;

use async_recursion::async_recursion as boxed;
use domain::address::ClientAddress;
use domain::error::Error;
use domain::id::UserId;
use domain::limits::{
    self, LOGINS_FROM_ADDRESS, PASSWORDS, PASSWORDS_OF_ACCOUNT, PROFILE_CHANGES, REGISTRATIONS, RateLimit,
    SEARCHES,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Key, from_item, full_at};
use crate::transact::{Commit, Transaction};
use crate::write::Write;

/// Seconds for which a bucket is kept after it must be full, to allow for clock skew.
const SLACK: i64 = 60;

pub(crate) fn key(subject: &str) -> Key {
    Key { pk: format!("L#{subject}"), sk: "BUCKET".into() }
}

/// Seconds for which a client address is trusted with an account after a login: 90 days.
const TRUST: i64 = 90 * 86_400;

/// The bucket of an account's failed logins: those from one client address, or all.
fn failures_key(account: &str, from: Option<ClientAddress>) -> Key {
    let from = from.map_or_else(String::new, |from| format!("#{from}"));
    key(&format!("failures{from}#{account}"))
}

/// The item that says that somebody has logged in to an account from a client address.
fn trusted_key(account: &str, from: ClientAddress) -> Key {
    Key { sk: "TRUSTED".into(), ..failures_key(account, Some(from)) }
}

/// The attributes of that item, without its key.
#[derive(Serialize, Deserialize)]
struct Trusted {
    expires: i64,
}

/// An admitted login attempt.
pub struct Admission {
    /// The buckets of failures that it has taken tokens from.
    failures: Vec<(Key, RateLimit)>,
    /// The item to write if it succeeds.
    trusted: Key,
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

    /// Takes a token for a change of a user's profile that comes with a token. Returns `false` if none is left.
    pub(crate) async fn may_change_profile(&self, user: &UserId) -> Result<bool, Error> {
        match self.admit_profile_change(user).await {
            Ok(()) => Ok(true),
            Err(Error::RateLimited(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Admits a search for messages or people. Runs in parallel with the search.
    ///
    /// # Errors
    /// `RateLimited` after too many searches.
    #[boxed]
    pub async fn admit_search(&self, user: &UserId) -> Result<(), Error> {
        self.take_token(key(&format!("search#{user}")), SEARCHES).await
    }

    /// Admits a login attempt from a client address, whether there is such an account or not. `account` is the user whom
    /// the name belongs to or, if there is none, the name itself, so that a username and an e-mail address of one
    /// account share their limits. The attempt counts as failed until [`Store::record_login`] says that it was not.
    ///
    /// # Errors
    /// `RateLimited` after too many attempts from the address, or too many failures on the account: those from
    /// everywhere or, if somebody has logged in to it from the address before, those from this address.
    #[boxed]
    pub async fn admit_login(&self, account: &str, from: ClientAddress) -> Result<Admission, Error> {
        let address = (key(&format!("login#{from}")), LOGINS_FROM_ADDRESS);
        let (own, all) = (failures_key(account, Some(from)), failures_key(account, None));
        let trusted = trusted_key(account, from);
        let failures = vec![(own.clone(), PASSWORDS), (all, PASSWORDS_OF_ACCOUNT)];
        let limited = match self.take_tokens(&[slice::from_ref(&address), &failures[..]].concat()).await {
            Ok(()) => return Ok(Admission { failures, trusted }),
            Err(limited @ Error::RateLimited(_)) => limited,
            Err(error) => return Err(error),
        };
        let found = self.get(trusted.clone(), true).await?.as_ref().map(from_item::<Trusted>).transpose()?;
        if found.is_none_or(|found| found.expires < self.clock.now().seconds()) {
            return Err(limited);
        }
        // The same bucket, with more tokens.
        let failures = vec![(own, PASSWORDS_OF_ACCOUNT)];
        self.take_tokens(&[slice::from_ref(&address), &failures[..]].concat()).await?;
        Ok(Admission { failures, trusted })
    }

    /// Records that an admitted login has succeeded: it no longer counts as a failure, and later failures from elsewhere
    /// do not refuse logins from its address.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn record_login(&self, admitted: Admission) -> Result<(), Error> {
        if !self.limited {
            return Ok(());
        }
        let give_back = |(key, limit): (Key, RateLimit)| {
            Write::update(key).add(limit.bucket, -limit.refill_millis()).if_present(limit.bucket)
        };
        let mut writes: Vec<Write> = admitted.failures.into_iter().map(give_back).collect();
        writes.push(Write::put(admitted.trusted, &Trusted { expires: self.clock.now().seconds() + TRUST })?);
        // A refusal means that a bucket has expired since, and so is full again.
        self.commit(writes.into(), Instant::now()).await.map(|_| ())
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

    /// Admits an upload of a number of bytes. Both buckets are attributes of one item.
    ///
    /// # Errors
    /// `RateLimited` after too many uploads, or too many bytes.
    #[boxed]
    pub async fn admit_upload(&self, user: &UserId, bytes: u64) -> Result<(), Error> {
        if !self.limited {
            return Ok(());
        }
        let size = limits::upload_size(bytes);
        let write = Write::update(key(&format!("upload#{user}"))).set("expires", &self.expiry(&size));
        let (mut files_full_at, mut bytes_full_at) = (None, None);
        loop {
            let write = self.limit(write.clone(), &limits::UPLOADS, files_full_at)?;
            match self.update_one(self.limit(write, &size, bytes_full_at)?).await? {
                Ok(_) => return Ok(()),
                Err(found) => {
                    files_full_at = found.as_ref().and_then(|item| full_at(item, &limits::UPLOADS));
                    bytes_full_at = found.as_ref().and_then(|item| full_at(item, &size));
                }
            }
        }
    }

    /// Takes a token from a single bucket, in half the units of a transaction.
    async fn take_token(&self, key: Key, limit: RateLimit) -> Result<(), Error> {
        if !self.limited {
            return Ok(());
        }
        self.update_limited(Write::update(key).set("expires", &self.expiry(&limit)), &limit).await
    }

    /// Updates an item that holds the bucket of a limit, and takes a token with that.
    ///
    /// # Errors
    /// `RateLimited` if no token is left.
    pub(crate) async fn update_limited(&self, write: Write, limit: &RateLimit) -> Result<(), Error> {
        let mut known = None;
        loop {
            match self.update_one(self.limit(write.clone(), limit, known)?).await? {
                Ok(_) => return Ok(()),
                Err(found) => known = found.and_then(|item| full_at(&item, limit)),
            }
        }
    }

    /// When a bucket may expire, in seconds since 1970.
    fn expiry(&self, limit: &RateLimit) -> i64 {
        self.clock.now().seconds() + limit.burst * limit.every / 1000 + SLACK
    }

    /// Takes a token from each bucket, or from none.
    async fn take_tokens(&self, buckets: &[(Key, RateLimit)]) -> Result<(), Error> {
        if !self.limited {
            return Ok(());
        }
        let began = Instant::now();
        let mut full_times = vec![None; buckets.len()];
        loop {
            let mut transaction = Transaction::new();
            for (index, ((key, limit), known)) in buckets.iter().zip(&full_times).enumerate() {
                let write = Write::update(key.clone()).set("expires", &self.expiry(limit));
                transaction.add(index, self.limit(write, limit, *known)?);
            }
            let Commit::Refused(refusals) = self.commit(transaction, began).await? else { return Ok(()) };
            for (index, item) in refusals {
                full_times[index] = item.and_then(|item| full_at(&item, &buckets[index].1));
            }
        }
    }
}
