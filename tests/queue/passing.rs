//! Transient states: typing and presence.

use harness::sync::Place;
use harness::{Actor, Answer, World};
use serde_json::{Value, json};

use super::kinds;
use crate::direct::text;
use crate::inputs::refused_for;

async fn set_typing(actor: &Actor, conversation: &str, is_typing: bool) -> Answer {
    actor.post("/api/typing", &json!({"conversation_id": conversation, "is_typing": is_typing})).await
}

#[tokio::test]
async fn typing_reaches_the_other_user_and_expires() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let message = alice.send("bob", "hello").await.expect(201);
    let conversation = text(message.data(), "conversation_id");
    let (mut theirs, mut mine) = (Place::start(&bob).await, Place::start(&alice).await);
    theirs.drain(50).await;
    mine.drain(50).await;
    let before = theirs.clone();
    set_typing(&alice, conversation, true).await.expect(200);
    set_typing(&alice, conversation, false).await.expect(200);
    let received = theirs.drain(50).await;
    assert_eq!(kinds(&received), ["typing", "typing"]);
    for (event, is_typing) in received.iter().zip([true, false]) {
        assert_eq!(
            (&event["data"]["user_id"], &event["data"]["is_typing"]),
            (&"alice".into(), &is_typing.into())
        );
        assert_eq!(event["conversation_id"], conversation);
        let time = |text: &Value| domain::time::Timestamp::parse(text.as_str().unwrap()).unwrap().millis();
        let lifetime = time(&event["data"]["expires_at"]) - time(&event["occurred_at"]);
        assert!((5_900..=6_100).contains(&lifetime), "{lifetime}");
    }
    assert_eq!(mine.drain(50).await, [Value::Null; 0]);
    // A later poll does not return it.
    let later = world.with_clock_off_by(7_000).stranger("bob");
    assert_eq!(Place { actor: later, ..before }.drain(50).await, [Value::Null; 0]);
}

#[tokio::test]
async fn only_participants_can_send_typing() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let carol = world.user("carol").await;
    let message = alice.send("bob", "hello").await.expect(201);
    let conversation = text(message.data(), "conversation_id");
    set_typing(&carol, conversation, true).await.refused(403, "not_a_participant");
    for bad in [json!({}), json!({"conversation_id": conversation}), json!({"is_typing": true})] {
        alice.post("/api/typing", &bad).await.refused(400, "invalid_request");
    }
    for bad in [json!("x"), json!(7), json!(null)] {
        let signal = json!({"conversation_id": bad, "is_typing": true});
        alice.post("/api/typing", &signal).await.refused(400, "invalid_request");
    }
    // Where a block stands, the call succeeds and the event is dropped, in both directions.
    bob.block("alice").await.expect(200);
    for (typist, other) in [(&alice, &bob), (&bob, &alice)] {
        let mut place = Place::start(other).await;
        place.drain(50).await;
        set_typing(typist, conversation, true).await.expect(200);
        assert_eq!(place.drain(50).await, [Value::Null; 0]);
    }
}

async fn presence(viewer: &Actor, ids: &str) -> Vec<Value> {
    viewer.get(&format!("/api/presence?user_ids={ids}")).await.expect(200).list().to_vec()
}

async fn status(viewer: &Actor, id: &str) -> String {
    text(&presence(viewer, id).await[0], "status").to_owned()
}

async fn set_presence(actor: &Actor, body: &Value) -> Answer {
    actor.json("PUT", "/api/presence", body).await
}

#[tokio::test]
async fn presence_is_shown_to_peers() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let carol = world.user("carol").await;
    alice.send("bob", "hello").await.expect(201);
    for shown in ["away", "do_not_disturb", "online"] {
        let answer = set_presence(&alice, &json!({"status": shown})).await.expect(200);
        assert_eq!((&answer.data()["status"], &answer.data()["user_id"]), (&shown.into(), &"alice".into()));
        assert_eq!(status(&bob, "alice").await, shown);
        assert_eq!(status(&alice, "alice").await, shown);
    }
    let hidden = json!({
        "user_id": "alice", "status": "offline", "last_seen_at": null, "current_conversation_id": null,
    });
    assert_eq!(presence(&carol, "alice").await, std::slice::from_ref(&hidden));
    let list = presence(&bob, "alice,nobody,bob,carol").await;
    let ids: Vec<_> = list.iter().map(|shown| text(shown, "user_id")).collect();
    assert_eq!(ids, ["alice", "nobody", "bob", "carol"], "in the order asked for");
    assert!(list[0]["last_seen_at"].is_string());
    // A block hides each user from the other, but neither from themselves.
    for (by, other) in [(&alice, &bob), (&bob, &alice)] {
        set_presence(by, &json!({"status": "online"})).await.expect(200);
        set_presence(other, &json!({"status": "online"})).await.expect(200);
        by.block(&other.id).await.expect(200);
        for (viewer, id) in [(by, &other.id), (other, &by.id)] {
            let shown = &presence(viewer, id).await[0];
            assert_eq!((&shown["status"], &shown["last_seen_at"]), (&"offline".into(), &Value::Null));
            assert_eq!(status(viewer, &viewer.id).await, "online");
        }
        by.unblock(&other.id).await.expect(200);
        assert_eq!(status(other, &by.id).await, "online");
    }
    set_presence(&alice, &json!({"status": "offline"})).await.expect(200);
    assert_eq!(status(&bob, "alice").await, "offline");
}

#[tokio::test]
async fn a_poll_counts_as_online_for_ninety_seconds() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    assert_eq!(status(&alice, "bob").await, "offline");
    Place::start(&bob).await.poll(50).await;
    for (seconds, expected) in [(0, "online"), (85, "online"), (91, "offline")] {
        let viewer = world.with_clock_off_by(seconds * 1_000).stranger("alice");
        assert_eq!(status(&viewer, "bob").await, expected, "after {seconds} s");
        assert!(presence(&viewer, "bob").await[0]["last_seen_at"].is_string());
    }
}

#[tokio::test]
async fn the_current_conversation_is_shown_to_its_participants() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let carol = world.user("carol").await;
    let message = alice.send("bob", "hello").await.expect(201);
    alice.send("carol", "hello").await.expect(201);
    let conversation = text(message.data(), "conversation_id");
    let there = json!({"status": "online", "current_conversation_id": conversation});
    set_presence(&alice, &there).await.expect(200);
    for (viewer, expected) in
        [(&alice, json!(conversation)), (&bob, json!(conversation)), (&carol, Value::Null)]
    {
        let shown = &presence(viewer, "alice").await[0];
        assert_eq!((&shown["status"], &shown["current_conversation_id"]), (&"online".into(), &expected));
    }
    set_presence(&carol, &there).await.refused(403, "not_a_participant");
    set_presence(&alice, &json!({"status": "online"})).await.expect(200);
    assert_eq!(presence(&bob, "alice").await[0]["current_conversation_id"], Value::Null);
}

#[tokio::test]
async fn a_malformed_presence_is_refused() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    for bad in [
        json!({}),
        json!({"status": "busy"}),
        json!({"status": "Online"}),
        json!({"status": null}),
        json!({"status": "online", "current_conversation_id": "x"}),
        json!({"status": "online", "since": "now"}),
    ] {
        set_presence(&alice, &bad).await.refused(400, "invalid_request");
    }
    let ids = |count: usize| (0..count).map(|n| format!("u{n}")).collect::<Vec<_>>().join(",");
    assert_eq!(presence(&alice, &ids(100)).await.len(), 100);
    for bad in [String::new(), ",".into(), ids(101), "b%20b".into()] {
        refused_for(&alice.get(&format!("/api/presence?user_ids={bad}")).await, "user_ids");
    }
    refused_for(&alice.get("/api/presence").await, "user_ids");
}
