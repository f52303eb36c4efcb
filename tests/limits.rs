//! Rate limits: bursts, and how buckets refill.

mod calls;

use domain::limits::{CONVERSATIONS, RateLimit, TYPING, WRITES};
use futures_util::future::join_all;
use harness::{Actor, Answer, World};
use serde_json::json;

/// Machines on one database, with rate limits and a clock that stands still until it is set.
struct Machines(World, i64);

impl Machines {
    async fn new() -> Self {
        let world = World::new().await;
        for id in ["alice", "bob", "carol"] {
            world.user(id).await;
        }
        let now = world.app.store.now().millis();
        Self(world, now)
    }

    /// Returns a user of a machine whose clock is `millis` milliseconds after the start.
    fn at(&self, millis: i64, id: &str) -> Actor {
        self.0.with_clock_at(self.1 + millis).with_limits().stranger(id)
    }

    fn now(&self, id: &str) -> Actor {
        self.at(0, id)
    }
}

/// Asserts that a call was refused with 429 and this `Retry-After` in seconds.
#[track_caller]
fn assert_limited(answer: &Answer, seconds: &str) {
    answer.refused(429, "rate_limited");
    assert_eq!(answer.headers["retry-after"], seconds);
}

fn burst(limit: &RateLimit) -> usize {
    limit.burst.try_into().unwrap()
}

async fn typing(actor: &Actor, conversation: &str) -> Answer {
    actor.post("/api/typing", &json!({"conversation_id": conversation, "is_typing": true})).await
}

#[tokio::test]
async fn sends_have_a_burst_and_then_a_rate() {
    let machines = Machines::new().await;
    let alice = machines.now("alice");
    for n in 0..burst(&WRITES) {
        alice.send("bob", &format!("{n}")).await.expect(201);
    }
    let before = machines.0.items().await;
    assert_limited(&alice.send("bob", "too many").await, "1");
    assert!(machines.0.items().await == before, "a refused call changes nothing");
    let later = machines.at(WRITES.every, "alice");
    later.send("bob", "in time").await.expect(201);
    assert_limited(&later.send("bob", "too soon").await, "1");
    let rested = machines.at(3_600_000, "alice");
    for n in 0..burst(&WRITES) {
        rested.send("bob", &format!("{n}")).await.expect(201);
    }
    assert_limited(&rested.send("bob", "too many").await, "1");
    // A machine whose clock is behind computes the wait by its own clock.
    assert_limited(&alice.send("bob", "behind").await, "3601");
}

#[tokio::test]
async fn sends_edits_and_deletions_share_a_bucket() {
    let machines = Machines::new().await;
    let (alice, bob, carol) = (machines.now("alice"), machines.now("bob"), machines.now("carol"));
    let (direct, mut ids) = (alice.send("bob", "0").await.expect(201), Vec::new());
    let group = alice.group("g", &["bob", "carol"]).await;
    for conversation in [direct.conversation(), group.clone()] {
        ids.clear();
        for n in 0..46 {
            ids.push(alice.say(&conversation, &format!("{n}")).await.expect(201).id());
        }
        alice.edit(&ids[0], "edited").await.expect(200);
        alice.unsend(&ids[1]).await.expect(200);
        alice.hide(&ids[2]).await.expect(200);
        // Take the last token, if there is one.
        alice.edit(&ids[3], "edited").await;
        for refused in [
            alice.say(&conversation, "x").await,
            alice.edit(&ids[4], "edited").await,
            alice.unsend(&ids[5]).await,
            alice.hide(&ids[6]).await,
        ]
        .iter()
        .skip(usize::from(conversation == group))
        {
            assert_limited(refused, "1");
        }
        // Calls that change nothing take no token, and reads are never limited.
        alice.edit(&ids[0], "edited").await.expect(200);
        alice.unsend(&ids[1]).await.expect(200);
        bob.say(&conversation, "another's bucket").await.expect(201);
    }
    alice.send("carol", "another conversation").await.expect(201);
    carol.say(&group, "hello").await.expect(201);
    for _ in 0..60 {
        alice.get("/api/messages/inbox").await.expect(200);
        alice.messages(&group).await;
        alice.put(&format!("/api/conversations/{group}/read")).await.expect(200);
    }
}

#[tokio::test]
async fn typing_and_new_conversations_have_their_own_buckets() {
    let machines = Machines::new().await;
    let alice = machines.now("alice");
    let group = alice.group("g", &["bob"]).await;
    let direct = alice.send("bob", "hello").await.expect(201).conversation();
    for _ in 0..burst(&TYPING) {
        typing(&alice, &group).await.expect(200);
    }
    assert_limited(&typing(&alice, &group).await, "1");
    typing(&alice, &direct).await.expect(200);
    typing(&machines.now("bob"), &group).await.expect(200);
    alice.say(&group, "said").await.expect(201);
    typing(&machines.at(TYPING.every, "alice"), &group).await.expect(200);
    // Two conversations exist. Fill the rest of the burst with groups and rooms.
    for n in 2..burst(&CONVERSATIONS) {
        if n % 2 == 0 {
            alice.group("g", &["bob"]).await;
        } else {
            alice.room(&format!("room {n}")).await;
        }
    }
    let before = machines.0.items().await;
    let direct = json!({"type": "direct", "participant_ids": ["carol"]});
    for refused in [
        alice.post("/api/conversations", &json!({"type": "group", "name": "g", "participant_ids": []})).await,
        alice.post("/api/conversations", &direct).await,
        alice.post("/api/rooms", &json!({"name": "one more"})).await,
        alice.send("carol", "a first message").await,
    ] {
        assert_limited(&refused, "10");
    }
    assert!(machines.0.items().await == before, "a refused call changes nothing");
    // An existing conversation can be opened again, and other users are not limited.
    alice
        .post("/api/conversations", &json!({"type": "direct", "participant_ids": ["bob"]}))
        .await
        .expect(200);
    alice.send("bob", "not the first").await.expect(201);
    machines.now("carol").send("alice", "a first message").await.expect(201);
    machines
        .at(CONVERSATIONS.every, "alice")
        .post("/api/rooms", &json!({"name": "one more"}))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_first_message_soon_after_another_takes_three_calls_in_a_row() {
    let world = World::new().await.with_limits();
    let [alice, ..] = world.users(["alice", "bob", "carol"]).await;
    for peer in ["bob", "carol"] {
        let sent = alice.send(peer, "a first message").await.expect(201);
        assert!(sent.cost("depth") <= 3.0, "{peer}");
        // Two attempts, the sockets for the first one, and the profiles with the sockets for the second one.
        assert!(sent.cost("calls") <= 4.0, "{peer}: {}", sent.cost("calls"));
    }
}

#[tokio::test]
async fn concurrent_sends_do_not_exceed_the_burst() {
    let machines = Machines::new().await;
    let alice = machines.now("alice");
    let direct = alice.send("bob", "first").await.expect(201).conversation();
    let bob = machines.now("bob");
    let texts: Vec<String> = (0..100).map(|n| format!("{n}")).collect();
    let (mut sent, mut refused) = (0, 0);
    // Send in waves: more concurrent sends might be answered with 503.
    for wave in texts.chunks(10) {
        for answer in join_all(wave.iter().map(|text| alice.say(&direct, text))).await {
            match answer.status {
                201 => sent += 1,
                429 => refused += 1,
                _ => panic!("{answer:?}"),
            }
        }
    }
    assert_eq!((sent, refused), (burst(&WRITES) - 1, 101 - burst(&WRITES)));
    assert_eq!(bob.unread().await, WRITES.burst.unsigned_abs());
}

#[tokio::test]
async fn a_retry_is_answered_even_if_the_bucket_is_empty() {
    let machines = Machines::new().await;
    let alice = machines.now("alice");
    let first = alice.send_once("bob", "hello", "k1").await.expect(201);
    let group = alice.group("g", &["bob"]).await;
    let body =
        |key: &str| json!({"conversation_id": group, "message_text": "hello", "client_message_id": key});
    let second = alice.post("/api/messages/send", &body("k1")).await.expect(201);
    for _ in 1..burst(&WRITES) {
        alice.send("bob", "more").await.expect(201);
        alice.say(&group, "more").await.expect(201);
    }
    for _ in 0..3 {
        assert_eq!(alice.send_once("bob", "hello", "k1").await.expect(200).id(), first.id());
        assert_eq!(alice.post("/api/messages/send", &body("k1")).await.expect(200).id(), second.id());
        assert_limited(&alice.send_once("bob", "hello", "k2").await, "1");
        assert_limited(&alice.post("/api/messages/send", &body("k2")).await, "1");
    }
    let named = json!({"type": "group", "name": "g", "participant_ids": [], "client_conversation_id": "g1"});
    let made = alice.post("/api/conversations", &named).await.expect(201).conversation();
    for n in 3..burst(&CONVERSATIONS) {
        alice.room(&format!("room {n}")).await;
    }
    alice.post("/api/rooms", &json!({"name": "one more"})).await.refused(429, "rate_limited");
    assert_eq!(alice.post("/api/conversations", &named).await.expect(200).conversation(), made);
}
