//! Sockets of a whole stack: what they carry, who gets one, what they do, and what becomes of them.

mod actions;
mod ends;
mod events;
pub(crate) mod faults;
mod opening;
mod presence;

use harness::Actor;
use harness::live::{Live, PATIENCE, Socket};
use serde_json::Value;
use tokio::time::timeout;

/// A stack with two users who have a conversation, and its id.
async fn talking() -> (Live, Actor, Actor, String) {
    let live = Live::start().await;
    let (alice, bob) = live.two().await;
    let sent = alice.send("bob", "hello").await.expect(201);
    let conversation = text(&sent.data()["conversation_id"]);
    (live, alice, bob, conversation)
}

/// Waits for something to become so.
pub(crate) async fn eventually(attempts: impl Future<Output = ()>) {
    timeout(PATIENCE, attempts).await.expect("it does not come about");
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// The types of some events.
fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// The texts of the messages that some events tell of.
fn texts(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["data"]["message"]["message_text"].as_str().unwrap()).collect()
}
