//! Blocks: a flag on each of the two users' rows, so that the conditions of a send refuse a blocked message.
//!
//! Invariant: a block creates the rows that are missing, as hidden rows, and a send creates rows only if there are
//! none. So a message that races with a block cannot get past it.

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::error::Error;
use domain::id::{ConversationId, UserId};
use domain::name::Name;
use domain::time::{Timestamp, millis};
use domain::user::Profile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Key, Write, from_item, suffix};
use crate::transact::Commit;
use crate::{inbox, partition, profiles};

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
    /// Blocks a user. Blocking again changes nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no such user, `NotAuthenticated` if the caller's account was deleted.
    #[boxed]
    pub async fn block(&self, caller: &Caller, other: &UserId) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let profiles = self.profiles(&[&caller.user, other]).await?;
            let find = |user: &UserId| profiles.iter().find(|(id, _)| id == user).map(|(_, profile)| profile);
            let their_profile = find(other).ok_or(Error::NotFound("There is no such user."))?;
            let mut writes = Vec::new();
            let now = self.clock.now();
            let (my_profile, profile_writes) = profiles::known_or_created(caller, find(&caller.user), now)?;
            writes.extend(profile_writes);
            let conversation = ConversationId::direct(&caller.user, other);
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
            if let Commit::Done(()) = self.commit(writes.into(), began).await? {
                return Ok(());
            }
        }
    }

    /// Removes the user's block of `other`; a block in the other direction stays. Without a block nothing changes.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn unblock(&self, user: &UserId, other: &UserId) -> Result<(), Error> {
        if user == other {
            // Users cannot block themselves, and one transaction must not write the same row twice.
            return Ok(());
        }
        let conversation = ConversationId::direct(user, other);
        let writes = vec![
            Write::delete(key(user, other)).if_present("pk"),
            Write::update(inbox::key(user, &conversation)).remove("blocked_by_me").if_present("pk"),
            Write::update(inbox::key(other, &conversation)).remove("blocked_by_peer").if_present("pk"),
        ];
        // A refusal means that there was no block.
        self.commit(writes.into(), Instant::now()).await.map(|_| ())
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
        let query = self
            .prefixed(&partition::of_user(user), "B#")
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
            Ok(Blocked { name, blocked_at: from_item::<Stored>(item)?.at, user_id })
        });
        Ok((entries.collect::<Result<_, Error>>()?, next))
    }
}
