//! Push subscriptions: one item per user, which holds up to ten of them.
//!
//! Invariant: a subscription ends with its session, whatever ended that. So the end of a session deletes
//! nothing: every reader of subscriptions also reads their sessions, and leaves out those that have ended.

use std::collections::BTreeMap;
use std::slice;

use async_recursion::async_recursion as boxed;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::error::Error;
use domain::id::{SubscriptionId, UserId};
use domain::limits::{SUBSCRIPTIONS, TEST_PUSHES};
use domain::time::Timestamp;
use domain::web_push::{MAX_SUBSCRIPTIONS, Subscription};
use serde::Deserialize;

use crate::client::Store;
use crate::item::{Attribute, Attributes, Item, Key, from_item, full_at};
use crate::write::Write;
use crate::{partition, profiles, sessions};

/// Sorts below `PRESENCE`, so that a look-up of presence, which reads from there to the sockets, does not read it.
pub(crate) fn key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: "DEVICES".into() }
}

/// The attributes of the item, without its key and its rate limits.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Stored {
    /// The oldest first.
    subscriptions: Vec<Subscription>,
    /// Rises with each change.
    version: u64,
}

impl Attribute for [Subscription] {
    fn attribute(&self) -> AttributeValue {
        let entry = |subscription: &Subscription| {
            let Subscription { endpoint, p256dh, auth, session, created_at } = subscription;
            let mut entry = Attributes::from([
                ("endpoint".to_owned(), endpoint.attribute()),
                ("p256dh".to_owned(), p256dh.attribute()),
                ("auth".to_owned(), auth.attribute()),
                ("created_at".to_owned(), created_at.attribute()),
            ]);
            entry.extend(session.as_ref().map(|id| ("session".to_owned(), id.to_string().attribute())));
            AttributeValue::M(entry)
        };
        AttributeValue::L(self.iter().map(entry).collect())
    }
}

/// Splits subscriptions into those that last and those whose session has ended, by the items of [`session_keys`].
pub(crate) fn split_by_session(
    user: &UserId,
    subscriptions: Vec<Subscription>,
    items: &[Item],
    now: Timestamp,
) -> (Vec<Subscription>, Vec<Subscription>) {
    subscriptions.into_iter().partition(|one| {
        one.session.as_ref().is_none_or(|session| sessions::is_live(user, session, items, now))
    })
}

/// The keys of the items that tell which subscriptions have ended.
pub(crate) fn session_keys(user: &UserId, subscriptions: &[Subscription]) -> Vec<Key> {
    sessions::keys_of(user, subscriptions.iter().filter_map(|one| one.session.as_ref()))
}

impl Store {
    /// Returns a user's subscriptions, the oldest first.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn subscriptions(&self, user: &UserId) -> Result<Vec<Subscription>, Error> {
        let item = self.get(key(user), true).await?.unwrap_or_default();
        let all = from_item::<Stored>(&item)?.subscriptions;
        let items = self.get_all(session_keys(user, &all)).await?;
        Ok(split_by_session(user, all, &items, self.clock.now()).0)
    }

    /// Stores a subscription; the oldest one goes if there are too many. Returns whether its endpoint is new.
    ///
    /// # Errors
    /// `NotAuthenticated` if its session has ended, `RateLimited` after too many changes.
    #[boxed]
    pub async fn subscribe(&self, user: &UserId, new: &Subscription) -> Result<bool, Error> {
        let items = self.get_all(session_keys(user, slice::from_ref(new))).await?;
        if split_by_session(user, vec![new.clone()], &items, self.clock.now()).0.is_empty() {
            return Err(Error::NotAuthenticated("The session has ended."));
        }
        let mut is_new = false;
        self.change_subscriptions(user, |all| {
            let known = all.iter().find(|one| one.endpoint == new.endpoint);
            is_new |= known.is_none();
            let created_at = known.map_or(new.created_at, |known| known.created_at);
            let stored = Subscription { created_at, ..new.clone() };
            if known == Some(&stored) {
                return false;
            }
            match all.iter_mut().find(|one| one.endpoint == new.endpoint) {
                Some(known) => *known = stored,
                None => all.push(stored),
            }
            all.drain(..all.len().saturating_sub(MAX_SUBSCRIPTIONS));
            true
        })
        .await?;
        Ok(is_new)
    }

    /// Removes a subscription. Removing it again changes nothing.
    ///
    /// # Errors
    /// `RateLimited` after too many changes.
    #[boxed]
    pub async fn unsubscribe(&self, user: &UserId, id: &SubscriptionId) -> Result<(), Error> {
        self.change_subscriptions(user, |all| {
            let before = all.len();
            all.retain(|one| one.id() != *id);
            all.len() < before
        })
        .await
    }

    /// Removes subscriptions that are over: their session has ended, or the push service does not know them any more. One
    /// that was stored again in the meantime, with other keys, stays.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn forget_subscriptions(&self, user: &UserId, over: &[Subscription]) -> Result<(), Error> {
        if over.is_empty() {
            return Ok(());
        }
        // Nobody asked for this change, so it takes no token.
        let unlimited = self.clone().limited(false);
        let forget = unlimited.change_subscriptions(user, |all| {
            let before = all.len();
            all.retain(|one| !over.contains(one));
            all.len() < before
        });
        forget.await
    }

    /// Changes a user's subscriptions, on the condition that they are as `change` has seen them. `change` returns whether
    /// there is anything to write.
    async fn change_subscriptions(
        &self,
        user: &UserId,
        mut change: impl FnMut(&mut Vec<Subscription>) -> bool + Send,
    ) -> Result<(), Error> {
        let mut item = self.get(key(user), true).await?.unwrap_or_default();
        loop {
            let full = full_at(&item, &SUBSCRIPTIONS);
            let Stored { mut subscriptions, version } = from_item(&item)?;
            if !change(&mut subscriptions) {
                return Ok(());
            }
            let write = Write::update(key(user))
                .set("subscriptions", subscriptions.as_slice())
                .add("version", 1)
                .if_still_number("version", version);
            match self.update_one(self.limit(write, &SUBSCRIPTIONS, full)?).await? {
                Ok(_) => return Ok(()),
                Err(found) => item = found.unwrap_or_default(),
            }
        }
    }

    /// Admits a test notification.
    ///
    /// # Errors
    /// `RateLimited` after too many.
    #[boxed]
    pub async fn admit_test_push(&self, user: &UserId) -> Result<(), Error> {
        if self.limited { self.update_limited(Write::update(key(user)), &TEST_PUSHES).await } else { Ok(()) }
    }

    /// Of up to 100 users, returns those with subscriptions, and these. Reads at half the price of a consistent read:
    /// a subscription that is some milliseconds old may be missing.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn subscribers(&self, users: &[UserId]) -> Result<BTreeMap<UserId, Vec<Subscription>>, Error> {
        let mut found = BTreeMap::new();
        for item in self.get_some(users.iter().map(key).collect(), false).await? {
            let user = profiles::owner(&item)?;
            let subscriptions = from_item::<Stored>(&item)?.subscriptions;
            if !subscriptions.is_empty() {
                found.insert(user, subscriptions);
            }
        }
        Ok(found)
    }
}
