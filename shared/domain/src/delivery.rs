//! Events on their way to their receivers: into queues, and to the sockets that are open.

use crate::event::{Event, EventView};
use crate::id::{Stamp, UserId};
use crate::time::Timestamp;

/// Milliseconds that a handshake may take (API Gateway's limit of an integration).
const HANDSHAKE: i64 = 30_000;

/// An event for one receiver's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// The user whose queue it goes into.
    pub receiver: UserId,
    /// Its place in the queue.
    pub id: Stamp,
    /// The event.
    pub event: Event,
}

impl OutgoingEvent {
    /// An event for a receiver's queue.
    #[must_use]
    pub fn new(receiver: UserId, id: Stamp, event: Event) -> Self {
        Self { receiver, id, event }
    }
}

/// An open socket, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// API Gateway's id for it.
    pub connection: String,
    /// When it was opened.
    pub since: Timestamp,
    /// When its token expires, or API Gateway ends it.
    pub until: Timestamp,
}

impl Socket {
    /// Whether a push that finds it gone means that: one that races the handshake is told the same.
    #[must_use]
    pub fn is_settled(&self, now: Timestamp) -> bool {
        self.since.millis() + HANDSHAKE < now.millis()
    }
}

/// Events, and who holds sockets for them.
#[derive(Debug, Clone, Default)]
pub struct Delivery {
    /// Each with its receiver.
    pub events: Vec<(UserId, EventView)>,
    /// The sockets of each receiver.
    pub sockets: Vec<(UserId, Vec<Socket>)>,
}

impl Delivery {
    /// The events as their receivers see them; nothing where no receiver holds a socket.
    #[must_use]
    pub fn new(events: Vec<OutgoingEvent>, sockets: Vec<(UserId, Vec<Socket>)>) -> Self {
        if sockets.iter().all(|(_, sockets)| sockets.is_empty()) {
            return Self::default();
        }
        let events = events.into_iter().map(|OutgoingEvent { receiver, id, event }| {
            let shown = event.shown_to(&receiver, id);
            (receiver, shown)
        });
        Self { events: events.collect(), sockets }
    }

    /// Adds another delivery.
    pub fn extend(&mut self, other: Self) {
        self.events.extend(other.events);
        self.sockets.extend(other.sockets);
    }
}
