//! Bursts: more events within the window than fit into a cursor.

use std::collections::HashSet;

use domain::id::Clock;
use harness::sync::{Place, events};
use harness::{Answer, TABLE, World};
use serde_json::{Value, json};

use crate::direct::text;

/// Milliseconds after which no event of a burst has settled while the test reads it.
const LONG_WINDOW: i64 = 600_000;

/// Creates a world in which Bob has taken a cursor, and then has received `count` events within a moment.
async fn burst(count: usize) -> (World, Place, Vec<String>) {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "Shall we meet at the usual place at seven, or would half past be better?").await;
    let mut items = world.items().await;
    let (pk, sk) = (json!({"S": "Q#bob"}), "E#");
    let is_event = |item: &Value| item["pk"] == pk && text(&item["sk"], "S").starts_with(sk);
    let sent = items.iter().rfind(|item| is_event(item)).expect("an event").clone();
    items.retain(|item| !is_event(item));
    let machine = world.settling_after(LONG_WINDOW);
    let place = Place::start(&machine.stranger("bob")).await;
    assert_eq!(bob.id, place.actor.id);
    let clock = Clock::default();
    let ids: Vec<String> = (0..count).map(|_| clock.stamp().to_string()).collect();
    items.extend(ids.iter().map(|id| with_id(&sent, id)));
    let world = World::with_items(&items).await;
    let machine = world.settling_after(LONG_WINDOW);
    (world, Place { actor: machine.stranger("bob"), ..place }, ids)
}

fn with_id(event: &Value, id: &str) -> Value {
    let mut event = event.clone();
    event["sk"] = json!({"S": format!("E#{id}")});
    event
}

fn ids(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| text(event, "id").to_owned()).collect()
}

/// Polls until there is no more. Asserts that each answer but the last has events, and returns the answers.
async fn drain(place: &mut Place, limit: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    loop {
        let answer = place.poll(limit).await;
        let has_more = answer.data()["has_more"] == true;
        assert!(!has_more || !events(&answer).is_empty(), "has_more beside no events");
        assert!(answers.is_empty() || !events(&answer).is_empty(), "the last answer promised more");
        assert!(place.cursor.len() < 7_800, "{}", place.cursor.len());
        answers.push(answer);
        if !has_more {
            return answers;
        }
    }
}

fn all(answers: &[Answer]) -> Vec<String> {
    answers.iter().flat_map(|answer| ids(events(answer))).collect()
}

#[tokio::test]
async fn two_thousand_events_in_a_window_are_delivered_at_once() {
    for limit in [100, 37] {
        let (_, mut place, sent) = burst(2_000).await;
        let answers = drain(&mut place, limit).await;
        assert_eq!(all(&answers), sent);
        assert_eq!(answers.len(), 2_000_usize.div_ceil(limit));
        let (mut read, mut written) = (0.0, 0.0);
        for answer in &answers {
            assert!(answer.cost("depth") <= 2.0, "{answer:?}");
            assert!(answer.cost("wcu") <= 9.0, "{answer:?}");
            // A page of 100 events of half a kilobyte, and the saved tags.
            assert!(answer.cost("rcu") <= 8.0 + 1.0, "{answer:?}");
            read += answer.cost("rcu");
            written += answer.cost("wcu");
        }
        assert!(read <= 120.0 && written <= 20.0, "{read} {written}");
        // The next poll looks for events that committed late, and so reads the window again.
        assert_eq!(all(&drain(&mut place, limit).await), [""; 0]);
    }
}

#[tokio::test]
async fn an_event_that_commits_late_during_a_burst_is_delivered_once() {
    let (world, mut place, mut sent) = burst(1_500).await;
    let items = world.items().await;
    let template = items.iter().rfind(|item| item["sk"]["S"] == format!("E#{}", sent[0])).expect("an event");
    let mut received = Vec::new();
    for n in 0..15 {
        let answer = place.poll(100).await;
        received.extend(ids(events(&answer)));
        if [3, 9, 12].contains(&n) {
            // Just above an event that was delivered already.
            let late = sent[n * 50].parse::<domain::id::Stamp>().unwrap().plus(12_345).to_string();
            put(&world, &with_id(template, &late)).await;
            sent.push(late);
        }
    }
    received.extend(all(&drain(&mut place, 100).await));
    received.extend(all(&drain(&mut place, 100).await));
    assert_eq!(received.len(), sent.len());
    assert_eq!(received.iter().collect::<HashSet<_>>(), sent.iter().collect());
}

async fn put(world: &World, item: &Value) {
    let body = json!({"TableName": TABLE, "Item": item}).to_string();
    assert_eq!(world.wire.engine().call("PutItem", body.as_bytes()).await.0, 200);
}

#[tokio::test]
async fn a_cursor_of_a_burst_can_be_used_again() {
    let (_, mut place, _) = burst(1_300).await;
    loop {
        let again = place.clone();
        let answer = place.poll(100).await;
        for _ in 0..2 {
            let same = again.peek(100).await.expect(200);
            assert_eq!(events(&same), events(&answer));
            let mut from_there = Place { cursor: text(same.data(), "cursor").to_owned(), ..again.clone() };
            assert_eq!(events(&from_there.poll(9).await), events(&place.peek(9).await.expect(200)));
        }
        if answer.data()["has_more"] == false {
            break;
        }
    }
}

#[tokio::test]
async fn more_than_the_most_events_in_a_window_are_late_but_not_lost() {
    let (world, mut place, sent) = burst(8_300).await;
    let mut received = all(&drain(&mut place, 100).await);
    assert_eq!(received.len(), 8_000);
    // Nothing more can be delivered yet, and the answer does not promise anything.
    for _ in 0..2 {
        assert_eq!(all(&drain(&mut place, 100).await), [""; 0]);
    }
    place.actor = world.with_clock_off_by(30_000).stranger("bob");
    received.extend(all(&drain(&mut place, 100).await));
    received.extend(all(&drain(&mut place, 100).await));
    assert_eq!(received.len(), sent.len());
    assert_eq!(received.iter().collect::<HashSet<_>>(), sent.iter().collect());
}

#[tokio::test]
async fn has_more_promises_only_what_is_still_delivered() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let conversation =
        text(alice.send("bob", "first").await.expect(201).data(), "conversation_id").to_owned();
    let mut place = Place::start(&bob).await;
    place.drain(50).await;
    let typing = async |count: usize| {
        for n in 0..count {
            let signal = json!({"conversation_id": conversation, "is_typing": n % 2 == 0});
            alice.post("/api/typing", &signal).await.expect(200);
        }
    };
    typing(30).await;
    alice.send("bob", "second").await.expect(201);
    typing(30).await;
    // By then the signals have expired.
    place.actor = world.with_clock_off_by(8_000).stranger("bob");
    let answer = place.poll(1).await;
    assert_eq!(events(&answer).len(), 1);
    assert_eq!(events(&answer)[0]["data"]["message"]["message_text"], "second");
    assert_eq!(answer.data()["has_more"], false);
    assert_eq!(place.drain(1).await, [Value::Null; 0]);
}

#[tokio::test]
async fn an_edited_message_comes_with_its_newest_version() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    let mut place = Place::start(&bob).await;
    place.drain(50).await;
    // The queue holds the short text whole, and only refers to the long one.
    let id = alice.send("bob", "short").await.expect(201).id();
    let old = world.items().await;
    let long = "long ".repeat(1_000);
    alice.edit(&id, &long).await.expect(200);
    // A page that was read while the edit committed: the event of the edit, but the one of the message as it was.
    let key = format!("E#{}", ids(events(&place.peek(1).await))[0]);
    let before = old.iter().find(|item| item["pk"]["S"] == "Q#bob" && item["sk"]["S"] == key).expect("it");
    put(&world, before).await;
    let received = place.drain(50).await;
    assert_eq!(received.len(), 2);
    assert_eq!(received[1]["data"]["message"]["message_text"], long);
    assert_eq!(received[1]["data"]["message"]["version"], 2);
}

/// A machine whose clock is an hour ahead sends one message. All later ones of the conversation come after it, an hour
/// ahead, too: they are all in the window of their readers until that hour is over.
#[tokio::test]
async fn a_clock_that_was_ahead_delays_nothing() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let carol = world.user("carol").await;
    let mut place = Place::start(&bob).await;
    let ahead = world.with_clock_off_by(3_600_000);
    let mut sent = vec![ahead.stranger("alice").send("bob", "from the future").await.expect(201).id()];
    for n in 0..700 {
        sent.push(alice.send("bob", &n.to_string()).await.expect(201).id());
    }
    let other = carol.send("bob", "from somewhere else").await.expect(201).id();
    let answers = drain(&mut place, 100).await;
    let created = answers.iter().flat_map(events).filter(|event| event["type"] == "message.created");
    let (mut heard, last): (Vec<String>, Vec<String>) =
        created.map(|event| text(&event["data"]["message"], "id").to_owned()).partition(|id| *id != other);
    heard.sort();
    assert_eq!((heard, last), (sent, vec![other]));
    // A later message arrives at once, and only once.
    for n in 0..3 {
        let id = alice.send("bob", &n.to_string()).await.expect(201).id();
        let answers = drain(&mut place, 100).await;
        let news: Vec<&Value> = answers.iter().flat_map(events).collect();
        assert_eq!(news.iter().map(|event| text(&event["data"]["message"], "id")).collect::<Vec<_>>(), [id]);
    }
}
