//! Blocks: a flag on each of the two users' rows, so that the conditions of a send refuse a blocked message.
//!
//! Invariant: a block creates the rows that are missing, as hidden rows, and a send creates rows only if there are
//! none. So a message that races with a block cannot get past it.

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::conversation::Row;
use domain::delivery::{Delivery, OutgoingEvent};
use domain::error::Error;
use domain::id::{ConversationId, UserId};
use domain::limits;
use domain::name::Name;
use domain::time::{Timestamp, millis};
use domain::user::Profile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::charging::KnownBucket;
use crate::client::Store;
use crate::database::query_prefixed;
use crate::item::{Key, from_item, suffix};
use crate::presences::shares_presence;
use crate::transact::Commit;
use crate::write::Write;
use crate::{inbox, partition, profiles, queue};

fn key(user: &UserId, blocked: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: format!("B#{blocked}") }
}

#[derive(Deserialize)]
struct Stored {
    #[serde(with = "millis")]
    at: Timestamp,
}

/// A user whom the caller has blocked.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the API's field names")]
#[schemars(rename = "BlockedUser")]
pub struct Blocked {
    user_id: UserId,
    name: Option<Name>,
    blocked_at: Timestamp,
}

impl Store {
    /// Blocks a user. Blocking again changes nothing. Users who saw each other's presence appear offline to each other.
    ///
    /// # Errors
    /// `NotFound` if there is no such user, `NotAuthenticated` if the caller's account was deleted, `RateLimited`.
    #[boxed]
    pub async fn block(&self, caller: &Caller, other: &UserId) -> Result<Delivery, Error> {
        let conversation = ConversationId::direct(&caller.user, other);
        let (began, mut bucket) = (Instant::now(), KnownBucket::default());
        loop {
            let users = [&caller.user, other];
            let (profiles, row_before) =
                tokio::try_join!(self.profiles(&users), self.row(&caller.user, &conversation))?;
            let find = |user: &UserId| profiles.iter().find(|(id, _)| id == user).map(|(_, profile)| profile);
            let their_profile = find(other).ok_or(Error::NotFound("There is no such user."))?;
            let mut writes = Vec::new();
            let now = self.clock.now();
            let (my_profile, profile_writes) = profiles::known_or_created(caller, find(&caller.user), now)?;
            writes.extend(profile_writes);
            let row = |owner: &UserId, peer: &UserId, profile: &Profile, flag: &str| {
                Write::update(inbox::key(owner, &conversation))
                    .set("peer", peer)
                    .set_if_missing("name", profile.shown_name().as_ref())
                    .set_if_missing("picture", profile.picture.as_ref())
                    .set_if_missing("name_version", Some(&profile.version))
                    .set(flag, &true)
            };
            writes.extend([
                row(&caller.user, other, their_profile, "blocked_by_me"),
                row(other, &caller.user, &my_profile, "blocked_by_peer"),
                Write::update(key(&caller.user, other)).set_if_missing("at", Some(&now)),
                profiles::check(other, their_profile),
            ]);
            let transaction = self.charged(&caller.user, &limits::BLOCKS, bucket, writes)?;
            match self.commit(transaction, began).await? {
                Commit::Done(()) if row_before.as_ref().is_some_and(shares_presence) => {
                    return Ok(self.hide_presence(users).await);
                }
                Commit::Done(()) => return Ok(Delivery::default()),
                Commit::Refused(refusals) => bucket.learn(&refusals, &limits::BLOCKS),
            }
        }
    }

    /// Removes the user's block of `other`; a block in the other direction stays. Without a block nothing changes. When
    /// no block is left, both rows take the current names, which a block has kept from them.
    ///
    /// # Errors
    /// `RateLimited`.
    #[boxed]
    pub async fn unblock(&self, user: &UserId, other: &UserId) -> Result<(), Error> {
        if user == other {
            // Users cannot block themselves, and one transaction must not write the same row twice.
            return Ok(());
        }
        let conversation = ConversationId::direct(user, other);
        let (began, mut bucket) = (Instant::now(), KnownBucket::default());
        loop {
            let users = [user, other];
            let keys = users.map(|owner| inbox::key(owner, &conversation));
            let (rows, profiles) = tokio::try_join!(self.get_all(keys.to_vec()), self.profiles(&users))?;
            let row_at = |key: &Key| rows.iter().find(|item| key.is_of(item)).cloned();
            let (Some(own), Some(theirs)) = (row_at(&keys[0]), row_at(&keys[1])) else { return Ok(()) };
            let (own, theirs): (Row, Row) = (from_item(&own)?, from_item(&theirs)?);
            if !own.blocked_by_me {
                return Ok(());
            }
            let mut writes = vec![Write::delete(key(user, other)).if_present("pk")];
            let sides = [(user, other, &own, "blocked_by_me"), (other, user, &theirs, "blocked_by_peer")];
            for (owner, peer, row, flag) in sides {
                let mut write = Write::update(inbox::key(owner, &conversation)).remove(flag).if_present(flag);
                let profile = profiles.iter().find(|(id, _)| id == peer).map(|(_, profile)| profile);
                if let Some(profile) = profile.filter(|_| !own.blocked_by_peer) {
                    writes.push(profiles::check(peer, profile));
                    if row.name_version < profile.version {
                        write =
                            profiles::name_row(write, profile).if_still("activity", row.activity.as_ref());
                        let event = profiles::renaming(&conversation, peer, profile);
                        let event = OutgoingEvent::new(owner.clone(), self.clock.stamp(), event);
                        writes.extend(row.activity.as_ref().map(|_| queue::enqueue(&event)).transpose()?);
                    }
                }
                // With the other block as it was read, it is right to copy the names, or not to.
                if owner == user {
                    let other_block = own.blocked_by_peer.then_some(&true);
                    write = write.if_still("blocked_by_peer", other_block);
                }
                writes.push(write);
            }
            let transaction = self.charged(user, &limits::BLOCKS, bucket, writes)?;
            match self.commit(transaction, began).await? {
                Commit::Done(()) => return Ok(()),
                Commit::Refused(refusals) => bucket.learn(&refusals, &limits::BLOCKS),
            }
        }
    }

    /// Returns a page of the users whom a user has blocked, ordered by id, beginning after `after`. The second value
    /// is the `after` of the next page; `None` at the end.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn blocked(
        &self,
        user: &UserId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<(Vec<Blocked>, Option<UserId>), Error> {
        let query = query_prefixed(&partition::of_user(user), "B#")
            .consistent_read(true)
            .set_exclusive_start_key(after.map(|other| key(user, &other).attributes()));
        let (items, more) = self.query_up_to(query, limit).await?;
        let ids =
            items.iter().map(|item| suffix(item, "sk", "B#")?.parse::<UserId>().map_err(Error::internal));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let profiles = self.profiles(&ids.iter().collect::<Vec<_>>()).await?;
        let next = ids.last().filter(|_| more).cloned();
        let entries = items.into_iter().zip(ids).map(|(item, user_id)| {
            let name = profiles.iter().find(|(id, _)| *id == user_id).and_then(|(_, p)| p.shown_name());
            Ok(Blocked { name, blocked_at: from_item::<Stored>(&item)?.at, user_id })
        });
        Ok((entries.collect::<Result<_, Error>>()?, next))
    }
}
