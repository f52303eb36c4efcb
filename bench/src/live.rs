//! The second table: what polls and sockets take to bring news.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::load::Load;
use crate::report::{self, Row, note, say};
use crate::seed::{self, Pair};
use crate::server::Server;
use crate::sockets::{LEAST, Stamps, Talk};
use crate::text::Texts;
use crate::work::Follower;
use crate::{CLIENTS, Failure, idle, operations};

/// Pairs that talk at most.
pub(crate) const PAIRS: usize = 100;
/// Pairs that send as fast as they can.
const BUSY: usize = 32;
/// Sockets of one user that hear the same.
const FAN: usize = 24;
/// Messages that one reader polls for before it is the next one's turn: a poll reads all of the last 15 s again.
const TURN: usize = 10;
/// From one of them to the next.
const TURN_PACE: Duration = Duration::from_millis(100);
/// How long a message may take to the reader.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures all of it.
pub(crate) async fn measure(server: &Server, pairs: &[Pair], time: Duration) -> Result<(), Failure> {
    let most = CLIENTS.into_iter().max().unwrap_or_default();
    let pollers = seed::users(server, (0..most).map(|index| format!("poller-{index}")).collect()).await?;
    let (address, one) = (server.address, pairs.get(..1).ok_or("no pairs")?);
    let busy = pairs.get(..BUSY).ok_or("too few pairs")?;
    say(&report::live_head())?;
    crate::rows(server, &operations::polls(pollers), &CLIENTS, time).await?;

    let load = send_to_poll(address, pairs, time).await?;
    say(&Row { name: "send to poll", clients: 1, load }.to_string())?;

    let (second, tick) = (Duration::from_secs(1), Duration::from_millis(50));
    let talks = [
        ("send to push, 20/s", Talk { address, pairs: one, sockets: 1, pace: Some(tick) }),
        ("send to push, 1/s each", Talk { address, pairs, sockets: 1, pace: Some(second) }),
        ("send to push, unpaced", Talk { address, pairs: busy, sockets: 1, pace: None }),
        ("fan-out to 24 sockets, 10/s", Talk { address, pairs: one, sockets: FAN, pace: Some(2 * tick) }),
    ];
    for (name, talk) in talks {
        note(&format!("opening {} sockets", talk.pairs.len() * (1 + talk.sockets)))?;
        let heard = talk.run(time).await.map_err(|error| format!("{name}: {error}"))?;
        say(&Row { name, clients: talk.pairs.len(), load: heard.load }.to_string())?;
        if heard.lost > 0 {
            say(&format!("  {} of {} messages were not pushed to all sockets", heard.lost, heard.sent))?;
        }
    }
    idle::measure().await
}

/// Readers in turn, each of whom polls without a pause while messages come.
async fn send_to_poll(address: SocketAddr, pairs: &[Pair], time: Duration) -> Result<Load, Failure> {
    let (mut writer, mut reader) = (Client::connect(address).await?, Client::connect(address).await?);
    let (mut times, mut spent) = (Vec::new(), Duration::ZERO);
    for pair in pairs.iter().cycle() {
        if spent >= time && times.len() >= LEAST {
            break;
        }
        let mut follower = Follower::new(pair.one.clone());
        follower.catch_up(&mut reader).await?;
        let stamps = Stamps::new();
        let began = Instant::now();
        let (written, ages) = tokio::join!(
            write(&mut writer, pair, stamps),
            timeout(PATIENCE, read(&mut reader, &mut follower, stamps))
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
        client.call(pair.other.send(&pair.one.id, &text)).await?;
    }
    Ok(())
}

/// How old the messages of a turn were when they came.
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
