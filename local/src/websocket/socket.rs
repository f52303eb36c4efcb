//! An open socket: one task reads, writes, and enforces the time limits.
//!
//! Invariant: messages are sent in the order of their posts, a message leaves the queue only to be sent, and nothing is
//! sent after a close frame.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use domain::id::Clock;
use domain::time::Timestamp;
use futures_util::stream::FusedStream;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::connection::{Command, Connection};
use super::ending::Ending;
use super::events;
use super::functions::invoke;
use super::gateway::{Gateway, Running};
use super::limits::{FRAME, Limits, MESSAGE};

/// Size of the read buffer in bytes. Idle sockets keep it, so it is small.
const READ: usize = 2 * 1024;
/// Size limit of the write buffer in bytes: one frame, and room for pongs.
const WRITE: usize = 2 * FRAME;

/// Runs a socket until it ends, and then its disconnect function.
pub(super) async fn run(gateway: &Gateway, connection: &Arc<Connection>, upgraded: Upgraded) {
    let limits = gateway.0.limits;
    let mut socket = Socket::new(upgraded, connection, limits, gateway.0.clock.clone()).await;
    let ending = loop {
        match poll_fn(|cx| socket.poll(cx, connection)).await {
            Event::Message(text) => deliver(gateway, connection, text.as_str().to_owned()),
            Event::Expired => deliver(gateway, connection, String::new()),
            Event::End(ending) => break ending,
        }
    };
    let close = Box::pin(timeout(limits.closing, socket.close(&ending)));
    let (_, ()) = tokio::join!(close, Box::pin(disconnect(gateway, connection, &ending)));
}

/// Removes a connection and calls its disconnect function.
pub(super) async fn disconnect(gateway: &Gateway, connection: &Connection, ending: &Ending) {
    let inner = &gateway.0;
    connection.mark_ended(ending);
    inner.connections.remove(&connection.origin.id);
    let event = events::disconnect(inner, &connection.origin, ending);
    if let Err(failure) = invoke(&inner.functions.disconnect, event, inner.limits.integration).await {
        tracing::warn!(%failure, "the disconnect function failed");
    }
}

/// Calls the message function with a message, in a separate task, once the connection's earlier messages are processed.
fn deliver(gateway: &Gateway, connection: &Arc<Connection>, body: String) {
    let mut next = connection.start_message(body);
    if next.is_none() {
        return;
    }
    let running = Running::new(gateway);
    let connection = Arc::clone(connection);
    tokio::spawn(async move {
        while let Some(body) = next {
            process(&running.0, &connection, body).await;
            next = connection.finish_message();
        }
    });
}

/// Calls the message function with a message, and tells the client if it fails.
async fn process(gateway: &Gateway, connection: &Connection, body: String) {
    let inner = &gateway.0;
    let event = events::message(inner, &connection.origin, body);
    let request_id = event.request_context.request_id.clone();
    if let Err(failure) = invoke(&inner.functions.message, event, inner.limits.integration).await {
        tracing::warn!(%failure, "the message function failed");
        let id = &connection.origin.id;
        let text = json!({ "message": "Internal server error", "connectionId": id, "requestId": request_id });
        // Fails if the client is gone or does not read: then it does not learn of the error.
        let _ = connection.post(text.to_string().into());
    }
}

enum Event {
    Message(Utf8Bytes),
    /// The socket's authorization has expired.
    Expired,
    End(Ending),
}

struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    sending: Option<Sending>,
    /// A frame that the library did not accept because pongs fill its buffer.
    unsent: Option<Message>,
    timer: Pin<Box<Sleep>>,
    /// Once an ending is set: when to close even if messages remain unsent.
    deadline: Option<Instant>,
    limits: Limits,
    clock: Clock,
}

/// A message that is being sent in frames.
struct Sending {
    rest: Bytes,
    size: usize,
    begun: bool,
}

impl Sending {
    fn next_frame(&mut self) -> Option<Frame> {
        if self.begun && self.rest.is_empty() {
            return None;
        }
        let part = self.rest.split_to(self.rest.len().min(FRAME));
        let kind = if self.begun { Data::Continue } else { Data::Text };
        self.begun = true;
        Some(Frame::message(part, OpCode::Data(kind), self.rest.is_empty()))
    }
}

impl Socket {
    async fn new(upgraded: Upgraded, connection: &Connection, limits: Limits, clock: Clock) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE)
            .max_frame_size(Some(FRAME))
            .max_message_size(Some(MESSAGE));
        let stream = TokioIo::new(upgraded);
        let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        // The first look at the time sets the timer.
        let timer = Box::pin(sleep_until(connection.opened));
        Self { stream, sending: None, unsent: None, timer, deadline: None, limits, clock }
    }

    fn poll(&mut self, cx: &mut Context<'_>, connection: &Connection) -> Poll<Event> {
        connection.set_waker(cx.waker());
        if let Poll::Ready(ending) = self.poll_send(cx, connection) {
            return Poll::Ready(Event::End(ending));
        }
        if let Poll::Ready(event) = self.poll_receive(cx, connection) {
            return Poll::Ready(event);
        }
        self.poll_time(cx, connection)
    }

    /// Sends the queued messages. Ready once the socket must end.
    fn poll_send(&mut self, cx: &mut Context<'_>, connection: &Connection) -> Poll<Ending> {
        loop {
            if let Some(sending) = &mut self.sending {
                let size = sending.size;
                let Ok(()) = ready!(self.poll_frames(cx)) else { return Poll::Ready(Ending::LOST) };
                connection.mark_sent(size);
                self.sending = None;
            }
            match connection.next_command() {
                Some(Command::Send(message)) => {
                    let size = message.len();
                    self.sending = Some(Sending { rest: message, size, begun: false });
                }
                Some(Command::End(ending)) => return Poll::Ready(ending),
                None => return Poll::Pending,
            }
        }
    }

    /// Writes the frames of the message that is being sent.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            ready!(Pin::new(&mut self.stream).poll_ready(cx))?;
            let next = self.sending.as_mut().and_then(Sending::next_frame).map(Message::Frame);
            let Some(frame) = self.unsent.take().or(next) else {
                return Pin::new(&mut self.stream).poll_flush(cx);
            };
            match Pin::new(&mut self.stream).start_send(frame) {
                Err(Error::WriteBufferFull(frame)) => {
                    self.unsent = Some(*frame);
                    ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                }
                done => done?,
            }
        }
    }

    /// Reads the next message, and answers pings meanwhile.
    fn poll_receive(&mut self, cx: &mut Context<'_>, connection: &Connection) -> Poll<Event> {
        loop {
            if connection.pauses_reading(self.limits.unprocessed) {
                return Poll::Pending;
            }
            let message = match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Event::End(Ending::by_error(&error))),
                None => return Poll::Ready(Event::End(Ending::LOST)),
            };
            connection.mark_received();
            match message {
                Message::Text(text) => return Poll::Ready(Event::Message(text)),
                Message::Binary(_) => return Poll::Ready(Event::End(Ending::BINARY)),
                Message::Close(frame) => return Poll::Ready(Event::End(Ending::by_client(frame))),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Ready once the socket has been idle for too long, is too old, or has not closed within its deadline, and when its
    /// authorization has expired.
    fn poll_time(&mut self, cx: &mut Context<'_>, connection: &Connection) -> Poll<Event> {
        let ending = connection.ending();
        if ending.is_some() && self.deadline.is_none() {
            let deadline = Instant::now() + self.limits.closing;
            self.deadline = Some(deadline);
            self.timer.as_mut().reset(deadline);
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let due = self.deadline.unwrap_or_else(|| {
                (connection.last_active() + self.limits.idle).min(connection.opened + self.limits.life)
            });
            if Instant::now() >= due {
                return Poll::Ready(Event::End(ending.unwrap_or(Ending::GOING_AWAY)));
            }
            let expiry = connection.expires().filter(|_| ending.is_none()).map(|at| self.until(at));
            if expiry.is_some_and(|left| left.is_zero()) {
                connection.mark_expired();
                return Poll::Ready(Event::Expired);
            }
            let expiry = expiry.and_then(|left| Instant::now().checked_add(left));
            self.timer.as_mut().reset(expiry.map_or(due, |expiry| expiry.min(due)));
        }
    }

    /// How long it is until a time of day; zero once it has passed.
    fn until(&self, time: Timestamp) -> Duration {
        let millis = time.millis().saturating_sub(self.clock.now().millis());
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Sends a close frame, unless the client closed first, and waits until the client has closed. Also discards bytes
    /// that can no longer be parsed as frames: dropping a socket with unread bytes could reset the connection before
    /// the client has read the close frame.
    async fn close(mut self, ending: &Ending) -> Result<(), Error> {
        match ending.frame() {
            Some(frame) => self.stream.send(Message::Close(Some(frame))).await?,
            None => SinkExt::<Message>::flush(&mut self.stream).await?,
        }
        let mut is_readable = !self.stream.is_terminated();
        while is_readable {
            match self.stream.next().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => is_readable = false,
                None => break,
            }
        }
        let stream = self.stream.get_mut();
        stream.shutdown().await?;
        let mut scratch = vec![0; READ];
        while !is_readable && stream.read(&mut scratch).await? > 0 {}
        Ok(())
    }
}
