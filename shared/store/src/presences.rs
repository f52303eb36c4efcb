//! Presence: one item per user, beside their sockets.
//!
//! Invariant: nobody learns of anyone's presence without a direct conversation with them, free of blocks.

use async_recursion::async_recursion as boxed;
use domain::conversation::Row;
use domain::delivery::{Delivery, Socket};
use domain::error::Error;
use domain::event::EventView;
use domain::id::{ConversationId, UserId};
use domain::presence::{Millis, Presence, PresenceView, Status};
use domain::time::Timestamp;
use futures_util::future::try_join_all;
use observe::meter;
use observe::metrics::Metric;
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Key, Write, from_item, text};
use crate::{connections, inbox, partition};

/// Peers that hear of a change: those of the latest conversations.
const PEERS: usize = 50;
/// Milliseconds after the end of someone's last socket in which another one is the same client, back again.
const BACK_AGAIN: i64 = 120_000;

fn key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: "PRESENCE".into() }
}

/// What is known of a user's user_presence.
#[derive(Default)]
struct UserPresence {
    presence: Presence,
    sockets: Vec<Socket>,
}

/// The peers of someone's latest conversations who hold sockets.
struct Watchers {
    /// The watched one's rows of the conversations with them.
    rows: Vec<(UserId, Row)>,
    sockets: Vec<(UserId, Vec<Socket>)>,
}

impl UserPresence {
    fn sockets_until(&self) -> Option<Timestamp> {
        self.sockets.iter().map(|socket| socket.until).max()
    }
}

impl Store {
    /// Notes that a user polls. Once a minute is enough.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn record_poll(&self, user: &UserId) -> Result<(), Error> {
        self.set_one(key(user), "polled", &self.clock.now()).await
    }

    /// What the users show to a viewer, in the order asked for.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn presence(&self, viewer: &UserId, users: &[UserId]) -> Result<Vec<PresenceView>, Error> {
        let rows = users.iter().filter(|user| *user != viewer);
        let rows = rows.map(|user| inbox::key(viewer, &ConversationId::direct(viewer, user)));
        let (rows, found) = tokio::try_join!(
            self.get_all(rows.collect()),
            try_join_all(users.iter().map(|user| self.user_presence(user, false)))
        )?;
        let rows = rows.into_iter().map(from_item::<Row>).collect::<Result<Vec<_>, _>>()?;
        let now = self.clock.now();
        let shown = users.iter().zip(found).map(|(user, found)| {
            let may =
                user == viewer || rows.iter().any(|row| row.peer.as_ref() == Some(user) && !row.is_blocked());
            if !may {
                return PresenceView::hidden(user.clone());
            }
            let between = ConversationId::direct(viewer, user);
            let shares = |id: &ConversationId| user == viewer || *id == between;
            found.presence.shown(user.clone(), found.sockets_until(), now, shares)
        });
        Ok(shown.collect())
    }

    /// What a user shows to those who are in a room with them.
    pub(crate) async fn presence_of(&self, user: &UserId) -> Result<PresenceView, Error> {
        let found = self.user_presence(user, false).await?;
        Ok(found.presence.shown(user.clone(), found.sockets_until(), self.clock.now(), |_| false))
    }

    async fn user_presence(&self, user: &UserId, consistent: bool) -> Result<UserPresence, Error> {
        let query = self.between(&partition::of_user(user), "PRESENCE", "W~").consistent_read(consistent);
        let mut found = UserPresence::default();
        for item in self.query_all(query).await? {
            match text(&item, "sk")? {
                "PRESENCE" => found.presence = from_item::<Presence>(item)?,
                sk if sk.starts_with("W#") => found.sockets.push(connections::read(item)?),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Sets what a user shows, and tells the peers of their latest conversations who hold sockets.
    ///
    /// # Errors
    /// `NotAParticipant` where the conversation is not theirs.
    #[boxed]
    pub async fn set_presence(
        &self,
        user: &UserId,
        status: Status,
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
        self.commit(vec![presence].into(), Instant::now()).await?;
        self.publish_presence(user).await
    }

    /// Notes that a user's socket has closed and, where it was the last, that they have left: what they polled
    /// before counts no longer, and their peers are told.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn record_disconnect(&self, user: &UserId) -> Result<Delivery, Error> {
        let (found, now) = (self.user_presence(user, true).await?, self.clock.now());
        if found.sockets_until().is_some_and(|until| until > now) {
            return Ok(Delivery::default());
        }
        let leaving = Write::update(key(user)).set("left", &now).remove("polled");
        self.commit(vec![leaving].into(), Instant::now()).await?;
        Ok(self.publish_presence(user).await?.1)
    }

    /// Tells a user's peers what they show now that a socket of theirs has opened.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn record_connect(&self, user: &UserId) -> Result<Delivery, Error> {
        let (found, _, delivery) = self.presence_delivery(user).await?;
        let left = found.presence.left.map(|Millis(at)| self.clock.now().millis() - at.millis());
        if found.sockets.len() == 1 && left.is_some_and(|ago| ago < BACK_AGAIN) {
            meter::count(Metric::Reconnections);
        }
        Ok(delivery)
    }

    /// Tells a user's peers what they show now.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn publish_presence(&self, user: &UserId) -> Result<(PresenceView, Delivery), Error> {
        let (_, own, delivery) = self.presence_delivery(user).await?;
        Ok((own, delivery))
    }

    async fn presence_delivery(
        &self,
        user: &UserId,
    ) -> Result<(UserPresence, PresenceView, Delivery), Error> {
        // What has just changed is what is told: no read here may lag.
        let (found, Watchers { rows, sockets }) =
            tokio::try_join!(self.user_presence(user, true), self.watchers(user))?;
        let now = self.clock.now();
        // Whoever does not want to be seen does not show until when they are there, either.
        let until = found.presence.online_until(found.sockets_until());
        let until = until.filter(|until| *until > now && found.presence.status != Status::Offline);
        let id = self.clock.stamp();
        let events = rows.into_iter().filter(|(_, row)| !row.is_blocked()).map(|(peer, _)| {
            let between = ConversationId::direct(user, &peer);
            let shares = |shown: &ConversationId| *shown == between;
            let shown = found.presence.shown(user.clone(), found.sockets_until(), now, shares);
            (peer, EventView::presence(id, shown, until))
        });
        let delivery = Delivery { events: events.collect(), sockets };
        let own = found.presence.shown(user.clone(), found.sockets_until(), now, |_| true);
        Ok((found, own, delivery))
    }

    /// Who is to be told of a user. The index says who their peers are; whether a block stands, the rows themselves.
    async fn watchers(&self, user: &UserId) -> Result<Watchers, Error> {
        let (mut peers, mut after) = (Vec::new(), None);
        // Groups and rooms stand between them.
        loop {
            let page = self.inbox(user, after, 0, PEERS).await?;
            peers.extend(page.rows.into_iter().filter_map(|(_, row)| row.peer));
            after = page.next;
            if after.is_none() || peers.len() >= PEERS {
                break;
            }
        }
        peers.truncate(PEERS);
        let peers: Vec<&UserId> = peers.iter().collect();
        let mut sockets = self.sockets_of(&peers).await;
        sockets.retain(|(_, sockets)| !sockets.is_empty());
        let keys = sockets.iter().map(|(peer, _)| inbox::key(user, &ConversationId::direct(user, peer)));
        let rows = self.get_all(keys.collect()).await?;
        let rows = rows.into_iter().map(from_item::<Row>).collect::<Result<Vec<_>, Error>>()?;
        let rows = rows.into_iter().filter_map(|row| Some((row.peer.clone()?, row))).collect();
        Ok(Watchers { rows, sockets })
    }
}
