//! Validation of bodies, fields, ids, limits and bounds. Anything invalid is refused with 400.

use harness::{Actor, Answer, World};
use serde_json::{Value, json};

use crate::direct::{another_conversation, text};
use crate::tokens::{now, signed};

const SEND: &str = "/api/messages/send";
const BLOCK: &str = "/api/messages/block-user";

/// Returns a draft to Bob with some more fields.
fn draft(more: &Value) -> Value {
    let mut draft = json!({"recipient_id": "bob", "message_text": "x"});
    for (name, value) in more.as_object().into_iter().flatten() {
        draft[name] = value.clone();
    }
    draft
}

async fn send(alice: &Actor, more: &Value) -> Answer {
    alice.post(SEND, &draft(more)).await
}

/// Asserts that the call was refused with 400.
#[track_caller]
fn refused(answer: &Answer, why: impl std::fmt::Display) {
    assert_eq!(answer.status, 400, "{why} {answer:?}");
    answer.refused(400, "invalid_request");
}

/// Asserts that the call was refused with 400 because of this field.
#[track_caller]
pub(crate) fn refused_for(answer: &Answer, field: &str) {
    refused(answer, field);
    assert_eq!(answer.json["errors"][0]["field"], field, "{answer:?}");
    assert!(answer.json["errors"][0]["message"].is_string());
}

#[tokio::test]
async fn a_malformed_body_is_refused() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let deep = "[".repeat(100_000);
    for (path, good) in
        [(SEND, draft(&json!({})).to_string()), (BLOCK, r#"{"blocked_user_id":"bob"}"#.into())]
    {
        let bodies: [Vec<u8>; 14] = [
            "".into(),
            " ".into(),
            "{".into(),
            "null".into(),
            "7".into(),
            "\"bob\"".into(),
            "{}".into(),
            deep.clone().into(),
            good[..good.len() - 1].into(),
            format!("{good}x").into(),
            format!("{good}{good}").into(),
            format!("\u{feff}{good}").into(),
            good.replace("bob", "bob\\ud800").into(),
            good.replace('}', ",}").into(),
        ];
        let not_utf8 = good.bytes().map(|byte| if byte == b'b' { 0xff } else { byte }).collect();
        for body in bodies.into_iter().chain([not_utf8]) {
            let shown = String::from_utf8_lossy(&body).chars().take(99).collect::<String>();
            let answer = alice.call("POST", path, &[("content-type", "application/json")], body).await;
            refused(&answer, format!("{path} {shown}"));
        }
    }
    let not_utf8 = [br#"{"recipient_id":"bob","message_text":""#, &b"caf\xe9"[..], br#""}"#].concat();
    refused(&alice.call("POST", SEND, &[("content-type", "application/json")], not_utf8).await, "café");
    assert!(bob.inbox().await.is_empty());
}

#[tokio::test]
async fn a_body_must_be_an_object() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    for (path, body) in [
        (SEND, json!([])),
        (SEND, json!(["bob", null, "x"])),
        (SEND, json!(["bob", null, "x", null, null, null, null])),
        (BLOCK, json!(["bob"])),
    ] {
        refused(&alice.post(path, &body).await, body);
    }
}

#[tokio::test]
async fn errors_name_the_bad_field() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let foreign = alice.send("bob", "hello").await.expect(201);
    let (message, conversation) = (foreign.id(), text(foreign.data(), "conversation_id").to_owned());
    world.user("carol").await;
    for (field, bad) in [
        ("recipient_id", json!("")),
        ("recipient_id", json!("b b")),
        ("recipient_id", json!("b".repeat(129))),
        ("recipient_id", json!(7)),
        ("recipient_id", json!(["bob"])),
        ("recipient_id", json!("alice")),
        ("conversation_id", json!("general")),
        ("conversation_id", json!(conversation[1..])),
        ("conversation_id", json!(message)),
        ("message_text", json!(7)),
        ("message_text", json!({"text": "x"})),
        ("attachment_url", json!(true)),
        ("attachment_type", json!([])),
        ("reply_to", json!("the last one")),
        ("reply_to", json!(conversation)),
        ("reply_to", json!(1)),
        ("client_message_id", json!(1)),
    ] {
        refused_for(&send(&alice, &json!({field: bad})).await, field);
    }
    // The message exists, but in another conversation.
    refused_for(&send(&alice, &json!({"recipient_id": "carol", "reply_to": message})).await, "reply_to");
    for bad in [json!(""), json!("b b"), json!(7), json!("alice")] {
        refused_for(&alice.post(BLOCK, &json!({"blocked_user_id": bad})).await, "blocked_user_id");
    }
}

#[tokio::test]
async fn unknown_and_missing_fields_are_refused() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    for unknown in ["sender_id", "Message_Text", "__proto__"] {
        refused_for(&send(&alice, &json!({unknown: "x"})).await, unknown);
    }
    refused(&send(&alice, &json!({"": "x"})).await, "a field without a name");
    for body in [
        json!({"message_text": "x"}),
        json!({"recipient_id": "bob"}),
        json!({"recipient_id": null, "message_text": "x"}),
        json!({"recipient_id": "bob", "message_text": null}),
        json!({"recipient_id": "bob", "attachment_type": "image/png"}),
    ] {
        refused(&alice.post(SEND, &body).await, body);
    }
    for body in [
        json!({"user_id": "bob"}),
        json!({"blocked_user_id": "bob", "reason": "spam"}),
        json!({"blocked_user_id": null}),
    ] {
        refused(&alice.post(BLOCK, &body).await, body);
    }
    let twice = r#"{"recipient_id":"bob","recipient_id":"bob","message_text":"x"}"#;
    refused(&alice.call("POST", SEND, &[("content-type", "application/json")], twice).await, twice);
}

#[tokio::test]
async fn a_message_has_one_destination_that_is_not_its_sender() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let sent = alice.send("bob", "hello").await.expect(201);
    let conversation = &sent.data()["conversation_id"];
    refused(&send(&alice, &json!({"conversation_id": conversation})).await, "both ids");
    refused(&alice.send("alice", "note to self").await, "oneself");
    refused(&alice.block("alice").await, "oneself");
    let body = json!({"conversation_id": conversation, "recipient_id": null, "message_text": "x"});
    alice.post(SEND, &body).await.expect(201);
}

#[tokio::test]
async fn a_text_has_1_to_10_000_characters() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let texts =
        ["x".to_owned(), " x ".into(), "x".repeat(10_000), "😀".repeat(10_000), "e\u{301}".repeat(5_000)];
    for text in &texts {
        assert_eq!(alice.send("bob", text).await.expect(201).data()["message_text"], **text);
    }
    for text in [String::new(), "x".repeat(10_001), "😀".repeat(10_001), format!("{}x", texts[4])] {
        refused(&alice.send("bob", &text).await, text.chars().count());
        let with_attachment = json!({"message_text": text, "attachment_url": "https://a.example/cat.png"});
        assert_eq!(send(&alice, &with_attachment).await.status, if text.is_empty() { 201 } else { 400 });
    }
    let seen = bob.history("alice").await;
    assert!(seen.iter().zip(&texts).all(|(message, text)| message["message_text"] == **text));
}

#[tokio::test]
async fn a_text_is_returned_unchanged() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for text in [
        "\0 \u{1b}[31m",
        "<b>&amp;\\\"'",
        "a\r\n\tb  ",
        "\u{202e}olleh \u{feff}",
        "e\u{301} \u{fb01} 👩‍👩‍👧‍👦",
        "\u{10ffff}",
    ] {
        alice.send("bob", text).await.expect(201);
        assert_eq!(bob.page("alice").await.last().unwrap()["message_text"], text);
        assert_eq!(bob.row("alice").await.unwrap()["last_message"], text);
    }
}

#[tokio::test]
async fn a_client_message_id_has_1_to_64_characters() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    for good in ["1".to_owned(), "k".repeat(64), "😀".repeat(64), "a b#c/\n".into()] {
        let sent = send(&alice, &json!({"client_message_id": good})).await.expect(201);
        assert_eq!(sent.data()["client_message_id"], good);
    }
    for bad in [String::new(), "k".repeat(65), "😀".repeat(65)] {
        refused(&send(&alice, &json!({"client_message_id": bad})).await, bad);
    }
}

#[tokio::test]
async fn an_attachment_url_is_absolute_http_or_https() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let of_length = |length: usize| format!("https://a.example/{:x<1$}", "", length - 18);
    for good in [
        "https://a.example/cat.png?size=1#top",
        "http://127.0.0.1:8080",
        "HTTPS://A.EXAMPLE",
        &of_length(2_048),
    ] {
        let sent = send(&alice, &json!({"attachment_url": good})).await.expect(201);
        assert_eq!(sent.data()["attachment_url"], good);
    }
    for bad in [
        "",
        "cat.png",
        "/cat.png",
        "//a.example/cat.png",
        "ftp://a.example/cat.png",
        "javascript:alert(1)",
        "data:text/html,hello",
        "https://",
        "https:///cat.png",
        "https://a.example/my cat.png",
        " https://a.example",
        "https://a.example/\n",
        &of_length(2_049),
    ] {
        refused(&send(&alice, &json!({"attachment_url": bad})).await, bad);
    }
}

#[tokio::test]
async fn limits_and_offsets_have_a_range() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let conversation = alice.send("bob", "hello").await.expect(201).data()["conversation_id"].clone();
    let by_id = format!("/api/conversations/{}/messages?", conversation.as_str().unwrap());
    let with_offset = ["/api/messages/inbox?", "/api/messages/conversation/bob?", &by_id];
    for list in with_offset.into_iter().chain([
        "/api/messages/search?q=hello&",
        "/api/mentions?",
        "/api/messages/blocked-users?",
    ]) {
        for good in ["1", "100", "7"] {
            alice.get(&format!("{list}limit={good}")).await.expect(200);
        }
        for bad in ["0", "101", "-1", "1.5", "1e1", "many", "4294967297", "99999999999999999999", "0x10"] {
            refused_for(&alice.get(&format!("{list}limit={bad}")).await, "limit");
        }
    }
    for list in with_offset {
        for good in ["0", "1", "10000"] {
            alice.get(&format!("{list}offset={good}")).await.expect(200);
        }
        for bad in ["-1", "10001", "1.5", "many", "99999999999999999999"] {
            refused_for(&alice.get(&format!("{list}offset={bad}")).await, "offset");
        }
    }
}

#[tokio::test]
async fn malformed_ids_and_bounds_are_refused() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    world.user("carol").await;
    let message = alice.send("bob", "hello").await.expect(201);
    let (id, conversation) = (message.id(), text(message.data(), "conversation_id"));
    let foreign = alice.send("carol", "hello").await.expect(201).id();
    for (method, path) in [
        ("GET", "/api/conversations/ID/messages"),
        ("PUT", "/api/conversations/ID/read"),
        ("DELETE", "/api/messages/conversation/ID"),
        ("PUT", "/api/messages/mark-as-read/ID"),
        ("GET", "/api/messages/ID/receipts"),
    ] {
        for bad in [
            "x",
            "bob",
            "%20",
            "%FF",
            "..",
            "d",
            &id[1..],
            &conversation[1..],
            &format!("{id}x"),
            &"d".repeat(9_000),
        ] {
            let answer = alice.call(method, &path.replace("ID", bad), &[], "").await;
            refused(&answer, format!("{method} {path} {bad}"));
        }
    }
    // API Gateway decodes paths: an id with a slash matches no route.
    let slash = world.lambda.is_none().then_some("b%2Fb");
    for bad in ["b%20b", "b%23", "%FF", &"b".repeat(129)].into_iter().chain(slash) {
        refused(&alice.get(&format!("/api/messages/conversation/{bad}")).await, bad);
        refused(&alice.unblock(bad).await, bad);
    }
    for list in ["/api/messages/conversation/bob", &format!("/api/conversations/{conversation}/messages")] {
        for bound in ["before", "after"] {
            for bad in ["x", conversation, &foreign] {
                refused_for(&alice.get(&format!("{list}?{bound}={bad}")).await, bound);
            }
        }
        refused_for(&alice.get(&format!("{list}?mark_read=maybe")).await, "mark_read");
    }
}

#[tokio::test]
async fn empty_searches_and_malformed_filters_are_refused() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    for query in ["", "?q=", "?q=%20%20", "?q=%22%22", "?q=%22%20%22", "?query=", "?limit=3"] {
        refused(&alice.get(&format!("/api/messages/search{query}")).await, query);
    }
    for (field, bad) in [
        ("before", "yesterday"),
        ("before", "2026-01-31"),
        ("after", "2026-13-01T00:00:00Z"),
        ("after", "1769860800"),
        ("from", "b%20b"),
        ("conversation_id", "general"),
    ] {
        refused_for(&alice.get(&format!("/api/messages/search?q=x&{field}={bad}")).await, field);
    }
    let unknown =
        another_conversation(text(alice.send("bob", "x").await.expect(201).data(), "conversation_id"));
    let path = format!("/api/messages/search?q=x&conversation_id={unknown}");
    alice.get(&path).await.refused(403, "not_a_participant");
}

/// Returns calls that create or change conversations and messages, each with a valid body. `GROUP` and `MESSAGE` stand
/// for ids.
fn changes() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("POST", "/api/conversations", json!({"type": "group", "name": "g", "participant_ids": ["bob"]})),
        ("POST", "/api/conversations", json!({"type": "direct", "participant_ids": ["bob"]})),
        ("PATCH", "/api/conversations/GROUP", json!({"name": "g"})),
        ("POST", "/api/conversations/GROUP/participants", json!({"user_ids": ["bob"]})),
        ("PATCH", "/api/conversations/GROUP/participants/bob", json!({"is_admin": true})),
        ("POST", "/api/rooms", json!({"name": "r"})),
        ("PATCH", "/api/messages/MESSAGE", json!({"message_text": "x"})),
    ]
}

/// Returns Alice, who has a group with a message in it, and a function that fills their ids into a path.
async fn in_a_group(world: &World) -> (Actor, impl Fn(&str) -> String) {
    let (alice, _) = world.two().await;
    let group = alice.group("g", &["bob"]).await;
    let message = alice.say(&group, "hello").await.expect(201).id();
    (alice, move |path: &str| path.replace("GROUP", &group).replace("MESSAGE", &message))
}

#[tokio::test]
async fn changes_require_an_object_of_known_fields() {
    let world = World::new().await;
    let (alice, fill) = in_a_group(&world).await;
    let before = world.items().await;
    for (method, path, good) in changes() {
        let (path, text) = (fill(path), good.to_string());
        let mut unknown = good.clone();
        unknown["sender_id"] = json!("bob");
        refused_for(&alice.json(method, &path, &unknown).await, "sender_id");
        let bodies =
            ["", "null", "7", "[]", &text[..text.len() - 1], &format!("{text}{text}"), &format!("[{text}]")];
        for body in bodies {
            let answer =
                alice.call(method, &path, &[("content-type", "application/json")], body.to_owned()).await;
            refused(&answer, format!("{method} {path} {body}"));
        }
        for (name, value) in good.as_object().unwrap() {
            for bad in [json!(7.5), json!({}), json!([null])] {
                let mut body = good.clone();
                body[name] = bad;
                refused(&alice.json(method, &path, &body).await, format!("{method} {path} {body}"));
            }
            // Only a PATCH of a conversation may leave fields out.
            if path.ends_with("/participants/bob") || method == "POST" || path.contains("/messages/") {
                let mut body = good.clone();
                body.as_object_mut().unwrap().remove(name);
                refused(&alice.json(method, &path, &body).await, format!("{path} without {name}: {value}"));
            }
        }
        let form = [("content-type", "application/x-www-form-urlencoded")];
        alice.call(method, &path, &form, "name=g").await.refused(415, "unsupported_media_type");
    }
    assert!(world.items().await == before);
}

#[tokio::test]
async fn names_descriptions_and_photos_are_validated() {
    let world = World::new().await;
    let (alice, fill) = in_a_group(&world).await;
    let group = fill("/api/conversations/GROUP");
    let group_of = |name: &str| json!({"type": "group", "name": name, "participant_ids": []});
    for good in ["x".to_owned(), "😀".repeat(100)] {
        assert_eq!(alice.post("/api/conversations", &group_of(&good)).await.expect(201).data()["name"], good);
        assert_eq!(alice.post("/api/rooms", &json!({"name": good})).await.expect(201).data()["name"], good);
        assert_eq!(alice.patch(&group, &json!({"name": good})).await.expect(200).data()["name"], good);
    }
    let before = world.items().await;
    for bad in [String::new(), "x".repeat(101), "😀".repeat(101)] {
        refused_for(&alice.post("/api/conversations", &group_of(&bad)).await, "name");
        refused_for(&alice.post("/api/rooms", &json!({"name": bad})).await, "name");
        refused_for(&alice.patch(&group, &json!({"name": bad})).await, "name");
    }
    for bad in [String::new(), "x".repeat(501)] {
        refused_for(
            &alice.post("/api/rooms", &json!({"name": "r", "description": bad})).await,
            "description",
        );
        refused_for(&alice.patch(&group, &json!({"description": bad})).await, "description");
    }
    let long = format!("https://a.example/{}", "x".repeat(483));
    for bad in ["", "cat.png", "ftp://a.example/c", "javascript:alert(1)", "https://", &long] {
        refused_for(&alice.patch(&group, &json!({"photo_url": bad})).await, "photo_url");
    }
    assert!(world.items().await == before);
    alice
        .patch(&group, &json!({"photo_url": long[..500], "description": "😀".repeat(500)}))
        .await
        .expect(200);
}

#[tokio::test]
async fn participant_ids_are_validated() {
    let world = World::new().await;
    let (alice, fill) = in_a_group(&world).await;
    let add = fill("/api/conversations/GROUP/participants");
    let before = world.items().await;
    for (bad, at) in [
        (json!("bob"), ""),
        (json!(null), ""),
        (json!([""]), "[0]"),
        (json!(["bob", "b b"]), "[1]"),
        (json!([7]), "[0]"),
        (json!(["b".repeat(129)]), "[0]"),
    ] {
        refused_for(&alice.post(&add, &json!({"user_ids": bad})).await, &format!("user_ids{at}"));
        for mut body in [json!({"type": "direct"}), json!({"type": "group", "name": "g"})] {
            body["participant_ids"] = bad.clone();
            refused_for(&alice.post("/api/conversations", &body).await, &format!("participant_ids{at}"));
        }
    }
    for (body, field) in [
        (json!({"type": "room", "name": "g", "participant_ids": []}), "type"),
        (json!({"type": "Group", "name": "g", "participant_ids": []}), "type"),
        (json!({"type": "direct", "participant_ids": []}), "participant_ids"),
        (json!({"type": "direct", "participant_ids": ["bob", "bob"]}), "participant_ids"),
        (json!({"type": "direct", "participant_ids": ["alice"]}), "participant_ids"),
        (json!({"type": "direct", "name": "d", "participant_ids": ["bob"]}), "name"),
        (json!({"type": "group", "name": null, "participant_ids": ["bob"]}), "name"),
    ] {
        refused_for(&alice.post("/api/conversations", &body).await, field);
    }
    for bad in [json!(""), json!("x".repeat(65)), json!(7)] {
        let body =
            json!({"type": "group", "name": "g", "participant_ids": [], "client_conversation_id": bad});
        refused_for(&alice.post("/api/conversations", &body).await, "client_conversation_id");
    }
    for bad in ["b%20b", "%FF", &"b".repeat(129)] {
        refused(&alice.delete(&format!("{add}/{bad}")).await, bad);
        refused(&alice.patch(&format!("{add}/{bad}"), &json!({"is_admin": true})).await, bad);
    }
    assert!(world.items().await == before);
}

#[tokio::test]
async fn ids_in_paths_of_groups_and_rooms_are_validated() {
    let world = World::new().await;
    let (alice, fill) = in_a_group(&world).await;
    let (group, message) = (fill("GROUP"), fill("MESSAGE"));
    for (method, path, body) in [
        ("GET", "/api/conversations/ID", ""),
        ("PATCH", "/api/conversations/ID", "{}"),
        ("POST", "/api/conversations/ID/participants", r#"{"user_ids":[]}"#),
        ("DELETE", "/api/conversations/ID/participants/bob", ""),
        ("PATCH", "/api/conversations/ID/participants/bob", r#"{"is_admin":true}"#),
        ("POST", "/api/rooms/ID/join", ""),
        ("POST", "/api/rooms/ID/leave", ""),
        ("GET", "/api/rooms/ID/users", ""),
        ("DELETE", "/api/rooms/ID", ""),
        ("PATCH", "/api/messages/ID", r#"{"message_text":"x"}"#),
        ("DELETE", "/api/messages/ID", ""),
    ] {
        let other = if path.contains("messages") { &group } else { &message };
        for bad in ["x", "%FF", "g", &group[1..], &group.to_lowercase()[..9], other, &format!("{message}x")] {
            let path = path.replace("ID", bad);
            let answer = alice.call(method, &path, &[("content-type", "application/json")], body).await;
            refused(&answer, format!("{method} {path}"));
        }
    }
    for scope in ["all", "Me", "everyone,me"] {
        refused_for(&alice.delete(&format!("/api/messages/{message}?scope={scope}")).await, "scope");
    }
    for list in [&format!("/api/conversations/{group}"), "/api/rooms"] {
        for bad in ["0", "101", "-1", "many"] {
            refused_for(&alice.get(&format!("{list}?limit={bad}")).await, "limit");
        }
        refused(&alice.get(&format!("{list}?cursor=x")).await, list);
    }
}

#[tokio::test]
async fn a_text_that_shows_nothing_is_empty() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = alice.send("bob", "hello").await.expect(201).id();
    let picture = json!({"attachment_url": "https://a.example/cat.png"});
    for nothing in [" ", "\u{200b}", "\u{3164}", "\n\r\n\t", "\u{202e}", "\u{2800}", "\u{fe0f}\u{200d}", "\0"]
    {
        refused_for(&send(&alice, &json!({"message_text": nothing})).await, "message_text");
        refused_for(&alice.edit(&sent, nothing).await, "message_text");
        let mut with_picture = picture.clone();
        with_picture["message_text"] = nothing.into();
        let message = send(&alice, &with_picture).await.expect(201).id();
        alice.edit(&message, nothing).await.expect(200);
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    refused_for(&alice.call("POST", SEND, &form, "recipient_id=bob&message_text=%20").await, "message_text");
    for something in [".", " a ", "\u{2764}\u{fe0f}", "\u{301}"] {
        let message = alice.send("bob", something).await.expect(201);
        assert_eq!(message.data()["message_text"], something, "the text is kept as it was sent");
    }
    assert_eq!(bob.page("alice").await[0]["message_text"], "hello");
}

#[tokio::test]
async fn user_ids_that_mean_something_else_in_a_path_are_refused() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let group = alice.group("G", &["bob"]).await;
    for bad in ["me", ".", ".."] {
        let caller = world.anonymous().with_token(Some(&signed(&json!({"sub": bad, "exp": now() + 600}))));
        caller.get("/api/users/me").await.refused(401, "not_authenticated");
        caller.send("bob", "hello").await.refused(401, "not_authenticated");
        refused(&alice.send(bad, "hello").await, bad);
        refused(&alice.block(bad).await, bad);
        refused(&alice.add(&group, &[bad]).await, bad);
        refused(&alice.get(&format!("/api/presence?user_ids=bob,{bad}")).await, bad);
        refused(&alice.get(&format!("/api/messages/search?q=x&from={bad}")).await, bad);
    }
    refused(&alice.get("/api/messages/conversation/me").await, "me");
    refused(&alice.unblock("me").await, "me");
    // These stay user ids.
    for good in ["Me", "...", "me.", "..me"] {
        world.user(good).await.send("bob", "hello").await.expect(201);
        bob.send(good, "hello").await.expect(201);
    }
}
