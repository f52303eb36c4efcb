//! A failed push fails neither its call nor the pushes to other sockets.
//!
//! A push that misses its deadline is dropped, and on a busy machine this may happen to any push. So the tests repeat
//! sends until the expected pushes have arrived, and assert after each send what must never happen.

use std::collections::HashMap;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing::any;
use domain::id::UserId;
use harness::World;
use harness::live::Reader;
use harness::wire::Faults;
use local::secrets::days_from_now;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

/// Well above the deadline of a push, and well below what a caller would call stuck.
const BOUND: Duration = Duration::from_secs(2);

/// A push endpoint that answers as the connection's id says, and records what each connection got.
#[derive(Clone, Default)]
pub(crate) struct Pushed {
    frames: Arc<Mutex<HashMap<String, Vec<Value>>>>,
    attempts: Arc<AtomicUsize>,
}

impl Pushed {
    fn record(&self, connection: &str, frame: Value) {
        self.frames.lock().unwrap().entry(connection.to_owned()).or_default().push(frame);
    }

    /// Counts an attempt and returns its number.
    fn attempts(&self) -> usize {
        self.attempts.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the frames that a connection got, in order. Null stands for a request to close it.
    fn to(&self, connection: &str) -> Vec<Value> {
        self.frames.lock().unwrap().get(connection).cloned().unwrap_or_default()
    }
}

/// Of 20 attempts four get a number below 4, and one gets 4. The same attempts do each time.
fn flaw(attempt: usize) -> usize {
    attempt * 7 % 20
}

fn accept(pushed: &Pushed, connection: &str, frame: Value) -> axum::response::Response {
    pushed.record(connection, frame);
    StatusCode::OK.into_response()
}

/// Creates a world that pushes to such an endpoint.
pub(crate) async fn pushing() -> (World, Pushed) {
    let pushed = Pushed::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/stage", listener.local_addr().unwrap());
    let routes = Router::new().route("/stage/@connections/{id}", any(answer)).with_state(pushed.clone());
    tokio::spawn(axum::serve(listener, routes).into_future());
    (World::new().await.pushing_to(&endpoint).await, pushed)
}

async fn answer(
    State(pushed): State<Pushed>,
    Path(connection): Path<String>,
    method: Method,
    body: String,
) -> impl IntoResponse {
    let frame = if method == Method::DELETE { Value::Null } else { serde_json::from_str(&body).unwrap() };
    let flaky = connection.starts_with("flaky");
    if !flaky {
        pushed.record(&connection, frame.clone());
    }
    let (status, error) = match connection.split('-').next().unwrap() {
        "gone" => (StatusCode::GONE, "GoneException"),
        "full" => (StatusCode::TOO_MANY_REQUESTS, "LimitExceededException"),
        "broken" => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
        "stuck" => pending().await,
        "flaky" => match flaw(pushed.attempts()) {
            0..4 => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
            4 => pending().await,
            _ => return accept(&pushed, &connection, frame),
        },
        _ => return StatusCode::OK.into_response(),
    };
    (status, [("x-amzn-errortype", error)], "{}").into_response()
}

fn id(user: &str) -> UserId {
    user.parse().unwrap()
}

/// Returns the connection ids of a user's stored sockets, in order.
async fn stored(world: &World, user: &str) -> Vec<String> {
    let sockets = world.app.store.sockets(&id(user)).await.unwrap();
    sockets.into_iter().map(|socket| socket.connection).collect()
}

pub(crate) async fn add(world: &World, user: &str, connection: &str) {
    world.app.store.add_socket(&id(user), connection, days_from_now(1), None).await.unwrap();
}

#[tokio::test]
async fn a_socket_gets_each_event_once_when_several_join() {
    let (world, pushed) = pushing().await;
    let (alice, bob) = world.two().await;
    for id in ["x", "y", "z"] {
        world.user(id).await;
    }
    let group = alice.group("Trip", &["bob"]).await;
    let mut reader = Reader::new(&bob).await;
    reader.poll().await;
    add(&world, "bob", "fine").await;
    alice.add(&group, &["x", "y", "z"]).await.expect(200);
    let queue = reader.poll().await;
    assert_eq!(kinds(&queue), ["participant.joined", "conversation.updated"].repeat(3));
    assert_eq!(pushed.to("fine"), queue);
}

#[tokio::test]
async fn a_send_succeeds_in_time_even_if_its_pushes_fail() {
    let (world, pushed) = pushing().await;
    let (alice, bob) = world.two().await;
    let mut reader = Reader::new(&bob).await;
    let connections = ["broken", "fine", "full", "gone", "stuck"];
    for connection in connections {
        add(&world, "bob", connection).await;
    }
    add(&world, "alice", "fine-too").await;
    // The stuck push delays neither the call nor the other pushes, which include those to the sender's own socket.
    eventually(async {
        while connections.into_iter().chain(["fine-too"]).any(|connection| pushed.to(connection).len() < 3) {
            let began = Instant::now();
            alice.send("bob", "hello").await.expect(201);
            assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
        }
    })
    .await;
    let queue = reader.poll().await;
    for connection in connections {
        let frames = pushed.to(connection);
        assert!(frames.iter().all(|frame| queue.contains(frame)), "{connection}");
        // A failed push is retried, so a broken socket is offered the same event several times.
        assert!(frames.is_sorted_by(|one, next| one["id"].as_str() <= next["id"].as_str()), "{connection}");
    }
    // If the first of two frames fails, the second is not sent.
    assert_eq!(kinds(&queue[..2]), ["conversation.created", "message.created"]);
    for connection in connections.into_iter().filter(|connection| *connection != "fine") {
        assert!(!pushed.to(connection).contains(&queue[1]), "{connection}");
    }
    assert_eq!(stored(&world, "bob").await, connections);
}

/// A fifth of the attempts fail and a twentieth hang, and yet the sender's answer follows each push.
#[tokio::test]
async fn failed_and_hanging_pushes_are_retried() {
    let (world, pushed) = pushing().await;
    let (alice, _) = world.two().await;
    add(&world, "bob", "flaky").await;
    let mut sent = Vec::new();
    for n in 0..60 {
        let began = Instant::now();
        sent.push(alice.send("bob", &format!("m{n}")).await.expect(201).id());
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    }
    let frames = pushed.to("flaky");
    let arrived: Vec<&str> =
        frames.iter().filter_map(|frame| frame["data"]["message"]["id"].as_str()).collect();
    assert_eq!(arrived, sent);
}

#[tokio::test]
async fn calls_succeed_without_a_push_endpoint() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = world.pushing_to(&format!("http://{}/stage", listener.local_addr().unwrap())).await;
    let (alice, bob) = world.two().await;
    add(&world, "bob", "any").await;
    // At first no one accepts connections; later no one listens.
    let began = Instant::now();
    let sent = alice.send("bob", "hello").await.expect(201);
    drop(listener);
    bob.mark(&sent.id()).await.expect(200);
    assert!(began.elapsed() < 2 * BOUND, "{:?}", began.elapsed());
    assert_eq!(stored(&world, "bob").await, ["any"]);
}

#[tokio::test]
async fn a_gone_socket_is_deleted_unless_it_may_still_be_opening() {
    let (world, pushed) = pushing().await;
    let (alice, _) = world.two().await;
    for (age, connection) in [(60_000, "gone-60"), (40_000, "gone-40"), (20_000, "gone-20"), (0, "gone-0")] {
        add(&world.with_clock_off_by(-age), "bob", connection).await;
    }
    for (age, connection) in [(60_000, "broken-60"), (60_000, "full-60"), (60_000, "stuck-60")] {
        add(&world.with_clock_off_by(-age), "bob", connection).await;
    }
    let kept = ["broken-60", "full-60", "gone-0", "gone-20", "stuck-60"];
    eventually(async {
        while stored(&world, "bob").await != kept || pushed.to("gone-20").is_empty() {
            alice.send("bob", "hello").await.expect(201);
            let stored = stored(&world, "bob").await;
            assert!(kept.iter().all(|kept| stored.iter().any(|stored| stored == kept)), "{stored:?}");
        }
    })
    .await;
    let pushes = pushed.to("gone-60");
    alice.send("bob", "hello").await.expect(201);
    assert_eq!(
        (stored(&world, "bob").await, pushed.to("gone-60")),
        (kept.map(str::to_owned).to_vec(), pushes)
    );
}

#[tokio::test]
async fn an_expired_socket_gets_no_more_events() {
    let (world, pushed) = pushing().await;
    let (alice, _) = world.two().await;
    let long_ago = world.with_clock_off_by(-60_000).app.store.now();
    world.app.store.add_socket(&id("bob"), "expired", long_ago, None).await.unwrap();
    add(&world, "bob", "fine").await;
    eventually(async {
        while stored(&world, "bob").await != ["fine"] || pushed.to("fine").is_empty() {
            alice.send("bob", "hello").await.expect(201);
        }
    })
    .await;
    let frames = pushed.to("expired");
    assert!(frames.ends_with(&[Value::Null]), "{frames:?}");
    for error in frames.iter().filter(|frame| !frame.is_null()) {
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("not_authenticated")));
    }
}

#[tokio::test]
async fn a_socket_that_was_never_closed_is_deleted_after_its_end() {
    let (world, _) = pushing().await;
    world.user("bob").await;
    for (hours, connection) in [(3, "forgotten"), (2, "long")] {
        add(&world.with_clock_off_by(-hours * 3_600_000), "bob", connection).await;
    }
    assert_eq!(stored(&world, "bob").await, ["forgotten", "long"]);
    add(&world, "bob", "new").await;
    assert_eq!(stored(&world, "bob").await, ["long", "new"]);
}

#[tokio::test]
async fn presence_is_correct_despite_stale_reads() {
    let (world, pushed) = pushing().await;
    let (alice, _) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    add(&world, "alice", "watching").await;
    let (store, bob) = (&world.app.store, id("bob"));
    // The replica gets everything written so far, and nothing that is written later.
    world.wire.inject(Faults { lag: Duration::from_nanos(1), ..Faults::default() }, 1);
    store.presence(&id("alice"), &[id("alice")]).await.unwrap();
    assert_eq!(stored(&world, "alice").await, ["watching"]);
    world.wire.inject(Faults { lag: Duration::from_hours(1), ..Faults::default() }, 1);

    store.add_socket(&bob, "one", days_from_now(1), None).await.unwrap();
    eventually(async {
        while pushed.to("watching").is_empty() {
            let (_, delivery) = store.publish_presence(&bob).await.unwrap();
            world.app.push.deliver(store, delivery).await;
        }
    })
    .await;
    store.remove_sockets(&bob, &["one"]).await.unwrap();
    let before = pushed.to("watching").len();
    eventually(async {
        while pushed.to("watching").len() == before {
            world.app.push.deliver(store, store.record_disconnect(&bob).await.unwrap()).await;
        }
    })
    .await;
    let mut statuses: Vec<Value> =
        pushed.to("watching").into_iter().map(|mut event| event["data"]["status"].take()).collect();
    statuses.dedup();
    assert_eq!(statuses, ["online", "offline"]);
}
