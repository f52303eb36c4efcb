//! Deleting a conversation hides it from the caller alone, until the next message.

use harness::{Actor, Answer, World};
use serde_json::json;

use crate::direct::{search, text, texts, total};

async fn delete(actor: &Actor, message: &Answer) -> Answer {
    actor.delete(&format!("/api/messages/conversation/{}", text(message.data(), "conversation_id"))).await
}

#[tokio::test]
async fn deleting_hides_the_history_from_the_caller_alone() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "an old one").await.expect(201);
    let old = bob.send("alice", "an old answer").await.expect(201);
    alice.send("bob", "an old question").await.expect(201);
    for _ in 0..2 {
        delete(&bob, &old).await.expect(200);
        assert_eq!((bob.inbox().await.len(), total(&bob).await, bob.unread().await), (0, json!(0), 0));
        assert!(bob.page("alice").await.is_empty() && search(&bob, "old").await.is_empty());
    }
    bob.mark(&old.id()).await.refused(404, "not_found");
    bob.get(&format!("/api/messages/{}/receipts", old.id())).await.refused(404, "not_found");
    assert_eq!((alice.page("bob").await.len(), search(&alice, "old").await.len()), (3, 3));
    assert_eq!((total(&alice).await, alice.unread().await), (json!(1), 1));
}

#[tokio::test]
async fn the_next_message_brings_back_only_new_messages() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let old = alice.send("bob", "an old one").await.expect(201);
    delete(&bob, &old).await.expect(200);
    let new = alice.send("bob", "a new one").await.expect(201);
    let row = bob.row("alice").await.unwrap();
    assert_eq!((&row["last_message"], &row["unread_count"]), (&json!("a new one"), &json!(1)));
    assert_eq!(texts(&bob.history("alice").await), ["a new one"]);
    assert_eq!(texts(&search(&bob, "one").await), ["a new one"]);
    assert_eq!((total(&bob).await, bob.unread().await), (json!(1), 1));
    assert_eq!(bob.mark(&new.id()).await.expect(200).data()["unread_count"], 0);
    // The same with a message of Bob's own. Alice's history stays complete.
    delete(&bob, &old).await.expect(200);
    bob.send("alice", "mine").await.expect(201);
    assert_eq!((texts(&bob.history("alice").await), bob.unread().await), (vec!["mine"], 0));
    assert_eq!(texts(&alice.history("bob").await), ["an old one", "a new one", "mine"]);
}

#[tokio::test]
async fn both_users_can_delete() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let old = alice.send_once("bob", "an old one", "k1").await.expect(201);
    delete(&alice, &old).await.expect(200);
    delete(&bob, &old).await.expect(200);
    assert_eq!((total(&alice).await, total(&bob).await), (json!(0), json!(0)));
    // A retry of an earlier send brings nothing back.
    assert_eq!(alice.send_once("bob", "an old one", "k1").await.expect(200).id(), old.id());
    assert_eq!((total(&alice).await, bob.page("alice").await.len()), (json!(0), 0));
    alice.send("bob", "a new one").await.expect(201);
    assert_eq!((total(&alice).await, total(&bob).await), (json!(1), json!(1)));
    assert_eq!(texts(&alice.history("bob").await), texts(&bob.history("alice").await));
}
