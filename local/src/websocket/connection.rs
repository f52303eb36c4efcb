//! The connections: the origin, the queue of outgoing messages, and the ending of each.
//!
//! Invariant: nothing blocks here. A post is queued or refused immediately, however slow the client is.

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
use super::limits::{BUFFER, BUFFERED};

/// The id of a connection, and when, from where and by whom it was opened.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) id: String,
    pub(super) connected_at: Timestamp,
    pub(super) source_ip: String,
    pub(super) user_agent: Option<String>,
    pub(super) authorizer: ApiGatewayRequestAuthorizer,
}

/// A connection that its connect function has accepted.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) origin: Origin,
    pub(super) opened: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Bytes>,
    /// Size of the messages that are not sent yet: the queue, and the message being written.
    bytes: usize,
    /// Number of these messages.
    messages: usize,
    /// Set at most once. From then on posts are refused, and the socket closes when the queue is empty.
    ending: Option<Ending>,
    /// Messages that wait for their turn, in the order in which they came.
    waiting: VecDeque<String>,
    /// Whether a message's function is running.
    is_running: bool,
    /// When the socket's authorization expires. Cleared once its message function is called because of that.
    expires: Option<Timestamp>,
    active: Instant,
    waker: Option<Waker>,
}

/// Why a post is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The connection has ended or is ending.
    Gone,
    /// The queue is full because the client does not read.
    Full,
}

/// A command to a socket.
pub(super) enum Command {
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
            waiting: VecDeque::new(),
            is_running: false,
            expires: expiry_of(&origin.authorizer),
            active: opened,
            waker: None,
        };
        Self { origin, opened, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message, of any size if no other message is queued or being written.
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

    /// Closes the socket once the queue is empty. The first ending counts.
    pub(super) fn end(&self, ending: &Ending) -> Result<(), Refused> {
        let mut state = self.state();
        if state.ending.is_some() {
            return Err(Refused::Gone);
        }
        state.ending = Some(ending.clone());
        state.wake();
        Ok(())
    }

    /// Returns the ending, if one is set.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.state().ending.clone()
    }

    /// Marks the socket as ended: refuses further posts and drops the queue.
    pub(super) fn mark_ended(&self, ending: &Ending) {
        let mut state = self.state();
        state.ending.get_or_insert_with(|| ending.clone());
        state.queue = VecDeque::new();
        state.waker = None;
    }

    /// Sets the waker of the socket's task, which is woken when there is something to do.
    pub(super) fn set_waker(&self, waker: &Waker) {
        let mut state = self.state();
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
    }

    /// Takes the next message from the queue, or else returns the ending, if one is set.
    pub(super) fn next_command(&self) -> Option<Command> {
        let mut state = self.state();
        let message = state.queue.pop_front().map(Command::Send);
        message.or_else(|| state.ending.clone().map(Command::End))
    }

    /// Records that a message of this size has been written.
    pub(super) fn mark_sent(&self, bytes: usize) {
        let mut state = self.state();
        state.bytes -= bytes;
        state.messages -= 1;
        state.active = Instant::now();
    }

    /// Records that a frame has been received.
    pub(super) fn mark_received(&self) {
        self.state().active = Instant::now();
    }

    /// Returns the time of the last activity in either direction.
    pub(super) fn last_active(&self) -> Instant {
        self.state().active
    }

    /// Whether reading must pause: too many messages are not processed yet, or the socket is ending.
    pub(super) fn pauses_reading(&self, unprocessed: usize) -> bool {
        let state = self.state();
        state.waiting.len() + usize::from(state.is_running) >= unprocessed || state.ending.is_some()
    }

    /// Takes in a message. Returns it if its function may run now, because no other is running.
    pub(super) fn start_message(&self, body: String) -> Option<String> {
        let mut state = self.state();
        if state.is_running {
            state.waiting.push_back(body);
            return None;
        }
        state.is_running = true;
        Some(body)
    }

    /// Records that a message's function has ended. Returns the next message, if one is waiting.
    pub(super) fn finish_message(&self) -> Option<String> {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        state.is_running = next.is_some();
        state.wake();
        next
    }

    /// When the socket's authorization expires, unless that was handled already.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.state().expires
    }

    /// Records that the expiry of the authorization is handled.
    pub(super) fn mark_expired(&self) {
        self.state().expires = None;
    }
}

/// Returns the time in `expires` of an authorizer's context, in milliseconds since 1970.
fn expiry_of(authorizer: &ApiGatewayRequestAuthorizer) -> Option<Timestamp> {
    let millis = authorizer.fields.get("expires")?.as_str()?.parse().ok()?;
    Some(Timestamp::from_millis(millis))
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

    /// Adds a connection, which ends immediately if the gateway has stopped meanwhile.
    pub(super) fn open(&self, origin: Origin) -> Arc<Connection> {
        let connection = Arc::new(Connection::new(origin));
        let mut table = self.table();
        if table.closed {
            // Cannot fail: a new connection has no ending yet.
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
    pub(super) fn is_closed(&self) -> bool {
        self.table().closed
    }

    /// Ends every connection. Later ones end immediately.
    pub(super) fn end_all(&self, ending: &Ending) {
        let mut table = self.table();
        table.closed = true;
        for connection in table.open.values() {
            let _ = connection.end(ending);
        }
    }
}

/// Returns an id in API Gateway's form: 11 random bytes as 16 characters with one `=`, which clients of the management
/// API must percent-encode.
pub(super) fn id() -> String {
    let mut bytes = [0; 11];
    bytes[..8].copy_from_slice(&random().to_be_bytes());
    bytes[8..].copy_from_slice(&random().to_be_bytes()[..3]);
    URL_SAFE.encode(bytes)
}
