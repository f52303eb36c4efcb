//! The HTTP conventions: routes, the order of checks, permissions, and what every answer has. `inputs.rs` tests bad
//! input, and `tokens.rs` tests tokens.

use std::collections::HashSet;

use harness::{Actor, Answer, World};
use serde_json::{Value, json};

use crate::direct::{another_conversation, another_message, text};

/// The maximum size of a body, in bytes.
const MAX_BODY: usize = 256 * 1024;

/// Creates Alice, Bob, and a message from Alice to Bob.
async fn a_message() -> (World, Actor, Actor, Value) {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let message = alice.send("bob", "hello").await.expect(201).data().clone();
    (world, alice, bob, message)
}

/// Returns calls of the basic routes, with the ids of a message.
fn calls(message: &Value) -> Vec<(&'static str, String)> {
    let (id, conversation) = (text(message, "id"), text(message, "conversation_id"));
    vec![
        ("POST", "/api/messages/send".into()),
        ("GET", "/api/messages/inbox".into()),
        ("GET", "/api/messages/conversation/bob".into()),
        ("GET", format!("/api/conversations/{conversation}/messages")),
        ("PUT", format!("/api/messages/mark-as-read/{id}")),
        ("PUT", format!("/api/conversations/{conversation}/read")),
        ("GET", format!("/api/messages/{id}/receipts")),
        ("GET", "/api/messages/unread-count".into()),
        ("GET", "/api/messages/search?q=hello".into()),
        ("DELETE", format!("/api/messages/conversation/{conversation}")),
        ("POST", "/api/messages/block-user".into()),
        ("DELETE", "/api/messages/block-user/bob".into()),
        ("GET", "/api/messages/blocked-users".into()),
        ("GET", "/api/users/me".into()),
    ]
}

/// The calls among them that take a body.
const WITH_BODY: [&str; 2] = ["/api/messages/send", "/api/messages/block-user"];

async fn post(actor: &Actor, path: &str, kind: &str, body: impl Into<Vec<u8>>) -> Answer {
    actor.call("POST", path, &[("content-type", kind)], body.into()).await
}

#[tokio::test]
async fn every_call_requires_a_token() {
    let (world, _, _, message) = a_message().await;
    for (method, path) in calls(&message) {
        let answer = world.anonymous().call(method, &path, &[], "").await;
        assert_eq!(answer.status, 401, "{method} {path}");
        answer.refused(401, "not_authenticated");
    }
    world.anonymous().get("/health").await.expect(200);
}

#[tokio::test]
async fn an_unknown_route_or_method_is_404_before_the_token_is_checked() {
    let (world, alice, _, message) = a_message().await;
    let (id, conversation) = (text(&message, "id"), text(&message, "conversation_id"));
    let unknown = [
        ("GET", "/api".to_owned()),
        ("GET", "/api/".to_owned()),
        ("GET", "/api/nothing".to_owned()),
        ("GET", "/api/messages/inbox/".to_owned()),
        ("GET", "/api/messages/inbox/more".to_owned()),
        ("GET", "/API/messages/inbox".to_owned()),
        ("GET", "/messages/inbox".to_owned()),
        ("POST", "/api/messages/send/now".to_owned()),
        ("GET", "/api/messages/send".to_owned()),
        ("POST", "/api/messages/inbox".to_owned()),
        ("PATCH", "/api/messages/conversation/bob".to_owned()),
        ("DELETE", format!("/api/conversations/{conversation}/messages")),
        ("GET", format!("/api/conversations/{conversation}/read")),
        ("POST", format!("/api/messages/mark-as-read/{id}")),
        ("PUT", format!("/api/messages/{id}/receipts")),
        ("PUT", "/api/messages/unread-count".to_owned()),
        ("POST", "/api/messages/search?q=hello".to_owned()),
        ("PUT", "/api/messages/block-user".to_owned()),
        ("GET", "/api/messages/block-user/bob".to_owned()),
        ("DELETE", "/api/messages/blocked-users".to_owned()),
        ("POST", "/api/users/me".to_owned()),
        ("BREW", "/api/users/me".to_owned()),
    ];
    for actor in [&world.anonymous(), &alice] {
        for (method, path) in &unknown {
            let answer = actor.call(method, path, &[], "x".repeat(MAX_BODY + 1)).await;
            assert_eq!(answer.status, 404, "{method} {path}");
            answer.refused(404, "not_found");
        }
    }
}

#[tokio::test]
async fn a_preflight_needs_no_token_and_reaches_no_function() {
    let (world, _, _, message) = a_message().await;
    let mut paths: Vec<String> = calls(&message).into_iter().map(|(_, path)| path).collect();
    paths.extend(["/health", "/docs", "/api/nothing", "/nothing/at/all"].map(String::from));
    let asked = "authorization,content-type,traceparent,tracestate,baggage";
    let headers = |origin| {
        [
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", asked),
        ]
    };
    for path in &paths {
        for origin in ["http://localhost:5173", "http://127.0.0.1:8080", "https://[::1]"] {
            let answer = world.anonymous().call("OPTIONS", path, &headers(origin), "").await;
            assert_eq!(answer.status, 204, "{path}");
            assert_eq!(answer.headers["access-control-allow-origin"], origin, "{path}");
            assert_eq!(answer.headers["access-control-allow-methods"], "GET,POST,PUT,PATCH,DELETE", "{path}");
            assert_eq!(answer.headers["access-control-max-age"], "7200", "{path}");
            let allowed = answer.headers["access-control-allow-headers"].to_str().unwrap();
            let allowed: Vec<&str> = allowed.split(',').collect();
            assert!(asked.split(',').all(|name| allowed.contains(&name)), "{path}: {allowed:?}");
            // No function has seen it.
            assert!(!answer.headers.contains_key("x-request-id"), "{path}");
        }
        for origin in ["https://evil.example", "https://localhost.evil.example", "null"] {
            let answer = world.anonymous().call("OPTIONS", path, &headers(origin), "").await;
            assert_eq!(answer.status, 204, "{path}");
            assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path} {origin}");
        }
    }
}

#[tokio::test]
async fn every_answer_can_be_read_from_another_origin() {
    let (_, alice, bob, message) = a_message().await;
    let origin = [("origin", "http://localhost:5173")];
    let calls = calls(&message).into_iter().chain([("GET", "/api/nothing".to_owned())]);
    for (method, path) in calls {
        for actor in [&bob, &alice.anonymous()] {
            let answer = actor.call(method, &path, &origin, "").await;
            assert_eq!(answer.headers["access-control-allow-origin"], origin[0].1, "{method} {path}");
            assert_eq!(answer.headers["access-control-expose-headers"], "x-request-id,retry-after", "{path}");
        }
    }
}

#[tokio::test]
async fn head_is_404_and_has_no_effect() {
    let (world, alice, bob, message) = a_message().await;
    let mut paths: Vec<String> = calls(&message).into_iter().map(|(_, path)| path).collect();
    paths.extend(
        ["/api/messages/conversation/alice", "/health", "/docs", "/api/openapi.json"].map(String::from),
    );
    for path in &paths {
        for actor in [&alice, &bob, &world.stranger("new"), &world.anonymous()] {
            let answer = actor.call("HEAD", path, &[], "").await;
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        }
    }
    assert_eq!(bob.unread().await, 1);
    alice.get("/api/users/new").await.refused(404, "not_found");
}

#[tokio::test]
async fn the_token_is_checked_before_the_input() {
    let (world, _, _, _) = a_message().await;
    let anonymous = world.anonymous();
    let large = "x".repeat(MAX_BODY + 1);
    for path in WITH_BODY {
        for (kind, body) in [
            ("application/json", &*large),
            ("text/plain", &large),
            ("text/plain", ""),
            ("application/json", "{"),
        ] {
            post(&anonymous, path, kind, body).await.refused(401, "not_authenticated");
        }
    }
    for path in ["/api/messages/inbox?limit=0", "/api/conversations/x/messages", "/api/messages/x/receipts"] {
        anonymous.get(path).await.refused(401, "not_authenticated");
    }
}

#[tokio::test]
async fn size_is_checked_before_type_and_type_before_syntax() {
    let (_, alice, _, _) = a_message().await;
    let large = "{".repeat(MAX_BODY + 1);
    for path in WITH_BODY {
        for kind in
            ["application/json", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"]
        {
            post(&alice, path, kind, large.clone()).await.refused(413, "too_large");
        }
        alice.call("POST", path, &[], large.clone()).await.refused(413, "too_large");
        post(&alice, path, "text/plain", "{").await.refused(415, "unsupported_media_type");
        alice.call("POST", path, &[], "").await.refused(415, "unsupported_media_type");
        post(&alice, path, "application/json", "{").await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn size_and_type_are_checked_before_the_parameters_of_the_path() {
    let (_, alice, _, _) = a_message().await;
    let large = "{".repeat(MAX_BODY + 1);
    for path in [
        "/api/messages/x",
        "/api/conversations/x",
        "/api/conversations/x/me",
        "/api/conversations/x/participants/y",
    ] {
        let send = async |kind: &'static str, body: String| {
            alice.call("PATCH", path, &[("content-type", kind)], body).await
        };
        send("application/json", large.clone()).await.refused(413, "too_large");
        send("text/plain", "{}".to_owned()).await.refused(415, "unsupported_media_type");
        send("application/json", "{".to_owned()).await.refused(400, "invalid_request");
        send("application/json", "{}".to_owned()).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn the_input_is_checked_before_the_rest() {
    let (_, alice, bob, message) = a_message().await;
    bob.block("alice").await.expect(200);
    let foreign = another_conversation(text(&message, "conversation_id"));
    let paths = ["?limit=0", "?cursor=x", "?before=x", "?offset=-1", "?mark_read=7"];
    for query in paths {
        let path = format!("/api/conversations/{foreign}/messages{query}");
        alice.get(&path).await.refused(400, "invalid_request");
    }
    for to in [
        json!({"recipient_id": "bob"}),
        json!({"recipient_id": "nobody"}),
        json!({"conversation_id": foreign}),
    ] {
        alice.post("/api/messages/send", &to).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_body_has_at_most_256_kib() {
    let (_, alice, _, _) = a_message().await;
    let bodies = [json!({"recipient_id": "bob", "message_text": "x"}), json!({"blocked_user_id": "bob"})];
    for (path, body) in WITH_BODY.iter().zip(bodies) {
        let padded = |length: usize| {
            let body = body.to_string();
            " ".repeat(length - body.len()) + &body
        };
        assert!(post(&alice, path, "application/json", padded(MAX_BODY)).await.status < 300);
        for length in [MAX_BODY + 1, 2 * MAX_BODY, 11 << 20] {
            post(&alice, path, "application/json", padded(length)).await.refused(413, "too_large");
        }
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_415() {
    let (_, alice, _, _) = a_message().await;
    let bodies = [json!({"recipient_id": "bob", "message_text": "x"}), json!({"blocked_user_id": "carol"})];
    for (path, body) in WITH_BODY.iter().zip(&bodies) {
        for kind in
            ["text/plain", "text/json", "application/xml", "application/octet-stream", "json", "", "x/y+json"]
        {
            let answer = post(&alice, path, kind, body.to_string()).await;
            assert_eq!(answer.status, 415, "{path} {kind}");
            answer.refused(415, "unsupported_media_type");
        }
    }
    for kind in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let answer = post(&alice, "/api/typing", kind, "conversation_id=x&is_typing=true").await;
        answer.refused(415, "unsupported_media_type");
    }
    let form = "application/x-www-form-urlencoded";
    post(&alice, "/api/messages/block-user", form, "blocked_user_id=carol&more=1")
        .await
        .refused(404, "not_found");
    post(&alice, "/api/messages/block-user", form, "blocked_user_id=bob&more=1").await.expect(200);
    alice.unblock("bob").await.expect(200);
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON ;charset=UTF-8"] {
        post(&alice, "/api/messages/send", kind, bodies[0].to_string()).await.expect(201);
    }
}

#[tokio::test]
async fn an_empty_query_parameter_counts_as_absent() {
    let (_, alice, bob, message) = a_message().await;
    for path in [
        "/api/messages/inbox?limit=&cursor=&offset&type=",
        "/api/messages/conversation/bob?limit=&before=&after=&offset=&mark_read=&cursor=",
        "/api/messages/search?q=hello&conversation_id=&from=&before=&after=&limit=&cursor=",
        "/api/users?q=bob&cursor=&limit=",
        "/api/rooms?limit=&cursor=",
        "/api/messages/blocked-users?cursor=",
        "/api/events?cursor=&limit=",
    ] {
        alice.get(path).await.expect(200);
    }
    alice.get("/api/messages/search?q=").await.refused(400, "invalid_request");
    let path = format!("/api/messages/{}?scope=", text(&message, "id"));
    bob.delete(&path).await.refused(403, "not_the_sender");
    alice.delete(&path).await.expect(200);
}

#[tokio::test]
async fn foreign_and_missing_conversations_look_the_same() {
    let (world, alice, _, message) = a_message().await;
    let carol = world.user("carol").await;
    alice.send("carol", "hello").await.expect(201);
    let foreign = text(&message, "conversation_id").to_owned();
    let none = another_conversation(&foreign);
    for (method, path) in [
        ("GET", "/api/conversations/ID/messages"),
        ("GET", "/api/conversations/ID/messages?mark_read=true&offset=3"),
        ("PUT", "/api/conversations/ID/read"),
        ("DELETE", "/api/messages/conversation/ID"),
        ("GET", "/api/messages/search?q=hello&conversation_id=ID"),
    ] {
        let ask = async |id: &str| carol.call(method, &path.replace("ID", id), &[], "").await;
        let (of_others, missing) = (ask(&foreign).await, ask(&none).await);
        of_others.refused(403, "not_a_participant");
        assert_eq!((missing.status, missing.json), (403, of_others.json), "{method} {path}");
    }
    let send = async |id: &str| {
        let body = json!({"conversation_id": id, "message_text": "let me in"});
        carol.post("/api/messages/send", &body).await
    };
    let (of_others, missing) = (send(&foreign).await, send(&none).await);
    of_others.refused(403, "not_a_participant");
    assert_eq!((missing.status, missing.json), (403, of_others.json));
    assert_eq!(alice.history("bob").await.len(), 1);
}

#[tokio::test]
async fn foreign_and_missing_messages_look_the_same() {
    let (world, _, _, message) = a_message().await;
    let carol = world.user("carol").await;
    let foreign = text(&message, "id");
    let missing = another_message(foreign);
    let in_missing_conversation = foreign
        .replace(text(&message, "conversation_id"), &another_conversation(text(&message, "conversation_id")));
    for (method, path) in [("PUT", "/api/messages/mark-as-read/ID"), ("GET", "/api/messages/ID/receipts")] {
        let ask = async |id: &str| carol.call(method, &path.replace("ID", id), &[], "").await;
        let of_others = ask(foreign).await;
        of_others.refused(403, "not_a_participant");
        for id in [&missing, &in_missing_conversation] {
            let other = ask(id).await;
            assert_eq!((other.status, &other.json), (403, &of_others.json), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn missing_messages_and_users_are_404() {
    let (_, alice, bob, message) = a_message().await;
    let missing = another_message(text(&message, "id"));
    bob.mark(&missing).await.refused(404, "not_found");
    bob.get(&format!("/api/messages/{missing}/receipts")).await.refused(404, "not_found");
    alice.send("nobody", "hello?").await.refused(404, "not_found");
    alice.block("nobody").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_success_has_data_and_a_message() {
    let (_, _, bob, message) = a_message().await;
    for (method, path) in calls(&message).into_iter().filter(|(method, _)| *method != "POST") {
        let path = path.replace("/bob", "/alice");
        let answer = bob.call(method, &path, &[], "").await.expect(200);
        assert_eq!(answer.headers["content-type"], "application/json", "{path}");
        assert_eq!(answer.json["success"], true, "{path}");
        assert!(answer.json["message"].is_string() && answer.json.get("data").is_some(), "{path}");
        assert!(answer.json.get("code").is_none(), "{path}");
    }
}

#[tokio::test]
async fn lists_have_a_next_cursor() {
    let (world, alice, bob, message) = a_message().await;
    for id in ["carol", "dave"] {
        world.user(id).await;
        alice.send(id, "hello").await.expect(201);
        alice.block(id).await.expect(200);
    }
    alice.send("bob", "hello again").await.expect(201);
    bob.send("alice", "hello").await.expect(201);
    let by_id = format!("/api/conversations/{}/messages?", text(&message, "conversation_id"));
    for path in [
        "/api/messages/inbox?",
        "/api/messages/conversation/bob?",
        &by_id,
        "/api/messages/search?q=hello&",
        "/api/messages/blocked-users?",
    ] {
        let whole = alice.get(&format!("{path}limit=100")).await.expect(200);
        assert_eq!(whole.json.get("next_cursor"), Some(&Value::Null), "{path}");
        let part = alice.get(&format!("{path}limit=1")).await.expect(200);
        assert!(part.json["next_cursor"].is_string() && part.list().len() == 1, "{path}");
        assert_eq!(whole.json["total"].is_number(), path.contains("inbox"), "{path}");
    }
}

#[tokio::test]
async fn a_refusal_is_a_problem_document() {
    let (_, alice, _, _) = a_message().await;
    let answer = alice.send("bob", &"x".repeat(10_001)).await;
    for member in ["type", "title", "detail", "message", "code"] {
        assert!(answer.json[member].is_string(), "{member}");
    }
    assert_eq!((&answer.json["status"], &answer.json["success"]), (&400.into(), &false.into()));
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert!(answer.json.get("data").is_none());
}

#[tokio::test]
async fn every_answer_has_a_unique_id_and_its_cost() {
    let (world, alice, _, message) = a_message().await;
    let mut ids = HashSet::new();
    let mut answers = vec![alice.get("/api/nothing").await, world.anonymous().get("/health").await];
    for (method, path) in calls(&message) {
        for actor in [&alice, &world.anonymous()] {
            answers.push(actor.call(method, &path, &[], "").await);
        }
    }
    for answer in &answers {
        assert!(ids.insert(answer.headers["x-request-id"].to_str().unwrap()), "{answer:?}");
        let timing = answer.headers["server-timing"].to_str().unwrap();
        assert!(timing.starts_with("db;dur="), "{timing}");
        for figure in ["calls", "depth", "rcu", "wcu"] {
            assert!(answer.cost(figure) >= 0.0);
        }
    }
    assert!(ids.iter().all(|id| !id.is_empty()));
    assert!(alice.get("/api/messages/inbox").await.cost("calls") >= 1.0);
}

/// Returns whether a value has the form `2026-01-31T12:00:00.123Z`.
fn is_time(value: &Value) -> bool {
    let digits = value.as_str().unwrap_or_default().chars().map(|c| if c.is_ascii_digit() { '0' } else { c });
    digits.collect::<String>() == "0000-00-00T00:00:00.000Z"
}

#[tokio::test]
async fn times_have_milliseconds_and_a_z() {
    let (_, alice, bob, message) = a_message().await;
    assert!(is_time(&message["sent_at"]));
    bob.mark(text(&message, "id")).await.expect(200);
    let read = &alice.page("bob").await[0];
    assert!(is_time(&read["read_at"]) && is_time(&read["sent_at"]), "{read}");
    assert!(is_time(&alice.row("bob").await.unwrap()["last_message_at"]));
    let receipts = alice.get(&format!("/api/messages/{}/receipts", text(&message, "id"))).await;
    assert!(is_time(&receipts.list()[0]["read_at"]));
    assert!(is_time(&alice.get("/api/users/me").await.data()["created_at"]));
    alice.block("bob").await.expect(200);
    assert!(is_time(&alice.get("/api/messages/blocked-users").await.list()[0]["blocked_at"]));
}

#[tokio::test]
async fn unknown_query_parameters_are_ignored() {
    let (_, _, bob, message) = a_message().await;
    for (method, path) in calls(&message).into_iter().filter(|(method, _)| *method != "POST") {
        let join = if path.contains('?') { '&' } else { '?' };
        let path = format!("{}{join}utm_source=x&limits=0&x", path.replace("/bob", "/alice"));
        bob.call(method, &path, &[], "").await.expect(200);
    }
}
