//! The metered cost of frequent calls, which is the same in small and large inboxes and conversations.
//!
//! The sizes are small enough for a test; `make bench` measures the full ones.

use futures_util::future::join_all;
use harness::sync::Place;
use harness::{Actor, Answer, World};
use observe::meter::{Meter, Reading};
use serde_json::json;

const CONVERSATIONS: [usize; 2] = [10, 400];
const MESSAGES: [usize; 2] = [100, 1_500];

/// A typical text of 80 characters.
const TEXT: &str = "Shall we meet at the usual place at seven, or would half past be better for you?";

/// Creates a user with conversations that have one unread message each.
async fn hub(world: &World, conversations: usize) -> Actor {
    let hub = world.user("hub").await;
    let peers: Vec<String> = (0..conversations).map(|n| format!("peer-{n}")).collect();
    for some in peers.chunks(20) {
        join_all(some.iter().map(async |peer| world.user(peer).await.send("hub", TEXT).await.expect(201)))
            .await;
    }
    hub
}

/// Creates two users and messages from the first to the second.
async fn pair(world: &World, messages: usize) -> (Actor, Actor) {
    let (alice, bob) = world.two().await;
    for _ in 0..messages {
        alice.send("bob", TEXT).await.expect(201);
    }
    (alice, bob)
}

/// Asserts upper bounds for a call: sequential database calls, read units and write units.
#[track_caller]
fn within(answer: &Answer, depth: f64, rcu: f64, wcu: f64) {
    let cost = (answer.cost("depth"), answer.cost("rcu"), answer.cost("wcu"));
    assert!(cost.0 <= depth && cost.1 <= rcu && cost.2 <= wcu, "{cost:?} is over {:?}", (depth, rcu, wcu));
}

#[tokio::test]
async fn a_send_is_one_call() {
    for messages in MESSAGES {
        let world = World::new().await;
        let (alice, bob) = pair(&world, messages).await;
        within(&alice.send("bob", TEXT).await.expect(201), 1.0, 1.0, 16.0);
        within(&bob.send("alice", TEXT).await.expect(201), 1.0, 1.0, 16.0);
        within(&alice.send_once("bob", TEXT, "key").await.expect(201), 1.0, 1.0, 18.0);
    }
    for conversations in CONVERSATIONS {
        let world = World::new().await;
        let hub = hub(&world, conversations).await;
        within(&hub.send("peer-3", TEXT).await.expect(201), 1.0, 1.0, 16.0);
    }
}

#[tokio::test]
async fn the_sockets_of_all_participants_are_one_call() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(24).await;
    crowd[0].say(&group, TEXT).await.expect(201);
    crowd[0].send(&crowd[1].id, TEXT).await.expect(201);
    for is_group in [false, true] {
        let before = world.wire.calls().len();
        let sender = &crowd[0];
        let sent =
            if is_group { sender.say(&group, TEXT).await } else { sender.send(&crowd[1].id, TEXT).await };
        sent.expect(201);
        let calls = world.wire.calls().split_off(before);
        assert_eq!(calls.iter().filter(|call| *call == "BatchGetItem").count(), 1, "{calls:?}");
        assert_eq!(calls.iter().filter(|call| *call == "TransactWriteItems").count(), 1, "{calls:?}");
        assert!(calls.len() <= 4, "{calls:?}");
    }
}

#[tokio::test]
async fn a_send_by_conversation_reads_its_row_first() {
    let world = World::new().await;
    let (alice, _) = pair(&world, 1).await;
    let conversation = alice.row("bob").await.unwrap()["conversation_id"].clone();
    let body = serde_json::json!({"conversation_id": conversation, "message_text": TEXT});
    within(&alice.post("/api/messages/send", &body).await.expect(201), 2.0, 2.0, 16.0);
}

#[tokio::test]
async fn a_page_is_one_call() {
    for messages in MESSAGES {
        let world = World::new().await;
        let (alice, bob) = pair(&world, messages).await;
        let unread = bob.get("/api/messages/conversation/alice?mark_read=false").await.expect(200);
        within(&unread, 1.0, 5.0, 0.0);
        let marks = bob.get("/api/messages/conversation/alice").await.expect(200);
        within(&marks, 2.0, 6.0, 13.0);
        let read = bob.get("/api/messages/conversation/alice").await.expect(200);
        within(&read, 1.0, 5.0, 0.0);
        let older = alice
            .get(&format!("/api/messages/conversation/bob?before={}", read.list()[0]["id"].as_str().unwrap()))
            .await;
        within(&older.expect(200), 1.0, 5.0, 0.0);
    }
}

#[tokio::test]
async fn a_page_of_messages_read_one_by_one_is_one_call() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for _ in 0..60 {
        let id = alice.send("bob", TEXT).await.expect(201).id();
        bob.mark(&id).await.expect(200);
    }
    let page = alice.get("/api/messages/conversation/bob").await.expect(200);
    assert!(page.list().iter().all(|message| message["read_at"].is_string()));
    within(&page, 1.0, 5.0, 0.0);
}

#[tokio::test]
async fn marking_the_newest_reads_once_and_writes_once() {
    for messages in MESSAGES {
        let world = World::new().await;
        let (_, bob) = pair(&world, messages).await;
        let newest = bob.row("alice").await.unwrap()["last_message_id"].as_str().unwrap().to_owned();
        within(&bob.mark(&newest).await.expect(200), 2.0, 1.5, 13.0);
        within(&bob.mark(&newest).await.expect(200), 2.0, 2.0, 0.0);
    }
}

#[tokio::test]
async fn an_inbox_page_and_the_unread_count_are_one_call() {
    for conversations in CONVERSATIONS {
        let world = World::new().await;
        let hub = hub(&world, conversations).await;
        within(&hub.get("/api/messages/inbox").await.expect(200), 1.0, 4.0, 0.0);
        let unread = hub.get("/api/messages/unread-count").await.expect(200);
        assert_eq!(unread.data()["conversations"], conversations);
        let pages = f64::from(u32::try_from(conversations.div_ceil(40)).unwrap());
        within(&unread, 1.0, 0.5 * pages, 0.0);
        // Conversations that are marked as read no longer count.
        for row in hub.inbox().await.iter().skip(1) {
            let id = row["conversation_id"].as_str().unwrap();
            hub.put(&format!("/api/conversations/{id}/read")).await.expect(200);
        }
        let rest = conversations.saturating_sub(99);
        let unread = hub.get("/api/messages/unread-count").await.expect(200);
        assert_eq!(unread.data()["conversations"], if conversations > 100 { rest } else { 1 });
    }
}

#[tokio::test]
async fn typing_and_presence_cost_little() {
    let world = World::new().await;
    let hub = hub(&world, 50).await;
    let conversation = hub.row("peer-1").await.unwrap()["conversation_id"].clone();
    let typing = serde_json::json!({"conversation_id": conversation, "is_typing": true});
    within(&hub.post("/api/typing", &typing).await.expect(200), 2.0, 1.5, 1.0);
    let status = serde_json::json!({"status": "away"});
    let change = hub.json("PUT", "/api/presence", &status).await.expect(200);
    // Three steps: the change; the inbox and the user's own sockets; the sockets of 50 peers.
    within(&change, 3.0, 30.0, 2.0);
    assert!(change.cost("calls") <= 5.0, "{}", change.cost("calls"));
    let peers: Vec<_> = (0..50).map(|n| format!("peer-{n}")).collect();
    let look = hub.get(&format!("/api/presence?user_ids={}", peers.join(","))).await.expect(200);
    within(&look, 1.0, 75.0, 0.0);
}

/// Fans out the changes of a large conversation and returns what that cost.
async fn fan_out_cost(world: &World, conversation: &str) -> Reading {
    let meter = Meter::default();
    meter.watch(world.fan_out(conversation)).await;
    meter.read()
}

/// Asserts upper bounds for a fan-out: read and write units per participant.
#[track_caller]
fn within_per_participant(reading: Reading, people: u32, rcu: f64, wcu: f64) {
    let each = (reading.rcu / f64::from(people), reading.wcu / f64::from(people));
    assert!(each.0 <= rcu && each.1 <= wcu, "{each:?} is over {:?}", (rcu, wcu));
}

#[tokio::test]
async fn a_small_group_is_one_transaction() {
    for (people, reads, writes) in [(8, 5.0, 60.0), (24, 13.0, 175.0)] {
        let world = World::new().await;
        let (crowd, group) = world.group_of(people).await;
        let sent = crowd[0].say(&group, TEXT).await.expect(201);
        within(&sent, 2.0, reads, writes);
        within(&crowd[1].say_once(&group, "Where?").await.expect(201), 2.0, reads, writes + 2.0);
        within(&crowd[0].edit(&sent.id(), "Half past.").await.expect(200), 2.0, reads + 2.0, 130.0);
        within(&crowd[0].unsend(&sent.id()).await.expect(200), 3.0, reads + 26.0, 150.0);
        let typing = json!({"conversation_id": group, "is_typing": true});
        let others = f64::from(u32::try_from(people).unwrap()) - 1.0;
        within(&crowd[0].post("/api/typing", &typing).await.expect(200), 2.0, reads + 1.0, others);
    }
    let world = World::new().await;
    let crowd = world.crowd(24).await;
    let others: Vec<&str> = crowd[1..].iter().map(|actor| actor.id.as_str()).collect();
    let body = json!({"type": "group", "name": "Everyone", "participant_ids": others});
    within(&crowd[0].post("/api/conversations", &body).await.expect(201), 4.0, 61.0, 220.0);
}

#[tokio::test]
async fn an_edit_and_a_deletion_cost_about_as_much_as_a_send() {
    let world = World::new().await;
    let (alice, _) = pair(&world, 3).await;
    let id = alice.send("bob", TEXT).await.expect(201).id();
    within(&alice.edit(&id, "Half past.").await.expect(200), 2.0, 3.0, 18.0);
    within(&alice.unsend(&id).await.expect(200), 3.0, 5.0, 24.0);
}

#[tokio::test]
async fn the_cost_of_reading_a_group_does_not_depend_on_its_size() {
    for (people, wcu) in [(8, 26.0), (24, 10.0), (100, 10.0)] {
        let world = World::new().await;
        let (crowd, group) = world.group_of(people).await;
        let first = crowd[0].say(&group, TEXT).await.expect(201).id();
        for _ in 0..40 {
            crowd[0].say(&group, TEXT).await.expect(201);
        }
        let mut place = Place::start(&crowd[1]).await;
        world.fan_out(&group).await;
        // Reads each message, and the reader's row once.
        within(&place.poll(10).await, 2.0, 14.0, 1.0);
        within(&crowd[1].mark(&first).await.expect(200), 3.0, 10.0, wcu);
        let read = format!("/api/conversations/{group}/read");
        within(&crowd[2].put(&read).await.expect(200), 2.0, 6.0, wcu);
        let page = format!("/api/conversations/{group}/messages");
        within(&crowd[3].get(&page).await.expect(200), 1.0, 5.0, 0.0);
    }
}

#[tokio::test]
async fn a_message_to_a_thousand_is_sent_in_two_calls_and_fanned_out() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(1_000).await;
    let creation = fan_out_cost(&world, &group).await;
    assert!(creation.wcu <= 2.0, "creating the group needs no fan-out: {creation:?}");
    let sent = crowd[0].say(&group, TEXT).await.expect(201);
    within(&sent, 2.0, 2.0, 10.0);
    within_per_participant(fan_out_cost(&world, &group).await, 1_000, 1.7, 7.1);
    for _ in 0..30 {
        crowd[1].say(&group, TEXT).await.expect(201);
    }
    // Each participant's row is written once for all 30 messages.
    within_per_participant(fan_out_cost(&world, &group).await, 1_000, 2.1, 2.0 * 30.0 + 6.0);
    within(&crowd[2].mark(&sent.id()).await.expect(200), 3.0, 4.0, 10.0);
    within(&crowd[3].put(&format!("/api/conversations/{group}/read")).await.expect(200), 2.0, 3.0, 10.0);
    within(&crowd[4].get(&format!("/api/conversations/{group}/messages")).await.expect(200), 1.0, 17.0, 0.0);
    within(&crowd[0].edit(&sent.id(), "Half past.").await.expect(200), 2.0, 16.0, 12.0);
    within(&crowd[0].unsend(&sent.id()).await.expect(200), 2.0, 16.0, 10.0);
}

#[tokio::test]
async fn a_room_costs_as_much_as_a_group() {
    let world = World::new().await;
    let crowd = world.crowd(60).await;
    let room = crowd[0].room("Everyone").await;
    let join = format!("/api/rooms/{room}/join");
    for actor in &crowd[1..59] {
        actor.post(&join, &json!({})).await.expect(200);
    }
    for _ in 0..120 {
        crowd[0].say(&room, TEXT).await.expect(201);
    }
    within(&crowd[59].post(&join, &json!({})).await.expect(200), 4.0, 10.0, 15.0);
    within(&crowd[1].say(&room, TEXT).await.expect(201), 2.0, 2.0, 10.0);
    within(&crowd[1].get(&format!("/api/conversations/{room}/messages")).await.expect(200), 1.0, 5.0, 0.0);
}
