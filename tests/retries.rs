//! Retries: a message is sent once per client id, even if the retry's other fields differ.

use harness::World;
use serde_json::{Value, json};

use crate::direct::{search, texts};

#[tokio::test]
async fn a_retry_returns_the_first_message() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let first = alice.send_once("bob", "hello", "k1").await.expect(201);
    let again = alice.send_once("bob", "hello", "k1").await.expect(200);
    assert_eq!(again.data(), first.data());
    assert_eq!(alice.send_once("bob", "another text", "k1").await.expect(200).data(), first.data());
    let by_id = json!({
        "conversation_id": first.data()["conversation_id"], "message_text": "hello", "client_message_id": "k1",
    });
    assert_eq!(alice.post("/api/messages/send", &by_id).await.expect(200).data(), first.data());
    assert_eq!(alice.send_once("bob", "hello", "k2").await.expect(201).data()["message_text"], "hello");
    alice.send_once("bob", "hello", "K1").await.expect(201);
    assert_eq!((bob.page("alice").await.len(), bob.unread().await), (3, 3));
}

#[tokio::test]
async fn a_retry_returns_the_message_as_it_is_now() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let first = alice.send_once("bob", "hello", "k1").await.expect(201);
    bob.mark(&first.id()).await.expect(200);
    let again = alice.send_once("bob", "hello", "k1").await.expect(200);
    assert_eq!(again.data(), &alice.page("bob").await[0]);
    assert_eq!(again.data()["read"], true);
}

#[tokio::test]
async fn a_key_belongs_to_its_sender_and_conversation() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    world.user("carol").await;
    let mine = alice.send_once("bob", "from alice", "k1").await.expect(201);
    let theirs = bob.send_once("alice", "from bob", "k1").await.expect(201);
    let to_carol = alice.send_once("carol", "to carol", "k1").await.expect(201);
    assert_eq!(texts(&alice.page("bob").await), ["from alice", "from bob"]);
    assert_eq!(alice.send_once("bob", "x", "k1").await.expect(200).id(), mine.id());
    assert_eq!(bob.send_once("alice", "x", "k1").await.expect(200).id(), theirs.id());
    assert_eq!(alice.send_once("carol", "x", "k1").await.expect(200).id(), to_carol.id());
    let seen =
        |messages: Vec<Value>| messages.iter().map(|m| m["client_message_id"].clone()).collect::<Vec<_>>();
    assert_eq!(seen(alice.page("bob").await), [json!("k1"), Value::Null]);
    assert_eq!(seen(bob.page("alice").await), [Value::Null, json!("k1")]);
    assert_eq!(seen(search(&bob, "from").await), [json!("k1"), Value::Null]);
}

#[tokio::test]
async fn a_key_is_valid_for_a_day() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let first = alice.send_once("bob", "hello", "k1").await.expect(201).id();
    for hours in [1, 12, 23] {
        let later = world.with_clock_off_by(hours * 3_600_000).stranger("alice");
        assert_eq!(later.send_once("bob", "hello", "k1").await.expect(200).id(), first);
    }
    assert_eq!(bob.page("alice").await.len(), 1);
}
