//! Sockets, and the tickets that open them.
//!
//! Invariant: a stored socket is a hint. One that is gone is forgotten at the first push that fails; what it
//! missed is in the queue.

use async_recursion::async_recursion as boxed;
use domain::delivery::Socket;
use domain::error::Error;
use domain::id::UserId;
use domain::time::{Timestamp, millis};
use futures_util::future::join_all;
use observe::log::reason;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::Store;
use crate::item::{Item, Key, Write, from_item, suffix};
use crate::partition;
use crate::transact::Commit;

/// Milliseconds that a socket is kept: API Gateway ends it after two hours.
const LIFE: i64 = (2 * 60 + 10) * 60 * 1000;
/// Seconds that a ticket holds.
pub const TICKET_LIFE: i64 = 30;

fn key(user: &UserId, connection: &str) -> Key {
    Key { pk: partition::of_user(user), sk: format!("W#{connection}") }
}

fn ticket_key(user: &UserId, ticket: &str) -> Key {
    Key { pk: partition::of_user(user), sk: format!("T#{ticket}") }
}

/// What the item of a socket holds beside its key.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(with = "millis")]
    since: Timestamp,
    #[serde(with = "millis")]
    until: Timestamp,
    expires: i64,
}

#[derive(Serialize)]
struct StoredTicket {
    expires: i64,
}

impl Store {
    /// Keeps a socket until API Gateway has ended it.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn add_socket(
        &self,
        user: &UserId,
        connection: &str,
        token_expires: Timestamp,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let end = Timestamp::from_millis(now.millis() + LIFE);
        // Its item outlives its token: the next push finds it, says so and closes it.
        let stored = Stored { since: now, until: token_expires.min(end), expires: end.seconds() + 1 };
        self.put(key(user, connection), &stored).await
    }

    /// Forgets a socket.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn remove_socket(&self, user: &UserId, connection: &str) -> Result<(), Error> {
        self.remove(key(user, connection)).await
    }

    /// The sockets of some users, read side by side. A push is a shortcut: where they cannot be read there are none.
    pub(crate) async fn sockets_of(&self, users: &[&UserId]) -> Vec<(UserId, Vec<Socket>)> {
        if !self.pushes {
            return Vec::new();
        }
        let mut users: Vec<&UserId> = users.to_vec();
        users.sort();
        users.dedup();
        let found = join_all(users.iter().map(|user| self.sockets(user))).await;
        let with_user = users.into_iter().zip(found).filter_map(|(user, sockets)| match sockets {
            Ok(sockets) => Some((user.clone(), sockets)),
            Err(error) => {
                tracing::warn!(error = reason(&error), "sockets cannot be read: nothing is pushed");
                None
            }
        });
        with_user.collect()
    }

    /// A user's sockets as they are stored, those whose tokens have expired included.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn sockets(&self, user: &UserId) -> Result<Vec<Socket>, Error> {
        let query = self.prefixed(&partition::of_user(user), "W#");
        self.query_all(query).await?.into_iter().map(read).collect()
    }

    /// Keeps a ticket that opens one socket.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn add_ticket(&self, user: &UserId, ticket: &str) -> Result<(), Error> {
        let expires = self.clock.now().seconds() + TICKET_LIFE;
        self.put(ticket_key(user, ticket), &StoredTicket { expires }).await
    }

    /// Uses a ticket up; `false` where it was used before, or has expired.
    ///
    /// # Errors
    /// `Unavailable` where the database is.
    #[boxed]
    pub async fn use_ticket(&self, user: &UserId, ticket: &str) -> Result<bool, Error> {
        let key = ticket_key(user, ticket);
        let write = Write::delete(key).if_after("expires", self.clock.now().seconds());
        let commit = self.commit(vec![write].into(), Instant::now()).await?;
        Ok(matches!(commit, Commit::Done(())))
    }
}

/// Reads a socket from its item.
pub(crate) fn read(item: Item) -> Result<Socket, Error> {
    let connection = suffix(&item, "sk", "W#")?.to_owned();
    let stored: Stored = from_item(item)?;
    Ok(Socket { connection, since: stored.since, until: stored.until })
}
