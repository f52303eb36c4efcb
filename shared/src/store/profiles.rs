//! Users' profiles.
//!
//! Invariant: a name or picture that changes reaches the rows of others before it reaches the profile, so a
//! change that dies half-way is made again by the next call.

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::item::{Item, Key, Write, from_item, text};
use super::transact::Commit;
use super::{Store, inbox};
use crate::auth::Caller;
use crate::error::Error;
use crate::id::UserId;
use crate::user::Profile;

/// Rows of others that are written side by side when a name changes.
const RENAMES_AT_ONCE: usize = 8;

pub(super) fn key(user: &UserId) -> Key {
    Key { pk: partition(user), sk: "PROFILE".into() }
}

/// The partition that holds a user's profile and rows.
pub(super) fn partition(user: &UserId) -> String {
    format!("U#{user}")
}

impl Store {
    /// The caller's profile, made from their token if they were never seen, and kept up to date with it.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    pub async fn see_user(&self, caller: &Caller) -> Result<Profile, Error> {
        let began = Instant::now();
        loop {
            let known =
                self.get(key(&caller.user), true).await?.as_ref().map(from_item::<Profile>).transpose()?;
            let current = match &known {
                Some(profile) => profile.refreshed(caller),
                None => Profile::of(caller, self.clock.now()),
            };
            if known.as_ref() == Some(&current) {
                return Ok(current);
            }
            if known.is_some() {
                self.rename_in_rows(caller, &current).await?;
            }
            let write = Write::put(key(&caller.user), &current)?;
            let write = match &known {
                // Of two changes at once, the later one writes the rows again.
                Some(known) => {
                    write.if_still("name", known.name.as_ref()).if_still("picture", known.picture.as_ref())
                }
                None => write.if_missing("pk"),
            };
            if let Commit::Done = self.commit(vec![write], began).await? {
                return Ok(current);
            }
        }
    }

    /// Writes a new name and picture into the rows of those whom the caller writes with.
    async fn rename_in_rows(&self, caller: &Caller, profile: &Profile) -> Result<(), Error> {
        let peers = self.peers(&caller.user).await?;
        let renames = peers.iter().map(|(conversation, peer)| {
            let row = Write::update(inbox::key(peer, conversation))
                .set_some("name", profile.name.as_ref())
                .set_some("picture", profile.picture.as_ref())
                .if_present("pk");
            self.commit(vec![row], Instant::now())
        });
        let mut renames = stream::iter(renames.collect::<Vec<_>>()).buffer_unordered(RENAMES_AT_ONCE);
        while let Some(renamed) = renames.next().await {
            renamed?;
        }
        Ok(())
    }

    /// The profiles of some users (at most 100) in one call; those unknown are left out.
    pub(super) async fn profiles(&self, users: &[&UserId]) -> Result<Vec<(UserId, Profile)>, Error> {
        let items = self.get_all(users.iter().map(|user| key(user)).collect()).await?;
        items.iter().map(|item| Ok((owner(item)?, from_item(item)?))).collect()
    }
}

/// Whose item it is.
pub(super) fn owner(item: &Item) -> Result<UserId, Error> {
    text(item, "pk")?.trim_start_matches("U#").parse().map_err(Error::internal)
}

/// Makes a profile with someone's first conversation, if it is still missing.
pub(super) fn create(user: &UserId, profile: &Profile) -> Result<Write, Error> {
    Ok(Write::put(key(user), profile)?.if_missing("pk"))
}
