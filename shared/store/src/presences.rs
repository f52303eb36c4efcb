//! Presence: one item per user, in the same partition as the item of their sockets.
//!
//! Invariant: users learn each other's presence only if one of them has sent the other a direct message, and there is no
//! block. The users of a room are the exception: their list shows each one's status, and nothing else. The conversation
//! that a user is looking at is shown only to those who take part in it.

use std::collections::HashSet;

use async_recursion::async_recursion as boxed;
use domain::conversation::Row;
use domain::delivery::{Delivery, Socket};
use domain::error::Error;
use domain::event::EventView;
use domain::id::{ConversationId, UserId};
use domain::limits;
use domain::notification::ACTIVE;
use domain::presence::{Millis, Presence, PresenceView, Status};
use domain::time::Timestamp;
use futures_util::future::try_join_all;
use observe::meter;
use observe::metrics::Metric;
use tokio::time::Instant;

use crate::client::Store;
use crate::database::query_between;
use crate::inbox_pages::InboxFilter;
use crate::item::{Key, from_item, text};
use crate::profiles::account_deleted;
use crate::write::Write;
use crate::{connections, inbox, partition, profiles};

/// The most peers to notify of a change: those of the latest direct conversations.
const MAX_PEERS: usize = 50;
/// Seconds after which a user with too many sockets may try again.
const SOCKETS_RETRY: u64 = 60;
/// Milliseconds after the end of a user's last socket within which a new one counts as a reconnection.
const RECONNECTION: i64 = 120_000;

pub(crate) fn key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: "PRESENCE".into() }
}

/// Whether the two users of a direct conversation see each other's presence: one of them has sent a message, and there
/// is no block.
pub(crate) fn shares_presence(row: &Row) -> bool {
    row.head.is_some() && !row.is_blocked()
}

/// A user's presence item and sockets.
#[derive(Default)]
struct UserPresence {
    presence: Presence,
    sockets: Vec<Socket>,
}

/// The peers of a user's latest direct conversations who have sockets.
struct Observers {
    /// The user's rows of these conversations, by peer.
    rows: Vec<(UserId, Row)>,
    sockets: Vec<(UserId, Vec<Socket>)>,
}

impl UserPresence {
    fn sockets_until(&self) -> Option<Timestamp> {
        self.sockets.iter().map(|socket| socket.until).max()
    }
}

impl Store {
    /// Records that a user is polling, unless a poll of this minute is recorded already. That is a condition of the write,
    /// so that a poll does not wait for a read first.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn record_poll(&self, user: &UserId) -> Result<(), Error> {
        let now = self.clock.now();
        let minute = Timestamp::from_millis(now.millis() / 60_000 * 60_000);
        let write = Write::update(key(user)).set("polled", &now).if_below("polled", &minute);
        self.update_one(write).await.map(|_| ())
    }

    /// Returns what users show to a viewer, in the order of `users`. Users whom the viewer may not see appear offline.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn presence(&self, viewer: &UserId, users: &[UserId]) -> Result<Vec<PresenceView>, Error> {
        let rows = users.iter().filter(|user| *user != viewer);
        let rows = rows.map(|user| inbox::key(viewer, &ConversationId::direct(viewer, user)));
        let (rows, found) = tokio::try_join!(
            self.get_all(rows.collect()),
            try_join_all(users.iter().map(|user| self.user_presence(user, false)))
        )?;
        let rows = rows.iter().map(from_item::<Row>).collect::<Result<Vec<_>, _>>()?;
        let may_see = |user: &UserId| {
            user == viewer || rows.iter().any(|row| row.peer.as_ref() == Some(user) && shares_presence(row))
        };
        let seen = users.iter().zip(&found).filter(|(user, _)| may_see(user));
        let shared = seen.filter_map(|(_, found)| found.presence.conversation.as_ref());
        let shared: Vec<_> = shared.filter(|id| !id.is_direct()).map(|id| (viewer, id)).collect();
        let participants = self.taking_part(&shared).await?;
        let now = self.clock.now();
        let shown = users.iter().zip(found).map(|(user, found)| {
            if !may_see(user) {
                return PresenceView::hidden(user.clone());
            }
            let between = ConversationId::direct(viewer, user);
            let takes_part = |id: &ConversationId| {
                user == viewer || *id == between || participants.contains(&(viewer.clone(), id.clone()))
            };
            found.presence.shown(user.clone(), found.sockets_until(), now, takes_part)
        });
        Ok(shown.collect())
    }

    /// Returns which of these users take part in which of these groups and rooms.
    async fn taking_part(
        &self,
        pairs: &[(&UserId, &ConversationId)],
    ) -> Result<HashSet<(UserId, ConversationId)>, Error> {
        let mut found = HashSet::new();
        for pairs in pairs.chunks(100) {
            let keys = pairs.iter().map(|(user, conversation)| inbox::key(user, conversation)).collect();
            for item in self.get_all(keys).await? {
                found.insert((profiles::owner(&item)?, inbox::conversation_of(&item)?));
            }
        }
        Ok(found)
    }

    /// Returns what a user shows to the other users of a room.
    pub(crate) async fn presence_of(&self, user: &UserId) -> Result<PresenceView, Error> {
        let found = self.user_presence(user, false).await?;
        Ok(found.presence.shown(user.clone(), found.sockets_until(), self.clock.now(), |_| false))
    }

    async fn user_presence(&self, user: &UserId, consistent: bool) -> Result<UserPresence, Error> {
        let query = query_between(&partition::of_user(user), "PRESENCE", connections::SORT_KEY)
            .consistent_read(consistent);
        let mut found = UserPresence::default();
        for item in self.query_all(query).await? {
            match text(&item, "sk")?.as_ref() {
                "PRESENCE" => found.presence = from_item::<Presence>(&item)?,
                connections::SORT_KEY => found.sockets = connections::read(&item)?,
                _ => {}
            }
        }
        Ok(found)
    }

    /// Sets a user's status and current conversation, and notifies the peers of their latest direct conversations who
    /// have sockets. Counts as a poll. An active user gets no notifications for [`ACTIVE`] milliseconds; one who is active
    /// no more gets those that wait.
    ///
    /// # Errors
    /// `NotAParticipant` if the user does not take part in `conversation`, `NotAuthenticated` if their account was deleted,
    /// `RateLimited`.
    #[boxed]
    pub async fn set_presence(
        &self,
        user: &UserId,
        (status, is_active): (Status, Option<bool>),
        conversation: Option<&ConversationId>,
    ) -> Result<(PresenceView, Delivery), Error> {
        if let Some(conversation) = conversation {
            self.row(user, conversation).await?.ok_or(Error::NotAParticipant)?;
        }
        let presence = Write::update(key(user)).set("status", status.name()).set("polled", &self.clock.now());
        let presence = match conversation {
            Some(conversation) => presence.set("conversation", conversation.as_str()),
            None => presence.remove("conversation"),
        };
        let presence = match is_active {
            Some(true) => presence.set("active_until", &(self.clock.now().millis() + ACTIVE)),
            Some(false) => presence.remove("active_until"),
            None => presence,
        };
        self.update_limited(presence, &limits::PRESENCE).await?;
        let stopped =
            async { if is_active == Some(false) { self.remove_waiting_user(user).await } else { Ok(()) } };
        let ((found, own, delivery), ()) = tokio::try_join!(self.presence_delivery(user), stopped)?;
        if found.presence.deleted { Err(account_deleted()) } else { Ok((own, delivery)) }
    }

    /// Admits a new socket of a user. Runs in parallel with [`Store::add_socket`].
    ///
    /// # Errors
    /// `RateLimited` after too many new sockets.
    #[boxed]
    pub async fn admit_socket(&self, user: &UserId) -> Result<(), Error> {
        if self.limited {
            self.update_limited(Write::update(key(user)), &limits::SOCKETS).await
        } else {
            Ok(())
        }
    }

    /// Records that a user's socket has closed. If it was the last one, the user is offline at once, even after a
    /// recent poll, and their peers are notified.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn record_disconnect(&self, user: &UserId) -> Result<Delivery, Error> {
        let (found, now) = (self.user_presence(user, true).await?, self.clock.now());
        if found.sockets_until().is_some_and(|until| until > now) {
            return Ok(Delivery::default());
        }
        let update = Write::update(key(user)).set("left", &now).remove("polled");
        self.commit(vec![update].into(), Instant::now()).await?;
        Ok(self.publish_presence(user).await?.1)
    }

    /// Notifies a user's peers after one of the user's sockets has opened.
    ///
    /// # Errors
    /// `NotAuthenticated` if the user's account was deleted, `RateLimited` if they have more than 100 sockets,
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn record_connect(&self, user: &UserId) -> Result<Delivery, Error> {
        let (found, _, delivery) = self.presence_delivery(user).await?;
        if found.presence.deleted {
            return Err(account_deleted());
        }
        if found.sockets.len() > limits::MAX_SOCKETS {
            return Err(Error::RateLimited(SOCKETS_RETRY));
        }
        let offline_for = found.presence.left.map(|Millis(at)| self.clock.now().millis() - at.millis());
        if found.sockets.len() == 1 && offline_for.is_some_and(|millis| millis < RECONNECTION) {
            meter::count(Metric::Reconnections);
        }
        Ok(delivery)
    }

    /// Notifies a user's peers of the user's presence, and returns the user's own view of it.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn publish_presence(&self, user: &UserId) -> Result<(PresenceView, Delivery), Error> {
        let (_, own, delivery) = self.presence_delivery(user).await?;
        Ok((own, delivery))
    }

    /// Tells two users, one of whom has blocked the other, that the other is offline. Each socket learns it at most once: if
    /// it does not, it shows the other until their last `expires_at`.
    pub(crate) async fn hide_presence(&self, users: [&UserId; 2]) -> Delivery {
        let sockets = self.sockets_of(&users).await.unwrap_or_default();
        let id = self.clock.stamp();
        let [one, other] = users;
        let hidden = |receiver: &UserId, user: &UserId| {
            (receiver.clone(), EventView::presence(id, PresenceView::hidden(user.clone()), None))
        };
        Delivery {
            events: vec![hidden(one, other), hidden(other, one)],
            sockets: sockets.into_iter().collect(),
        }
    }

    async fn presence_delivery(
        &self,
        user: &UserId,
    ) -> Result<(UserPresence, PresenceView, Delivery), Error> {
        // Before the reads, so that an event about what they do not see has a higher id.
        let id = self.clock.stamp();
        // A consistent read: the caller has just changed what is published here.
        let (found, Observers { rows, sockets }) =
            tokio::try_join!(self.user_presence(user, true), self.observers(user))?;
        let now = self.clock.now();
        // A user who chose to appear offline must not reveal until when they are online, either.
        let until = found.presence.online_until(found.sockets_until());
        let until = until.filter(|until| *until > now && found.presence.status != Status::Offline);
        let peers: Vec<UserId> =
            rows.into_iter().filter(|(_, row)| shares_presence(row)).map(|(peer, _)| peer).collect();
        let shared = found.presence.conversation.as_ref().filter(|id| !id.is_direct());
        let shared: Vec<_> =
            shared.into_iter().flat_map(|id| peers.iter().map(move |peer| (peer, id))).collect();
        let participants = self.taking_part(&shared).await?;
        let events = peers.into_iter().map(|peer| {
            let between = ConversationId::direct(user, &peer);
            let takes_part = |shown: &ConversationId| {
                *shown == between || participants.contains(&(peer.clone(), shown.clone()))
            };
            let shown = found.presence.shown(user.clone(), found.sockets_until(), now, takes_part);
            (peer.clone(), EventView::presence(id, shown, until))
        });
        let delivery = Delivery { events: events.collect(), sockets: sockets.into_iter().collect() };
        let own = found.presence.shown(user.clone(), found.sockets_until(), now, |_| true);
        Ok((found, own, delivery))
    }

    /// Finds the peers to notify. The index lists them; whether there is a block is read from the rows themselves.
    async fn observers(&self, user: &UserId) -> Result<Observers, Error> {
        let (mut peers, mut after) = (Vec::new(), None);
        // The inbox also contains groups and rooms, which have no peer.
        loop {
            let page = self.inbox(user, InboxFilter::default(), after, 0, MAX_PEERS).await?;
            peers.extend(page.rows.into_iter().filter_map(|(_, row)| row.peer));
            after = page.next;
            if after.is_none() || peers.len() >= MAX_PEERS {
                break;
            }
        }
        peers.truncate(MAX_PEERS);
        let peers: Vec<&UserId> = peers.iter().collect();
        let mut sockets = self.sockets_of(&peers).await.unwrap_or_default();
        sockets.retain(|(_, sockets)| !sockets.is_empty());
        let keys = sockets.iter().map(|(peer, _)| inbox::key(user, &ConversationId::direct(user, peer)));
        let rows = self.get_all(keys.collect()).await?;
        let rows = rows.iter().map(from_item::<Row>).collect::<Result<Vec<_>, Error>>()?;
        let rows = rows.into_iter().filter_map(|row| Some((row.peer.clone()?, row))).collect();
        Ok(Observers { rows, sockets })
    }
}
