//! Users' profiles.
//!
//! Invariant: each change raises the profile's version, and says that it is spreading until it has reached the rows
//! of others; one that died half-way is spread by the next look at the profile. A row takes a name only from a later
//! version than its own, and is made only with the name that the profile has at that moment. So changes that cross
//! end right.

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::delivery::OutgoingEvent;
use domain::error::Error;
use domain::event::Event;
use domain::id::UserId;
use domain::time::Timestamp;
use domain::user::{Profile, ProfileChange};
use futures_util::stream::{self, StreamExt};
use serde_json::json;
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Item, Key, Write, from_item, suffix};
use crate::transact::Commit;
use crate::{directory, inbox, partition};

/// Rows of others that are written side by side when a name changes.
const RENAMES_AT_ONCE: usize = 8;

pub(crate) fn key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: "PROFILE".into() }
}

impl Store {
    /// The caller's profile, made from their token if they were never seen, and kept up to date with it unless they
    /// registered here.
    ///
    /// # Errors
    /// `NotAuthenticated` where the caller registered here and the account is gone.
    #[boxed]
    pub async fn ensure_user(&self, caller: &Caller) -> Result<Profile, Error> {
        let first = || first_of(caller, self.clock.now());
        self.revise(&caller.user, first, |profile| profile.refreshed(caller)).await
    }

    /// Changes the caller's profile.
    ///
    /// # Errors
    /// `NotAuthenticated` where the caller registered here and the account is gone.
    #[boxed]
    pub async fn change_profile(&self, caller: &Caller, change: &ProfileChange) -> Result<Profile, Error> {
        let first = || first_of(caller, self.clock.now());
        self.revise(&caller.user, first, |profile| profile.changed(change)).await
    }

    /// A user's profile, as it was of late; `None` where there is no such user.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn profile(&self, user: &UserId) -> Result<Option<Profile>, Error> {
        self.get(key(user), false).await?.map(from_item).transpose()
    }

    /// The one way in which a profile changes: with its entries in the directory, and then in the rows of others.
    /// `first` makes the profile of someone never seen.
    pub(crate) async fn revise(
        &self,
        user: &UserId,
        first: impl Fn() -> Result<Profile, Error>,
        change: impl Fn(&Profile) -> Profile,
    ) -> Result<Profile, Error> {
        let began = Instant::now();
        loop {
            let Some(item) = self.get(key(user), true).await? else {
                let profile = change(&first()?);
                if let Commit::Done(()) = self.commit(create(user, &profile)?.into(), began).await? {
                    return Ok(profile);
                }
                continue;
            };
            let known: Profile = from_item(item)?;
            let changed = change(&known);
            let next = if changed == known {
                known
            } else {
                let next = Profile { version: known.version + 1, spreading: true, ..changed };
                let write = Write::put(key(user), &next)?.if_present("pk");
                let mut writes = vec![write.if_still_number("version", known.version)];
                writes.extend(directory::replace(user, Some(&known), Some(&next))?);
                if let Commit::Refused(_) = self.commit(writes.into(), began).await? {
                    continue;
                }
                next
            };
            if !next.spreading {
                return Ok(next);
            }
            self.spread(user, &next).await?;
            return Ok(Profile { spreading: false, ..next });
        }
    }

    /// Writes a name and picture into the rows of those whom the user writes with.
    async fn spread(&self, user: &UserId, profile: &Profile) -> Result<(), Error> {
        let peers = self.peers(user).await?;
        let name = profile.shown_name();
        let changes = [("other_user_name", json!(name)), ("photo_url", json!(profile.picture))];
        let renames = peers.iter().map(async |(conversation, peer)| {
            let row = Write::update(inbox::key(peer, conversation))
                .set_or_remove("name", name.as_ref())
                .set_or_remove("picture", profile.picture.as_ref())
                .set("name_version", &profile.version)
                .if_present("pk")
                .if_below("name_version", &profile.version);
            let event = Event::ConversationUpdated {
                conversation: conversation.clone(),
                changes: changes.clone().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                version: profile.version,
            };
            let events = vec![OutgoingEvent::new(peer.clone(), self.clock.stamp(), event)];
            // Whoever is not told now by a push finds it in the queue.
            self.commit_and_publish(vec![row].into(), events, Instant::now()).await.map(|_| ())
        });
        let mut renames = stream::iter(renames.collect::<Vec<_>>()).buffer_unordered(RENAMES_AT_ONCE);
        while let Some(renamed) = renames.next().await {
            renamed?;
        }
        // Refused where there is a later change: it spreads itself.
        let done = Write::update(key(user)).remove("spreading").if_present("pk");
        let done = done.if_still_number("version", profile.version);
        self.commit(vec![done].into(), Instant::now()).await.map(|_| ())
    }

    /// The profiles of some users (at most 100) in one call; those unknown are left out.
    pub(crate) async fn profiles(&self, users: &[&UserId]) -> Result<Vec<(UserId, Profile)>, Error> {
        let items = self.get_all(users.iter().map(|user| key(user)).collect()).await?;
        items.into_iter().map(|item| Ok((owner(&item)?, from_item(item)?))).collect()
    }
}

/// Whose item it is.
pub(crate) fn owner(item: &Item) -> Result<UserId, Error> {
    suffix(item, "pk", "U#")?.parse().map_err(Error::internal)
}

/// The profile of someone first seen now.
///
/// # Errors
/// `NotAuthenticated` where they registered here: then their profile is missing because they have gone.
pub(crate) fn first_of(caller: &Caller, now: Timestamp) -> Result<Profile, Error> {
    match caller.session {
        None => Ok(Profile::of(caller, now)),
        Some(_) => Err(Error::NotAuthenticated("The account is gone.")),
    }
}

/// Makes a profile, if it is still missing, and its entries in the directory.
pub(crate) fn create(user: &UserId, profile: &Profile) -> Result<Vec<Write>, Error> {
    let mut writes = vec![Write::put(key(user), profile)?.if_missing("pk")];
    writes.extend(directory::replace(user, None, Some(profile))?);
    Ok(writes)
}

/// The profile of a caller, and what a transaction that copies its name must write: a check that a known one is still
/// as it was read, or the profile of someone first seen now.
///
/// # Errors
/// Those of [`first_of`].
pub(crate) fn known_or_created(
    caller: &Caller,
    known: Option<&Profile>,
    now: Timestamp,
) -> Result<(Profile, Vec<Write>), Error> {
    if let Some(known) = known {
        return Ok((known.clone(), vec![check(&caller.user, known)]));
    }
    let first = first_of(caller, now)?;
    let writes = create(&caller.user, &first)?;
    Ok((first, writes))
}

/// Refuses unless a profile is as it was read: a row that is made with its name gets the next one, too.
pub(crate) fn check(user: &UserId, profile: &Profile) -> Write {
    Write::check(key(user)).if_present("pk").if_still_number("version", profile.version)
}
