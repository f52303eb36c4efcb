//! Frames and their answers.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_message_sent_by_socket_is_the_same_as_by_http() {
    let (live, alice, bob, _) = talking().await;
    let mut socket = live.open(&alice).await;
    let fields = json!({"recipient_id": "bob", "message_text": "once", "client_message_id": "key"});
    let mut frame = fields.clone();
    (frame["action"], frame["ref"]) = (json!("send"), json!("first"));

    let ack = socket.ask(&frame).await;
    let again = alice.post("/api/messages/send", &fields).await.expect(200);
    let expected = json!({"type": "ack", "action": "send", "ref": "first", "data": again.data()});
    assert_eq!(ack, expected);
    assert_eq!(ack["data"]["message_text"], "once");
    assert_eq!(socket.ask(&frame).await, expected);

    bob.mark(&again.id()).await.expect(200);
    assert_eq!(socket.ask(&frame).await["data"]["read"], true);
    assert_eq!(alice.history("bob").await.len(), 2);
}

#[tokio::test]
async fn every_action_is_acknowledged() {
    let (live, alice, bob, conversation) = talking().await;
    let message = bob.send("alice", "hi").await.id();
    let mut socket = live.open(&alice).await;
    let mut acknowledge = async |action: &str, mut frame: Value| {
        (frame["action"], frame["ref"]) = (json!(action), json!([action]));
        let mut ack = socket.ask(&frame).await;
        let data = ack["data"].take();
        assert_eq!(ack, json!({"type": "ack", "action": action, "ref": [action], "data": null}));
        data
    };

    let sent = acknowledge("send", json!({"conversation_id": conversation, "message_text": "hello"})).await;
    assert_eq!(*alice.history("bob").await.last().unwrap(), sent);

    let read = acknowledge("mark_as_read", json!({"message_id": message})).await;
    let expected = json!({"conversation_id": conversation, "message_id": message, "unread_count": 0});
    assert_eq!(read, expected);

    let typing = json!({"conversation_id": conversation, "is_typing": true});
    assert_eq!(acknowledge("typing", typing).await, Value::Null);

    let presence = acknowledge("presence", json!({"status": "away"})).await;
    assert_eq!(alice.get("/api/presence?user_ids=alice").await.list(), std::slice::from_ref(&presence));
    assert_eq!((&presence["user_id"], &presence["status"]), (&json!("alice"), &json!("away")));
}

#[tokio::test]
async fn a_pong_has_the_ref_of_its_ping() {
    let live = Live::start().await;
    let mut socket = live.open(&live.user("alice").await).await;
    for reference in [
        json!("text"),
        json!(7),
        json!(-1.5),
        json!(u64::MAX),
        json!(true),
        json!(null),
        json!(["list", 1]),
        json!({"b": {"c": null}, "a": 1}),
    ] {
        let pong = socket.ask(&json!({"action": "ping", "ref": reference})).await;
        assert_eq!(pong, json!({"type": "pong", "ref": reference}));
    }
    let pong = socket.ask(&json!({"action": "ping"})).await;
    assert_eq!(pong, json!({"type": "pong", "ref": null}));
}

#[tokio::test]
async fn frames_of_one_socket_take_effect_in_the_order_in_which_they_came() {
    let (live, alice, bob, _) = talking().await;
    let mut socket = live.open(&alice).await;
    let sent: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    for text in &sent {
        let frame = json!({"action": "send", "ref": text, "recipient_id": "bob", "message_text": text});
        socket.say(&frame.to_string()).await;
    }
    for text in &sent {
        let ack = socket.answer().await;
        assert_eq!((&ack["type"], &ack["ref"]), (&json!("ack"), &json!(text)));
    }
    let page = bob.get("/api/messages/conversation/alice?limit=30").await.expect(200);
    let stored: Vec<_> = page.list().iter().map(|message| text(&message["message_text"])).collect();
    assert_eq!(stored, sent);
}

#[tokio::test]
async fn a_malformed_frame_gets_an_error_with_what_is_readable_of_its_action_and_ref() {
    let (live, alice, ..) = talking().await;
    let mut socket = live.open(&alice).await;
    let send = r#""action":"send","ref":"r1","recipient_id":"bob""#;
    let sent = json!({"action": "send", "ref": "r1"});
    let half = json!({"action": "send", "ref": null});
    for (frame, about) in [
        (format!(r#"{{{send},"message_text":"x\ud83d"}}"#), &sent),
        (format!(r#"{{"message_text":"x\ud83d",{send}}}"#), &sent),
        (format!(r#"{{{send},"message_text":"1","message_text":"2"}}"#), &sent),
        (format!(r#"{{{send},"message_text":"1","message_text":"1"}}"#), &sent),
        (format!(r#"{{"ref":"r0",{send},"message_text":"1"}}"#), &sent),
        (format!(r#"{{"action":"ping",{send},"message_text":"1"}}"#), &sent),
        (r#"{"action":"send","ref":"\ud83d","recipient_id":"bob","message_text":"1"}"#.to_owned(), &half),
        (r#"{"action":"ping","ref":1,"ref":2}"#.to_owned(), &json!({"action": "ping", "ref": 2})),
        (format!(r#"{{{send},"message_text":"1""#), &json!({})),
    ] {
        socket.say(&frame).await;
        refused(&socket.answer().await, about, "invalid_request");
    }
    assert_eq!(socket.news().await, Vec::<Value>::new(), "nothing was sent");
}

#[tokio::test]
async fn a_failed_frame_gets_an_error_and_the_socket_stays_open() {
    let (live, alice, bob, conversation) = talking().await;
    let mine = bob.send("alice", "hi").await.id();
    let (carol, dave) = (live.user("carol").await, live.user("dave").await);
    let foreign = carol.send("dave", "not for alice").await.expect(201);
    let foreign = (foreign.id(), text(&foreign.data()["conversation_id"]));
    dave.block("alice").await.expect(200);
    carol.send("alice", "hi").await.expect(201);
    alice.block("carol").await.expect(200);
    let mut socket = live.open(&alice).await;

    for frame in ["", "not JSON", "{\"action\":", "[]", "[{\"action\":\"ping\"}]", "7", "null", "\"ping\""] {
        socket.say(frame).await;
        refused(&socket.answer().await, &json!({}), "invalid_request");
    }
    let invalid = [
        json!({}),
        json!({"ref": 1}),
        json!({"action": null, "ref": 2}),
        json!({"action": 7, "ref": 3}),
        json!({"action": ["send"], "ref": 4}),
        json!({"action": "dance", "ref": 5}),
        json!({"action": "PING", "ref": 6}),
        json!({"action": "ping", "more": 1}),
        json!({"action": "send"}),
        json!({"action": "send", "recipient_id": "bob"}),
        json!({"action": "send", "message_text": "to nobody"}),
        json!({"action": "send", "recipient_id": "bob", "message_text": ""}),
        json!({"action": "send", "recipient_id": "bob", "message_text": 7}),
        json!({"action": "send", "recipient_id": "bob", "message_text": "x", "more": 1}),
        json!({"action": "send", "recipient_id": "alice", "message_text": "to myself"}),
        json!({"action": "send", "recipient_id": "no such id!", "message_text": "x"}),
        json!({"action": "send", "recipient_id": "bob", "conversation_id": conversation, "message_text": "x"}),
        json!({"action": "mark_as_read"}),
        json!({"action": "mark_as_read", "message_id": "nonsense"}),
        json!({"action": "mark_as_read", "message_id": null}),
        json!({"action": "mark_as_read", "message_id": mine, "more": 1}),
        json!({"action": "typing", "conversation_id": conversation}),
        json!({"action": "typing", "is_typing": true}),
        json!({"action": "typing", "conversation_id": conversation, "is_typing": "yes"}),
        json!({"action": "typing", "conversation_id": "nonsense", "is_typing": true}),
        json!({"action": "typing", "conversation_id": conversation, "is_typing": true, "more": 1}),
        json!({"action": "presence"}),
        json!({"action": "presence", "status": "asleep"}),
        json!({"action": "presence", "status": "online", "more": 1}),
    ];
    let (message, foreign_conversation) = foreign;
    let refusals = [
        ("not_found", json!({"action": "send", "recipient_id": "nobody", "message_text": "x"})),
        (
            "not_a_participant",
            json!({"action": "send", "conversation_id": foreign_conversation, "message_text": "x"}),
        ),
        ("not_a_participant", json!({"action": "mark_as_read", "message_id": message})),
        (
            "not_a_participant",
            json!({"action": "typing", "conversation_id": foreign_conversation, "is_typing": true}),
        ),
        (
            "not_a_participant",
            json!({"action": "presence", "status": "online", "current_conversation_id": foreign_conversation}),
        ),
        ("blocked", json!({"action": "send", "recipient_id": "carol", "message_text": "x"})),
        ("blocked", json!({"action": "send", "recipient_id": "dave", "message_text": "x"})),
    ];
    let invalid = invalid.into_iter().map(|frame| ("invalid_request", frame));
    for (code, frame) in invalid.chain(refusals) {
        refused(&socket.ask(&frame).await, &frame, code);
    }

    // The socket still works after any number of errors.
    let sent = socket.ask(&json!({"action": "send", "recipient_id": "bob", "message_text": "fine"})).await;
    assert_eq!(sent["type"], "ack");
    assert_eq!(socket.event("message.created").await["data"]["message"]["id"], sent["data"]["id"]);
    assert!(socket.all().await.iter().all(|event| event["type"] == "presence"));
}

/// Asserts that the answer is an error with this code, a message and the frame's action and ref, and nothing else.
#[track_caller]
fn refused(answer: &Value, frame: &Value, code: &str) {
    let (action, reference) = (&frame["action"], &frame["ref"]);
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{frame}: {answer}");
    let expected =
        json!({"type": "error", "action": action, "ref": reference, "code": code, "message": message});
    assert_eq!(*answer, expected, "{frame}");
}
