//! Concurrent calls on a faulty wire: no message is lost or duplicated, both users see the same order, and unread
//! counts equal a recount.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::{join, join_all};
use harness::wire::Faults;
use harness::{Actor, Answer, World};
use serde_json::Value;

/// The faults of DynamoDB on a bad day.
pub(crate) fn bad_day() -> Faults {
    Faults {
        held: 0.05,
        unprocessed: 0.1,
        conflict_per_item: 0.02,
        throttled: 0.01,
        failed: 0.02,
        lost: 0.05,
        slow: Duration::from_millis(5),
        lag: Duration::ZERO,
    }
}

fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["message_text"].as_str().unwrap()).collect()
}

/// Retries a send with the same key until it is acknowledged, as a client does.
async fn send_reliably(from: &Actor, to: &str, text: &str) -> Answer {
    for _ in 0..50 {
        let answer = from.send_once(to, text, text).await;
        match answer.status {
            200 | 201 => return answer,
            503 => {}
            _ => panic!("{answer:?}"),
        }
    }
    panic!("{text} was never acknowledged");
}

/// Asserts that both users see each message once and in the same order, and that each unread count equals a recount
/// of the other user's messages after the watermark. Returns the messages.
async fn assert_agreement(alice: &Actor, bob: &Actor) -> Vec<Value> {
    let (theirs, mine) = (bob.history("alice").await, alice.history("bob").await);
    let ids: Vec<_> = mine.iter().map(|message| message["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted());
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "a message appears twice");
    assert_eq!(texts(&mine), texts(&theirs));
    for (actor, other) in [(alice, "bob"), (bob, "alice")] {
        let row = actor.row(other).await.expect("a row");
        let read = row["last_read_message_id"].as_str().unwrap_or_default();
        let after = mine.iter().filter(|m| m["sender_id"] == other && m["id"].as_str().unwrap() > read);
        assert_eq!(row["unread_count"], after.count(), "{} of {}", row, actor.id);
        assert_eq!(actor.unread().await, row["unread_count"].as_u64().unwrap());
        assert_eq!(row["last_message_id"], mine.last().unwrap()["id"]);
    }
    mine
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_senders_lose_nothing() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    world.wire.inject(bad_day(), 7);
    let sends = (0..60).map(|n| {
        let (from, to) = if n % 2 == 0 { (&alice, "bob") } else { (&bob, "alice") };
        async move { send_reliably(from, to, &format!("m{n}")).await }
    });
    let answers = join_all(sends).await;
    world.wire.heal();
    let history = assert_agreement(&alice, &bob).await;
    assert_eq!(history.len(), 60);
    let known: HashSet<_> =
        history.iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect();
    assert!(answers.iter().all(|answer| known.contains(&answer.id())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn machines_with_different_clocks_keep_one_order() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let machines = [0, 5_000, -5_000, 60_000].map(|offset| world.with_clock_off_by(offset));
    let mut last = String::new();
    for n in 0..40 {
        let machine = &machines[n % machines.len()];
        let (from, to) = if n % 3 == 0 { ("bob", "alice") } else { ("alice", "bob") };
        let id = machine.stranger(from).send(to, &format!("m{n}")).await.expect(201).id();
        assert!(id > last, "a later commit has a smaller id");
        last = id;
    }
    let sends = (0..40).map(|n| {
        let from = machines[n % machines.len()].stranger(if n % 2 == 0 { "alice" } else { "bob" });
        async move { send_reliably(&from, if n % 2 == 0 { "bob" } else { "alice" }, &format!("x{n}")).await }
    });
    join_all(sends).await;
    assert_eq!(assert_agreement(&alice, &bob).await.len(), 80);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_concurrent_retries_send_once() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for round in 0..6 {
        world.wire.inject(if round % 2 == 0 { Faults::default() } else { bad_day() }, round + 1);
        let key = format!("key {round}");
        let answers = join_all((0..16).map(|_| send_reliably(&alice, "bob", &key))).await;
        let ids: HashSet<_> = answers.iter().map(Answer::id).collect();
        assert_eq!(ids.len(), 1, "one key, one message");
        if round % 2 == 0 {
            assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        }
    }
    world.wire.heal();
    assert_eq!(assert_agreement(&alice, &bob).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_concurrent_first_messages_open_one_conversation() {
    for seed in 1..8 {
        let world = World::new().await;
        let (alice, bob) = world.two().await;
        world.wire.inject(bad_day(), seed);
        join(send_reliably(&alice, "bob", "hi bob"), send_reliably(&bob, "alice", "hi alice")).await;
        world.wire.heal();
        assert_eq!(assert_agreement(&alice, &bob).await.len(), 2);
        for actor in [&alice, &bob] {
            assert_eq!(actor.get("/api/messages/inbox").await.json["total"], 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reading_while_receiving_keeps_the_count_correct() {
    for seed in 1..4 {
        let world = World::new().await;
        let (alice, bob) = world.two().await;
        let first = alice.send("bob", "first").await.expect(201).id();
        world.wire.inject(bad_day(), seed);
        let sending = async {
            let mut ids = vec![first];
            for n in 0..30 {
                ids.push(send_reliably(&alice, "bob", &format!("m{n}")).await.id());
            }
            ids
        };
        let reading = async {
            for n in 0..20 {
                let newest = match bob.get("/api/messages/inbox").await {
                    answer if answer.status == 200 => answer.list()[0]["last_message_id"].clone(),
                    _ => continue,
                };
                let id = newest.as_str().unwrap();
                let answer = match n % 3 {
                    0 => bob.get("/api/messages/conversation/alice?limit=3").await,
                    1 => bob.mark(id).await,
                    _ => bob.put(&format!("/api/conversations/{}/read", &id[..25])).await,
                };
                assert!([200, 503].contains(&answer.status), "{answer:?}");
            }
        };
        let (ids, ()) = join(sending, reading).await;
        world.wire.heal();
        assert_eq!(assert_agreement(&alice, &bob).await.len(), ids.len());
        // Mark an older message as read while another one arrives.
        let (mark, _) = join(bob.mark(&ids[10]), send_reliably(&alice, "bob", "late")).await;
        mark.expect(200);
        assert_agreement(&alice, &bob).await;
        bob.get("/api/messages/conversation/alice").await.expect(200);
        assert_eq!(bob.unread().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deleting_while_receiving_keeps_later_messages() {
    for seed in 1..5 {
        let world = World::new().await;
        let (alice, bob) = world.two().await;
        let conversation = alice.send("bob", "before").await.expect(201).data()["conversation_id"].clone();
        let path = format!("/api/messages/conversation/{}", conversation.as_str().unwrap());
        world.wire.inject(bad_day(), seed);
        let sending = async {
            for n in 0..20 {
                send_reliably(&alice, "bob", &format!("m{n}")).await;
            }
        };
        let deleting = async {
            for _ in 0..8 {
                let answer = bob.delete(&path).await;
                assert!([200, 503].contains(&answer.status), "{answer:?}");
            }
        };
        join(sending, deleting).await;
        world.wire.heal();
        assert_eq!(alice.history("bob").await.len(), 21, "nothing changes for the other user");
        let (seen, row) = (bob.history("alice").await, bob.row("alice").await);
        let total = bob.get("/api/messages/inbox").await.json["total"].clone();
        match row {
            Some(row) => {
                assert_eq!(total, 1);
                assert_eq!(row["unread_count"], seen.len(), "all remaining messages are unread");
                assert_eq!(bob.unread().await, seen.len() as u64);
            }
            None => assert_eq!((total, bob.unread().await, seen.len()), (0.into(), 0, 0)),
        }
        send_reliably(&alice, "bob", "after").await;
        assert_eq!(texts(&bob.history("alice").await).last(), Some(&"after"));
        assert_eq!(bob.get("/api/messages/inbox").await.json["total"], 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_message_gets_past_a_block() {
    for seed in 1..10 {
        let world = World::new().await;
        let (alice, bob) = world.two().await;
        if seed % 2 == 0 {
            alice.send("bob", "an old one").await.expect(201);
        }
        world.wire.inject(Faults { lost: 0.0, ..bad_day() }, seed);
        let blocking = async {
            while bob.block("alice").await.status != 200 {}
            // Once the block is acknowledged, no more messages may arrive.
            bob.history("alice").await.len()
        };
        let sends = (0..6).map(async |n| alice.send("bob", &format!("m{n}")).await);
        let (before, answers) = join(blocking, join_all(sends)).await;
        world.wire.heal();
        assert!(answers.iter().all(|answer| [201, 403, 503].contains(&answer.status)), "{answers:?}");
        assert_eq!(bob.history("alice").await.len(), before, "a message arrived after the block");
        alice.send("bob", "hello?").await.refused(403, "blocked");
        bob.send("alice", "hello?").await.refused(403, "blocked");
    }
}

#[tokio::test]
async fn a_lost_answer_is_retried() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "first").await.expect(201);
    for lost in 1..4 {
        world.wire.lose_answers(lost);
        alice.send("bob", &format!("lost {lost}")).await.expect(201);
    }
    assert_eq!(texts(&assert_agreement(&alice, &bob).await), ["first", "lost 1", "lost 2", "lost 3"]);
    world.wire.lose_answers(2);
    let newest = bob.row("alice").await.unwrap()["last_message_id"].as_str().unwrap().to_owned();
    assert_eq!(bob.mark(&newest).await.expect(200).data()["unread_count"], 0);
}

#[tokio::test]
async fn a_retry_after_a_restart_finds_its_message() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidings.db");
    let open = || local::engine::Engine::on_disk(&file).unwrap();
    let world = World::on(open()).await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "first").await.expect(201);
    world.wire.restart_after_a_loss(open());
    let before = world.wire.calls().len();
    alice.send("bob", "second").await.expect(201);
    let calls = world.wire.calls();
    assert_eq!(calls[before..].iter().filter(|call| *call == "TransactWriteItems").count(), 2);
    assert_eq!(texts(&assert_agreement(&alice, &bob).await), ["first", "second"]);
}

#[tokio::test]
async fn an_unanswered_send_is_stored_once_or_not_at_all() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "first").await.expect(201);
    world.wire.inject(Faults { lost: 1.0, ..Faults::default() }, 1);
    alice.send_once("bob", "second", "key").await.refused(503, "unavailable");
    world.wire.heal();
    assert_eq!(alice.history("bob").await.len(), 2);
    alice.send_once("bob", "second", "key").await.expect(200);
    world.wire.inject(Faults { throttled: 1.0, ..Faults::default() }, 1);
    let refused = alice.send_once("bob", "third", "other key").await;
    refused.refused(503, "unavailable");
    assert!(refused.headers.contains_key("retry-after"));
    bob.get("/api/messages/inbox").await.refused(503, "unavailable");
    world.wire.heal();
    assert_eq!(assert_agreement(&alice, &bob).await.len(), 2);
    alice.send_once("bob", "third", "other key").await.expect(201);
    assert_eq!(assert_agreement(&alice, &bob).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn exact_results_do_not_depend_on_stale_reads() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    world.wire.inject(Faults { lag: Duration::from_secs(5), ..Faults::default() }, 1);
    for n in 0..5 {
        let id = alice.send("bob", &format!("needle {n}")).await.expect(201).id();
        assert_eq!(bob.page("alice").await.len(), n + 1, "a page shows all messages sent so far");
        let found = bob.get("/api/messages/search?q=needle").await.expect(200);
        assert_eq!(found.list().len(), n + 1, "a message is found as soon as it is sent");
        if n == 3 {
            assert_eq!(bob.mark(&id).await.expect(200).data()["unread_count"], 0);
        }
    }
    let page = alice.page("bob").await;
    let read: Vec<_> = page.iter().map(|message| message["read"] == true).collect();
    assert_eq!(read, [true, true, true, true, false]);
    assert!(page[..4].iter().all(|message| message["read_at"].is_string()));
    let receipts = alice.get(&format!("/api/messages/{}/receipts", page[0]["id"].as_str().unwrap())).await;
    assert_eq!(receipts.expect(200).list()[0]["user_id"], "bob");
    bob.block("alice").await.expect(200);
    alice.send("bob", "no").await.refused(403, "blocked");
}
