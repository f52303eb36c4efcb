//! Measures the delivery time of messages between users on sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::client::User;
use crate::failure::Failure;
use crate::load::Load;
use crate::seed::Pair;
use crate::text::Texts;

/// Minimum number of messages in a measurement, so that the 99th percentile means something.
pub(crate) const MIN_MESSAGES: usize = 100;
/// How long to wait for an outstanding push, and for the server to notice closed sockets.
const GRACE: Duration = Duration::from_secs(1);
/// Size of a socket's read buffer in bytes. The default is larger, and each socket allocates its own buffer.
const BUFFER: usize = 4 * 1024;

/// How a server speaks over its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// JSON frames at `/ws`.
    Tidings,
    /// Socket.IO 5 over Engine.IO 4, at `/socket.io/`.
    /// <https://socket.io/docs/v4/socket-io-protocol/>
    SocketIo,
}

/// A user's socket.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    protocol: Protocol,
}

impl Socket {
    /// Opens a socket.
    pub(crate) async fn open(address: SocketAddr, user: &User, protocol: Protocol) -> Result<Self, Failure> {
        let path = match protocol {
            Protocol::Tidings => "ws?",
            Protocol::SocketIo => "socket.io/?EIO=4&transport=websocket&",
        };
        let url = format!("ws://{address}/{path}token={}", user.token()?);
        let config = WebSocketConfig::default().read_buffer_size(BUFFER);
        let (stream, _) = connect_async_with_config(url, Some(config), true).await?;
        let mut socket = Self { stream, protocol };
        if protocol == Protocol::SocketIo {
            socket.stream.send(Message::text("40")).await?;
            while !socket.frame().await?.starts_with("40") {}
        }
        Ok(socket)
    }

    /// Waits for the next frame with a text.
    pub(crate) async fn frame(&mut self) -> Result<Utf8Bytes, Failure> {
        loop {
            match self.stream.next().await.ok_or("a socket ended early")?? {
                // A ping of Engine.IO.
                Message::Text(text) if text == "2" => self.stream.send(Message::text("3")).await?,
                Message::Text(text) => return Ok(text),
                Message::Close(_) => return Err("a socket was closed".into()),
                _ => {}
            }
        }
    }

    /// Sends a message and waits for its ack.
    async fn send(&mut self, to: &str, text: &str) -> Result<(), Failure> {
        let (frame, ack) = match self.protocol {
            Protocol::Tidings => {
                let frame = json!({"action": "send", "recipient_id": to, "message_text": text});
                (frame.to_string(), r#""type":"ack""#)
            }
            Protocol::SocketIo => {
                let event = json!(["send", {"recipient_id": to, "message_text": text}]);
                (format!("421{event}"), "431[")
            }
        };
        self.stream.send(Message::text(frame)).await?;
        loop {
            let frame = self.frame().await?;
            if frame.contains(ack) {
                return Ok(());
            }
            if frame.contains(r#""type":"error""#) {
                return Err(format!("a send over a socket failed: {frame}").into());
            }
        }
    }
}

/// Writes timestamps into messages and reads them back, relative to a common start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamps(Instant);

impl Stamps {
    /// Starts the clock.
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    /// Returns a text that contains the current time.
    pub(crate) fn text(self, texts: &mut Texts) -> String {
        format!("sent at {} us: {}", self.0.elapsed().as_micros(), texts.usual())
    }

    /// Finds the messages in one or more events. Returns for each its timestamp and its age.
    pub(crate) fn read(self, events: &str) -> impl Iterator<Item = (Duration, Duration)> {
        let now = self.0.elapsed();
        events.split(r#""message_text":"sent at "#).skip(1).filter_map(move |rest| {
            let stamp = Duration::from_micros(rest.split_once(" us")?.0.parse().ok()?);
            Some((stamp, now.saturating_sub(stamp)))
        })
    }
}

/// Pairs of users who chat: in each pair, one writes and the other listens.
pub(crate) struct Chat<'a> {
    /// How the server speaks.
    pub protocol: Protocol,
    /// The server's address.
    pub address: SocketAddr,
    /// The pairs: `other` writes, `one` listens.
    pub pairs: &'a [Pair],
    /// Number of sockets per listener.
    pub sockets: usize,
    /// Interval between a writer's messages. If `None`, the next message follows the ack.
    pub pace: Option<Duration>,
}

/// The results of a [`Chat`].
pub(crate) struct Delivery {
    /// Messages per second, and the time until the last of a listener's sockets had each.
    pub load: Load,
    /// Number of messages sent.
    pub sent: usize,
    /// Number of messages that did not reach all of the listener's sockets.
    pub lost: usize,
}

/// A message that arrived on a socket: the pair's index, the message's timestamp and its age.
type Arrival = (usize, Duration, Duration);

impl Chat<'_> {
    /// Opens all sockets, sends one unmeasured message per pair, and then sends until the time is up.
    pub(crate) async fn run(&self, time: Duration) -> Result<Delivery, Failure> {
        let stamps = Stamps::new();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (mut listeners, mut writers) = (JoinSet::new(), JoinSet::new());
        let start = Arc::new(Barrier::new(self.pairs.len()));
        for (index, pair) in self.pairs.iter().enumerate() {
            for _ in 0..self.sockets {
                let socket = Socket::open(self.address, &pair.one, self.protocol).await?;
                listeners.spawn(listen(socket, index, stamps, sender.clone()));
            }
            let writer = Writer {
                socket: Socket::open(self.address, &pair.other, self.protocol).await?,
                to: pair.one.id.clone(),
                texts: Texts::new(index),
                stamps,
                pace: self.pace,
                // Spread the writers evenly over the interval.
                delay: self.pace.unwrap_or_default().mul_f64(fraction(index, self.pairs.len())?),
                min_messages: if self.pace.is_some() { MIN_MESSAGES.div_ceil(self.pairs.len()) } else { 1 },
            };
            writers.spawn(writer.write(start.clone(), time));
        }
        let (mut sent, mut per_second) = (0, 0.0);
        while let Some(done) = writers.join_next().await {
            let (count, took) = done??;
            sent += count;
            per_second += f64::from(u32::try_from(count)?) / took.as_secs_f64();
        }
        let arrivals = gather(&mut receiver, sent * self.sockets).await;
        while let Some(done) = listeners.try_join_next() {
            done??;
        }
        drop(listeners);
        sleep(GRACE).await;
        let times = complete(arrivals, self.sockets);
        let lost = sent.saturating_sub(times.len());
        Ok(Delivery { load: Load::of(times, per_second), sent, lost })
    }
}

fn fraction(index: usize, count: usize) -> Result<f64, Failure> {
    Ok(f64::from(u32::try_from(index)?) / f64::from(u32::try_from(count)?))
}

/// Receives the expected number of arrivals; stops early if nothing arrives for [`GRACE`].
async fn gather(receiver: &mut UnboundedReceiver<Arrival>, expected: usize) -> Vec<Arrival> {
    let mut arrivals = Vec::with_capacity(expected);
    while arrivals.len() < expected {
        let Ok(Some(arrival)) = timeout(GRACE, receiver.recv()).await else { break };
        arrivals.push(arrival);
    }
    arrivals
}

/// Returns the age of each message when it reached the last socket; leaves out those that did not reach all sockets.
fn complete(mut arrivals: Vec<Arrival>, sockets: usize) -> Vec<Duration> {
    arrivals.sort_unstable();
    let same_message = |one: &Arrival, next: &Arrival| (one.0, one.1) == (next.0, next.1);
    let messages = arrivals.chunk_by(same_message).filter(|message| message.len() == sockets);
    messages.filter_map(|message| message.iter().map(|(_, _, age)| *age).max()).collect()
}

async fn listen(
    mut socket: Socket,
    pair: usize,
    stamps: Stamps,
    arrivals: UnboundedSender<Arrival>,
) -> Result<(), Failure> {
    loop {
        let frame = socket.frame().await?;
        for (stamp, age) in stamps.read(&frame) {
            arrivals.send((pair, stamp, age))?;
        }
    }
}

struct Writer {
    socket: Socket,
    to: String,
    texts: Texts,
    stamps: Stamps,
    pace: Option<Duration>,
    delay: Duration,
    min_messages: usize,
}

impl Writer {
    /// Sends until the time is up. Returns the number of messages and the time they took.
    async fn write(mut self, start: Arc<Barrier>, time: Duration) -> Result<(usize, Duration), Failure> {
        self.socket.send(&self.to, &self.texts.usual()).await?;
        start.wait().await;
        sleep(self.delay).await;
        let began = tokio::time::Instant::now();
        let (mut sent, mut next) = (0, began);
        while began.elapsed() < time || sent < self.min_messages {
            let text = self.stamps.text(&mut self.texts);
            self.socket.send(&self.to, &text).await?;
            sent += 1;
            if let Some(pace) = self.pace {
                next += pace;
                sleep_until(next).await;
            }
        }
        Ok((sent, began.elapsed()))
    }
}
