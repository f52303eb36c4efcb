//! Sockets (WebSocket connections), and the tickets that open them.
//!
//! Invariant: a stored socket is only a hint. A push that finds it closed deletes it; no event is lost, because the
//! queue has all of them.

use async_recursion::async_recursion as boxed;
use domain::delivery::Socket;
use domain::error::Error;
use domain::id::{SessionId, UserId};
use domain::limits;
use domain::time::{Timestamp, millis};
use futures_util::future::join_all;
use observe::log::reason;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::charging::KnownBucket;
use crate::client::Store;
use crate::failure::failed_call;
use crate::item::{Attribute, Item, Key, Write, from_item, suffix, text};
use crate::partition;
use crate::transact::Commit;

/// Milliseconds for which a socket is stored: API Gateway closes connections after two hours.
const LIFE: i64 = (2 * 60 + 10) * 60 * 1000;
/// Seconds for which a ticket is valid.
pub const TICKET_LIFE: i64 = 30;

fn key(user: &UserId, connection: &str) -> Key {
    Key { pk: partition::of_user(user), sk: format!("W#{connection}") }
}

/// Sorts below `PRESENCE`, so that a look-up of presence, which reads from there to the sockets, reads no tickets.
fn ticket_key(user: &UserId, ticket: &str) -> Key {
    Key { pk: partition::of_user(user), sk: format!("K#{ticket}") }
}

/// The attributes of a socket's item, without its key.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(with = "millis")]
    since: Timestamp,
    #[serde(with = "millis")]
    until: Timestamp,
    /// The session of the socket's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    expires: i64,
}

#[derive(Serialize)]
struct StoredTicket {
    expires: i64,
}

impl Store {
    /// Stores a socket for as long as API Gateway may keep it open. `token_expires` is the end of the user's token, and
    /// `session` the session that it was issued for.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn add_socket(
        &self,
        user: &UserId,
        connection: &str,
        token_expires: Timestamp,
        session: Option<&SessionId>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let end = Timestamp::from_millis(now.millis() + LIFE);
        // The item outlives the token: the first push after that tells the client and closes the socket.
        let stored = Stored {
            since: now,
            until: token_expires.min(end),
            session: session.cloned(),
            expires: end.seconds() + 1,
        };
        self.put(key(user, connection), &stored).await
    }

    /// Deletes a socket's item.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn remove_socket(&self, user: &UserId, connection: &str) -> Result<(), Error> {
        self.remove(key(user, connection)).await
    }

    /// Deletes the sockets of all users that were opened before a time. For a gateway that has lost them: it scans the
    /// whole table, so only the local stack does it, when it starts.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn remove_sockets_before(&self, time: Timestamp) -> Result<usize, Error> {
        let keys = self
            .db
            .scan()
            .table_name(&self.table)
            .projection_expression("pk, sk")
            .filter_expression("begins_with(sk, :socket) AND since < :time")
            .expression_attribute_values(":socket", "W#".attribute())
            .expression_attribute_values(":time", time.attribute());
        let mut pages = keys.into_paginator().items().send();
        let mut removed = 0;
        while let Some(item) = pages.next().await {
            let item = item.map_err(failed_call)?;
            self.remove(Key { pk: text(&item, "pk")?.to_owned(), sk: text(&item, "sk")?.to_owned() }).await?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Reads the sockets of some users concurrently. A user whose sockets cannot be read is left out: pushes are only
    /// a shortcut to the queue.
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
                tracing::warn!(error = reason(&error), "cannot read sockets: nothing is pushed");
                None
            }
        });
        with_user.collect()
    }

    /// Returns a user's stored sockets, those with expired tokens included.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn sockets(&self, user: &UserId) -> Result<Vec<Socket>, Error> {
        let query = self.prefixed(&partition::of_user(user), "W#");
        self.query_all(query).await?.into_iter().map(read).collect()
    }

    /// Returns a user's stored sockets, including those that were stored just before.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn current_sockets(&self, user: &UserId) -> Result<Vec<Socket>, Error> {
        let query = self.prefixed(&partition::of_user(user), "W#").consistent_read(true);
        self.query_all(query).await?.into_iter().map(read).collect()
    }

    /// Stores a ticket, which opens one socket.
    ///
    /// # Errors
    /// `RateLimited` after too many tickets.
    #[boxed]
    pub async fn add_ticket(&self, user: &UserId, ticket: &str) -> Result<(), Error> {
        let stored = StoredTicket { expires: self.clock.now().seconds() + TICKET_LIFE };
        let (began, mut bucket) = (Instant::now(), KnownBucket::default());
        loop {
            let put = Write::put(ticket_key(user, ticket), &stored)?;
            let transaction = self.charged(user, &limits::TICKETS, bucket, vec![put])?;
            match self.commit(transaction, began).await? {
                Commit::Done(()) => return Ok(()),
                Commit::Refused(refusals) => bucket.learn(&refusals, &limits::TICKETS),
            }
        }
    }

    /// Consumes a ticket. Returns `false` if it is unknown, was used before or has expired.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
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
    Ok(Socket { connection, since: stored.since, until: stored.until, session: stored.session })
}
