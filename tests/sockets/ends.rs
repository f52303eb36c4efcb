//! How sockets are closed.

use std::time::Duration;

use domain::id::UserId;
use domain::time::Timestamp;
use serde_json::json;

use super::*;

/// How long a token is accepted after its `exp`, in milliseconds.
const LEEWAY: i64 = 30_000;

async fn stored(live: &Live, user: &str) -> usize {
    let user: UserId = user.parse().unwrap();
    live.stack.app.store.sockets(&user).await.unwrap().len()
}

#[tokio::test]
async fn the_first_frame_after_the_token_expires_closes_the_socket() {
    let (live, alice, ..) = talking().await;
    start_functions(&live, &alice).await;
    let mut socket = live.open_with(&live.token_until("alice", live.from_now(3_000 - LEEWAY))).await;
    let pong = json!({"type": "pong", "ref": null});
    let mut pongs = 0;
    let last = loop {
        let answer = socket.ask(&json!({"action": "ping"})).await;
        if answer != pong {
            break answer;
        }
        pongs += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(pongs > 0);
    assert_eq!(last["code"], "not_authenticated");
    assert_eq!(socket.closed().await, (Vec::new(), 1000));
}

#[tokio::test]
async fn the_first_push_after_the_token_expires_closes_the_socket() {
    let (live, alice, bob, _) = talking().await;
    let mut other = live.open(&bob).await;
    // Long enough that a busy machine, too, opens the socket and sends a message before.
    let expires = live.from_now(5_000);
    let socket = live.open_with(&live.token_until("bob", live.from_now(5_000 - LEEWAY))).await;
    eventually(async {
        while stored(&live, "bob").await == 2 {
            alice.send("bob", "are you still there?").await.expect(201);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert!(live.from_now(0) >= Timestamp::from_millis(expires.seconds() * 1000));
    alice.send("bob", "you missed this").await.expect(201);
    let (frames, code) = socket.closed().await;
    assert_eq!(code, 1000);
    assert_eq!(frames.last().unwrap()["type"], "error");
    // The push and the socket's own timer may both find that the token has expired.
    let (reasons, mut pushed): (Vec<_>, Vec<_>) =
        frames.into_iter().partition(|frame| frame["type"] == "error");
    assert!(!reasons.is_empty() && reasons.iter().all(|reason| reason["code"] == "not_authenticated"));
    // The user's other socket still gets events, including those that the first one missed.
    let news = other.news().await;
    assert_eq!(kinds(&news), vec!["message.created"; news.len()]);
    pushed.retain(|event| event["type"] != "presence");
    assert!(!pushed.is_empty() && pushed.iter().all(|event| news.contains(event)), "{pushed:?}");
    assert!(!pushed.contains(news.last().unwrap()));
}

#[tokio::test]
async fn a_closed_or_dropped_socket_is_deleted() {
    let (live, alice, ..) = talking().await;
    let (kept, closed, killed) = (live.open(&alice).await, live.open(&alice).await, live.open(&alice).await);
    assert_eq!(stored(&live, "alice").await, 3);
    closed.close().await;
    drop(killed);
    eventually(async {
        while stored(&live, "alice").await != 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    drop(kept);
}

#[tokio::test]
async fn stopping_the_stack_closes_its_sockets_with_1001() {
    let (live, alice, bob, _) = talking().await;
    let sockets = [live.open(&alice).await, live.open(&alice).await, live.open(&bob).await];
    let address = live.stack.address;
    let ends = sockets.map(Socket::closed);
    let (ends, ()) = tokio::join!(futures_util::future::join_all(ends), live.stack.stop());
    for (_, code) in ends {
        assert_eq!(code, 1001);
    }
    // The port is free again.
    tokio::net::TcpListener::bind(address).await.unwrap();
}
