//! Who hears that someone comes, goes, or does not want to be disturbed.

use std::time::Duration;

use domain::time::Timestamp;
use serde_json::json;

use super::*;

/// How long nothing must happen for it to count as not happening.
const QUIET: Duration = Duration::from_millis(200);

/// The next event of presence: whose, and what they show.
async fn heard(socket: &mut Socket) -> (String, String) {
    let data = socket.event("presence").await["data"].take();
    (text(&data["user_id"]), text(&data["status"]))
}

fn shows(user: &str, status: &str) -> (String, String) {
    (user.to_owned(), status.to_owned())
}

/// What one user sees of another.
async fn seen(viewer: &Actor, user: &str) -> Value {
    viewer.get(&format!("/api/presence?user_ids={user}")).await.expect(200).list()[0].clone()
}

async fn nothing(socket: &mut Socket) {
    tokio::time::sleep(QUIET).await;
    let heard = socket.all().await;
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn peers_hear_of_the_first_socket_and_of_the_end_of_the_last() {
    let (live, alice, bob, _) = talking().await;
    let mut watching = live.open(&alice).await;
    assert_eq!(seen(&alice, "bob").await["status"], "offline");

    let expires = live.from_now(600_000);
    let first = live.open_with(&live.token_until("bob", expires)).await;
    let event = watching.event("presence").await;
    let until = Timestamp::from_millis(expires.seconds() * 1000).to_string();
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
    assert_eq!(heard(&mut watching).await, shows("bob", "online"));
    second.close().await;
    nothing(&mut watching).await;
    assert_eq!(seen(&alice, "bob").await["status"], "online");

    // Killed, not closed.
    drop(first);
    let event = watching.event("presence").await;
    assert_eq!((&event["data"]["status"], &event["data"]["expires_at"]), (&json!("offline"), &Value::Null));
    assert_eq!(event["data"]["last_seen_at"], seen(&alice, "bob").await["last_seen_at"]);
    assert!(event["data"]["last_seen_at"].is_string());
    assert_eq!(seen(&alice, "bob").await["status"], "offline");
    nothing(&mut watching).await;
}

#[tokio::test]
async fn closing_the_last_socket_is_being_offline_at_once_whatever_came_before() {
    let (live, alice, bob, _) = talking().await;
    let mut watching = live.open(&alice).await;
    let mut socket = live.open(&bob).await;
    assert_eq!(heard(&mut watching).await, shows("bob", "online"));
    // A poll, as after any reconnecting, and a wish: each alone counts as being there.
    harness::live::Reader::new(&bob).await.poll().await;
    socket.ask(&json!({"action": "presence", "status": "away"})).await;
    assert_eq!(heard(&mut watching).await, shows("bob", "away"));
    socket.close().await;
    assert_eq!(heard(&mut watching).await, shows("bob", "offline"));
    assert_eq!(seen(&alice, "bob").await["status"], "offline");

    // Who comes back by polling is back.
    harness::live::Reader::new(&bob).await.poll().await;
    assert_eq!(seen(&alice, "bob").await["status"], "away");
}

#[tokio::test]
async fn a_change_is_pushed_and_the_conversation_is_named_to_those_in_it() {
    let (live, alice, bob, conversation) = talking().await;
    let carol = live.user("carol").await;
    let stranger = live.user("dave").await;
    bob.send("carol", "hello").await.expect(201);
    let (mut alices, mut carols) = (live.open(&alice).await, live.open(&carol).await);
    let mut strangers = live.open(&stranger).await;
    let mut bobs = live.open(&bob).await;
    for socket in [&mut alices, &mut carols] {
        assert_eq!(heard(socket).await, shows("bob", "online"));
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

    // Whoever does not want to be seen is not.
    bob.json("PUT", "/api/presence", &json!({"status": "offline"})).await.expect(200);
    for socket in [&mut alices, &mut carols] {
        let data = socket.event("presence").await["data"].take();
        assert_eq!((&data["status"], &data["expires_at"]), (&json!("offline"), &Value::Null));
    }
    nothing(&mut strangers).await;
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
    nothing(&mut alices).await;
    nothing(&mut bobs).await;
    for (viewer, user) in [(&alice, "bob"), (&bob, "alice")] {
        let hidden = json!({
            "user_id": user, "status": "offline", "last_seen_at": null, "current_conversation_id": null,
        });
        assert_eq!(seen(viewer, user).await, hidden);
    }

    bob.unblock("alice").await.expect(200);
    bob.json("PUT", "/api/presence", &json!({"status": "online"})).await.expect(200);
    assert_eq!(heard(&mut alices).await, shows("bob", "online"));
}
