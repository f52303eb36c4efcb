//! State plus events equals fresh state: a client that loaded once and follows its queue shows the same as a client
//! that loads now.

mod chance;
mod changes;
mod groups;
mod large;
mod rooms;

use std::time::Duration;

use harness::sync::{Audience, Dice, Place, State};
use harness::wire::Faults;
use harness::{Actor, World};
use serde_json::json;

use crate::direct::text;

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

async fn people(world: &World) -> [Actor; 3] {
    [world.user("alice").await, world.user("bob").await, world.user("carol").await]
}

fn conversation(message: &str) -> &str {
    &message[..25]
}

async fn delete(actor: &Actor, message: &str) {
    actor.delete(&format!("/api/messages/conversation/{}", conversation(message))).await.expect(200);
}

#[tokio::test]
async fn sends_keep_clients_up_to_date() {
    let world = World::new().await;
    let [alice, bob, carol] = people(&world).await;
    let mut all = Audience::of(&[&alice, &bob, &carol], 1).await;
    all.verify(alice.send("bob", "the first")).await.expect(201);
    all.verify(alice.send("bob", "a later one")).await.expect(201);
    all.verify(bob.send("alice", "an answer")).await.expect(201);
    all.verify(carol.send("bob", "another's first")).await.expect(201);
    all.verify(alice.send_once("bob", "with a key", "key")).await.expect(201);
    all.verify(alice.send_once("bob", "with a key", "key")).await.expect(200);
    world.wire.lose_answers(1);
    all.verify(alice.send_once("carol", "lost and found", "key")).await.expect(201);
    all.verify(alice.send("bob", &"long ".repeat(2_000))).await.expect(201);
    let full = json!({
        "recipient_id": "bob", "message_text": "", "attachment_url": "https://a.example/cat.png",
        "attachment_type": "image/png",
    });
    all.verify(alice.post("/api/messages/send", &full)).await.expect(201);
    all.verify(alice.send("nobody", "hello?")).await.refused(404, "not_found");
    all.verify(alice.send("alice", "hello?")).await.expect(400);
}

#[tokio::test]
async fn reading_keeps_clients_up_to_date() {
    let world = World::new().await;
    let [alice, bob, carol] = people(&world).await;
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(alice.send("bob", &format!("m{n}")).await.expect(201).id());
    }
    let mut all = Audience::of(&[&alice, &bob, &carol], 2).await;
    all.verify(bob.mark(&ids[1])).await.expect(200);
    all.verify(bob.mark(&ids[0])).await.expect(200);
    all.verify(alice.mark(&ids[5])).await.expect(200);
    all.verify(bob.send("alice", "in between")).await.expect(201);
    all.verify(alice.send("bob", "and on")).await.expect(201);
    let page = format!("/api/messages/conversation/alice?limit=3&before={}", ids[6]);
    all.verify(bob.get(&page)).await.expect(200);
    all.verify(bob.get("/api/messages/conversation/alice?limit=2&offset=2")).await.expect(200);
    all.verify(bob.get("/api/messages/conversation/alice")).await.expect(200);
    all.verify(bob.mark(&ids[7])).await.expect(200);
    let last = all.verify(alice.send("bob", "one more")).await.expect(201).id();
    all.verify(bob.mark(&last)).await.expect(200);
    all.verify(carol.mark(&last)).await.expect(403);
    let read_all = format!("/api/conversations/{}/read", conversation(&last));
    all.verify(bob.send("alice", "yes?")).await.expect(201);
    all.verify(alice.put(&read_all)).await.expect(200);
    all.verify(alice.put(&read_all)).await.expect(200);
}

#[tokio::test]
async fn deleting_keeps_clients_up_to_date() {
    let world = World::new().await;
    let [alice, bob, carol] = people(&world).await;
    let mut all = Audience::of(&[&alice, &bob, &carol], 3).await;
    let first = all.verify(alice.send("bob", "one")).await.expect(201).id();
    let second = all.verify(alice.send("bob", "two")).await.expect(201).id();
    all.verify(bob.mark(&first)).await.expect(200);
    all.verify(delete(&bob, &first)).await;
    all.verify(delete(&bob, &first)).await;
    // The row is hidden, but the conversation can still be marked as read.
    let read_all = format!("/api/conversations/{}/read", conversation(&second));
    all.verify(bob.put(&read_all)).await.expect(200);
    all.verify(alice.send("bob", "it returns")).await.expect(201);
    all.verify(delete(&bob, &first)).await;
    all.verify(bob.send("alice", "by one's own hand")).await.expect(201);
    all.verify(delete(&alice, &first)).await;
    all.verify(delete(&bob, &first)).await;
    all.verify(alice.send_once("bob", "for both", "key")).await.expect(201);
    all.verify(delete(&bob, &first)).await;
    all.verify(alice.send_once("bob", "for both", "key")).await.expect(200);
    let last = all.verify(alice.send("bob", "again")).await.expect(201).id();
    all.verify(bob.mark(&last)).await.expect(200);
}

#[tokio::test]
async fn blocks_and_typing_change_no_state() {
    let world = World::new().await;
    let [alice, bob, carol] = people(&world).await;
    let mut all = Audience::of(&[&alice, &bob, &carol], 4).await;
    all.verify(carol.block("alice")).await.expect(200);
    all.verify(alice.send("carol", "hello?")).await.refused(403, "blocked");
    all.verify(carol.unblock("alice")).await.expect(200);
    all.verify(alice.send("carol", "hello")).await.expect(201);
    let id = all.verify(alice.send("bob", "hello")).await.expect(201).id();
    all.verify(bob.block("alice")).await.expect(200);
    all.verify(alice.send("bob", "hello?")).await.refused(403, "blocked");
    all.verify(bob.mark(&id)).await.expect(200);
    all.verify(bob.unblock("alice")).await.expect(200);
    for is_typing in [true, false] {
        let signal = json!({"conversation_id": conversation(&id), "is_typing": is_typing});
        all.verify(alice.post("/api/typing", &signal)).await.expect(200);
    }
    all.verify(alice.put("/api/presence")).await;
    all.verify(alice.json("PUT", "/api/presence", &json!({"status": "away"}))).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_actions_keep_clients_up_to_date() {
    let world = World::new().await;
    let [alice, bob, carol] = people(&world).await;
    let mut all = Audience::of(&[&alice, &bob, &carol], 5).await;
    let first = alice.send("bob", "the first").await.expect(201).id();
    for round in 0..3 {
        let sends = async {
            for n in 0..4 {
                alice.send("bob", &format!("{round} {n}")).await.expect(201);
            }
        };
        let answers = async {
            for n in 0..4 {
                bob.send("alice", &format!("{round} {n}, yes")).await.expect(201);
            }
        };
        let reads = async {
            for _ in 0..4 {
                bob.get("/api/messages/conversation/alice?limit=2").await.expect(200);
            }
        };
        let others = async {
            carol.send("bob", "hello").await.expect(201);
            delete(&alice, &first).await;
            carol.send("alice", "hello").await.expect(201);
        };
        all.verify(futures_util::future::join4(sends, answers, reads, others)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_load_stale_data_catch_up() {
    let lag = Duration::from_millis(250);
    for seed in 1..4 {
        let world = World::new().await;
        let actors = people(&world).await;
        let mut all = Audience::of(&actors.each_ref(), seed).await;
        let mut dice = Dice(seed);
        for _ in 0..3 {
            world.wire.inject(Faults { lag, ..Faults::default() }, seed);
            for _ in 0..5 {
                step(&actors, &mut dice).await;
            }
            // Indexes and eventually consistent reads do not show the latest changes yet.
            let mut loaded = Vec::new();
            for actor in &actors {
                loaded.push((Place::start(actor).await, State::of(actor).await));
            }
            step(&actors, &mut dice).await;
            world.wire.heal();
            all.compare(loaded).await;
        }
    }
}

#[tokio::test]
async fn random_actions_of_three_users_keep_clients_up_to_date() {
    for seed in 1..4 {
        let world = World::new().await;
        let actors = people(&world).await;
        let mut all = Audience::of(&actors.each_ref(), seed).await;
        let mut dice = Dice(seed * 0x9E37_79B9);
        for _ in 0..30 {
            all.verify(step(&actors, &mut dice)).await;
        }
    }
}

/// Performs a random action of a random user. It may be refused with 403.
async fn step(actors: &[Actor; 3], dice: &mut Dice) {
    let user = dice.below(3);
    let peer = (user + 1 + dice.below(2)) % 3;
    let (actor, other) = (&actors[user], PEOPLE[peer]);
    let answer = match dice.below(16) {
        0..=5 => actor.send(other, &format!("m{}", dice.below(1_000))).await,
        6 => actor.send_once(other, "with a key", &format!("key {}", dice.below(2))).await,
        7 => actor.block(other).await,
        8 | 9 => actor.unblock(other).await,
        10 => actor.get(&format!("/api/messages/conversation/{other}?limit={}", 1 + dice.below(4))).await,
        _ => {
            let page = actor.page(other).await;
            let Some(message) = page.get(dice.below(page.len().max(1))) else { return };
            let (id, conversation) = (text(message, "id"), text(message, "conversation_id"));
            match dice.below(6) {
                0 => actor.delete(&format!("/api/messages/conversation/{conversation}")).await,
                1 => actor.put(&format!("/api/conversations/{conversation}/read")).await,
                2 => {
                    let signal = json!({"conversation_id": conversation, "is_typing": true});
                    actor.post("/api/typing", &signal).await
                }
                _ => actor.mark(id).await,
            }
        }
    };
    assert!([200, 201, 403].contains(&answer.status), "{answer:?}");
}

#[tokio::test]
async fn a_conversation_that_returns_stays_despite_clock_skew() {
    for ahead in [3_000, -3_000] {
        let world = World::new().await;
        let (alice, bob) = world.two().await;
        let mut all = Audience::of(&[&alice, &bob], 1).await;
        let bob = world.with_clock_off_by(ahead).stranger("bob");
        let first = all.verify(alice.send("bob", "one")).await.expect(201).id();
        all.verify(async {
            delete(&bob, &first).await;
            alice.send("bob", "it returns").await.expect(201);
            alice.send("bob", "and goes on").await.expect(201);
            bob.get("/api/messages/conversation/alice").await.expect(200);
        })
        .await;
    }
}
