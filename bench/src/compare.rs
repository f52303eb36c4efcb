//! Compares the local stack with the peer of `bench/peer`: the same calls by the same client, turn by turn, so that what
//! else the machine does slows both.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;

use crate::client::User;
use crate::failure::Failure;
use crate::report::{note, say};
use crate::seed::{self, Dataset, Pair, Size};
use crate::server::Server;
use crate::sockets::{Chat, Protocol};
use crate::text::{ABSENT, COMMON, RARE};
use crate::work::{Follower, Work};
use crate::{load, operations};

/// Turns of each server, of which the median counts.
const TURNS: usize = 3;
const PAIRS: usize = 100;
/// Largest number of clients who write first messages.
const STRANGERS: usize = 8;
const SIZE: Size = Size { conversations: 1_000, messages: 8_000 };

/// A server with the users and messages of the comparison.
struct Side {
    server: Server,
    protocol: Protocol,
    pairs: Vec<Pair>,
    dataset: Dataset,
    /// For each client, how many first messages it has written.
    firsts: Vec<Arc<AtomicUsize>>,
}

/// Something that both servers do.
struct Contest {
    name: &'static str,
    clients: &'static [usize],
    work: fn(&Side, usize) -> Result<Work, Failure>,
}

/// The speed of one server in one turn.
#[derive(Clone, Copy)]
struct Turn {
    per_second: f64,
    cpu_micros: f64,
}

const CONTESTS: [Contest; 10] = [
    Contest { name: "send over HTTP", clients: &[1, 8, 32], work: |side, index| side.send(index) },
    Contest {
        name: "first message to someone",
        clients: &[STRANGERS],
        work: |side, index| side.first(index),
    },
    Contest {
        name: "inbox of 50 of 1,000",
        clients: &[1, 8],
        work: |side, _| side.get("/api/messages/inbox?limit=50"),
    },
    Contest {
        name: "page of 50",
        clients: &[1, 8],
        work: |side, _| side.get(&operations::page(&side.dataset)),
    },
    Contest {
        name: "unread count, 50 of 1,000",
        clients: &[1, 8],
        work: |side, _| get_as(&side.dataset.quiet, "/api/messages/unread-count"),
    },
    Contest {
        name: "unread count, 1,000 of 1,000",
        clients: &[1, 8],
        work: |side, _| side.get("/api/messages/unread-count"),
    },
    Contest { name: "idle poll", clients: &[1, 32], work: |side, index| side.poll(index) },
    Contest { name: "search, common word", clients: &[1], work: |side, _| Ok(side.search(COMMON)) },
    Contest { name: "search, rare word", clients: &[1], work: |side, _| Ok(side.search(RARE)) },
    Contest { name: "search, absent word", clients: &[1], work: |side, _| Ok(side.search(ABSENT)) },
];

impl Side {
    async fn fill(server: Server, protocol: Protocol) -> Result<Self, Failure> {
        let pairs = seed::pairs(&server, PAIRS).await?;
        let dataset = Dataset::fill(&server, "hub", SIZE).await?;
        let firsts = (0..STRANGERS).map(|_| Arc::default()).collect();
        Ok(Self { server, protocol, pairs, dataset, firsts })
    }

    fn pair(&self, index: usize) -> Result<&Pair, Failure> {
        Ok(self.pairs.get(index).ok_or("too few pairs")?)
    }

    fn send(&self, index: usize) -> Result<Work, Failure> {
        Ok(operations::send(self.pair(index)?, 0))
    }

    /// Each client writes to all others in turn, as one user after another.
    fn first(&self, index: usize) -> Result<Work, Failure> {
        let written = self.firsts.get(index).ok_or("too many clients")?.clone();
        let senders: Vec<User> =
            self.pairs.iter().skip(index).step_by(STRANGERS).map(|pair| pair.one.clone()).collect();
        let peers = self.dataset.peers.clone();
        Ok(Work::Make(Box::new(move || {
            let number = written.fetch_add(1, Ordering::Relaxed);
            let (sender, peer) = (senders.get(number / peers.len()), &peers[number % peers.len()]);
            sender.ok_or("no strangers are left")?.send(&peer.id, "Hello, do I know you?")
        })))
    }

    fn get(&self, path: &str) -> Result<Work, Failure> {
        get_as(&self.dataset.pair.one, path)
    }

    fn poll(&self, index: usize) -> Result<Work, Failure> {
        Ok(Work::Poll(Follower::new(self.pair(PAIRS - 1 - index)?.one.clone())))
    }

    fn search(&self, word: &str) -> Work {
        let path = operations::search(&self.dataset, word);
        Work::Search { finds: word != ABSENT, user: self.dataset.pair.one.clone(), path }
    }

    /// Measures one turn over HTTP.
    async fn turn(&self, contest: &Contest, clients: usize, time: Duration) -> Result<Turn, Failure> {
        let works = (0..clients).map(|index| (contest.work)(self, index)).collect::<Result<_, _>>()?;
        let before = self.server.cpu()?;
        let load = load::run(self.server.address, works, time).await?;
        self.turn_of(load.count, load.per_second, before)
    }

    /// Measures one turn over sockets: pairs who write without a pause.
    async fn chat(&self, pairs: usize, time: Duration) -> Result<Turn, Failure> {
        let pairs = self.pairs.get(..pairs).ok_or("too few pairs")?;
        let chat =
            Chat { protocol: self.protocol, address: self.server.address, pairs, sockets: 1, pace: None };
        let before = self.server.cpu()?;
        let delivery = chat.run(time).await?;
        if delivery.lost > 0 {
            note(&format!("{} messages were not pushed", delivery.lost))?;
        }
        self.turn_of(delivery.sent, delivery.load.per_second, before)
    }

    fn turn_of(&self, count: usize, per_second: f64, before: Duration) -> Result<Turn, Failure> {
        let cpu = self.server.cpu()?.saturating_sub(before);
        Ok(Turn { per_second, cpu_micros: cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(count.max(1))?) })
    }
}

fn get_as(user: &User, path: &str) -> Result<Work, Failure> {
    Ok(Work::Get(user.call(&Method::GET, path)?))
}

/// Measures and prints the table. Says so if the peer cannot run here.
pub(crate) async fn measure(time: Duration) -> Result<(), Failure> {
    let Some(peer) = Server::start_peer()? else {
        return say("peer skipped: it needs Node, and `npm ci` in bench/peer");
    };
    let ours = Side::fill(Server::start()?, Protocol::Tidings).await?;
    let theirs = Side::fill(peer, Protocol::SocketIo).await?;
    say(
        "requests per second of Tidings and of the peer, the median of three turns each; CPU us: of the server, per request",
    )?;
    say(&line(["operation", "clients", "Tidings", "peer", "ratio", "CPU us", "peer's"].map(Into::into)))?;
    for contest in &CONTESTS {
        for &clients in contest.clients {
            let mut turns = (Vec::new(), Vec::new());
            for _ in 0..TURNS {
                turns.0.push(ours.turn(contest, clients, time).await?);
                turns.1.push(theirs.turn(contest, clients, time).await?);
            }
            say(&row(contest.name, clients, turns))?;
        }
    }
    for pairs in [1, 8, 32] {
        let mut turns = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            turns.0.push(ours.chat(pairs, time).await?);
            turns.1.push(theirs.chat(pairs, time).await?);
        }
        say(&row("send over sockets", pairs, turns))?;
    }
    Ok(())
}

fn row(name: &str, clients: usize, (ours, theirs): (Vec<Turn>, Vec<Turn>)) -> String {
    let (ours, theirs) = (median(ours), median(theirs));
    line([
        name.to_owned(),
        clients.to_string(),
        format!("{:.0}", ours.per_second),
        format!("{:.0}", theirs.per_second),
        format!("{:.2}", ours.per_second / theirs.per_second),
        format!("{:.0}", ours.cpu_micros),
        format!("{:.0}", theirs.cpu_micros),
    ])
}

/// The turn with the median speed.
fn median(mut turns: Vec<Turn>) -> Turn {
    turns.sort_unstable_by(|one, other| one.per_second.total_cmp(&other.per_second));
    turns.get(turns.len() / 2).copied().unwrap_or(Turn { per_second: 0.0, cpu_micros: 0.0 })
}

fn line([name, clients, ours, theirs, ratio, cpu, their_cpu]: [String; 7]) -> String {
    format!("{name:<30} {clients:>7} {ours:>9} {theirs:>9} {ratio:>7} {cpu:>8} {their_cpu:>8}")
}
