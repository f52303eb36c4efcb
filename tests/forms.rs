//! Messages sent as forms, as existing web clients send them, give the same result as JSON.

use harness::{Actor, Answer, World};
use serde_json::{Value, json};

use crate::searching::encoded;

const URLENCODED: &str = "application/x-www-form-urlencoded";

async fn urlencoded(actor: &Actor, form: &str) -> Answer {
    actor.call("POST", "/api/messages/send", &[("content-type", URLENCODED)], form.to_owned()).await
}

/// Formats a part of a multipart form. `name` may include further parameters, such as a file name.
fn part(name: &str, content: impl AsRef<[u8]>) -> Vec<u8> {
    let head = format!("--limit\r\ncontent-disposition: form-data; name={name}\r\n\r\n");
    [head.as_bytes(), content.as_ref(), b"\r\n"].concat()
}

async fn multipart(actor: &Actor, parts: &[Vec<u8>]) -> Answer {
    let body = [&parts.concat(), &b"--limit--\r\n"[..]].concat();
    let kind = [("content-type", "multipart/form-data; boundary=limit")];
    actor.call("POST", "/api/messages/send", &kind, body).await
}

/// Returns the message in an answer without its id and time.
fn comparable(answer: &Answer) -> Value {
    let mut message = answer.data().clone();
    for own in ["id", "sent_at"] {
        assert!(message[own].is_string());
        message[own] = Value::Null;
    }
    message
}

#[tokio::test]
async fn forms_are_the_same_as_json() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let first = bob.send("alice", "?").await.expect(201).id();
    let fields = [
        ("recipient_id", "bob"),
        ("message_text", "50% off & more = ü + 😀\r\nsecond line"),
        ("attachment_url", "https://a.example/cat.png?x=1&y=2"),
        ("attachment_type", "image/png"),
        ("reply_to", &first),
    ];
    let json: Value = fields.iter().map(|(name, text)| (*name, json!(text))).collect();
    let as_json = alice.post("/api/messages/send", &json).await.expect(201);
    let encoded = fields.map(|(name, text)| format!("{name}={}", encoded(text)));
    let as_form = urlencoded(&alice, &encoded.join("&")).await.expect(201);
    let as_parts = multipart(&alice, &fields.map(|(name, text)| part(name, text))).await.expect(201);
    assert_eq!(comparable(&as_form), comparable(&as_json));
    assert_eq!(comparable(&as_parts), comparable(&as_json));
    assert_eq!(bob.history("alice").await.len(), 4);
}

#[tokio::test]
async fn a_plus_is_a_space() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let sent = urlencoded(&alice, "recipient_id=bob&message_text=a+b%2Bc").await.expect(201);
    assert_eq!(sent.data()["message_text"], "a b+c");
}

#[tokio::test]
async fn a_field_in_another_encoding_is_refused_rather_than_changed() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for text in ["Caf%E9", "%ff", "a%C3"] {
        let form = format!("recipient_id=bob&message_text={text}");
        urlencoded(&alice, &form).await.refused(400, "invalid_request");
    }
    let raw = [&b"recipient_id=bob&message_text=Caf"[..], &[0xe9]].concat();
    alice
        .call("POST", "/api/messages/send", &[("content-type", URLENCODED)], raw)
        .await
        .refused(400, "invalid_request");
    assert_eq!(bob.history("alice").await.len(), 0);
    let sent = urlencoded(&alice, "other=Caf%E9&recipient_id=bob&message_text=Caf%C3%A9").await.expect(201);
    assert_eq!(sent.data()["message_text"], "Café");
    // These are no escapes.
    let sent = urlencoded(&alice, "recipient_id=bob&message_text=100%&=&a=b=c").await.expect(201);
    assert_eq!(sent.data()["message_text"], "100%");
}

#[tokio::test]
async fn unknown_form_fields_are_ignored() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let form = "csrf=1&recipient_id=bob&sender_id=carol&message_text=hello&submit=Send&x[]=1&=";
    assert_eq!(urlencoded(&alice, form).await.expect(201).data()["sender_id"], "alice");
    let parts =
        [part("csrf", "1"), part("recipient_id", "bob"), part("message_text", "hello"), part("read", "true")];
    assert_eq!(multipart(&alice, &parts).await.expect(201).data()["read"], false);
}

#[tokio::test]
async fn a_file_is_ignored() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let file =
        part("\"file\"; filename=\"cat.png\"", [0x89, b'P', b'N', b'G', 0xff, 0x00, b'\r', b'\n', b'-']);
    let parts = [file, part("\"recipient_id\"", "bob"), part("\"message_text\"", "a cat")];
    let sent = multipart(&alice, &parts).await.expect(201);
    assert_eq!(
        (&sent.data()["message_text"], &sent.data()["attachment_url"]),
        (&json!("a cat"), &Value::Null)
    );
}

#[tokio::test]
async fn empty_form_fields_count_as_absent() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let empty = ["conversation_id", "attachment_url", "attachment_type", "reply_to", "client_message_id"];
    let form = format!("recipient_id=bob&message_text=hello&{}=", empty.join("=&"));
    let as_form = urlencoded(&alice, &form).await.expect(201);
    let mut parts = vec![part("recipient_id", "bob"), part("message_text", "hello")];
    parts.extend(empty.map(|name| part(name, "")));
    let as_parts = multipart(&alice, &parts).await.expect(201);
    assert_eq!(comparable(&as_form), comparable(&alice.send("bob", "hello").await.expect(201)));
    assert_eq!(comparable(&as_parts), comparable(&as_form));
    urlencoded(&alice, "recipient_id=bob&message_text=").await.refused(400, "invalid_request");
    urlencoded(&alice, "recipient_id=&message_text=hello").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_form_is_validated_like_json() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let long = format!("recipient_id=bob&message_text={}", "x".repeat(10_001));
    for form in [
        "",
        "message_text=x",
        "recipient_id=bob",
        "recipient_id=bob&message_text=x&attachment_url=cat",
        &long,
    ] {
        urlencoded(&alice, form).await.refused(400, "invalid_request");
    }
    for (field, bad) in
        [("recipient_id", "b b"), ("recipient_id", "alice"), ("reply_to", "x"), ("conversation_id", "x")]
    {
        let answer = urlencoded(&alice, &format!("message_text=x&{field}={bad}")).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.json["errors"][0]["field"], field);
        let answer = multipart(&alice, &[part("message_text", "x"), part(field, bad)]).await;
        assert_eq!(answer.json["errors"][0]["field"], field);
    }
    urlencoded(&alice, "recipient_id=nobody&message_text=x").await.refused(404, "not_found");
    assert!(bob.inbox().await.is_empty());
}

#[tokio::test]
async fn a_malformed_form_is_refused() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let good = [part("recipient_id", "bob"), part("message_text", "hello")].concat();
    for kind in
        ["multipart/form-data", "multipart/form-data; boundary=other", "multipart/form-data; boundary="]
    {
        let body = [&*good, b"--limit--\r\n"].concat();
        let answer = alice.call("POST", "/api/messages/send", &[("content-type", kind)], body).await;
        answer.refused(400, "invalid_request");
    }
    let kind = [("content-type", "multipart/form-data; boundary=limit")];
    alice.call("POST", "/api/messages/send", &kind, good).await.refused(400, "invalid_request");
    let answer = multipart(&alice, &[part("recipient_id", "bob"), part("message_text", b"caf\xe9")]).await;
    answer.refused(400, "invalid_request");
    let body = b"recipient_id=bob&message_text=caf\xe9".to_vec();
    let answer = alice.call("POST", "/api/messages/send", &[("content-type", URLENCODED)], body).await;
    answer.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_retried_form_is_sent_once() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let form = "recipient_id=bob&message_text=hello&client_message_id=k1";
    let first = urlencoded(&alice, form).await.expect(201).id();
    assert_eq!(urlencoded(&alice, form).await.expect(200).id(), first);
    assert_eq!(alice.send_once("bob", "hello", "k1").await.expect(200).id(), first);
    assert_eq!(bob.history("alice").await.len(), 1);
}
