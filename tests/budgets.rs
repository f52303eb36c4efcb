//! What the hot calls cost, by the meter: the same in small and large inboxes and conversations.
//!
//! The sizes fit a test's time; the full ones are in `make bench`.

use futures_util::future::join_all;
use harness::{Actor, Answer, World};
use serde_json::json;
use shared::meter::{Meter, Reading};

const CONVERSATIONS: [usize; 2] = [10, 400];
const MESSAGES: [usize; 2] = [100, 1_500];

/// Eighty characters, as people write.
const TEXT: &str = "Shall we meet at the usual place at seven, or would half past be better for you?";

/// Someone with that many conversations, each with one unread message.
async fn hub(world: &World, conversations: usize) -> Actor {
    let hub = world.user("hub").await;
    let peers: Vec<String> = (0..conversations).map(|n| format!("peer-{n}")).collect();
    for some in peers.chunks(20) {
        join_all(some.iter().map(async |peer| world.user(peer).await.send("hub", TEXT).await.expect(201)))
            .await;
    }
    hub
}

/// Two people with that many messages.
async fn pair(world: &World, messages: usize) -> (Actor, Actor) {
    let (alice, bob) = world.two().await;
    for _ in 0..messages {
        alice.send("bob", TEXT).await.expect(201);
    }
    (alice, bob)
}

/// The cost of a call: calls in a row, read units, write units.
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
async fn a_send_by_conversation_reads_its_row_first() {
    let world = World::new().await;
    let (alice, _) = pair(&world, 1).await;
    let conversation = alice.row("bob").await.unwrap()["conversation_id"].clone();
    let body = serde_json::json!({"conversation_id": conversation, "message_text": TEXT});
    within(&alice.post("/api/messages/send", &body).await.expect(201), 2.0, 2.0, 16.0);
}

#[tokio::test]
async fn a_page_is_read_in_one_call() {
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
async fn a_page_whose_messages_were_read_one_by_one_is_read_in_one_call() {
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
        // What is read does not count: one row of many has unread messages.
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
async fn passing_things_cost_little() {
    let world = World::new().await;
    let hub = hub(&world, 50).await;
    let conversation = hub.row("peer-1").await.unwrap()["conversation_id"].clone();
    let typing = serde_json::json!({"conversation_id": conversation, "is_typing": true});
    within(&hub.post("/api/typing", &typing).await.expect(200), 2.0, 1.5, 1.0);
    let status = serde_json::json!({"status": "away"});
    let change = hub.json("PUT", "/api/presence", &status).await.expect(200);
    // The change, the inbox and one's own sockets, the sockets of 50 peers.
    within(&change, 3.0, 30.0, 2.0);
    let peers: Vec<_> = (0..50).map(|n| format!("peer-{n}")).collect();
    let look = hub.get(&format!("/api/presence?user_ids={}", peers.join(","))).await.expect(200);
    within(&look, 1.0, 75.0, 0.0);
}

/// A group of so many, and its id.
async fn group(world: &World, people: usize) -> (Vec<Actor>, String) {
    let crowd = world.crowd(people).await;
    let others: Vec<String> = crowd[1..].iter().map(|actor| actor.id.clone()).collect();
    let group = crowd[0].make_group("Everyone", &others).await;
    (crowd, group)
}

/// What it takes to bring a large conversation to all.
async fn fanned_out(world: &World, conversation: &str) -> Reading {
    let meter = Meter::default();
    meter.watch(world.fan_out(conversation)).await;
    meter.read()
}

fn show(what: &str, a: &Answer) {
    eprintln!("{what}: {} calls, {} in a row, {} RCU, {} WCU", a.cost("calls"), a.cost("depth"), a.cost("rcu"), a.cost("wcu"));
}

#[tokio::test]
async fn measure() {
    for people in [8, 24, 25, 100, 1_000] {
        let world = World::new().await;
        let t = std::time::Instant::now();
        let crowd = world.crowd(people).await;
        eprintln!("{people} users: {:?}", t.elapsed());
        let others: Vec<String> = crowd[1..].iter().map(|actor| actor.id.clone()).collect();
        let body = json!({"type": "group", "name": "Everyone", "participant_ids": others});
        let t = std::time::Instant::now();
        let made = crowd[0].post("/api/conversations", &body).await.expect(201);
        eprintln!("create {people}: {:?}", t.elapsed());
        show(&format!("create {people}"), &made);
        let group = made.data()["conversation_id"].as_str().unwrap().to_owned();
        let f = fanned_out(&world, &group).await;
        eprintln!("fan-out of making: {f:?}");
        let sent = crowd[0].say(&group, TEXT).await.expect(201);
        show(&format!("first send {people}"), &sent);
        let sent = crowd[0].say(&group, TEXT).await.expect(201);
        show(&format!("send {people}"), &sent);
        let t = std::time::Instant::now();
        let f = fanned_out(&world, &group).await;
        eprintln!("fan-out of 2: {f:?} {:?}", t.elapsed());
        let sent = crowd[0].say(&group, TEXT).await.expect(201);
        let f = fanned_out(&world, &group).await;
        eprintln!("fan-out of 1: {f:?}");
        show("poll start", &crowd[1].get("/api/events").await);
        let mut place = harness::sync::Place::start(&crowd[1]).await;
        let id = sent.id();
        show(&format!("poll {people}"), &place.poll(100).await);
        show(&format!("idle poll {people}"), &place.poll(100).await);
        show(&format!("mark {people}"), &crowd[1].mark(&id).await.expect(200));
        show(&format!("mark all {people}"), &crowd[2].put(&format!("/api/conversations/{group}/read")).await.expect(200));
        show(&format!("page {people}"), &crowd[3].get(&format!("/api/conversations/{group}/messages")).await.expect(200));
        show(&format!("page+mark {people}"), &crowd[3].get(&format!("/api/conversations/{group}/messages?mark_read=true")).await.expect(200));
        show(&format!("edit {people}"), &crowd[0].edit(&id, "other text").await.expect(200));
        show(&format!("typing {people}"), &crowd[0].post("/api/typing", &json!({"conversation_id": group, "is_typing": true})).await.expect(200));
        show(&format!("hide {people}"), &crowd[4].unsay(&id, "me").await.expect(200));
        show(&format!("delete {people}"), &crowd[0].unsay(&id, "everyone").await.expect(200));
        let f = fanned_out(&world, &group).await;
        eprintln!("fan-out of edit, delete: {f:?}");
        show(&format!("rename {people}"), &crowd[0].patch(&format!("/api/conversations/{group}"), &json!({"name": "Other"})).await.expect(200));
        show(&format!("show {people}"), &crowd[0].get(&format!("/api/conversations/{group}")).await.expect(200));
        show(&format!("leave {people}"), &crowd[5].delete(&format!("/api/conversations/{group}/participants/{}", crowd[5].id)).await.expect(200));
        let f = fanned_out(&world, &group).await;
        eprintln!("fan-out of rename, leave: {f:?}");
        show(&format!("add {people}"), &crowd[0].post(&format!("/api/conversations/{group}/participants"), &json!({"user_ids": [crowd[5].id]})).await.expect(200));
        for _ in 0..60 { crowd[0].say(&group, TEXT).await.expect(201); }
        let t = std::time::Instant::now();
        let f = fanned_out(&world, &group).await;
        eprintln!("fan-out of 61: {f:?} {:?}", t.elapsed());
        show(&format!("search {people}"), &crowd[1].get("/api/messages/search?q=half").await.expect(200));
    }
    let world = World::new().await;
    let crowd = world.crowd(1_000).await;
    let room = crowd[0].make_room("Everyone").await;
    show("send, alone", &crowd[0].say(&room, TEXT).await.expect(201));
    for n in 1..998 { crowd[n].post(&format!("/api/rooms/{room}/join"), &json!({})).await.expect(200); }
    let f = fanned_out(&world, &room).await;
    eprintln!("fan-out of joins: {f:?}");
    for _ in 0..120 { crowd[0].say(&room, TEXT).await.expect(201); }
    show("join", &crowd[998].post(&format!("/api/rooms/{room}/join"), &json!({})).await.expect(200));
    show("send", &crowd[1].say(&room, TEXT).await.expect(201));
    let f = fanned_out(&world, &room).await;
    eprintln!("fan-out of 122: {f:?}");
    show("page", &crowd[3].get(&format!("/api/conversations/{room}/messages")).await.expect(200));
    show("users", &crowd[3].get(&format!("/api/rooms/{room}/users")).await.expect(200));
    show("rooms", &crowd[3].get("/api/rooms").await.expect(200));
    show("leave", &crowd[3].post(&format!("/api/rooms/{room}/leave"), &json!({})).await.expect(200));
    let (alice, _) = pair(&world, 3).await;
    let id = alice.send("bob", TEXT).await.expect(201).id();
    show("edit direct", &alice.edit(&id, "other").await.expect(200));
    show("delete direct", &alice.unsay(&id, "everyone").await.expect(200));
}
