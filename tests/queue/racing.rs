//! Readers race with writers: events with earlier stamps commit later, and no reader misses one.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures_util::future::{join, join_all};
use harness::sync::{Place, events};
use harness::{Actor, World};
use tokio::time::{Instant, sleep};

use super::created;
use crate::direct::text;

/// The settle window in milliseconds; the real one has 15 s.
const WINDOW: i64 = 3_000;
/// The longest delay of a commit. A busy machine adds to it, so it stays well below the window.
const DELAY: Duration = Duration::from_millis(600);
/// The offsets of the machines' clocks, in milliseconds.
const CLOCKS: [i64; 4] = [0, 400, -400, 150];

/// The outcome of a race.
struct Race {
    acknowledged: HashSet<String>,
    /// For each reader, how often it got each message.
    received: Vec<BTreeMap<String, usize>>,
}

impl Race {
    /// Runs eight writers on machines with different clocks and delayed commits, and three readers with different page
    /// sizes that switch machines with every poll.
    async fn run(window: i64, messages: usize, seed: u64) -> Self {
        let world = World::new().await;
        world.user("reader").await;
        world.wire.delay_commits(DELAY, seed);
        let end = tokio::sync::watch::Sender::new(false);
        let writers = join_all((0..8).map(|n| write(&world, n, messages)));
        let readers = join_all([1, 3, 100].map(|limit| read(&world, window, limit, end.subscribe())));
        let writers = async {
            let ids = writers.await.concat();
            end.send_replace(true);
            ids
        };
        let (ids, received) = join(writers, readers).await;
        let acknowledged: HashSet<_> = ids.iter().cloned().collect();
        assert_eq!(acknowledged.len(), ids.len(), "two sends have one id");
        Self { acknowledged, received }
    }

    fn missed(&self) -> usize {
        let missed = |received: &BTreeMap<_, _>| {
            self.acknowledged.iter().filter(|id| !received.contains_key(*id)).count()
        };
        self.received.iter().map(missed).sum()
    }
}

/// Sends messages to the reader from one machine, four at a time. Returns their ids.
async fn write(world: &World, number: usize, messages: usize) -> Vec<String> {
    let machine = world.with_clock_off_by(CLOCKS[number % CLOCKS.len()]);
    let senders = (0..4).map(async |n| {
        // Two of the four senders are the same user, whose messages conflict with one another.
        let sender = machine.stranger(&format!("writer-{number}-{}", n.max(1)));
        let mut ids = Vec::new();
        for m in 0..messages {
            ids.push(sender.send("reader", &format!("{n} {m}")).await.expect(201).id());
        }
        ids
    });
    join_all(senders).await.concat()
}

/// Polls until the writers have ended and the window has passed since. Returns how often each message was received.
async fn read(
    world: &World,
    window: i64,
    limit: usize,
    end: tokio::sync::watch::Receiver<bool>,
) -> BTreeMap<String, usize> {
    let machines: Vec<Actor> = CLOCKS
        .iter()
        .map(|clock| world.with_clock_off_by(*clock).settling_after(window).stranger("reader"))
        .collect();
    let mut place = Place::start(&machines[0]).await;
    let (mut received, mut seen) = (BTreeMap::new(), HashSet::new());
    let mut until = None;
    for turn in 0.. {
        place.actor = machines[turn % machines.len()].clone();
        let answer = place.poll(limit).await;
        for event in events(&answer) {
            assert!(seen.insert(text(event, "id").to_owned()), "an event came twice");
        }
        for id in created(events(&answer)) {
            *received.entry(id).or_default() += 1;
        }
        if *end.borrow() {
            let rest = Duration::from_millis(window.unsigned_abs() + 500);
            until.get_or_insert_with(|| Instant::now() + rest);
        }
        if answer.data()["has_more"] == false {
            if until.is_some_and(|until| until < Instant::now()) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    received
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_readers_get_each_event_exactly_once() {
    let race = Race::run(WINDOW, 5, 1).await;
    assert_eq!(race.acknowledged.len(), 8 * 4 * 5);
    assert_eq!(race.missed(), 0);
    for received in &race.received {
        assert!(received.values().all(|times| *times == 1));
        assert_eq!(received.len(), race.acknowledged.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_without_a_window_miss_events() {
    for seed in 1..20 {
        if Race::run(0, 2, seed).await.missed() > 0 {
            return;
        }
    }
    panic!("readers without a window missed nothing, so the race proves nothing");
}
