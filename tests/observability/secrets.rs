//! A whole session, even with faults, prints no text, token, address or query string.

use harness::live::Live;
use harness::printed::Printed;
use harness::wire::Faults;
use harness::{PASSWORD, TABLE, World};
use serde_json::json;

use super::{database_down, lines, log_to};

/// Words that occur in texts. None of them may be printed.
const TEXTS: [&str; 6] = ["marmalade", "xylophone", "quicksilver", "zeppelin", "buttercup", "hedgehog"];

fn assert_no_secrets(printed: &str, secrets: &[String]) {
    let texts = TEXTS.into_iter().map(ToOwned::to_owned);
    for secret in texts.chain([PASSWORD.to_owned()]).chain(secrets.iter().cloned()) {
        assert!(!secret.is_empty());
        assert!(!printed.contains(&secret), "{secret:?} was printed");
    }
}

#[tokio::test]
async fn calls_log_no_text_token_or_address() {
    let world = World::new().await;
    let (world, printed) = world.printing();
    let _logs = log_to(&printed);
    let alice = world.registered("alice").await;
    let bob = world.registered("bob").await;
    let mut secrets = vec!["@example.com".to_owned(), alice.refresh_token.clone(), bob.refresh_token];
    let (alice, refresh_token) = (alice.actor, alice.refresh_token);
    let bob = bob.actor;
    let sent = alice.send(&bob.id, "marmalade for xylophones").await.expect(201);
    alice.edit(&sent.id(), "quicksilver for xylophones").await.expect(200);
    bob.get("/api/messages/search?q=xylophone").await.expect(200);
    bob.get("/api/users?q=zeppelin").await.expect(200);
    bob.page(&alice.id).await;
    let group = alice.group("buttercup", &[&bob.id]).await;
    bob.say(&group, "hedgehog").await.expect(201);
    let cursor = bob.get("/api/events").await.data()["cursor"].as_str().unwrap().to_owned();
    bob.get(&format!("/api/events?cursor={cursor}")).await.expect(200);
    secrets.push(cursor);
    let ticket = bob.post("/api/ws-ticket", &json!({})).await.expect(201);
    secrets.push(ticket.data()["ticket"].as_str().unwrap().to_owned());
    let pair = world.anonymous().post("/api/auth/refresh", &json!({"refresh_token": refresh_token})).await;
    secrets
        .extend(["access_token", "refresh_token"].map(|name| pair.data()[name].as_str().unwrap().to_owned()));
    // Calls that are refused.
    alice.send(&bob.id, &"zeppelin".repeat(2_000)).await.expect(400);
    alice.post("/api/messages/send", &json!({"hedgehog": "zeppelin"})).await.expect(400);
    alice.get("/hedgehog/zeppelin?token=buttercup").await.expect(404);
    alice.call("GET", "/api/messages/hedgehog/receipts", &[], "").await.expect(400);
    alice.with_token(Some("hedgehog.zeppelin.buttercup")).get("/api/users/me").await.expect(401);
    let login = json!({"username": "alice", "password": "zeppelin hedgehog"});
    world.anonymous().post("/api/auth/login", &login).await.expect(401);
    // Calls that fail.
    for faults in [database_down(), Faults { lost: 0.5, conflict_per_item: 0.3, ..Faults::default() }] {
        world.wire.inject(faults, 7);
        alice.send(&bob.id, "marmalade again").await;
        alice.edit(&sent.id(), "zeppelin").await;
        bob.get("/api/messages/search?q=xylophone").await;
    }
    world.wire.heal();
    let text = printed.text();
    assert!(
        text.contains("request failed") && text.contains(&alice.id) && text.contains(&sent.id()),
        "{text}"
    );
    printed.lines().iter().for_each(lines::check);
    assert_no_secrets(&text, &secrets);
}

#[tokio::test]
async fn sockets_log_no_text_or_token() {
    let live = Live::start_from(None).await;
    let printed = Printed::default();
    let _logs = log_to(&printed);
    live.stack.app.observer.print_to(TABLE, printed.clone());
    let (alice, bob) = live.two().await;
    let token = live.token("alice");
    let ticket = bob.post("/api/ws-ticket", &json!({})).await.expect(201);
    let ticket = ticket.data()["ticket"].as_str().unwrap().to_owned();
    let mut mine = live.open_with(&token).await;
    let (mut theirs, _) = live.dial(&format!("?ticket={ticket}"), None).await.unwrap();
    let (protocol, _) = live.dial("", Some(&format!("tidings, {token}"))).await.unwrap();
    let sent = json!({"action": "send", "recipient_id": "bob", "message_text": "marmalade"});
    assert_eq!(mine.ask(&sent).await["type"], "ack");
    assert_eq!(theirs.event("message.created").await["data"]["message"]["message_text"], "marmalade");
    let refused = json!({"action": "send", "recipient_id": "bob", "message_text": "zeppelin".repeat(2_000)});
    assert_eq!(mine.ask(&refused).await["type"], "error");
    assert_eq!(mine.ask(&json!({"action": "hedgehog"})).await["type"], "error");
    assert_eq!(live.refusal("?token=buttercup", None).await, 401);
    for socket in [mine, theirs, protocol] {
        socket.close().await;
    }
    alice.get("/api/messages/search?q=marmalade").await.expect(200);
    let text = printed.text();
    let routes = ["authorizer", "$connect", "$default"].map(|route| format!("\"route\":\"{route}\""));
    assert!(routes.iter().all(|route| text.contains(route)), "{text}");
    let lines = printed.lines();
    lines.iter().for_each(lines::check);
    let frame = lines.iter().find(|line| line["action"] == "send" && line.get("code").is_none()).unwrap();
    assert_eq!((&frame["function"], &frame["user"]), (&json!("ws-message"), &json!("alice")));
    assert!(frame["conversation"].is_string() && frame["message_id"].is_string());
    assert!(
        lines.iter().any(|line| line["code"] == "not_authenticated" && line["function"] == "ws-authorizer")
    );
    assert_no_secrets(&text, &[token, ticket]);
}
