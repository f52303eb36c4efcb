//! Sockets of a running stack: opening, actions, events, presence, faults and closing.

mod actions;
mod ends;
mod events;
pub(crate) mod faults;
mod opening;
mod presence;
mod sessions;

use harness::Actor;
use harness::live::{Live, PATIENCE, Socket};
use serde_json::Value;
use tokio::time::timeout;

/// Starts a stack with two users who have a conversation, and returns its id, too.
pub(crate) async fn talking() -> (Live, Actor, Actor, String) {
    let live = Live::start().await;
    let (alice, bob) = live.two().await;
    let sent = alice.send("bob", "hello").await.expect(201);
    let conversation = text(&sent.data()["conversation_id"]);
    (live, alice, bob, conversation)
}

/// Starts the functions that open a socket and answer a ping, so that the next socket opens quickly.
async fn start_functions(live: &Live, actor: &Actor) {
    live.open(actor).await.all().await;
}

/// Waits until `attempts` ends; fails if that takes too long.
pub(crate) async fn eventually(attempts: impl Future<Output = ()>) {
    timeout(PATIENCE, attempts).await.expect("the attempts did not succeed in time");
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Returns the types of events.
fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Returns the texts of the messages in events.
fn texts(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["data"]["message"]["message_text"].as_str().unwrap()).collect()
}
