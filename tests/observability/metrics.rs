//! Each metric counts what its name says, and both formats agree.
#![allow(clippy::float_cmp, reason = "sums of whole numbers")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;

use harness::World;
use harness::live::Live;
use harness::printed::values;
use harness::wire::Faults;
use observe::metrics::{Metric, Unit};

use crate::sockets::eventually;
use crate::sockets::faults::{add, pushing};

/// Fetches `/_local/metrics` from a server.
pub(super) fn fetch(url: &str) -> String {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /_local/metrics HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Parses a text in the exposition format 0.0.4 into samples by name and labels. Panics if it is malformed.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut types, mut helped) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(helped.insert(help.split_once(' ').unwrap().0), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "histogram"].contains(&kind) && helped.contains(name), "{line}");
            assert!(types.insert(name, kind).is_none(), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap();
            let labels = labels.strip_suffix('}').unwrap();
            for label in labels.split(',') {
                let (name, value) = label.split_once('=').unwrap();
                assert!(["function", "le"].contains(&name), "{line}");
                assert!(value.len() >= 2 && value.starts_with('"') && value.ends_with('"'), "{line}");
            }
            let base = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
            match types.get(name) {
                Some(kind) => assert_eq!((*kind, name.ends_with("_total")), ("counter", true), "{line}"),
                None => assert_eq!(types.get(base.unwrap()), Some(&"histogram"), "{line}"),
            }
            assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{line} twice");
        }
    }
    samples
}

/// Returns for each metric and function the sum, if it is a count, or else the number of observations.
fn totals_by_function(text: &str) -> BTreeMap<(Metric, String), f64> {
    let samples = parse(text);
    let mut totals = BTreeMap::new();
    for metric in Metric::ALL {
        let suffix = if metric.unit() == Unit::Count { "" } else { "_count" };
        let start = format!("{}{suffix}{{function=\"", metric.prometheus());
        for (series, value) in &samples {
            if let Some(rest) = series.strip_prefix(&start) {
                totals.insert((metric, rest.strip_suffix("\"}").unwrap().to_owned()), *value);
            }
        }
        for (series, count) in samples.iter().filter(|(series, _)| series.contains("le=\"+Inf\"")) {
            let of_all = series.replace("_bucket{", "_count{").replace(",le=\"+Inf\"", "");
            assert_eq!(samples[&of_all], *count, "{series}");
        }
    }
    totals
}

#[tokio::test]
async fn both_formats_agree() {
    let (world, printed) = World::new().await.printing();
    let (alice, bob) = world.two().await;
    for n in 0..5 {
        alice.send("bob", &n.to_string()).await.expect(201);
    }
    bob.page("alice").await;
    bob.inbox().await;
    bob.get("/api/events").await.expect(200);
    bob.get("/api/nothing").await.expect(404);
    world.anonymous().get("/health").await.expect(200);
    let totals = printed.totals();
    assert_eq!(totals, totals_by_function(&world.app.observer.prometheus()));
    let at = |metric, function: &str| totals[&(metric, function.to_owned())];
    assert_eq!((at(Metric::MessagesSent, "send"), at(Metric::Latency, "send")), (5.0, 5.0));
    assert_eq!((at(Metric::ClientErrors, "Gateway"), at(Metric::PollAfter, "events")), (1.0, 1.0));
    // The sums agree too, although their units differ.
    let samples = parse(&world.app.observer.prometheus());
    let millis: f64 = printed
        .lines()
        .iter()
        .filter(|line| line["function"] == "send")
        .map(|line| values(line, Metric::Latency)[0])
        .sum();
    let seconds = samples["tidings_latency_seconds_sum{function=\"send\"}"];
    assert!((millis / 1000.0 - seconds).abs() < 1e-6, "{millis} {seconds}");
}

#[tokio::test]
async fn a_retried_message_counts_once() {
    let (world, printed) = World::new().await.printing();
    let (alice, _) = world.two().await;
    alice.send_once("bob", "hello", "k1").await.expect(201);
    alice.send_once("bob", "hello", "k1").await.expect(200);
    alice.send("alice", "to myself").await.expect(400);
    assert_eq!(printed.sum(Metric::MessagesSent), 1.0);
    // A lost answer causes a retry, but no second message.
    assert_eq!(printed.sum(Metric::Retries), 0.0);
    world.wire.lose_answers(1);
    alice.send("bob", "lost").await.expect(201);
    assert_eq!((printed.sum(Metric::MessagesSent), printed.sum(Metric::Retries)), (2.0, 1.0));
    assert_eq!(printed.sum(Metric::Conflicts), 0.0);
}

#[tokio::test]
async fn conflicts_and_throttles_are_counted() {
    let (world, printed) = World::new().await.printing();
    let (alice, bob) = world.two().await;
    world.wire.inject(Faults { conflict_per_item: 0.1, ..Faults::default() }, 3);
    while printed.sum(Metric::Conflicts) == 0.0 {
        alice.send("bob", "hello").await.expect(201);
    }
    assert_eq!(printed.sum(Metric::Retries), printed.sum(Metric::Conflicts));
    let retries = printed.sum(Metric::Retries);
    // The SDK itself retries reads.
    world.wire.inject(Faults { throttled: 0.3, ..Faults::default() }, 3);
    while printed.sum(Metric::Retries) == retries {
        bob.inbox().await;
    }
    world.wire.heal();
}

#[tokio::test]
async fn pushes_are_counted_by_their_outcome() {
    let (world, _) = pushing().await;
    let (world, printed) = world.printing();
    let (alice, _) = world.two().await;
    // On a busy machine a push may miss its deadline, so the test sends until the metric rises.
    for (connection, metric) in
        [("fine", Metric::PushesSent), ("gone", Metric::PushesGone), ("broken", Metric::PushesFailed)]
    {
        add(&world, "bob", connection).await;
        eventually(async {
            while printed.sum(metric) == 0.0 {
                alice.send("bob", "hello").await.expect(201);
            }
        })
        .await;
        assert_eq!(printed.lines().iter().filter(|line| line["function"] == "Gateway").count(), 0);
    }
}

#[tokio::test]
async fn a_push_that_misses_its_deadline_counts_as_failed() {
    let (world, _) = pushing().await;
    let (world, printed) = world.printing();
    let (alice, _) = world.two().await;
    add(&world, "bob", "stuck").await;
    alice.send("bob", "hello").await.expect(201);
    assert_eq!((printed.sum(Metric::PushesFailed), printed.sum(Metric::PushesSent)), (1.0, 0.0));
}

#[tokio::test]
async fn sockets_and_their_lifetimes_are_counted() {
    let live = Live::start_from(None).await;
    let alice = live.user("alice").await;
    let read = |name: &str| {
        let samples = totals_by_function(&live.stack.app.observer.prometheus());
        samples.iter().filter(|((metric, _), _)| metric.name() == name).map(|(_, value)| value).sum::<f64>()
    };
    let first = live.open(&alice).await;
    assert_eq!((read("SocketsOpened"), read("SocketsClosed"), read("SocketLife")), (1.0, 0.0, 0.0));
    first.close().await;
    eventually(async {
        while read("SocketsClosed") < 1.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((read("SocketLife"), read("Reconnections")), (1.0, 0.0));
    // The second socket is a reconnection; the third, open beside it, is not.
    let second = live.open(&alice).await;
    assert_eq!((read("SocketsOpened"), read("Reconnections")), (2.0, 1.0));
    let third = live.open(&alice).await;
    assert_eq!((read("SocketsOpened"), read("Reconnections")), (3.0, 1.0));
    drop((second, third));
    assert_eq!(live.refusal("?token=none", None).await, 401);
    assert_eq!((read("SocketsOpened"), read("ClientErrors")), (3.0, 1.0));
}

#[tokio::test]
async fn the_fan_out_reports_its_lag() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(26).await;
    crowd[0].say(&group, "hello, all").await.expect(201);
    // The worker's clock is a minute ahead.
    let (worker, printed) = world.with_clock_off_by(60_000).printing();
    let tail = worker.follow_stream();
    eventually(async {
        while printed.sum(Metric::FanOutLag) == 0.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    tail.stop().await;
    let line = printed.lines().into_iter().find(|line| line.get("FanOutLag").is_some()).unwrap();
    super::lines::check(&line);
    assert_eq!((&line["function"], &line["conversation"]), (&"fan-out".into(), &group.as_str().into()));
    let lag = values(&line, Metric::FanOutLag)[0];
    assert!((60_000.0..600_000.0).contains(&lag), "{lag} ms");
    // Changes that were fanned out are not fanned out again.
    let before = printed.sum(Metric::FanOutLag);
    worker.fan_out(&group).await;
    assert_eq!(printed.sum(Metric::FanOutLag), before);
}

#[test]
fn the_guide_lists_every_metric_with_its_names_and_unit() {
    let guide = std::fs::read_to_string(harness::build::root().join("docs/observability.md")).unwrap();
    let rows: BTreeSet<String> = guide
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains("tidings_"))
        .map(|line| line.split('|').map(str::trim).take(4).collect::<Vec<_>>().join("|"))
        .collect();
    let expected = Metric::ALL
        .into_iter()
        .map(|metric| format!("|`{}`|`{}`|{}", metric.name(), metric.prometheus(), metric.unit().name()));
    assert_eq!(rows, expected.collect());
}
