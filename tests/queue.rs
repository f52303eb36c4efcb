//! The event queue: a reader that follows its cursor gets each event exactly once, and polling is cheap.

mod bursts;
mod passing;
mod racing;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use harness::sync::{Place, events};
use harness::wire::Faults;
use harness::{Answer, World};
use serde_json::Value;

use crate::direct::text;
use crate::inputs::refused_for;

/// One day, in milliseconds.
const DAY: i64 = 24 * 3_600_000;

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| text(event, "type")).collect()
}

/// Returns the ids of the messages that the events create.
pub(crate) fn created(events: &[Value]) -> Vec<String> {
    let messages = events.iter().filter(|event| event["type"] == "message.created");
    messages.map(|event| text(&event["data"]["message"], "id").to_owned()).collect()
}

/// Returns a machine whose clock is a few seconds past a full minute: presence is due in the next minute.
fn early_in_a_minute(world: &World) -> World {
    world.with_clock_off_by(5_000 - world.app.store.now().millis().rem_euclid(60_000))
}

#[tokio::test]
async fn a_fresh_cursor_starts_a_few_seconds_back() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "before").await.expect(201);
    let mut place = Place::start(&bob).await;
    let answer = place.poll(50).await;
    assert_eq!(kinds(events(&answer)), ["conversation.created", "message.created"]);
    assert_eq!(answer.data()["has_more"], false);
    assert_eq!(place.drain(50).await, [Value::Null; 0]);
    // Once the window has passed, a fresh cursor no longer returns these events.
    let later = world.with_clock_off_by(16_000).stranger("bob");
    assert_eq!(Place::start(&later).await.drain(50).await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_stranger_who_polls_becomes_a_user() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    Place::start(&world.stranger("bob")).await;
    alice.send("bob", "welcome").await.expect(201);
}

#[tokio::test]
async fn the_same_cursor_returns_the_same_events() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let mut place = Place::start(&bob).await;
    for n in 0..5 {
        alice.send("bob", &format!("m{n}")).await.expect(201);
    }
    let first = place.peek(3).await.expect(200);
    assert_eq!(events(&first), events(&place.peek(3).await.expect(200)));
    assert_eq!((events(&first).len(), &first.data()["has_more"]), (3, &true.into()));
    assert_eq!(events(&place.poll(3).await), events(&first));
    let second = place.poll(3).await;
    assert_eq!((events(&second).len(), &second.data()["has_more"]), (3, &false.into()));
    assert_eq!(place.drain(100).await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_stale_read_does_not_repeat_events() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let mut place = Place::start(&bob).await;
    alice.send("bob", "hello").await.expect(201);
    assert_eq!(place.drain(50).await.len(), 2);
    // A replica that does not have the events yet answers the next read.
    world.wire.inject(Faults { lag: Duration::from_mins(1), ..Faults::default() }, 1);
    assert_eq!(place.drain(50).await, [Value::Null; 0]);
    world.wire.heal();
    assert_eq!(place.drain(50).await, [Value::Null; 0]);
    place.actor = world.with_clock_off_by(14_000).stranger("bob");
    assert_eq!(place.drain(50).await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_limit_is_1_to_100() {
    let world = World::new().await;
    let (_, bob) = world.two().await;
    let place = Place::start(&bob).await;
    for good in [1, 100] {
        place.peek(good).await.expect(200);
    }
    for bad in ["0", "101", "-1", "x"] {
        let path = format!("/api/events?limit={bad}&cursor={}", place.cursor);
        refused_for(&bob.get(&path).await, "limit");
    }
}

#[tokio::test]
async fn a_cursor_is_valid_only_for_its_reader_and_list() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for _ in 0..2 {
        alice.send("bob", "hello").await.expect(201);
    }
    let mut place = Place::start(&bob).await;
    place.poll(1).await;
    let cursor = place.cursor.clone();
    refused_for(&alice.get(&format!("/api/events?cursor={cursor}")).await, "cursor");
    let lists = ["/api/messages/conversation/alice?limit=1", "/api/messages/search?q=hello&limit=1"];
    for list in lists {
        refused_for(&bob.get(&format!("{list}&cursor={cursor}")).await, "cursor");
        let page = bob.get(list).await.expect(200);
        let foreign = text(&page.json, "next_cursor");
        refused_for(&bob.get(&format!("/api/events?cursor={foreign}")).await, "cursor");
    }
    for bad in ["x", "%00", "%C3%A9", &"-".repeat(9_000)] {
        place.cursor = bad.to_owned();
        refused_for(&place.peek(50).await, "cursor");
    }
    // The second byte names the signing key. A cursor of an unknown key cannot be verified and counts as expired.
    for at in 0..cursor.len() {
        let other = if &cursor[at..=at] == "x" { "y" } else { "x" };
        place.cursor = format!("{}{other}{}", &cursor[..at], &cursor[at + 1..]);
        let answer = place.peek(50).await;
        if [1, 2].contains(&at) {
            assert!([400, 410].contains(&answer.status), "{answer:?}");
        } else {
            refused_for(&answer, "cursor");
        }
    }
    for bad in [&cursor[1..], &cursor[..cursor.len() - 1], &cursor[..20], &cursor.repeat(2)] {
        place.cursor = bad.to_owned();
        let answer = place.peek(50).await;
        assert!([400, 410].contains(&answer.status), "{answer:?}");
    }
}

#[tokio::test]
async fn a_cursor_is_valid_for_seven_days() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let mut place = Place::start(&bob).await;
    alice.send("bob", "hello").await.expect(201);
    place.actor = world.with_clock_off_by(7 * DAY - 60_000).stranger("bob");
    assert_eq!(kinds(events(&place.peek(50).await)), ["conversation.created", "message.created"]);
    place.actor = world.with_clock_off_by(7 * DAY + 60_000).stranger("bob");
    place.peek(50).await.refused(410, "cursor_expired");
    // A reader that polls in between can continue.
    place.actor = world.with_clock_off_by(4 * DAY).stranger("bob");
    place.poll(50).await;
    place.actor = world.with_clock_off_by(8 * DAY).stranger("bob");
    assert_eq!(place.drain(50).await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_cursor_signed_with_a_retired_secret_has_expired() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let with = |secrets: &[&[u8]]| world.with_cursor_secrets(secrets).stranger("bob");
    let mut place = Place::start(&with(&[b"the first"])).await;
    let first = place.clone();
    place.actor = with(&[b"the second", b"the first"]);
    place.poll(50).await;
    place.actor = with(&[b"the third", b"the second"]);
    place.poll(50).await;
    Place { actor: place.actor.clone(), ..first }.peek(50).await.refused(410, "cursor_expired");
    Place { actor: bob, ..place }.peek(50).await.refused(410, "cursor_expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hundreds_of_concurrent_events_are_returned_once_each() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let mut place = Place::start(&bob).await;
    let senders = (0..14).map(async |n| {
        let (sender, mut ids) = (world.stranger(&format!("sender-{n}")), Vec::new());
        for m in 0..50 {
            ids.push(sender.send("bob", &format!("m{m}")).await.expect(201).id());
        }
        ids
    });
    let sent = join_all(senders).await.concat();
    // With this window, all events are still in it when the reader polls.
    let in_window = world.settling_after(120_000);
    let after_window = world.with_clock_off_by(30_000);
    let (mut all, mut longest) = (Vec::new(), 0);
    for (machine, limit) in
        [(&in_window, 7), (&in_window, 100), (&in_window, 1), (&after_window, 9), (&after_window, 100)]
    {
        place.actor = machine.stranger("bob");
        for _ in 0..12 {
            let answer = place.poll(limit).await;
            longest = longest.max(place.cursor.len());
            all.extend_from_slice(events(&answer));
            if answer.data()["has_more"] == false {
                break;
            }
        }
    }
    assert!((4_000..7_800).contains(&longest), "{longest}");
    let ids: HashSet<_> = all.iter().map(|event| text(event, "id")).collect();
    assert_eq!(ids.len(), all.len(), "an event came twice");
    let received = created(&all);
    assert_eq!(received.len(), sent.len());
    assert_eq!(received.into_iter().collect::<HashSet<_>>(), sent.into_iter().collect());
    assert_eq!(place.drain(100).await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_long_text_is_returned_whole_but_its_event_is_short() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    let mut place = Place::start(&bob).await;
    place.drain(50).await;
    // The previews have the same size, so only the message itself and its events can differ in cost.
    let short = alice.send("bob", &"x".repeat(100)).await.expect(201);
    let long = alice.send("bob", &"x".repeat(1_500)).await.expect(201);
    assert!((long.cost("wcu") - short.cost("wcu") - 2.0).abs() < 0.01, "{long:?} {short:?}");
    let longest = "ü😀".repeat(5_000);
    let last = alice.send("bob", &longest).await.expect(201);
    let received = place.drain(50).await;
    let texts: Vec<_> =
        received.iter().map(|event| text(&event["data"]["message"], "message_text").len()).collect();
    assert_eq!(texts, [100, 1_500, longest.len()]);
    let mut message = received[2]["data"]["message"].clone();
    assert_eq!(message["message_text"], longest);
    assert_eq!(message["client_message_id"], Value::Null);
    message["client_message_id"] = last.data()["client_message_id"].clone();
    assert_eq!(&message, last.data());
}

/// Returns the calls, sequential calls, read units and write units of a poll.
fn cost(answer: &Answer) -> [f64; 4] {
    ["calls", "depth", "rcu", "wcu"].map(|figure| answer.cost(figure))
}

#[track_caller]
fn assert_cost(answer: &Answer, expected: [f64; 4]) {
    let cost = cost(answer);
    assert!(cost.iter().zip(expected).all(|(cost, expected)| (cost - expected).abs() < 0.01), "{cost:?}");
}

#[tokio::test]
async fn a_poll_is_one_call_and_records_presence_once_a_minute() {
    let world = World::new().await;
    let now = early_in_a_minute(&world);
    let (alice, _) = now.two().await;
    alice.send("bob", "hello").await.expect(201);
    // By then the window has passed.
    let offset = 20_000 + 5_000 - world.app.store.now().millis().rem_euclid(60_000);
    let later = |more: i64| world.with_clock_off_by(offset + more);
    let mut place = Place::start(&later(0).stranger("bob")).await;
    assert_cost(&place.poll(50).await, [2.0, 1.0, 0.5, 1.0]);
    for _ in 0..3 {
        assert_cost(&place.poll(50).await, [1.0, 1.0, 0.5, 0.0]);
    }
    later(0).stranger("alice").send("bob", &"eighty characters ".repeat(4)).await.expect(201);
    let news = place.poll(50).await;
    assert_eq!(events(&news).len(), 1);
    assert_cost(&news, [1.0, 1.0, 0.5, 0.0]);
    assert_cost(&place.poll(50).await, [1.0, 1.0, 0.5, 0.0]);
    place.actor = later(60_000).stranger("bob");
    assert_cost(&place.poll(50).await, [2.0, 1.0, 0.5, 1.0]);
    assert_cost(&place.poll(50).await, [1.0, 1.0, 0.5, 0.0]);
}

#[tokio::test]
async fn polls_slow_down_while_nothing_happens() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let mut place = Place::start(&bob).await;
    let mut intervals = Vec::new();
    for _ in 0..16 {
        intervals.push(place.poll(50).await.data()["poll_after_ms"].as_u64().unwrap());
    }
    assert!(intervals.is_sorted());
    assert_eq!((intervals[0], intervals[15]), (1_000, 30_000));
    alice.send("bob", "news").await.expect(201);
    assert_eq!(place.poll(50).await.data()["poll_after_ms"], 1_000);
    assert_eq!(place.poll(50).await.data()["poll_after_ms"], 1_000);
}
