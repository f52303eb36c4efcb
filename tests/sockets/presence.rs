//! Presence: which users see that a user is online, offline or away.

use std::time::Duration;

use domain::time::Timestamp;
use serde_json::json;

use super::*;

/// How long a test waits before it asserts that nothing was pushed.
const QUIET: Duration = Duration::from_millis(200);

/// Returns the user and the status of the next presence event.
async fn next_presence(socket: &mut Socket) -> (String, String) {
    let data = socket.event("presence").await["data"].take();
    (text(&data["user_id"]), text(&data["status"]))
}

fn presence(user: &str, status: &str) -> (String, String) {
    (user.to_owned(), status.to_owned())
}

/// Returns the presence of `user` as `viewer` sees it.
async fn presence_seen_by(viewer: &Actor, user: &str) -> Value {
    viewer.get(&format!("/api/presence?user_ids={user}")).await.expect(200).list()[0].clone()
}

async fn assert_quiet(socket: &mut Socket) {
    tokio::time::sleep(QUIET).await;
    let pushed = socket.all().await;
    assert!(pushed.is_empty(), "{pushed:?}");
}

#[tokio::test]
async fn peers_are_notified_of_new_sockets_and_of_the_last_closing() {
    let (live, alice, bob, _) = talking().await;
    let mut peer = live.open(&alice).await;
    assert_eq!(presence_seen_by(&alice, "bob").await["status"], "offline");

    let expires = live.from_now(600_000);
    let first = live.open_with(&live.token_until("bob", expires)).await;
    let event = peer.event("presence").await;
    // The token is accepted for 30 s more.
    let until = Timestamp::from_millis((expires.seconds() + 30) * 1000).to_string();
    let expected = json!({
        "user_id": "bob",
        "status": "online",
        "last_seen_at": null,
        "current_conversation_id": null,
        "expires_at": until,
    });
    assert_eq!(event["data"], expected);
    assert_eq!(event["conversation_id"], Value::Null);
    assert!(event["id"].is_string() && event["occurred_at"].is_string());

    let second = live.open(&bob).await;
    assert_eq!(next_presence(&mut peer).await, presence("bob", "online"));
    second.close().await;
    assert_quiet(&mut peer).await;
    assert_eq!(presence_seen_by(&alice, "bob").await["status"], "online");

    // The connection breaks, without a close frame.
    drop(first);
    let event = peer.event("presence").await;
    assert_eq!((&event["data"]["status"], &event["data"]["expires_at"]), (&json!("offline"), &Value::Null));
    assert_eq!(event["data"]["last_seen_at"], presence_seen_by(&alice, "bob").await["last_seen_at"]);
    assert!(event["data"]["last_seen_at"].is_string());
    assert_eq!(presence_seen_by(&alice, "bob").await["status"], "offline");
    assert_quiet(&mut peer).await;
}

#[tokio::test]
async fn closing_the_last_socket_sets_the_user_offline_at_once() {
    let (live, alice, bob, _) = talking().await;
    let mut peer = live.open(&alice).await;
    let mut socket = live.open(&bob).await;
    assert_eq!(next_presence(&mut peer).await, presence("bob", "online"));
    // The user polls, as after each reconnect, and sets a status: either makes a user online.
    harness::live::Reader::new(&bob).await.poll().await;
    socket.ask(&json!({"action": "presence", "status": "away"})).await;
    assert_eq!(next_presence(&mut peer).await, presence("bob", "away"));
    socket.close().await;
    assert_eq!(next_presence(&mut peer).await, presence("bob", "offline"));
    assert_eq!(presence_seen_by(&alice, "bob").await["status"], "offline");

    // A user who polls again is no longer offline.
    harness::live::Reader::new(&bob).await.poll().await;
    assert_eq!(presence_seen_by(&alice, "bob").await["status"], "away");
}

#[tokio::test]
async fn a_change_is_pushed_and_names_the_conversation_only_to_its_participants() {
    let (live, alice, bob, conversation) = talking().await;
    let carol = live.user("carol").await;
    let stranger = live.user("dave").await;
    bob.send("carol", "hello").await.expect(201);
    let (mut alices, mut carols) = (live.open(&alice).await, live.open(&carol).await);
    let mut strangers = live.open(&stranger).await;
    let mut bobs = live.open(&bob).await;
    for socket in [&mut alices, &mut carols] {
        assert_eq!(next_presence(socket).await, presence("bob", "online"));
    }

    let change = json!({"status": "do_not_disturb", "current_conversation_id": conversation});
    let mut frame = change.clone();
    frame["action"] = json!("presence");
    let by_http = bob.json("PUT", "/api/presence", &change).await.expect(200);
    let by_socket = bobs.ask(&frame).await;
    for (shown, times) in [(by_http.data(), 1), (&by_socket["data"], 2)] {
        assert_eq!(shown["current_conversation_id"], conversation.as_str(), "{times}");
        for (socket, named) in [(&mut alices, json!(conversation)), (&mut carols, Value::Null)] {
            let data = socket.event("presence").await["data"].take();
            assert_eq!(data["status"], "do_not_disturb");
            assert_eq!(data["current_conversation_id"], named);
        }
    }

    // A user can appear offline.
    bob.json("PUT", "/api/presence", &json!({"status": "offline"})).await.expect(200);
    for socket in [&mut alices, &mut carols] {
        let data = socket.event("presence").await["data"].take();
        assert_eq!((&data["status"], &data["expires_at"]), (&json!("offline"), &Value::Null));
    }
    assert_quiet(&mut strangers).await;
}

#[tokio::test]
async fn a_block_hides_presence_and_typing_in_both_directions() {
    let (live, alice, bob, conversation) = talking().await;
    bob.block("alice").await.expect(200);
    let (mut alices, mut bobs) = (live.open(&alice).await, live.open(&bob).await);
    for user in [&alice, &bob] {
        user.json("PUT", "/api/presence", &json!({"status": "away"})).await.expect(200);
        let typing = json!({"conversation_id": conversation, "is_typing": true});
        user.post("/api/typing", &typing).await.expect(200);
    }
    assert_quiet(&mut alices).await;
    assert_quiet(&mut bobs).await;
    for (viewer, user) in [(&alice, "bob"), (&bob, "alice")] {
        let hidden = json!({
            "user_id": user, "status": "offline", "last_seen_at": null, "current_conversation_id": null,
        });
        assert_eq!(presence_seen_by(viewer, user).await, hidden);
    }

    bob.unblock("alice").await.expect(200);
    bob.json("PUT", "/api/presence", &json!({"status": "online"})).await.expect(200);
    assert_eq!(next_presence(&mut alices).await, presence("bob", "online"));
}

#[tokio::test]
async fn a_block_hides_presence_at_once() {
    let (live, alice, bob, _) = talking().await;
    let (mut alices, mut bobs) = (live.open(&alice).await, live.open(&bob).await);
    assert_eq!(next_presence(&mut alices).await, presence("bob", "online"));
    bobs.all().await;

    bob.block("alice").await.expect(200);
    let data = alices.event("presence").await["data"].take();
    let hidden = json!({
        "user_id": "bob",
        "status": "offline",
        "last_seen_at": null,
        "current_conversation_id": null,
        "expires_at": null,
    });
    assert_eq!(data, hidden);
    assert_eq!(next_presence(&mut bobs).await, presence("alice", "offline"));
    // A second block changes nothing, and no change is shown any more.
    bob.block("alice").await.expect(200);
    alice.block("bob").await.expect(200);
    bob.json("PUT", "/api/presence", &json!({"status": "away"})).await.expect(200);
    assert_quiet(&mut alices).await;
    assert_quiet(&mut bobs).await;

    bob.unblock("alice").await.expect(200);
    alice.unblock("bob").await.expect(200);
    assert_eq!(presence_seen_by(&alice, "bob").await["status"], "away");

    // Strangers learn nothing of a block.
    live.user("carol").await.block("alice").await.expect(200);
    assert_quiet(&mut alices).await;
}
