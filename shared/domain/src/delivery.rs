//! Events to deliver: into their receivers' queues, and to open sockets.

use std::collections::BTreeMap;

use crate::event::{Event, EventView};
use crate::id::{SessionId, Stamp, UserId};
use crate::links::Links;
use crate::time::Timestamp;

/// Maximum duration of a handshake, in milliseconds (API Gateway's limit for an integration).
const HANDSHAKE: i64 = 30_000;

/// An event for one receiver's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// The user whose queue stores the event.
    pub receiver: UserId,
    /// The event's position in the queue.
    pub id: Stamp,
    /// The event.
    pub event: Event,
}

impl OutgoingEvent {
    /// Addresses an event to a receiver's queue.
    #[must_use]
    pub fn new(receiver: UserId, id: Stamp, event: Event) -> Self {
        Self { receiver, id, event }
    }
}

/// An open socket, as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// API Gateway's id of the connection.
    pub connection: String,
    /// When it was opened.
    pub since: Timestamp,
    /// When its token expires or API Gateway closes it, whichever comes first.
    pub until: Timestamp,
    /// The session of its token, if the user registered here.
    pub session: Option<SessionId>,
}

impl Socket {
    /// Whether 410 Gone means that the socket is closed. During the handshake, API Gateway answers a push with 410 as
    /// well.
    #[must_use]
    pub fn is_settled(&self, now: Timestamp) -> bool {
        self.since.millis() + HANDSHAKE < now.millis()
    }
}

/// Events to push, and their receivers' sockets.
#[derive(Debug, Clone, Default)]
pub struct Delivery {
    /// Each event with its receiver.
    pub events: Vec<(UserId, EventView)>,
    /// The sockets of each receiver.
    pub sockets: BTreeMap<UserId, Vec<Socket>>,
}

impl Delivery {
    /// Converts events to the form that their receivers see. Empty if no receiver has a socket.
    #[must_use]
    pub fn new(events: Vec<OutgoingEvent>, sockets: Vec<(UserId, Vec<Socket>)>, links: &Links) -> Self {
        if sockets.iter().all(|(_, sockets)| sockets.is_empty()) {
            return Self::default();
        }
        let events = events.into_iter().map(|OutgoingEvent { receiver, id, event }| {
            let shown = event.shown_to(&receiver, id, links);
            (receiver, shown)
        });
        Self { events: events.collect(), sockets: sockets.into_iter().collect() }
    }

    /// Adds a later delivery. Each socket gets each event once: of a receiver in both, the sockets that were read last
    /// are kept.
    pub fn extend(&mut self, other: Self) {
        self.events.extend(other.events);
        self.sockets.extend(other.sockets);
    }
}
