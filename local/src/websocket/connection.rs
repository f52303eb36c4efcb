//! The connections: what is known of each, what waits to be sent, and how its socket is told to end.
//!
//! Invariant: nobody waits here. A post is taken or refused at once, however slow the client is.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use aws_lambda_events::apigw::ApiGatewayRequestAuthorizer;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use domain::id::random;
use domain::time::Timestamp;
use tokio::time::Instant;

use super::ending::Ending;
use super::{BUFFER, BUFFERED};

/// Who opened a connection, from where and when.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) id: String,
    pub(super) connected_at: Timestamp,
    pub(super) source_ip: String,
    pub(super) user_agent: Option<String>,
    pub(super) authorizer: ApiGatewayRequestAuthorizer,
}

/// A connection that its connect function has let in.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) origin: Origin,
    pub(super) opened: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Bytes>,
    /// Bytes and messages that have not reached the client's machine: the queue, and the one being written.
    bytes: usize,
    messages: usize,
    /// Set once: the socket ends when the queue is empty, and takes no more.
    ending: Option<Ending>,
    /// Messages whose functions run.
    running: usize,
    active: Instant,
    waker: Option<Waker>,
}

/// Why a post is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The connection has ended, or is about to.
    Gone,
    /// The client does not read.
    Full,
}

/// What a socket is to do next.
pub(super) enum Order {
    Send(Bytes),
    End(Ending),
}

impl Connection {
    fn new(origin: Origin) -> Self {
        let opened = Instant::now();
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            messages: 0,
            ending: None,
            running: 0,
            active: opened,
            waker: None,
        };
        Self { origin, opened, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message. One always fits where none waits.
    pub(super) fn post(&self, message: Bytes) -> Result<(), Refused> {
        let mut state = self.state();
        if state.ending.is_some() {
            return Err(Refused::Gone);
        }
        let bytes = state.bytes + message.len();
        if state.messages == BUFFERED || (state.messages > 0 && bytes > BUFFER) {
            return Err(Refused::Full);
        }
        state.bytes = bytes;
        state.messages += 1;
        state.queue.push_back(message);
        state.wake();
        Ok(())
    }

    /// Has the socket end once the queue is empty. The first ending holds.
    pub(super) fn end(&self, ending: &Ending) -> Result<(), Refused> {
        let mut state = self.state();
        if state.ending.is_some() {
            return Err(Refused::Gone);
        }
        state.ending = Some(ending.clone());
        state.wake();
        Ok(())
    }

    /// How the socket was told to end.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.state().ending.clone()
    }

    /// The socket has ended: nothing more is taken, and what waited is dropped.
    pub(super) fn ended(&self, ending: &Ending) {
        let mut state = self.state();
        state.ending.get_or_insert_with(|| ending.clone());
        state.queue = VecDeque::new();
        state.waker = None;
    }

    /// Whom to wake once there is something to do.
    pub(super) fn wake_with(&self, waker: &Waker) {
        let mut state = self.state();
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
    }

    /// What to do next, if anything.
    pub(super) fn order(&self) -> Option<Order> {
        let mut state = self.state();
        let message = state.queue.pop_front().map(Order::Send);
        message.or_else(|| state.ending.clone().map(Order::End))
    }

    /// A message of that size is written.
    pub(super) fn sent(&self, bytes: usize) {
        let mut state = self.state();
        state.bytes -= bytes;
        state.messages -= 1;
        state.active = Instant::now();
    }

    /// A frame has come in.
    pub(super) fn received(&self) {
        self.state().active = Instant::now();
    }

    /// When something last went either way.
    pub(super) fn active(&self) -> Instant {
        self.state().active
    }

    /// Whether so many messages' functions run that the next must wait, or there is to be no next.
    pub(super) fn holds_back(&self, concurrent: usize) -> bool {
        let state = self.state();
        state.running >= concurrent || state.ending.is_some()
    }

    /// A message's function starts.
    pub(super) fn starts(&self) {
        self.state().running += 1;
    }

    /// A message's function has ended.
    pub(super) fn finishes(&self) {
        let mut state = self.state();
        state.running -= 1;
        state.wake();
    }
}

impl State {
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

/// The open connections, by id.
#[derive(Default)]
pub(super) struct Connections(Mutex<Table>);

#[derive(Default)]
struct Table {
    open: HashMap<String, Arc<Connection>>,
    closed: bool,
}

impl Connections {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection. Where the gateway has stopped meanwhile, it ends at once.
    pub(super) fn open(&self, origin: Origin) -> Arc<Connection> {
        let connection = Arc::new(Connection::new(origin));
        let mut table = self.table();
        if table.closed {
            // A new connection takes its first ending.
            let _ = connection.end(&Ending::GOING_AWAY);
        }
        table.open.insert(connection.origin.id.clone(), Arc::clone(&connection));
        connection
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Connection>> {
        self.table().open.get(id).cloned()
    }

    pub(super) fn remove(&self, id: &str) {
        self.table().open.remove(id);
    }

    pub(super) fn count(&self) -> usize {
        self.table().open.len()
    }

    /// Whether new sockets are refused.
    pub(super) fn closed(&self) -> bool {
        self.table().closed
    }

    /// Ends every connection, and any that comes later.
    pub(super) fn end_all(&self, ending: &Ending) {
        let mut table = self.table();
        table.closed = true;
        for connection in table.open.values() {
            let _ = connection.end(ending);
        }
    }
}

/// An id as API Gateway's are: 11 bytes, 16 characters with one `=`. Clients of the management API must encode it.
pub(super) fn id() -> String {
    let mut bytes = [0; 11];
    bytes[..8].copy_from_slice(&random().to_be_bytes());
    bytes[8..].copy_from_slice(&random().to_be_bytes()[..3]);
    URL_SAFE.encode(bytes)
}
