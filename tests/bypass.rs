//! Calls that bypass the SDK's clients, as `tidings` makes them to its own engine and sockets.

use harness::live::Live;
use harness::{Answer, World};
use serde_json::json;

/// Calls of many kinds. Returns their paths with their statuses, errors and costs.
async fn outcomes(world: &World) -> Vec<String> {
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let mut all = Vec::new();
    let mut note = |call: &str, answer: &Answer| {
        let costs = ["calls", "depth", "rcu", "wcu"].map(|figure| answer.cost(figure));
        all.push(format!("{call}: {} {} {costs:?}", answer.status, answer.json["code"]));
    };
    note("first message", &alice.send("bob", "Hello").await);
    note("first message from a user without a profile", &world.stranger("dave").send("bob", "Hello").await);
    note("message", &alice.send("bob", "Are you there?").await);
    let sent = alice.send_once("bob", "Only once", "key").await;
    note("message with a key", &sent);
    note("the same again", &alice.send_once("bob", "Only once", "key").await);
    note("message to nobody", &alice.send("nobody", "Hello").await);
    note("edit", &alice.edit(&sent.id(), "New").await);
    note("page", &bob.get("/api/messages/conversation/alice").await);
    note("inbox", &bob.get("/api/messages/inbox").await);
    note("unread count", &bob.get("/api/messages/unread-count").await);
    note("search", &bob.get("/api/messages/search?q=there").await);
    note("poll", &bob.get("/api/events").await);
    note("presence", &bob.json("PUT", "/api/presence", &json!({"status": "away"})).await);
    note("delete", &alice.unsend(&sent.id()).await);
    note("delete again", &alice.unsend(&sent.id()).await);
    let group = alice.group("Friends", &["bob", "carol"]).await;
    note("group message", &bob.say(&group, "Hello, all").await);
    note("group message of another", &world.stranger("dave").say(&group, "Hello").await);
    note("block", &bob.block("alice").await);
    note("message to who blocks", &alice.send("bob", "Hello?").await);
    let conversation = sent.conversation();
    note("remove the conversation", &bob.forget(&conversation).await);
    note("page of another", &carol.get(&format!("/api/conversations/{conversation}/messages")).await);
    all
}

#[tokio::test]
async fn calls_that_bypass_the_client_have_the_same_outcomes_and_costs() {
    let world = World::new().await;
    let through_the_client = outcomes(&world.with_app(|_| {})).await;
    let world = World::new().await;
    let engine = world.wire.engine().connector();
    let bypassing = world.with_app(|app| app.store = app.store.clone().in_process(engine));
    let before = world.wire.calls().len();
    assert_eq!(outcomes(&bypassing).await, through_the_client);
    assert_eq!(world.wire.calls().len(), before, "the client was called");
}

#[tokio::test]
async fn sockets_get_frames_from_functions_that_bypass_the_client() {
    let live = Live::start_bypassing_clients().await;
    let (alice, bob) = live.two().await;
    let (mut from, mut to) = (live.open(&alice).await, live.open(&bob).await);
    let frame = json!({"action": "send", "ref": "1", "recipient_id": "bob", "message_text": "Hello"});
    let ack = from.ask(&frame).await;
    assert_eq!((&ack["type"], &ack["ref"]), (&json!("ack"), &json!("1")), "{ack}");
    let event = to.event("message.created").await;
    assert_eq!(event["data"]["message"]["id"], ack["data"]["id"]);
    let refused =
        from.ask(&json!({"action": "send", "ref": "2", "recipient_id": "nobody", "message_text": "?"})).await;
    assert_eq!(refused["type"], "error", "{refused}");
}
