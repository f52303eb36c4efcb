//! Measures the second table: how long polls and sockets take to deliver events.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::failure::Failure;
use crate::load::Load;
use crate::report::{self, Row, note, say};
use crate::rows::CLIENTS;
use crate::seed::{self, Pair};
use crate::server::Server;
use crate::sockets::{Chat, MIN_MESSAGES, Protocol, Stamps};
use crate::text::Texts;
use crate::work::Follower;
use crate::{idle, operations};

/// Largest number of pairs that chat at once.
pub(crate) const PAIRS: usize = 100;
/// Pairs that send as fast as they can.
const BUSY: usize = 32;
/// Sockets of one user that all receive the same events.
const FAN_OUT: usize = 24;
/// Messages that one reader polls for before the next reader takes over, because each poll rereads the last 15 s.
const TURN: usize = 10;
/// Interval between two of these messages.
const TURN_PACE: Duration = Duration::from_millis(100);
/// Time limit for one reader to receive all of these messages.
const TURN_LIMIT: Duration = Duration::from_secs(30);

/// Measures and prints the table.
pub(crate) async fn measure(server: &Server, pairs: &[Pair], time: Duration) -> Result<(), Failure> {
    let most = CLIENTS.into_iter().max().unwrap_or_default();
    let pollers = seed::users(server, (0..most).map(|index| format!("poller-{index}")).collect()).await?;
    let (address, one) = (server.address, pairs.get(..1).ok_or("no pairs")?);
    let busy = pairs.get(..BUSY).ok_or("too few pairs")?;
    say(&report::live_head())?;
    crate::rows::rows(server, &operations::polls(pollers), &CLIENTS, time).await?;

    let load = send_to_poll(address, pairs, time).await?;
    say(&Row { name: "send to poll", clients: 1, load }.to_string())?;

    let (second, tick) = (Duration::from_secs(1), Duration::from_millis(50));
    let protocol = Protocol::Tidings;
    let chats = [
        ("send to push, 20/s", Chat { protocol, address, pairs: one, sockets: 1, pace: Some(tick) }),
        ("send to push, 1/s each", Chat { protocol, address, pairs, sockets: 1, pace: Some(second) }),
        ("send to push, unpaced", Chat { protocol, address, pairs: busy, sockets: 1, pace: None }),
        (
            "fan-out to 24 sockets, 10/s",
            Chat { protocol, address, pairs: one, sockets: FAN_OUT, pace: Some(2 * tick) },
        ),
    ];
    for (name, chat) in chats {
        note(&format!("opening {} sockets", chat.pairs.len() * (1 + chat.sockets)))?;
        let delivery = chat.run(time).await.map_err(|error| format!("{name}: {error}"))?;
        say(&Row { name, clients: chat.pairs.len(), load: delivery.load }.to_string())?;
        if delivery.lost > 0 {
            say(&format!(
                "  {} of {} messages were not pushed to all sockets",
                delivery.lost, delivery.sent
            ))?;
        }
    }
    idle::measure().await
}

/// Measures readers one after another; each polls without a pause while messages arrive.
async fn send_to_poll(address: SocketAddr, pairs: &[Pair], time: Duration) -> Result<Load, Failure> {
    let (mut writer, mut reader) = (Client::connect(address).await?, Client::connect(address).await?);
    let (mut times, mut spent) = (Vec::new(), Duration::ZERO);
    for pair in pairs.iter().cycle() {
        if spent >= time && times.len() >= MIN_MESSAGES {
            break;
        }
        let mut follower = Follower::new(pair.one.clone());
        follower.catch_up(&mut reader).await?;
        let stamps = Stamps::new();
        let began = Instant::now();
        let (written, ages) = tokio::join!(
            write(&mut writer, pair, stamps),
            timeout(TURN_LIMIT, read(&mut reader, &mut follower, stamps))
        );
        spent += began.elapsed();
        written?;
        times.extend(ages??);
    }
    let per_second = f64::from(u32::try_from(times.len())?) / spent.as_secs_f64();
    Ok(Load::of(times, per_second))
}

async fn write(client: &mut Client, pair: &Pair, stamps: Stamps) -> Result<(), Failure> {
    let mut texts = Texts::new(0);
    for _ in 0..TURN {
        sleep(TURN_PACE).await;
        let text = stamps.text(&mut texts);
        client.call(pair.other.send(&pair.one.id, &text)?).await?;
    }
    Ok(())
}

/// Polls until all messages of a turn have arrived, and returns the age of each on arrival.
async fn read(
    client: &mut Client,
    follower: &mut Follower,
    stamps: Stamps,
) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::with_capacity(TURN);
    while times.len() < TURN {
        let answer = follower.poll(client).await?;
        times.extend(stamps.read(std::str::from_utf8(&answer.body)?).map(|(_, age)| age));
    }
    Ok(times)
}
