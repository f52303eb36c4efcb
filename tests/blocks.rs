//! Blocking, with one call at a time.

use harness::sync::Place;
use harness::{Actor, World};
use serde_json::{Value, json};

use crate::direct::{ids, texts};

async fn blocked(actor: &Actor) -> Vec<Value> {
    actor.get("/api/messages/blocked-users").await.expect(200).list().to_vec()
}

/// Asserts that neither user can send to the other.
async fn assert_both_refused(alice: &Actor, bob: &Actor) {
    alice.send("bob", "hello?").await.refused(403, "blocked");
    bob.send("alice", "hello?").await.refused(403, "blocked");
}

#[tokio::test]
async fn a_block_stops_both_directions() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let conversation = alice.send("bob", "hello").await.expect(201).data()["conversation_id"].clone();
    bob.block("alice").await.expect(200);
    assert_both_refused(&alice, &bob).await;
    let by_id = json!({"conversation_id": conversation, "message_text": "hello?"});
    for actor in [&alice, &bob] {
        actor.post("/api/messages/send", &by_id).await.refused(403, "blocked");
    }
    assert_eq!((alice.page("bob").await.len(), bob.unread().await), (1, 1));
    bob.unblock("alice").await.expect(200);
    alice.send("bob", "hello again").await.expect(201);
    bob.send("alice", "hi").await.expect(201);
    assert_eq!(texts(&alice.page("bob").await), ["hello", "hello again", "hi"]);
}

#[tokio::test]
async fn answers_do_not_reveal_who_blocked_whom() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    bob.block("alice").await.expect(200);
    let (of_bob, of_alice) = (alice.send("bob", "x").await, bob.send("alice", "x").await);
    assert_eq!(of_bob.json, of_alice.json);
    assert!(blocked(&alice).await.is_empty());
}

#[tokio::test]
async fn users_can_block_before_the_first_message() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    bob.block("alice").await.expect(200);
    assert_both_refused(&alice, &bob).await;
    for (actor, other) in [(&alice, "bob"), (&bob, "alice")] {
        assert!(actor.inbox().await.is_empty() && actor.page(other).await.is_empty());
        assert_eq!(actor.get("/api/messages/inbox").await.json["total"], 0);
    }
    bob.unblock("alice").await.expect(200);
    alice.send("bob", "hello").await.expect(201);
    for (actor, other, name) in [(&alice, "bob", "Bob"), (&bob, "alice", "Alice")] {
        assert_eq!(actor.row(other).await.unwrap()["other_user_name"], name);
        assert_eq!(actor.get("/api/messages/inbox").await.json["total"], 1);
    }
    assert_eq!((alice.unread().await, bob.unread().await), (0, 1));
}

#[tokio::test]
async fn blocking_and_unblocking_are_idempotent() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let first = bob.block("alice").await.expect(200);
    let list = blocked(&bob).await;
    assert_eq!(bob.block("alice").await.expect(200).json, first.json);
    assert_eq!(blocked(&bob).await, list);
    for _ in 0..2 {
        bob.unblock("alice").await.expect(200);
        assert!(blocked(&bob).await.is_empty());
    }
    alice.send("bob", "hello").await.expect(201);
    bob.unblock("carol").await.expect(200);
}

#[tokio::test]
async fn users_can_remove_only_their_own_block() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    bob.block("alice").await.expect(200);
    alice.unblock("bob").await.expect(200);
    assert_both_refused(&alice, &bob).await;
    assert_eq!(blocked(&bob).await.len(), 1);
}

#[tokio::test]
async fn two_blocks_are_independent() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    bob.block("alice").await.expect(200);
    alice.block("bob").await.expect(200);
    assert_both_refused(&alice, &bob).await;
    bob.unblock("alice").await.expect(200);
    assert_both_refused(&alice, &bob).await;
    assert_eq!((blocked(&alice).await.len(), blocked(&bob).await.len()), (1, 0));
    alice.unblock("bob").await.expect(200);
    alice.send("bob", "hello").await.expect(201);
}

#[tokio::test]
async fn a_block_affects_no_third_user() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let carol = world.user("carol").await;
    bob.block("alice").await.expect(200);
    carol.send("alice", "hello").await.expect(201);
    carol.send("bob", "hello").await.expect(201);
    alice.send("carol", "hello").await.expect(201);
}

#[tokio::test]
async fn blocked_users_are_listed_with_their_names() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    for id in ["dave", "carol", "erin", "frank"] {
        world.user(id).await;
        alice.block(id).await.expect(200);
    }
    let list = blocked(&alice).await;
    let named: Vec<_> =
        list.iter().map(|entry| (entry["user_id"].as_str().unwrap(), &entry["name"])).collect();
    let mut sorted = named.clone();
    sorted.sort_by_key(|(id, _)| *id);
    assert_eq!(
        sorted,
        [
            ("carol", &json!("Carol")),
            ("dave", &json!("Dave")),
            ("erin", &json!("Erin")),
            ("frank", &json!("Frank")),
        ]
    );
    assert!(
        list.iter().all(|entry| entry["blocked_at"].is_string() && entry.as_object().unwrap().len() == 3)
    );
    for limit in 1..=5 {
        let pages = alice.pages(&format!("/api/messages/blocked-users?limit={limit}")).await;
        assert!(pages.iter().all(|page| page.len() <= limit));
        assert_eq!(pages.concat(), list, "by {limit}");
    }
}

#[tokio::test]
async fn messages_from_before_a_block_can_be_read() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for text in ["one", "two", "three"] {
        alice.send("bob", text).await.expect(201);
    }
    bob.block("alice").await.expect(200);
    let seen = bob.page("alice").await;
    assert_eq!(texts(&seen), ["one", "two", "three"]);
    assert_eq!(alice.get("/api/messages/search?q=two").await.expect(200).list().len(), 1);
    assert_eq!(bob.mark(ids(&seen)[0]).await.expect(200).data()["unread_count"], 2);
    bob.get("/api/messages/conversation/alice").await.expect(200);
    assert_eq!(bob.unread().await, 0);
    // A block hides read marks and receipts from then on.
    assert!(alice.page("bob").await.iter().all(|message| message["read"] == false));
    let conversation = bob.row("alice").await.unwrap()["conversation_id"].clone();
    let path = format!("/api/messages/conversation/{}", conversation.as_str().unwrap());
    bob.delete(&path).await.expect(200);
    assert_both_refused(&alice, &bob).await;
    assert_eq!((bob.inbox().await.len(), alice.inbox().await.len()), (0, 1));
    bob.unblock("alice").await.expect(200);
    alice.send("bob", "four").await.expect(201);
    assert_eq!(texts(&bob.history("alice").await), ["four"]);
}

#[tokio::test]
async fn a_retry_of_a_send_from_before_a_block_is_answered() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let first = alice.send_once("bob", "hello", "k1").await.expect(201);
    bob.block("alice").await.expect(200);
    assert_eq!(alice.send_once("bob", "hello", "k1").await.expect(200).data(), first.data());
    let by_id = json!({
        "conversation_id": first.data()["conversation_id"], "message_text": "hello", "client_message_id": "k1",
    });
    assert_eq!(alice.post("/api/messages/send", &by_id).await.expect(200).id(), first.id());
    alice.send_once("bob", "hello", "k2").await.refused(403, "blocked");
    bob.send_once("alice", "hello", "k1").await.refused(403, "blocked");
    // The refused send stored nothing, so it can be sent later with its key.
    bob.unblock("alice").await.expect(200);
    alice.send_once("bob", "hello", "k2").await.expect(201);
    assert_eq!(bob.page("alice").await.len(), 2);
}

/// Returns the types of the events that have arrived since a place, and moves it.
async fn kinds_since(place: &mut Place) -> Vec<String> {
    let kind = |event: &Value| event["type"].as_str().unwrap().to_owned();
    place.drain(50).await.iter().map(kind).collect()
}

#[tokio::test]
async fn a_block_hides_what_is_read_from_then_on() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let first = alice.send("bob", "one").await.expect(201);
    let from_bob = bob.send("alice", "two").await.expect(201).id();
    bob.mark(&first.id()).await.expect(200);
    let last = alice.send("bob", "three").await.expect(201).id();
    let receipts = async |actor: &Actor, id: &str| {
        actor.get(&format!("/api/messages/{id}/receipts")).await.expect(200).list().len()
    };
    let read = async |actor: &Actor, other: &str| -> Vec<bool> {
        actor.page(other).await.iter().map(|message| message["read"] == true).collect()
    };
    bob.block("alice").await.expect(200);
    let (mut of_alice, mut of_bob) = (Place::start(&alice).await, Place::start(&bob).await);
    drop((of_alice.drain(50).await, of_bob.drain(50).await));
    bob.mark(&last).await.expect(200);
    alice.mark(&from_bob).await.expect(200);
    // Each hears of their own mark alone.
    assert_eq!(kinds_since(&mut of_alice).await, ["message.read"]);
    assert_eq!(kinds_since(&mut of_bob).await, ["message.read"]);
    assert_eq!((alice.unread().await, bob.unread().await), (0, 0));
    // Earlier read marks stay; readers see their own.
    assert_eq!(read(&alice, "bob").await, [true, true, false]);
    assert_eq!(read(&bob, "alice").await, [true, false, true]);
    assert_eq!((receipts(&alice, &first.id()).await, receipts(&alice, &last).await), (1, 0));
    assert_eq!((receipts(&bob, &from_bob).await, receipts(&bob, &last).await), (0, 1));
    let overview = alice.overview(&first.conversation()).await;
    assert_eq!(overview["participants"][1]["last_read_message_id"], first.id());

    bob.unblock("alice").await.expect(200);
    assert_eq!(read(&alice, "bob").await, [true, true, false]);
    let next = alice.send("bob", "four").await.expect(201).id();
    bob.mark(&next).await.expect(200);
    let page = alice.page("bob").await;
    assert_eq!(read(&alice, "bob").await, [true; 4]);
    assert_eq!(page[2]["read_at"], page[3]["read_at"], "not when it was read during the block");
}

#[tokio::test]
async fn a_block_hides_new_names_until_it_ends() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let conversation = alice.send("bob", "hello").await.expect(201).conversation();
    bob.block("alice").await.expect(200);
    let (mut of_alice, mut of_bob) = (Place::start(&alice).await, Place::start(&bob).await);
    drop((of_alice.drain(50).await, of_bob.drain(50).await));
    for (actor, name) in [(&alice, "Alicia"), (&bob, "Robert")] {
        actor.patch("/api/users/me", &json!({"full_name": name})).await.expect(200);
    }
    let shown = async |actor: &Actor, other: &str| {
        let overview = actor.overview(&conversation).await;
        let row = actor.row(other).await.unwrap();
        (row["other_user_name"].clone(), overview["participants"][1]["name"].clone())
    };
    assert_eq!(shown(&alice, "bob").await, (json!("Bob"), json!("Bob")));
    assert_eq!(shown(&bob, "alice").await, (json!("Alice"), json!("Alice")));
    assert!(kinds_since(&mut of_alice).await.is_empty() && kinds_since(&mut of_bob).await.is_empty());

    // A second block keeps the names hidden when the first one ends.
    alice.block("bob").await.expect(200);
    bob.unblock("alice").await.expect(200);
    assert_eq!(shown(&bob, "alice").await.0, "Alice");
    alice.unblock("bob").await.expect(200);
    assert_eq!(shown(&alice, "bob").await, (json!("Robert"), json!("Robert")));
    assert_eq!(shown(&bob, "alice").await, (json!("Alicia"), json!("Alicia")));
    assert_eq!(kinds_since(&mut of_alice).await, ["conversation.updated"]);
    assert_eq!(kinds_since(&mut of_bob).await, ["conversation.updated"]);
}

#[tokio::test]
async fn a_new_name_is_not_told_where_the_conversation_is_hidden() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let open = json!({"type": "direct", "participant_ids": ["bob"]});
    alice.post("/api/conversations", &open).await.expect(201);
    let mut of_bob = Place::start(&bob).await;
    alice.patch("/api/users/me", &json!({"full_name": "Alicia"})).await.expect(200);
    assert!(kinds_since(&mut of_bob).await.is_empty());
    alice.send("bob", "hello").await.expect(201);
    assert_eq!(bob.row("alice").await.unwrap()["other_user_name"], "Alicia");
}

#[tokio::test]
async fn presence_is_shown_only_after_a_message() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    bob.json("PUT", "/api/presence", &json!({"status": "away"})).await.expect(200);
    let status = async |viewer: &Actor, user: &str| {
        viewer.get(&format!("/api/presence?user_ids={user}")).await.expect(200).list()[0]["status"].clone()
    };
    let open = json!({"type": "direct", "participant_ids": ["bob"]});
    alice.post("/api/conversations", &open).await.expect(201);
    alice.block("bob").await.expect(200);
    alice.unblock("bob").await.expect(200);
    assert_eq!(status(&alice, "bob").await, "offline");
    bob.send("alice", "hello").await.expect(201);
    assert_eq!(status(&alice, "bob").await, "away");
    alice.block("bob").await.expect(200);
    assert_eq!(status(&alice, "bob").await, "offline");
}

#[tokio::test]
async fn the_current_group_is_shown_to_its_participants() {
    let world = World::new().await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    for other in ["bob", "carol"] {
        alice.send(other, "hello").await.expect(201);
    }
    let group = alice.group("g", &["bob"]).await;
    let there = json!({"status": "online", "current_conversation_id": group});
    alice.json("PUT", "/api/presence", &there).await.expect(200);
    for (viewer, expected) in [(&alice, json!(group)), (&bob, json!(group)), (&carol, Value::Null)] {
        let shown = viewer.get("/api/presence?user_ids=alice").await.expect(200).list()[0].clone();
        assert_eq!((&shown["status"], &shown["current_conversation_id"]), (&json!("online"), &expected));
    }
}
