//! An open socket: one task that reads, writes and keeps its times.
//!
//! Invariant: a message leaves the queue only for the wire, in the order of the posts, and nothing follows a close
//! frame.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
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

use super::connection::{Connection, Order};
use super::ending::Ending;
use super::functions::invoke;
use super::{FRAME, Gateway, Limits, MESSAGE, Running, events};

/// What a socket reads at once. Idle ones hold it, so it is small.
const READ: usize = 2 * 1024;
/// What a socket writes at most before the client reads: a frame, and room for pongs.
const WRITE: usize = 2 * FRAME;

/// Runs a socket until it ends, and the disconnect function after it.
pub(super) async fn run(gateway: &Gateway, connection: &Arc<Connection>, upgraded: Upgraded) {
    let limits = gateway.0.limits;
    let mut socket = Socket::new(upgraded, connection, limits).await;
    let ending = loop {
        match poll_fn(|cx| socket.poll(cx, connection)).await {
            Event::Message(text) => deliver(gateway, connection, text.as_str().to_owned()),
            Event::End(ending) => break ending,
        }
    };
    let close = Box::pin(timeout(limits.closing, socket.hang_up(&ending)));
    let (_, ()) = tokio::join!(close, Box::pin(disconnect(gateway, connection, &ending)));
}

/// Forgets a connection and tells its disconnect function.
pub(super) async fn disconnect(gateway: &Gateway, connection: &Connection, ending: &Ending) {
    let inner = &gateway.0;
    connection.ended(ending);
    inner.connections.remove(&connection.origin.id);
    let event = events::disconnect(inner, &connection.origin, ending);
    if let Err(failure) = invoke(&inner.functions.disconnect, event, inner.limits.integration).await {
        tracing::warn!(%failure, "the disconnect function failed");
    }
}

/// Hands a message to its function, in a task of its own.
fn deliver(gateway: &Gateway, connection: &Arc<Connection>, body: String) {
    connection.starts();
    let running = Running::new(gateway);
    let connection = Arc::clone(connection);
    tokio::spawn(async move {
        let inner = &running.0.0;
        let event = events::message(inner, &connection.origin, body);
        let request_id = event.request_context.request_id.clone();
        if let Err(failure) = invoke(&inner.functions.message, event, inner.limits.integration).await {
            tracing::warn!(%failure, "the message function failed");
            let id = &connection.origin.id;
            let text =
                json!({ "message": "Internal server error", "connectionId": id, "requestId": request_id });
            // A client that is gone or does not read does not learn of it.
            let _ = connection.post(text.to_string().into());
        }
        connection.finishes();
    });
}

enum Event {
    Message(Utf8Bytes),
    End(Ending),
}

struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    sending: Option<Sending>,
    /// A frame that the library has handed back, as pongs fill its buffer.
    refused: Option<Message>,
    timer: Pin<Box<Sleep>>,
    /// When an ordered end no longer waits for what is left to be sent.
    cut: Option<Instant>,
    limits: Limits,
}

/// A message on its way, in frames.
struct Sending {
    rest: Bytes,
    size: usize,
    begun: bool,
}

impl Sending {
    fn frame(&mut self) -> Option<Frame> {
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
    async fn new(upgraded: Upgraded, connection: &Connection, limits: Limits) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_write_buffer_size(WRITE)
            .max_frame_size(Some(FRAME))
            .max_message_size(Some(MESSAGE));
        let stream = TokioIo::new(upgraded);
        let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let timer = Box::pin(sleep_until(connection.opened + limits.idle.min(limits.life)));
        Self { stream, sending: None, refused: None, timer, cut: None, limits }
    }

    fn poll(&mut self, cx: &mut Context<'_>, connection: &Connection) -> Poll<Event> {
        connection.wake_with(cx.waker());
        if let Poll::Ready(ending) = self.poll_send(cx, connection) {
            return Poll::Ready(Event::End(ending));
        }
        if let Poll::Ready(event) = self.poll_receive(cx, connection) {
            return Poll::Ready(event);
        }
        self.poll_time(cx, connection).map(Event::End)
    }

    /// Sends what is queued; ready once the socket is to end.
    fn poll_send(&mut self, cx: &mut Context<'_>, connection: &Connection) -> Poll<Ending> {
        loop {
            if let Some(sending) = &mut self.sending {
                let size = sending.size;
                let Ok(()) = ready!(self.poll_frames(cx)) else { return Poll::Ready(Ending::LOST) };
                connection.sent(size);
                self.sending = None;
            }
            match connection.order() {
                Some(Order::Send(message)) => {
                    let size = message.len();
                    self.sending = Some(Sending { rest: message, size, begun: false });
                }
                Some(Order::End(ending)) => return Poll::Ready(ending),
                None => return Poll::Pending,
            }
        }
    }

    /// Writes the frames of the message on its way.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            ready!(Pin::new(&mut self.stream).poll_ready(cx))?;
            let next = self.sending.as_mut().and_then(Sending::frame).map(Message::Frame);
            let Some(frame) = self.refused.take().or(next) else {
                return Pin::new(&mut self.stream).poll_flush(cx);
            };
            match Pin::new(&mut self.stream).start_send(frame) {
                Err(Error::WriteBufferFull(frame)) => {
                    self.refused = Some(*frame);
                    ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                }
                done => done?,
            }
        }
    }

    /// Reads the next message; pings are answered on the way.
    fn poll_receive(&mut self, cx: &mut Context<'_>, connection: &Connection) -> Poll<Event> {
        loop {
            if connection.holds_back(self.limits.concurrent) {
                return Poll::Pending;
            }
            let message = match ready!(Pin::new(&mut self.stream).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Event::End(Ending::by_error(&error))),
                None => return Poll::Ready(Event::End(Ending::LOST)),
            };
            connection.received();
            match message {
                Message::Text(text) => return Poll::Ready(Event::Message(text)),
                Message::Binary(_) => return Poll::Ready(Event::End(Ending::BINARY)),
                Message::Close(frame) => return Poll::Ready(Event::End(Ending::by_client(frame))),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Ready once the socket has been idle for too long, is too old, or has had its time to end.
    fn poll_time(&mut self, cx: &mut Context<'_>, connection: &Connection) -> Poll<Ending> {
        let ordered = connection.ending();
        if ordered.is_some() && self.cut.is_none() {
            let cut = Instant::now() + self.limits.closing;
            self.cut = Some(cut);
            self.timer.as_mut().reset(cut);
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let due = match self.cut {
                Some(cut) => cut,
                None => (connection.active() + self.limits.idle).min(connection.opened + self.limits.life),
            };
            if Instant::now() >= due {
                return Poll::Ready(ordered.unwrap_or(Ending::GOING_AWAY));
            }
            self.timer.as_mut().reset(due);
        }
    }

    /// Says goodbye, and waits for the client to do so. Where its frames can no longer be read, what it still sends is
    /// taken in: were the socket dropped with something unread, the client might be told of a reset instead.
    async fn hang_up(mut self, ending: &Ending) -> Result<(), Error> {
        match ending.frame() {
            Some(frame) => self.stream.send(Message::Close(Some(frame))).await?,
            None => SinkExt::<Message>::flush(&mut self.stream).await?,
        }
        let mut legible = !self.stream.is_terminated();
        while legible {
            match self.stream.next().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => legible = false,
                None => break,
            }
        }
        let stream = self.stream.get_mut();
        stream.shutdown().await?;
        let mut scratch = vec![0; READ];
        while !legible && stream.read(&mut scratch).await? > 0 {}
        Ok(())
    }
}
