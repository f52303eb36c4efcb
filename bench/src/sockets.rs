//! Users who talk over sockets, and how long their messages are on the way.

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

use crate::Failure;
use crate::client::User;
use crate::load::Load;
use crate::seed::Pair;
use crate::text::Texts;

/// Messages that a measurement takes at least, so that its 99th percentile is one.
pub(crate) const LEAST: usize = 100;
/// How long a push that has not come is waited for, and how long the server is given to notice closed sockets.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes that a socket reads at once: the default is taken from memory for each.
const BUFFER: usize = 4 * 1024;

/// A user's socket.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens one.
    pub(crate) async fn open(address: SocketAddr, user: &User) -> Result<Self, Failure> {
        let url = format!("ws://{address}/ws?token={}", user.token()?);
        let config = WebSocketConfig::default().read_buffer_size(BUFFER);
        let (stream, _) = connect_async_with_config(url, Some(config), true).await?;
        Ok(Self(stream))
    }

    async fn frame(&mut self) -> Result<Utf8Bytes, Failure> {
        loop {
            match self.0.next().await.ok_or("a socket ended early")?? {
                Message::Text(text) => return Ok(text),
                Message::Close(_) => return Err("a socket was closed".into()),
                _ => {}
            }
        }
    }

    /// Sends a message, and waits for its ack.
    async fn send(&mut self, to: &str, text: &str) -> Result<(), Failure> {
        let frame = json!({"action": "send", "recipient_id": to, "message_text": text}).to_string();
        self.0.send(Message::text(frame)).await?;
        loop {
            let frame = self.frame().await?;
            if frame.contains(r#""type":"ack""#) {
                return Ok(());
            }
            if frame.contains(r#""type":"error""#) {
                return Err(format!("a send over a socket was answered {frame}").into());
            }
        }
    }
}

/// Puts the time into messages, and reads it from them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamps(Instant);

impl Stamps {
    /// Counts from now on.
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    /// A text that says when it was made.
    pub(crate) fn text(self, texts: &mut Texts) -> String {
        format!("sent at {} us: {}", self.0.elapsed().as_micros(), texts.usual())
    }

    /// The messages in an event or in some: when they were made, and how long ago that is.
    pub(crate) fn read(self, events: &str) -> impl Iterator<Item = (Duration, Duration)> {
        let now = self.0.elapsed();
        events.split(r#""message_text":"sent at "#).skip(1).filter_map(move |rest| {
            let made = Duration::from_micros(rest.split_once(" us")?.0.parse().ok()?);
            Some((made, now.saturating_sub(made)))
        })
    }
}

/// Pairs who talk: in each, one writes and the other listens.
pub(crate) struct Talk<'a> {
    /// Where the server is.
    pub address: SocketAddr,
    /// Who talks.
    pub pairs: &'a [Pair],
    /// Sockets that each listener holds.
    pub sockets: usize,
    /// From one message of a writer to the next; without it, the next one follows the ack.
    pub pace: Option<Duration>,
}

/// What came of it.
pub(crate) struct Heard {
    /// Messages a second, and the time until the last of the listener's sockets had them.
    pub load: Load,
    /// Messages that were sent.
    pub sent: usize,
    /// Of them, those that did not reach each of the listener's sockets.
    pub lost: usize,
}

/// A message that came: in which pair, when it was made, and how old it was.
type Arrival = (usize, Duration, Duration);

impl Talk<'_> {
    /// Opens all sockets, sends one message over each pair's unmeasured, and then goes on until the time is up.
    pub(crate) async fn run(&self, time: Duration) -> Result<Heard, Failure> {
        let stamps = Stamps::new();
        let (told, mut heard) = mpsc::unbounded_channel();
        let (mut listeners, mut writers) = (JoinSet::new(), JoinSet::new());
        let start = Arc::new(Barrier::new(self.pairs.len()));
        for (index, pair) in self.pairs.iter().enumerate() {
            for _ in 0..self.sockets {
                let socket = Socket::open(self.address, &pair.one).await?;
                listeners.spawn(listen(socket, index, stamps, told.clone()));
            }
            let writer = Writer {
                socket: Socket::open(self.address, &pair.other).await?,
                to: pair.one.id.clone(),
                texts: Texts::new(index),
                stamps,
                pace: self.pace,
                // Writers of one pace take turns.
                delay: self.pace.unwrap_or_default().mul_f64(share(index, self.pairs.len())?),
                least: if self.pace.is_some() { LEAST.div_ceil(self.pairs.len()) } else { 1 },
            };
            writers.spawn(writer.write(start.clone(), time));
        }
        let (mut sent, mut per_second) = (0, 0.0);
        while let Some(done) = writers.join_next().await {
            let (count, took) = done??;
            sent += count;
            per_second += f64::from(u32::try_from(count)?) / took.as_secs_f64();
        }
        let arrivals = gather(&mut heard, sent * self.sockets).await;
        while let Some(done) = listeners.try_join_next() {
            done??;
        }
        drop(listeners);
        sleep(PATIENCE).await;
        let times = complete(arrivals, self.sockets);
        let lost = sent.saturating_sub(times.len());
        Ok(Heard { load: Load::of(times, per_second), sent, lost })
    }
}

fn share(index: usize, count: usize) -> Result<f64, Failure> {
    Ok(f64::from(u32::try_from(index)?) / f64::from(u32::try_from(count)?))
}

/// So many arrivals, or those that come before nothing comes any more.
async fn gather(heard: &mut UnboundedReceiver<Arrival>, expected: usize) -> Vec<Arrival> {
    let mut arrivals = Vec::with_capacity(expected);
    while arrivals.len() < expected {
        let Ok(Some(arrival)) = timeout(PATIENCE, heard.recv()).await else { break };
        arrivals.push(arrival);
    }
    arrivals
}

/// How old messages were when they reached the last of so many sockets.
fn complete(mut arrivals: Vec<Arrival>, sockets: usize) -> Vec<Duration> {
    arrivals.sort_unstable();
    let of_one = |one: &Arrival, next: &Arrival| (one.0, one.1) == (next.0, next.1);
    let messages = arrivals.chunk_by(of_one).filter(|message| message.len() == sockets);
    messages.filter_map(|message| message.iter().map(|(_, _, age)| *age).max()).collect()
}

async fn listen(
    mut socket: Socket,
    pair: usize,
    stamps: Stamps,
    told: UnboundedSender<Arrival>,
) -> Result<(), Failure> {
    loop {
        let frame = socket.frame().await?;
        for (made, age) in stamps.read(&frame) {
            told.send((pair, made, age))?;
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
    least: usize,
}

impl Writer {
    /// How many messages were sent, in what time.
    async fn write(mut self, start: Arc<Barrier>, time: Duration) -> Result<(usize, Duration), Failure> {
        self.socket.send(&self.to, &self.texts.usual()).await?;
        start.wait().await;
        sleep(self.delay).await;
        let began = tokio::time::Instant::now();
        let (mut sent, mut next) = (0, began);
        while began.elapsed() < time || sent < self.least {
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
