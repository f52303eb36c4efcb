//! Sockets end with their sessions, their tokens, their accounts and their server.

use harness::process::{Server, token};
use harness::{PASSWORD, Registered};
use serde_json::json;

use super::*;
use crate::durability::call;

/// Registers a user and logs in once more, so that there are two sessions.
async fn two_sessions(live: &Live, name: &str) -> (Registered, Registered) {
    (live.registered(name).await, live.login(name).await)
}

/// Asserts that the last frame says why the server closes the socket.
async fn assert_ended(socket: Socket) {
    let (frames, code) = socket.closed().await;
    let last = frames.last().expect("a last frame");
    assert_eq!((&last["type"], &last["code"]), (&json!("error"), &json!("not_authenticated")));
    assert!(frames.iter().all(|frame| frame["type"] != "message.created"));
    assert_eq!(code, 1000);
}

#[tokio::test]
async fn logging_out_closes_the_sockets_of_that_session() {
    let live = Live::start().await;
    let bob = live.user("bob").await;
    let (first, second) = two_sessions(&live, "ann").await;
    let (ended, also_ended) = (live.open_as(&first).await, live.open_as(&first).await);
    let mut kept = live.open_as(&second).await;
    let logout = json!({"refresh_token": first.refresh_token});
    bob.anonymous().post("/api/auth/logout", &logout).await.expect(200);
    bob.send(&first.actor.id, "are you there?").await.expect(201);
    assert_ended(ended).await;
    assert_ended(also_ended).await;
    assert_eq!(kinds(&kept.news().await), ["conversation.created", "message.created"]);
}

#[tokio::test]
async fn using_a_refresh_token_again_closes_the_sockets_of_its_session() {
    let live = Live::start().await;
    let ann = live.registered("ann").await;
    let mut token = ann.refresh_token.clone();
    for _ in 0..2 {
        let body = json!({"refresh_token": token});
        let answer = ann.actor.anonymous().post("/api/auth/refresh", &body).await.expect(200);
        token = text(&answer.data()["refresh_token"]);
    }
    let socket = live.open_as(&ann).await;
    let stolen = json!({"refresh_token": ann.refresh_token});
    ann.actor.anonymous().post("/api/auth/refresh", &stolen).await.refused(401, "not_authenticated");
    assert_ended(socket).await;
}

#[tokio::test]
async fn a_new_password_closes_the_sockets_of_all_other_sessions() {
    let live = Live::start().await;
    let bob = live.user("bob").await;
    let (first, second) = two_sessions(&live, "ann").await;
    let (mut kept, ended) = (live.open_as(&first).await, live.open_as(&second).await);
    let change = json!({"current_password": PASSWORD, "new_password": "another password"});
    first.actor.post("/api/auth/change-password", &change).await.expect(200);
    bob.send(&first.actor.id, "are you there?").await.expect(201);
    assert_ended(ended).await;
    assert_eq!(kinds(&kept.news().await), ["conversation.created", "message.created"]);
}

#[tokio::test]
async fn deleting_an_account_closes_all_its_sockets() {
    let live = Live::start().await;
    let (first, second) = two_sessions(&live, "ann").await;
    let sockets = [live.open_as(&first).await, live.open_as(&second).await];
    first.actor.json("DELETE", "/api/users/me", &json!({"password": PASSWORD})).await.expect(200);
    for socket in sockets {
        assert_ended(socket).await;
    }
    let user = first.actor.id.parse().unwrap();
    assert!(live.stack.app.store.sockets(&user).await.unwrap().is_empty());
    // Its access tokens, which are still valid, open no others.
    let query = format!("?token={}", first.actor.token().unwrap());
    assert_eq!(live.refusal(&query, None).await, 401);
}

#[tokio::test]
async fn a_silent_socket_is_closed_when_its_token_expires() {
    let live = Live::start().await;
    start_functions(&live, &live.user("alice").await).await;
    // The leeway has nearly passed, too.
    let socket = live.open_with(&live.token_until("alice", live.from_now(-27_000))).await;
    assert_ended(socket).await;
}

#[tokio::test]
async fn a_token_within_the_leeway_opens_a_socket_that_works() {
    let live = Live::start().await;
    let token = live.token_until("alice", live.from_now(-10_000));
    let alice = live.user("alice").await.with_token(Some(&token));
    let ticket = alice.post("/api/ws-ticket", &json!({})).await.expect(201);
    let ticket = text(&ticket.data()["ticket"]);
    for query in [format!("?token={token}"), format!("?ticket={ticket}")] {
        let (mut socket, _) = live.dial(&query, None).await.unwrap();
        assert_eq!(socket.ask(&json!({"action": "ping"})).await["type"], "pong");
    }
    assert_eq!(
        live.refusal(&format!("?token={}", live.token_until("alice", live.from_now(-31_000))), None).await,
        401
    );
}

#[test]
fn nobody_is_online_after_a_crash_because_of_sockets_that_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (alice, bob) = (token(folder.path(), "alice"), token(folder.path(), "bob"));
    let server = Server::start(folder.path(), &["--quiet"]);
    for (token, to) in [(&alice, "bob"), (&bob, "alice")] {
        call(&server.url, token, "GET", "/api/users/me", "").unwrap();
        let body = json!({"recipient_id": to, "message_text": "hello"}).to_string();
        call(&server.url, token, "POST", "/api/messages/send", &body).unwrap();
    }
    let status = |server: &Server| {
        let (_, found) = call(&server.url, &alice, "GET", "/api/presence?user_ids=bob", "").unwrap();
        text(&found["data"][0]["status"])
    };
    let url = format!("{}/ws?token={bob}", server.url.replace("http", "ws"));
    let (socket, _) = tokio_tungstenite::tungstenite::connect(url).unwrap();
    assert_eq!(status(&server), "online");
    server.kill();
    drop(socket);
    let server = Server::start(folder.path(), &["--quiet"]);
    assert_eq!(status(&server), "offline");
}
