//! Users' profiles, whose names and pictures are copied into the rows of their peers.
//!
//! Invariant: every row ends with the name of the latest version, even if changes race. Each change raises the version
//! and sets `spreading` until it has reached all rows; if a call fails half-way, the next one that revises the profile
//! completes it. A row takes a name only from a later version than its own, and is created only with the current name.
//! A row with a block takes no name until the block ends.

use async_recursion::async_recursion as boxed;
use domain::caller::Caller;
use domain::conversation::Row;
use domain::delivery::OutgoingEvent;
use domain::error::Error;
use domain::event::Event;
use domain::id::{ConversationId, UserId};
use domain::time::Timestamp;
use domain::user::{Profile, ProfileChange};
use futures_util::stream::{self, StreamExt};
use serde_json::json;
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Item, Key, Write, from_item, suffix};
use crate::transact::Commit;
use crate::{directory, inbox, partition};

/// Rows of peers that are updated in parallel when a name changes.
const RENAMES_AT_ONCE: usize = 8;

pub(crate) fn key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: "PROFILE".into() }
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
        self.revise(&caller.user, first, |profile| profile.refreshed(caller), true).await
    }

    /// Changes the caller's profile and returns it.
    ///
    /// # Errors
    /// `NotAuthenticated` if the caller registered here and the account was deleted.
    #[boxed]
    pub async fn change_profile(&self, caller: &Caller, change: &ProfileChange) -> Result<Profile, Error> {
        let first = || first_of(caller, self.clock.now());
        self.revise(&caller.user, first, |profile| profile.changed(change), false).await
    }

    /// Returns a user's profile, by an eventually consistent read; `None` if there is no such user.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn profile(&self, user: &UserId) -> Result<Option<Profile>, Error> {
        self.get(key(user), false).await?.map(from_item).transpose()
    }

    /// The only way to change a profile: updates it together with its directory entries, and then the rows of peers.
    /// `first` creates the profile of a user who has none. If `is_limited`, a change takes a token of the user's limit,
    /// and an existing profile stays as it is when there is none.
    pub(crate) async fn revise(
        &self,
        user: &UserId,
        first: impl Fn() -> Result<Profile, Error>,
        change: impl Fn(&Profile) -> Profile,
        is_limited: bool,
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
            let current: Profile = from_item(item)?;
            let changed = change(&current);
            let is_refused = changed != current && is_limited && !self.may_change_profile(user).await?;
            let next = if changed == current || is_refused {
                current
            } else {
                let next = Profile { version: current.version + 1, spreading: true, ..changed };
                let write = Write::put(key(user), &next)?.if_present("pk");
                let mut writes = vec![write.if_still_number("version", current.version)];
                writes.extend(directory::replace(user, Some(&current), Some(&next))?);
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

    /// Copies a name and picture into the rows of the user's peers.
    async fn spread(&self, user: &UserId, profile: &Profile) -> Result<(), Error> {
        let peers = self.peers(user).await?;
        let renames = peers.iter().map(async |(conversation, peer)| {
            self.rename(inbox::key(peer, conversation), profile, peer, &renaming(conversation, profile)).await
        });
        let mut renames = stream::iter(renames.collect::<Vec<_>>()).buffer_unordered(RENAMES_AT_ONCE);
        while let Some(renamed) = renames.next().await {
            renamed?;
        }
        // Refused if there is a later change, whose own call spreads it.
        let done = Write::update(key(user)).remove("spreading").if_present("pk");
        let done = done.if_still_number("version", profile.version);
        self.commit(vec![done].into(), Instant::now()).await.map(|_| ())
    }

    /// Copies a name and picture into the row of a peer, and tells the peer if the row is visible to them. A block keeps
    /// everything but the deletion of an account from them.
    async fn rename(&self, key: Key, profile: &Profile, peer: &UserId, event: &Event) -> Result<(), Error> {
        let is_deleted = *profile == profile.nameless();
        let row = || {
            let row = name_row(Write::update(key.clone()), profile)
                .if_present("pk")
                .if_below("name_version", &profile.version);
            if is_deleted { row } else { row.if_missing("blocked_by_me").if_missing("blocked_by_peer") }
        };
        let began = Instant::now();
        loop {
            // The event is not pushed: peers find it in their queues.
            let events = vec![OutgoingEvent::new(peer.clone(), self.clock.stamp(), event.clone())];
            let visible = vec![row().if_present("activity")].into();
            let Commit::Refused(refusals) = self.commit_and_publish(visible, events, began).await? else {
                return Ok(());
            };
            let Some(item) = refusals.into_iter().find_map(|((), item)| item) else { return Ok(()) };
            let found: Row = from_item(item)?;
            let is_kept = found.is_blocked() && !is_deleted;
            if is_kept || found.name_version >= profile.version {
                return Ok(());
            }
            if found.activity.is_none()
                && let Commit::Done(()) =
                    self.commit(vec![row().if_missing("activity")].into(), began).await?
            {
                return Ok(());
            }
        }
    }

    /// Returns the profiles of up to 100 users, in no order. Unknown users are left out.
    pub(crate) async fn profiles(&self, users: &[&UserId]) -> Result<Vec<(UserId, Profile)>, Error> {
        let items = self.get_all(users.iter().map(|user| key(user)).collect()).await?;
        items.into_iter().map(|item| Ok((owner(&item)?, from_item(item)?))).collect()
    }
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
        Some(_) => Err(Error::NotAuthenticated("The account was deleted.")),
    }
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
pub(crate) fn renaming(conversation: &ConversationId, profile: &Profile) -> Event {
    let changes = [("other_user_name", json!(profile.shown_name())), ("photo_url", json!(profile.picture))];
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
