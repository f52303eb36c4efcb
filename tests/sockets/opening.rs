//! Handshakes with tokens, tickets and subprotocols.

use std::time::Instant;

use domain::id::Clock;
use edge::app::{App, https_client};
use edge::auth;
use edge::socket::issue_ticket;
use harness::Answer;
use local::secrets::days_from_now;
use serde_json::json;
use store::Store;

use super::*;

async fn ticket(user: &Actor) -> String {
    let answer: Answer = user.post("/api/ws-ticket", &json!({})).await.expect(201);
    assert_eq!(answer.data()["expires_in"], 30);
    text(&answer.data()["ticket"])
}

/// Asserts that the socket gets its user's events.
async fn assert_works(live: &Live, mut socket: Socket, user: &Actor) {
    let carol = live.user("carol").await;
    let sent = carol.send(&user.id, "to whom?").await.expect(201);
    assert_eq!(socket.event("message.created").await["data"]["message"]["id"], sent.id());
}

#[tokio::test]
async fn a_token_a_ticket_or_a_subprotocol_opens_a_socket() {
    let live = Live::start().await;
    let (alice, token) = (live.user("alice").await, live.token("alice"));

    let (socket, answer) = live.dial(&format!("?token={token}"), None).await.unwrap();
    assert_eq!(answer.headers().get("sec-websocket-protocol"), None);
    assert_works(&live, socket, &alice).await;

    let (socket, answer) = live.dial(&format!("?ticket={}", ticket(&alice).await), None).await.unwrap();
    assert_eq!(answer.headers().get("sec-websocket-protocol"), None);
    assert_works(&live, socket, &alice).await;

    // Empty parameters count as absent.
    for (query, protocols) in
        [("", format!("tidings, {token}")), ("?token=&ticket=", format!("tidings,{token}"))]
    {
        let (socket, answer) = live.dial(query, Some(&protocols)).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "tidings");
        assert_works(&live, socket, &alice).await;
    }

    // A browser that offers the subprotocol with its ticket requires it in the answer.
    let query = format!("?ticket={}", ticket(&alice).await);
    let (socket, answer) = live.dial(&query, Some("tidings")).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "tidings");
    assert_works(&live, socket, &alice).await;
}

#[tokio::test]
async fn invalid_credentials_are_refused_with_401() {
    let live = Live::start().await;
    let alice = live.user("alice").await;
    let expires = days_from_now(1);
    let token = live.token("alice");
    let expired = live.token_until("alice", live.from_now(-60_000));
    let secret = "another secret, of which the stack knows nothing";
    let forged = auth::sign(secret.as_bytes(), &"alice".parse().unwrap(), None, expires).unwrap();
    let used = ticket(&alice).await;
    live.dial(&format!("?ticket={used}"), None).await.unwrap();
    let tampered = format!("{}x", ticket(&alice).await);

    for query in ["", "?token=", "?token=garbage", "?ticket=", "?ticket=garbage", "?other=1"] {
        assert_eq!(live.refusal(query, None).await, 401, "{query}");
    }
    for token in [&expired, &forged, &format!("{token}x"), &token[1..].to_owned()] {
        assert_eq!(live.refusal(&format!("?token={token}"), None).await, 401);
        assert_eq!(live.refusal("", Some(&format!("tidings, {token}"))).await, 401);
    }
    for ticket in [&used, &tampered, &token] {
        assert_eq!(live.refusal(&format!("?ticket={ticket}"), None).await, 401);
    }
    for protocols in ["tidings", &token, &format!("other, {token}"), &format!("{token}, tidings")] {
        assert_eq!(live.refusal("", Some(protocols)).await, 401, "{protocols}");
    }
    assert!(live.stack.app.store.sockets(&"alice".parse().unwrap()).await.unwrap().len() <= 1);
}

#[tokio::test]
async fn a_ticket_opens_one_socket_even_if_used_concurrently() {
    let live = Live::start().await;
    let query = format!("?ticket={}", ticket(&live.user("alice").await).await);
    let tries = (0..8).map(|_| live.dial(&query, None));
    let tries = futures_util::future::join_all(tries).await;
    assert_eq!(tries.iter().filter(|opened| opened.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_ticket_is_valid_for_30_seconds() {
    let live = Live::start().await;
    let token = live.token("alice");
    let caller = live.stack.app.verifier.verify(&token).await.unwrap();
    for (age, is_good) in [(25, true), (31, false)] {
        let query = format!("?ticket={}", issue_ticket(&ago(&live, age), &caller).await.unwrap());
        match live.dial(&query, None).await {
            Ok(_) => assert!(is_good, "after {age} s"),
            Err(error) => assert!(!is_good && error.to_string().contains("401"), "after {age} s: {error}"),
        }
    }
}

/// Returns the stack's app with a clock that is this many seconds slow.
fn ago(live: &Live, seconds: i64) -> App {
    use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .region(Region::new("us-east-1"))
        .endpoint_url(&live.stack.database);
    let clock = Clock::off_by(-1000 * seconds);
    let links = live.stack.app.store.links().clone();
    let store = Store::new(config, https_client(), "tidings".to_owned(), clock, links, false);
    live.stack.app.with(|app| app.store = store)
}

#[tokio::test]
async fn a_user_can_open_60_sockets_at_once() {
    let live = Live::start().await;
    let alice = live.user("alice").await;
    let query = format!("?token={}", live.token("alice"));
    let began = Instant::now();
    let mut sockets = Vec::new();
    // Every two seconds one more may be opened, also while this test runs.
    let refusal = loop {
        match live.dial(&query, None).await {
            Ok((socket, _)) => sockets.push(socket),
            Err(refusal) => break refusal.to_string(),
        }
        assert!(sockets.len() < 200, "no socket is refused");
    };
    assert!(refusal.contains("429"), "{refusal}");
    let most = 60 + usize::try_from(began.elapsed().as_secs() / 2).unwrap();
    assert!((60..=most).contains(&sockets.len()), "{} of {most}", sockets.len());
    // A refused socket leaves nothing, and the others work.
    assert_works(&live, sockets.pop().unwrap(), &alice).await;
}
