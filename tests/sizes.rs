//! Answers have at most 4 MB, as API Gateway receives them: their body is a JSON string in JSON.

use harness::sync::{Place, events};
use harness::{Actor, Answer, World};
use serde_json::Value;

use crate::direct::{ids, text};

/// The maximum size of an answer, in bytes.
const MAX: usize = 4_000_000;
/// Texts of the maximum length whose JSON is long: each character takes 7 bytes, 4 bytes, and 4 bytes.
const FILLS: [&str; 3] = ["\u{1}", "\"", "😀"];

/// Returns the answer, which must not be too large.
#[track_caller]
fn bounded(answer: Answer) -> Answer {
    let answer = answer.expect(200);
    let size = Value::String(answer.json.to_string()).to_string().len();
    assert!(size <= MAX, "{size}");
    answer
}

/// Returns all pages of a list.
async fn pages(actor: &Actor, path: &str) -> Vec<Vec<Value>> {
    let mut next = path.to_owned();
    let mut pages = Vec::new();
    loop {
        let answer = bounded(actor.get(&next).await);
        assert!(!answer.list().is_empty() || pages.is_empty());
        pages.push(answer.list().to_vec());
        match answer.json["next_cursor"].as_str() {
            Some(cursor) => next = format!("{path}&cursor={cursor}"),
            None => return pages,
        }
    }
}

async fn a_reader_gets_through(world: &World, fill: &str) {
    let (alice, bob) = world.two().await;
    let first = alice.send("bob", "first").await.expect(201).id();
    let mut place = Place::start(&bob).await;
    place.drain(100).await;
    let long = format!("zebra{}", fill.repeat(9_995));
    let mut sent = Vec::new();
    for _ in 0..100 {
        sent.push(alice.send("bob", &long).await.expect(201).id());
    }

    let mut received = Vec::new();
    loop {
        let answer = bounded(place.poll(100).await);
        received.extend_from_slice(events(&answer));
        assert!(!events(&answer).is_empty());
        if answer.data()["has_more"] == false {
            break;
        }
    }
    let received: Vec<_> = received.iter().map(|event| event["data"]["message"].clone()).collect();
    assert_eq!(ids(&received), sent);
    assert!(received.iter().all(|message| message["message_text"] == long));

    let list = "/api/messages/conversation/alice?limit=100";
    let mut older = pages(&bob, &format!("{list}&mark_read=false")).await;
    older.reverse();
    assert_eq!(ids(&older.concat()[1..]), sent);
    let newer = pages(&bob, &format!("{list}&mark_read=false&after={first}")).await;
    assert_eq!(ids(&newer.concat()), sent);
    if fill == FILLS[0] {
        assert!(older.len() > 1 && newer.len() > 1);
    }

    let found = pages(&bob, "/api/messages/search?q=zebra&limit=100").await.concat();
    let mut found = ids(&found);
    found.reverse();
    assert_eq!(found, sent);

    // A page marks as read only what it shows.
    let answer = bounded(bob.get(&format!("{list}&after={first}")).await);
    let shown = answer.list().len();
    assert_eq!(text(&bob.row("alice").await.unwrap(), "last_read_message_id"), sent[shown - 1]);
    assert_eq!(bob.unread().await, 100 - shown as u64);
}

#[tokio::test]
async fn long_texts_are_read_in_pages_of_at_most_4_mb() {
    for fill in FILLS {
        a_reader_gets_through(&World::new().await, fill).await;
    }
}

#[tokio::test]
async fn functions_as_processes_answer_with_long_texts() {
    let world = World::new().await.with_processes();
    a_reader_gets_through(&world, FILLS[0]).await;
}

#[tokio::test]
async fn many_highlights_fit_into_a_page_of_hits() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for _ in 0..100 {
        alice.send("bob", &"a ".repeat(5_000)).await.expect(201);
    }
    assert_eq!(pages(&bob, "/api/messages/search?q=a&limit=100").await.concat().len(), 100);
}

#[tokio::test]
async fn a_large_offset_counts_back_from_the_newest() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let mut sent = Vec::new();
    for n in 0..250 {
        sent.push(alice.send("bob", &format!("m{n}")).await.expect(201).id());
    }
    let list = "/api/messages/conversation/alice?mark_read=false";
    for (offset, limit) in
        [(99, 10), (100, 10), (101, 10), (150, 100), (240, 20), (249, 1), (250, 5), (9_000, 5)]
    {
        let page = bob.get(&format!("{list}&offset={offset}&limit={limit}")).await.expect(200);
        let end = 250_usize.saturating_sub(offset);
        assert_eq!(ids(page.list()), sent[end.saturating_sub(limit)..end], "{limit} at {offset}");
        assert!(page.json["next_cursor"].is_string() || end <= limit, "{limit} at {offset}");
    }
    let before = format!("{list}&before={}&offset=120&limit=3", sent[200]);
    assert_eq!(ids(bob.get(&before).await.expect(200).list()), sent[77..80]);
}
