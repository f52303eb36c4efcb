//! The limits of single calls: what each costs, and what a refused one leaves behind.

use domain::error::Error;
use domain::limits::{
    BLOCKS, CHANGES, CONVERSATIONS, LOGINS_FROM_ADDRESS, PASSWORDS, PASSWORDS_OF_ACCOUNT, PRESENCE,
    PROFILE_CHANGES, REFRESHES, REGISTRATIONS, RateLimit, SEARCHES, SOCKETS, SUBSCRIPTIONS, TEST_PUSHES,
    TICKETS, TYPING, UPLOAD_SIZE, UPLOADS, WRITES,
};
use domain::time::Timestamp;
use edge::auth;
use harness::sync::Place;
use harness::{Actor, Answer, SECRET, World};
use serde_json::{Value, json};

use super::{Machines, assert_limited, burst};

/// Returns a world with limits, whose clock stands still.
async fn limited() -> World {
    let world = World::new().await;
    world.with_clock_at(world.app.store.now().millis()).with_limits()
}

async fn ticket(actor: &Actor) -> Answer {
    actor.post("/api/ws-ticket", &json!({})).await
}

async fn set_status(actor: &Actor, status: &str) -> Answer {
    actor.json("PUT", "/api/presence", &json!({"status": status})).await
}

#[tokio::test]
async fn changes_of_groups_and_rooms_share_a_bucket() {
    let machines = Machines::new().await;
    let alice = machines.now("alice");
    let group = alice.group("g", &["bob"]).await;
    let room = machines.now("bob").room("room").await;
    for n in 0..50 {
        alice.change(&group, &json!({"name": format!("{n}")})).await.expect(200);
        alice.add(&group, &["carol"]).await.expect(200);
        alice.set_admin(&group, "carol", true).await.expect(200);
        alice.remove(&group, "carol").await.expect(200);
    }
    assert_eq!(burst(&CHANGES), 200);
    let before = machines.0.items().await;
    for refused in [
        alice.change(&group, &json!({"name": "one more"})).await,
        alice.add(&group, &["carol"]).await,
        alice.set_admin(&group, "bob", true).await,
        alice.remove(&group, "bob").await,
        alice.leave(&group).await,
        alice.join(&room).await,
    ] {
        assert_limited(&refused, "1");
    }
    assert!(machines.0.items().await == before, "a refused call changes nothing");
    // A call that changes nothing is free, and other users have their own buckets.
    alice.change(&group, &json!({"name": "49"})).await.expect(200);
    machines.now("carol").join(&room).await.expect(200);
    machines.at(CHANGES.every, "alice").join(&room).await.expect(200);
    assert_limited(&machines.at(CHANGES.every, "alice").leave(&room).await, "1");
}

#[tokio::test]
async fn joining_and_leaving_a_room_again_and_again_is_limited() {
    let machines = Machines::new().await;
    let (alice, bob) = (machines.now("alice"), machines.now("bob"));
    let room = alice.room("room").await;
    for _ in 0..100 {
        bob.join(&room).await.expect(200);
        bob.leave(&room).await.expect(200);
    }
    assert_limited(&bob.join(&room).await, "1");
}

#[tokio::test]
async fn the_price_of_a_change_grows_with_the_participants() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(100).await;
    let limited = world.with_clock_at(world.app.store.now().millis()).with_limits();
    let admin = limited.stranger(&crowd[0].id);
    for n in 0..66 {
        admin.change(&group, &json!({"description": format!("{n}")})).await.expect(200);
    }
    // Two of 200 tokens are left, and a change takes three.
    assert_limited(&admin.change(&group, &json!({"description": "one more"})).await, "1");
    // One call that adds many users takes all of its tokens before it adds the first one.
    let others: Vec<String> = (0..60).map(|n| format!("q{n}")).collect();
    for id in &others {
        world.user(id).await;
    }
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let before = world.items().await;
    assert_limited(&admin.add(&group, &others).await, "7");
    assert!(world.items().await == before, "nobody was added");
    let later = world.with_clock_at(limited.app.store.now().millis() + 7 * CHANGES.every).with_limits();
    later.stranger(&crowd[0].id).add(&group, &others).await.expect(200);
    assert_eq!(admin.overview(&group).await["participant_count"], 160);
}

#[tokio::test]
async fn the_price_of_a_message_grows_with_the_participants() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(200).await;
    let limited = world.with_clock_at(world.app.store.now().millis()).with_limits();
    let sender = limited.stranger(&crowd[1].id);
    for n in 0..burst(&WRITES) / 2 {
        sender.say(&group, &format!("{n}")).await.expect(201);
    }
    assert_limited(&sender.say(&group, "one more").await, "1");
}

#[tokio::test]
async fn marks_as_unread_count_as_writes_of_the_conversation() {
    let machines = Machines::new().await;
    let (alice, bob) = (machines.now("alice"), machines.now("bob"));
    let mut messages = Vec::new();
    for text in ["one", "two"] {
        messages.push(bob.send("alice", text).await.expect(201).id());
    }
    for n in 0..burst(&WRITES) {
        alice.mark_unread(&messages[n % 2]).await.expect(200);
    }
    let before = machines.0.items().await;
    assert_limited(&alice.mark_unread(&messages[burst(&WRITES) % 2]).await, "1");
    assert!(machines.0.items().await == before, "a refused call changes nothing");
    // A mark that changes nothing is free.
    alice.mark_unread(&messages[(burst(&WRITES) + 1) % 2]).await.expect(200);
}

#[tokio::test]
async fn presence_tickets_and_blocks_have_their_own_buckets() {
    let machines = Machines::new().await;
    let alice = machines.now("alice");
    for n in 0..burst(&PRESENCE) {
        set_status(&alice, if n % 2 == 0 { "away" } else { "online" }).await.expect(200);
    }
    for _ in 0..burst(&TICKETS) {
        ticket(&alice).await.expect(201);
    }
    for _ in 0..burst(&BLOCKS) / 2 {
        alice.block("bob").await.expect(200);
        alice.unblock("bob").await.expect(200);
    }
    let before = machines.0.items().await;
    assert_limited(&set_status(&alice, "away").await, "2");
    assert_limited(&ticket(&alice).await, "2");
    assert_limited(&alice.block("bob").await, "2");
    assert!(machines.0.items().await == before, "a refused call changes nothing");
    let later = machines.at(PRESENCE.every, "alice");
    set_status(&later, "away").await.expect(200);
    ticket(&later).await.expect(201);
    later.block("bob").await.expect(200);
    assert_limited(&later.unblock("bob").await, "2");
}

#[tokio::test]
async fn new_sockets_are_limited() {
    let world = limited().await;
    let alice = world.user("alice").await.id.parse().unwrap();
    for _ in 0..burst(&SOCKETS) {
        world.app.store.admit_socket(&alice).await.unwrap();
    }
    assert!(matches!(world.app.store.admit_socket(&alice).await, Err(Error::RateLimited(2))));
    // However slowly they were opened, a user cannot have more than 100.
    for n in 0..101 {
        let expires = Timestamp::from_millis(world.app.store.now().millis() + 60_000);
        world.app.store.add_socket(&alice, &n.to_string(), expires, None).await.unwrap();
        let recorded = world.app.store.record_connect(&alice).await;
        assert_eq!(matches!(recorded, Err(Error::RateLimited(60))), n == 100, "{n}");
    }
}

#[tokio::test]
async fn searches_are_limited() {
    let machines = Machines::new().await;
    let alice = machines.now("alice");
    for n in 0..burst(&SEARCHES) {
        let path = ["/api/messages/search?q=word", "/api/users?q=bob", "/api/mentions"][n % 3];
        let answer = alice.get(path).await.expect(200);
        // The bucket is written beside the reads.
        assert!(n > 0 || answer.cost("wcu") < 1.5, "{answer:?}");
    }
    assert_limited(&alice.get("/api/messages/search?q=word").await, "1");
    assert_limited(&alice.get("/api/users?q=bob").await, "1");
    assert_limited(&alice.get("/api/mentions").await, "1");
    machines.now("bob").get("/api/messages/search?q=word").await.expect(200);
}

/// Returns a user with a token that carries this name.
fn named(world: &World, id: &str, name: &str) -> Actor {
    let expires = Timestamp::from_millis(world.app.store.now().millis() + 3_600_000);
    let token = auth::sign(SECRET.as_bytes(), &id.parse().unwrap(), Some(name), expires).unwrap();
    world.stranger(id).with_token(Some(&token))
}

#[tokio::test]
async fn names_in_tokens_share_the_limit_of_profile_changes() {
    let world = limited().await;
    let bob = world.user("bob").await;
    let alice = [named(&world, "alice", "One"), named(&world, "alice", "Two")];
    alice[1].send("bob", "hello").await.expect(201);
    for n in 0..burst(&PROFILE_CHANGES) {
        let path = if n % 4 < 2 { "/api/users/me" } else { "/api/events" };
        alice[n % 2].get(path).await.expect(200);
    }
    let shown = || async { bob.row("alice").await.unwrap()["other_user_name"].clone() };
    let before = shown().await;
    for _ in 0..3 {
        for actor in &alice {
            let me = actor.get("/api/users/me").await.expect(200);
            assert_eq!(me.data()["full_name"], before, "the old name stays, and the call succeeds");
            actor.get("/api/events").await.expect(200);
        }
    }
    assert_eq!(shown().await, before);
    alice[0].patch("/api/users/me", &json!({"full_name": "Three"})).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn polling_again_with_an_old_cursor_writes_nothing_more() {
    let world = World::new().await;
    let world = world.with_clock_at(world.app.store.now().millis());
    let alice = world.user("alice").await;
    let place = Place::start(&alice).await;
    let writes = |answer: Answer| answer.expect(200).cost("wcu");
    assert!(writes(place.peek(50).await) > 0.5);
    for _ in 0..20 {
        assert!(writes(place.peek(50).await) < 0.5);
    }
    // In a later minute, the same cursor again writes once.
    let later = world.with_clock_at(world.app.store.now().millis() + 60_000);
    let place = Place { actor: later.stranger("alice"), ..place };
    let total: f64 = {
        let mut total = 0.0;
        for _ in 0..20 {
            total += writes(place.peek(50).await);
        }
        total
    };
    assert!((0.5..1.5).contains(&total), "{total}");
}

#[tokio::test]
async fn tickets_do_not_make_presence_expensive() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    set_status(&alice, "away").await.expect(200);
    let cost = || async { bob.get("/api/presence?user_ids=alice").await.expect(200).cost("rcu") };
    let before = cost().await;
    for _ in 0..300 {
        ticket(&alice).await.expect(201);
    }
    let after = cost().await;
    assert!((after - before).abs() < 0.01, "{before} {after}");
}

#[tokio::test]
async fn push_subscriptions_and_tests_are_limited() {
    let bob = limited().await.user("bob").await;
    let subscription = |n: usize| {
        let keys = json!({
            "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "auth": "BTBZMqHH6r4Tts7J_aSIgg",
        });
        json!({"endpoint": format!("http://127.0.0.1:9/{n}"), "keys": keys})
    };
    for _ in 0..burst(&TEST_PUSHES) {
        bob.post("/api/push/test", &Value::Null).await.expect(200);
    }
    assert_limited(&bob.post("/api/push/test", &Value::Null).await, "30");
    for n in 0..burst(&SUBSCRIPTIONS) {
        bob.json("PUT", "/api/push/subscriptions", &subscription(n)).await.expect(201);
    }
    assert_limited(&bob.json("PUT", "/api/push/subscriptions", &subscription(99)).await, "10");
    let known = subscription(burst(&SUBSCRIPTIONS) - 1);
    bob.json("PUT", "/api/push/subscriptions", &known).await.expect(200);
}

#[tokio::test]
async fn the_documented_limits_are_those_of_the_code() {
    let documented = std::fs::read_to_string(harness::build::root().join("docs/operations.md")).unwrap();
    let limits: [(&str, RateLimit); 19] = [
        ("WRITES", WRITES),
        ("TYPING", TYPING),
        ("CONVERSATIONS", CONVERSATIONS),
        ("CHANGES", CHANGES),
        ("PRESENCE", PRESENCE),
        ("SOCKETS", SOCKETS),
        ("TICKETS", TICKETS),
        ("BLOCKS", BLOCKS),
        ("SUBSCRIPTIONS", SUBSCRIPTIONS),
        ("TEST_PUSHES", TEST_PUSHES),
        ("SEARCHES", SEARCHES),
        ("PROFILE_CHANGES", PROFILE_CHANGES),
        ("UPLOADS", UPLOADS),
        ("UPLOAD_SIZE", UPLOAD_SIZE),
        ("REGISTRATIONS", REGISTRATIONS),
        ("LOGINS_FROM_ADDRESS", LOGINS_FROM_ADDRESS),
        ("PASSWORDS", PASSWORDS),
        ("PASSWORDS_OF_ACCOUNT", PASSWORDS_OF_ACCOUNT),
        ("REFRESHES", REFRESHES),
    ];
    let code = std::fs::read_to_string(harness::build::root().join("shared/domain/src/limits.rs")).unwrap();
    assert_eq!(code.matches(": RateLimit = RateLimit::new(").count() - 1, limits.len());
    for (name, limit) in limits {
        let row = documented.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let cells: Vec<&str> = row.expect(name).split('|').map(str::trim).collect();
        let every = match limit.every {
            millis if millis < 1_000 => format!("{millis} ms"),
            millis => format!("{} s", millis / 1_000),
        };
        assert_eq!(cells[4..6], [limit.burst.to_string(), every], "{name}");
    }
}

#[tokio::test]
async fn a_new_group_is_paid_for_by_its_size() {
    let world = limited().await;
    let crowd = world.crowd(100).await;
    let others: Vec<&str> = crowd[1..].iter().map(|actor| actor.id.as_str()).collect();
    let body = json!({"type": "group", "name": "Everyone", "participant_ids": others});
    for _ in 0..burst(&CONVERSATIONS) / 3 {
        crowd[0].post("/api/conversations", &body).await.expect(201);
    }
    assert_limited(&crowd[0].post("/api/conversations", &body).await, "20");
    let alone = json!({"type": "group", "name": "Alone", "participant_ids": Value::Array(Vec::new())});
    crowd[0].post("/api/conversations", &alone).await.expect(201);
}

#[tokio::test]
async fn joining_again_gives_no_more_messages_than_staying() {
    let machines = Machines::new().await;
    let (alice, bob) = (machines.now("alice"), machines.now("bob"));
    let room = alice.room("room").await;
    for _ in 0..3 {
        bob.join(&room).await.expect(200);
        for n in 0..5 {
            bob.say(&room, &n.to_string()).await.expect(201);
        }
        assert_limited(&bob.say(&room, "one more").await, "1");
        let typing = json!({"conversation_id": room, "is_typing": true});
        for _ in 0..5 {
            bob.post("/api/typing", &typing).await.expect(200);
        }
        assert_limited(&bob.post("/api/typing", &typing).await, "1");
        bob.leave(&room).await.expect(200);
    }
}
