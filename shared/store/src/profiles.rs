//! Users' profiles, whose names and pictures are copied into the rows of their peers.
//!
//! Invariant: every row ends with the name of the latest version, even if changes race. Each change raises the version
//! and sets `spreading` until it has reached all rows, and `spread_to` up to which of them. A call copies the name to a
//! bounded number of rows and hands the rest over to the fan-out. If a call fails, the next call that revises the
//! profile continues from the stored position. A row takes a name only from a later version than its own, and is
//! created only with the current name. A row with a block takes no name until the block ends.

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::conversation::{DELETED_USER, Row};
use domain::delivery::OutgoingEvent;
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, UserId};
use domain::name::Picture;
use domain::time::Timestamp;
use domain::user::{Profile, ProfileChange};
use futures_util::stream::{self, StreamExt};
use serde_json::json;
use tokio::time::Instant;

use crate::change_log::Handover;
use crate::client::Store;
use crate::item::{Item, Key, from_item, suffix};
use crate::transact::Commit;
use crate::write::Write;
use crate::{change_log, directory, inbox, partition};

/// Rows of peers that are updated in parallel when a name changes.
const RENAMES_AT_ONCE: usize = 8;
/// Rows that are read together, and after which the position is stored.
const RENAMES_PER_STEP: usize = 20;
/// Steps of one call, so that it does not wait long for the peers of a popular user; the fan-out copies the name to the
/// others.
const STEPS: usize = 5;

pub(crate) fn key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: "PROFILE".into() }
}

/// A profile before and after a change.
pub(crate) struct Revision {
    pub(crate) before: Profile,
    pub(crate) after: Profile,
}

impl Store {
    /// Returns the caller's profile. Creates it from the token if there is none, and updates it from the token unless
    /// the caller registered here, or has changed the profile too often.
    ///
    /// # Errors
    /// `NotAuthenticated` if the caller registered here and the account was deleted.
    #[boxed]
    pub async fn ensure_user(&self, caller: &Caller) -> Result<Profile, Error> {
        let first = || first_of(caller, self.clock.now());
        let revision = self.revise(&caller.user, first, |profile| profile.refreshed(caller), true).await?;
        undeleted(revision.after)
    }

    /// Creates the profile of a caller who has none, from the token. Changes no profile.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn make_known(&self, caller: &Caller) -> Result<(), Error> {
        // Users who registered here have a profile until they delete their account.
        if caller.session.is_some() {
            return Ok(());
        }
        let writes = create(&caller.user, &Profile::of(caller, self.clock.now()))?;
        self.commit(writes.into(), Instant::now()).await.map(|_| ())
    }

    /// Changes the caller's profile. Returns it and the picture that it replaces. If there are more than 100 peers, the
    /// fan-out copies the name to the others.
    ///
    /// # Errors
    /// `NotAuthenticated` if the caller registered here and the account was deleted.
    #[boxed]
    pub async fn change_profile(
        &self,
        caller: &Caller,
        change: &ProfileChange,
    ) -> Result<(Profile, Option<Picture>), Error> {
        let first = || first_of(caller, self.clock.now());
        let Revision { before, after } =
            self.revise(&caller.user, first, |profile| profile.changed(change), false).await?;
        let after = undeleted(after)?;
        let replaced = before.picture.filter(|before| after.picture.as_ref() != Some(before));
        Ok((after, replaced))
    }

    /// Returns a user's profile, by an eventually consistent read; `None` if there is no such user.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn profile(&self, user: &UserId) -> Result<Option<Profile>, Error> {
        self.get(key(user), false).await?.as_ref().map(from_item).transpose()
    }

    /// The only way to change a profile: updates it together with its directory entries, and then the rows of up to 100
    /// peers. Afterwards `spreading` tells whether there are more. `first` creates the profile of a user who has none. If
    /// `is_limited`, a change takes a token of the user's limit, and an existing profile stays as it is when there is
    /// none.
    pub(crate) async fn revise(
        &self,
        user: &UserId,
        first: impl Fn() -> Result<Profile, Error>,
        change: impl Fn(&Profile) -> Profile,
        is_limited: bool,
    ) -> Result<Revision, Error> {
        let began = Instant::now();
        loop {
            let Some(item) = self.get(key(user), true).await? else {
                let before = first()?;
                let after = change(&before);
                if let Commit::Done(()) = self.commit(create(user, &after)?.into(), began).await? {
                    return Ok(Revision { before, after });
                }
                continue;
            };
            let current: Profile = from_item(&item)?;
            let changed = change(&current);
            let is_refused = changed != current && is_limited && !self.may_change_profile(user).await?;
            let next = if changed == current || is_refused {
                current.clone()
            } else {
                let version = current.version + 1;
                let next = if current.differs_in_rows(&changed) {
                    Profile { version, spreading: true, spread_to: None, ..changed }
                } else {
                    Profile { version, ..changed }
                };
                let write = Write::put(key(user), &next)?.if_present("pk");
                let mut writes = vec![write.if_still_number("version", current.version)];
                writes.extend(directory::replace(user, Some(&current), Some(&next))?);
                if let Commit::Refused(_) = self.commit(writes.into(), began).await? {
                    continue;
                }
                next
            };
            if !next.spreading {
                return Ok(Revision { before: current, after: next });
            }
            let next = self.spread(user, next).await?;
            if next.spreading {
                self.put(change_log::rename_key(user, next.version), &Handover::at(self.clock.now())).await?;
            }
            return Ok(Revision { before: current, after: next });
        }
    }

    /// Copies a user's changed name into the rows of the next peers, up to 100. Returns whether there are more.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn continue_rename(&self, user: &UserId) -> Result<bool, Error> {
        let profile = self.get(key(user), true).await?.as_ref().map(from_item::<Profile>).transpose()?;
        match profile.filter(|profile| profile.spreading) {
            Some(profile) => Ok(self.spread(user, profile).await?.spreading),
            None => Ok(false),
        }
    }

    /// Copies a name and picture into the rows of the user's next peers, up to 100. Returns the profile with the new
    /// position.
    async fn spread(&self, user: &UserId, mut profile: Profile) -> Result<Profile, Error> {
        for _ in 0..STEPS {
            let after = profile.spread_to.as_ref();
            let (peers, last) = self.peers_after(user, after, RENAMES_PER_STEP).await?;
            self.rename_at(user, &peers, &profile).await?;
            let own = Write::update(key(user)).if_present("pk").if_still_number("version", profile.version);
            let Some(last) = last else {
                // Refused if there is a later change, whose own call spreads it.
                let done = own.remove("spreading").remove("spread_to");
                self.commit(vec![done].into(), Instant::now()).await?;
                return Ok(Profile { spreading: false, spread_to: None, ..profile });
            };
            profile.spread_to = match self.update_one(own.set("spread_to", &last)).await? {
                Ok(_) => Some(last),
                Err(_) => return Ok(Profile { spreading: false, spread_to: None, ..profile }),
            };
        }
        Ok(profile)
    }

    /// Copies a name and picture into the rows of some peers.
    async fn rename_at(
        &self,
        user: &UserId,
        peers: &[(ConversationId, UserId)],
        profile: &Profile,
    ) -> Result<(), Error> {
        let renames = peers
            .iter()
            .map(async |(conversation, peer)| self.rename(user, profile, conversation, peer).await);
        let mut renames = stream::iter(renames.collect::<Vec<_>>()).buffer_unordered(RENAMES_AT_ONCE);
        while let Some(renamed) = renames.next().await {
            renamed?;
        }
        Ok(())
    }

    /// Copies a name and picture into the row of a peer, and tells the peer if the row is visible to them. A block keeps
    /// everything but the deletion of an account from them.
    async fn rename(
        &self,
        user: &UserId,
        profile: &Profile,
        conversation: &ConversationId,
        peer: &UserId,
    ) -> Result<(), Error> {
        let writes = |is_visible: bool| {
            let row = name_row(Write::update(inbox::key(peer, conversation)), profile)
                .if_present("pk")
                .if_below("name_version", &profile.version);
            let row = if is_visible { row.if_present("activity") } else { row.if_missing("activity") };
            if !profile.deleted {
                return vec![row.if_missing("blocked_by_me").if_missing("blocked_by_peer")];
            }
            // Conditions on these rows refuse the sends of both users, and the edits of this one.
            let own = Write::update(inbox::key(user, conversation)).set("owner_deleted", &true);
            vec![row.set("peer_deleted", &true), own.if_present("pk")]
        };
        let event = renaming(conversation, user, profile);
        let began = Instant::now();
        loop {
            // The event is not pushed: peers find it in their queues.
            let events = vec![OutgoingEvent::new(peer.clone(), self.clock.stamp(), event.clone())];
            let Commit::Refused(refusals) =
                self.commit_and_publish(writes(true).into(), events, began).await?
            else {
                return Ok(());
            };
            let Some(item) = refusals.into_iter().find_map(|((), item)| item) else { return Ok(()) };
            let found: Row = from_item(&item)?;
            if found.name_version >= profile.version || (found.is_blocked() && !profile.deleted) {
                return Ok(());
            }
            if found.activity.is_none()
                && let Commit::Done(()) = self.commit(writes(false).into(), began).await?
            {
                return Ok(());
            }
        }
    }

    /// Returns the profiles of up to 100 users, in no order. Unknown users are left out, and those whose accounts are
    /// being deleted.
    pub(crate) async fn profiles(&self, users: &[&UserId]) -> Result<Vec<(UserId, Profile)>, Error> {
        present(self.get_all(users.iter().map(|user| key(user)).collect()).await?)
    }
}

/// Parses items of profiles; those of deleted accounts are left out.
pub(crate) fn present(items: Vec<Item>) -> Result<Vec<(UserId, Profile)>, Error> {
    let profiles = items.into_iter().map(|item| Ok((owner(&item)?, from_item::<Profile>(&item)?)));
    let mut profiles = profiles.collect::<Result<Vec<_>, Error>>()?;
    profiles.retain(|(_, profile)| !profile.deleted);
    Ok(profiles)
}

/// Parses the user in an item's partition key.
pub(crate) fn owner(item: &Item) -> Result<UserId, Error> {
    suffix(item, "pk", "U#")?.parse().map_err(Error::internal)
}

/// Builds the profile of a caller who has none.
///
/// # Errors
/// `NotAuthenticated` if the caller registered here: the profile is missing because the account was deleted.
pub(crate) fn first_of(caller: &Caller, now: Timestamp) -> Result<Profile, Error> {
    match caller.session {
        None => Ok(Profile::of(caller, now)),
        Some(_) => Err(account_deleted()),
    }
}

/// Refuses the profile of an account whose deletion has begun.
fn undeleted(profile: Profile) -> Result<Profile, Error> {
    if profile.deleted { Err(account_deleted()) } else { Ok(profile) }
}

pub(crate) fn account_deleted() -> Error {
    Error::NotAuthenticated("The account was deleted.")
}

pub(crate) fn no_such_user() -> Error {
    Error::NotFound("There is no such user.")
}

/// Creates a profile, if there is none, and its directory entries.
pub(crate) fn create(user: &UserId, profile: &Profile) -> Result<Vec<Write>, Error> {
    let mut writes = vec![Write::put(key(user), profile)?.if_missing("pk")];
    writes.extend(directory::replace(user, None, Some(profile))?);
    Ok(writes)
}

/// Returns the caller's profile, and the writes for a transaction that copies its name: a check that a known profile
/// has not changed, or the creation of a new one.
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

/// The event that tells a peer of a new name or picture.
pub(crate) fn renaming(conversation: &ConversationId, user: &UserId, profile: &Profile) -> Event {
    let name = match profile.shown_name() {
        _ if profile.deleted => DELETED_USER.to_owned(),
        Some(name) => name.to_string(),
        None => user.to_string(),
    };
    let changes = [("other_user_name", json!(name)), ("photo_url", json!(profile.picture))];
    let changes = changes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Event::ConversationUpdated { conversation: conversation.clone(), changes, version: profile.version }
}

/// Sets the name and picture of a profile in a row of one of the user's peers.
pub(crate) fn name_row(row: Write, profile: &Profile) -> Write {
    row.set_or_remove("name", profile.shown_name().as_ref())
        .set_or_remove("picture", profile.picture.as_ref())
        .set("name_version", &profile.version)
}

/// Checks that a profile has not changed since it was read, so that a later change also finds the new row.
pub(crate) fn check(user: &UserId, profile: &Profile) -> Write {
    Write::check(key(user)).if_present("pk").if_still_number("version", profile.version)
}
