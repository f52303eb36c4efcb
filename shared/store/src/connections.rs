//! Sockets (WebSocket connections), and the tickets that open them.
//!
//! A user's sockets are attributes of one item, so that the sockets of up to 100 users are one call. Each user has at
//! most [`limits::MAX_SOCKETS`], of about 90 bytes each.
//!
//! Invariant: a stored socket is only a hint. A push that finds it closed deletes it; no event is lost, because the
//! queue has all of them.

use async_recursion::async_recursion as boxed;
use aws_sdk_dynamodb::operation::scan::ScanInput;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::delivery::Socket;
use domain::error::Error;
use domain::id::{SessionId, UserId};
use domain::limits;
use domain::time::{Timestamp, millis};
use observe::log::reason;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::charging::KnownBucket;
use crate::client::Store;
use crate::failure::failed_call;
use crate::item::{Attribute, Attributes, Item, Key};
use crate::publishing::UserSockets;
use crate::transact::Commit;
use crate::write::Write;
use crate::{partition, profiles};

/// Milliseconds for which a socket is stored: API Gateway closes connections after two hours.
const LIFE: i64 = (2 * 60 + 10) * 60 * 1000;
/// Seconds for which a ticket is valid.
pub const TICKET_LIFE: i64 = 30;

/// The attribute of a connection begins with this.
const PREFIX: &str = "w_";

/// The sort key of a user's sockets: above `PRESENCE`, so that one query reads both.
pub(crate) const SORT_KEY: &str = "SOCKETS";

fn key(user: &UserId) -> Key {
    Key { pk: partition::of_user(user), sk: SORT_KEY.into() }
}

/// Sorts below `PRESENCE`, so that a look-up of presence, which reads from there to the sockets, reads no tickets.
fn ticket_key(user: &UserId, ticket: &str) -> Key {
    Key { pk: partition::of_user(user), sk: format!("K#{ticket}") }
}

/// The value of a socket's attribute.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(with = "millis")]
    since: Timestamp,
    #[serde(with = "millis")]
    until: Timestamp,
    /// The session of the socket's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
}

impl Attribute for Stored {
    fn attribute(&self) -> AttributeValue {
        let mut fields = Attributes::from([
            ("since".to_owned(), self.since.attribute()),
            ("until".to_owned(), self.until.attribute()),
        ]);
        fields.extend(self.session.as_ref().map(|id| ("session".to_owned(), id.to_string().attribute())));
        AttributeValue::M(fields)
    }
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
        // A socket outlives its token: the first push after that tells the client and closes the socket.
        let stored = Stored { since: now, until: token_expires.min(end), session: session.cloned() };
        let write = Write::update(key(user)).set(&format!("{PREFIX}{connection}"), &stored);
        let stored = self.update_one(write.set("expires", &(end.seconds() + 1))).await?.unwrap_or_default();
        // API Gateway has closed these, but `$disconnect` is called at most once.
        let all = read(&stored)?;
        let closed: Vec<&str> =
            all.iter().filter(|one| has_ended(one, now)).map(|one| one.connection.as_str()).collect();
        if closed.is_empty() { Ok(()) } else { self.remove_sockets(user, &closed).await }
    }

    /// Deletes sockets of a user, where they are stored.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn remove_sockets(&self, user: &UserId, connections: &[&str]) -> Result<(), Error> {
        let write = connections.iter().fold(Write::update(key(user)), |write, connection| {
            write.remove(&format!("{PREFIX}{connection}"))
        });
        self.update_one(write.if_present("pk")).await.map(|_| ())
    }

    /// Deletes the sockets of all users that were opened before a time. For a gateway that has lost them: it scans the
    /// whole table, so only the local stack does it, when it starts.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn remove_sockets_before(&self, time: Timestamp) -> Result<usize, Error> {
        let mut scan = ScanInput::builder()
            .table_name(&self.table)
            .filter_expression("sk = :sockets")
            .expression_attribute_values(":sockets", SORT_KEY.attribute());
        let mut removed = 0;
        loop {
            let page = self.db.call(scan.clone()).await.map_err(failed_call)?;
            for item in page.items.into_iter().flatten().map(Item::from) {
                let (user, sockets) = (profiles::owner(&item)?, read(&item)?);
                let lost = sockets.iter().filter(|socket| socket.since < time);
                let lost: Vec<&str> = lost.map(|socket| socket.connection.as_str()).collect();
                if !lost.is_empty() {
                    self.remove_sockets(&user, &lost).await?;
                }
                removed += lost.len();
            }
            match page.last_evaluated_key {
                None => return Ok(removed),
                start => scan = scan.set_exclusive_start_key(start),
            }
        }
    }

    /// Reads the sockets of some users, of up to 100 in each call. Users without sockets are left out. If a call fails,
    /// returns `None`: pushes are only a shortcut to the queue.
    pub(crate) async fn sockets_of(&self, users: &[&UserId]) -> Option<UserSockets> {
        if !self.pushes || users.is_empty() {
            return Some(Vec::new());
        }
        let keys = users.iter().map(|user| key(user)).collect();
        let items = self.items_by_keys(keys, false).await;
        let found = items.and_then(|items| {
            items.iter().map(|item| Ok((profiles::owner(item)?, read(item)?))).collect::<Result<_, Error>>()
        });
        let log = |error: &Error| {
            tracing::warn!(error = reason(error), "cannot read sockets: nothing is pushed");
        };
        found.inspect_err(log).ok()
    }

    /// Returns a user's sockets, including those that were stored just before and those with expired tokens.
    ///
    /// # Errors
    /// `Unavailable` if the database is unavailable.
    #[boxed]
    pub async fn sockets(&self, user: &UserId) -> Result<Vec<Socket>, Error> {
        self.get(key(user), true).await?.map_or_else(|| Ok(Vec::new()), |item| read(&item))
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

/// Whether API Gateway has closed a socket because of its age.
fn has_ended(socket: &Socket, now: Timestamp) -> bool {
    socket.since.millis() + LIFE < now.millis()
}

/// Reads a user's sockets from their item, by connection.
pub(crate) fn read(item: &Item) -> Result<Vec<Socket>, Error> {
    let sockets: Vec<(String, Stored)> = item.prefixed(PREFIX)?;
    let socket =
        |(connection, Stored { since, until, session })| Socket { connection, since, until, session };
    let mut sockets: Vec<Socket> = sockets.into_iter().map(socket).collect();
    sockets.sort_by(|one, other| one.connection.cmp(&other.connection));
    Ok(sockets)
}
