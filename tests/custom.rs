//! Custom data: it comes back byte by byte as it came.

use harness::{Actor, Answer, World};
use serde_json::json;

use crate::sockets::talking;

/// Objects that parsing and printing would change.
const OBJECTS: [&str; 6] = [
    r#"{"z":1,"a":2}"#,
    r#"{"n":123456789012345678901234567890,"m":-0,"o":1e2,"p":1.10}"#,
    r#"{ "a" : [ 1 , 2 ] }"#,
    r#"{"a":"\u00e9\/"}"#,
    r#"{"a":1,"a":2}"#,
    "{}",
];

async fn call(actor: &Actor, method: &str, path: &str, fields: &str, custom: &str) -> Answer {
    let body = format!(r#"{{{fields}"custom":{custom}}}"#);
    actor.call(method, path, &[("content-type", "application/json")], body).await
}

async fn send(actor: &Actor, custom: &str) -> Answer {
    let fields = r#""recipient_id":"bob","message_text":"x","#;
    call(actor, "POST", "/api/messages/send", fields, custom).await
}

#[track_caller]
fn assert_contains(text: &str, custom: &str) {
    assert!(text.contains(&format!(r#""custom":{custom}"#)), "{custom} in {text}");
}

#[tokio::test]
async fn custom_data_of_messages_comes_back_as_it_came() {
    let (live, alice, bob, conversation) = talking().await;
    let mut socket = live.open(&bob).await;
    for object in OBJECTS {
        let cursor = bob.get("/api/events").await.expect(200).data()["cursor"].as_str().unwrap().to_owned();
        let sent = send(&alice, object).await.expect(201);
        assert_contains(&sent.text, object);
        let page = format!("/api/conversations/{conversation}/messages?limit=1");
        for path in [&page, &format!("/api/events?cursor={cursor}"), "/api/messages/search?q=x&limit=1"] {
            assert_contains(&bob.get(path).await.expect(200).text, object);
        }
        assert_contains(&socket.text_with("message.created").await, object);
        let path = format!("/api/messages/{}", sent.id());
        call(&alice, "PATCH", &path, "", r#"{"b":1}"#).await.expect(200);
        socket.text_with("message.updated").await;
        assert_contains(&call(&alice, "PATCH", &path, "", object).await.expect(200).text, object);
        assert_contains(&socket.text_with("message.updated").await, object);
        let frame = format!(
            r#"{{"action":"send","recipient_id":"alice","message_text":"y","custom":{object},"ref":1}}"#
        );
        socket.say(&frame).await;
        assert_contains(&socket.text_with(r#""ack""#).await, object);
        let page = format!("/api/conversations/{conversation}/messages?limit=1");
        assert_contains(&alice.get(&page).await.expect(200).text, object);
    }
}

#[tokio::test]
async fn custom_data_of_users_and_groups_comes_back_as_it_came() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let others = world.crowd(25).await;
    let small = json!({"type": "group", "name": "g", "participant_ids": ["bob"]});
    let ids: Vec<&str> = others.iter().map(|other| other.id.as_str()).collect();
    let large = json!({"type": "group", "name": "l", "participant_ids": ids});
    let small = alice.post("/api/conversations", &small).await.expect(201);
    let large = alice.post("/api/conversations", &large).await.expect(201);
    for object in OBJECTS {
        assert_contains(&call(&alice, "PATCH", "/api/users/me", "", object).await.expect(200).text, object);
        assert_contains(&bob.get("/api/users/alice").await.expect(200).text, object);
        for (group, reader) in [(&small, &bob), (&large, &others[3])] {
            let group = group.data()["conversation_id"].as_str().unwrap();
            world.fan_out(group).await;
            let cursor = reader.get("/api/events").await.expect(200);
            let cursor = cursor.data()["cursor"].as_str().unwrap();
            let path = format!("/api/conversations/{group}");
            call(&alice, "PATCH", &path, "", object).await.expect(200);
            world.fan_out(group).await;
            assert_contains(&reader.get(&path).await.expect(200).text, object);
            let events = reader.get(&format!("/api/events?cursor={cursor}")).await.expect(200);
            assert_contains(&events.text, object);
        }
    }
}

#[tokio::test]
async fn custom_data_is_an_object_of_up_to_1024_bytes_as_they_came() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let of_length = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 8));
    let long = "1e9,".repeat(250);
    for object in [of_length(1_024), format!(r#"{{"a":[{long}1]}}"#), format!("{{{}}}", " ".repeat(1_022))] {
        send(&alice, &object).await.expect(201);
    }
    let deep = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    send(&alice, &deep(49)).await.expect(201);
    let escapes = r"\u00e9".repeat(200);
    for wrong in [
        of_length(1_025),
        format!("{{{}}}", " ".repeat(1_023)),
        format!(r#"{{"a":"{escapes}"}}"#),
        deep(50),
        r#"{"a":"\ud83d"}"#.to_owned(),
        r#"{"a":1e400}"#.to_owned(),
        "\"text\"".to_owned(),
        "[1]".to_owned(),
        "5".to_owned(),
    ] {
        send(&alice, &wrong).await.refused(400, "invalid_request");
    }
}
