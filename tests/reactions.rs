//! Reactions, pinned and forwarded messages, and custom data.

use std::time::Duration;

use futures_util::future::join_all;
use harness::live::PATIENCE;
use harness::sync::{Audience, Place};
use harness::{Actor, Answer, World};
use serde_json::{Value, json};

use crate::direct::text;
use crate::large::with_retries;

async fn react(actor: &Actor, message: &str, emoji: &str) -> Answer {
    actor.put(&format!("/api/messages/{message}/reactions/{}", encoded(emoji))).await
}

async fn unreact(actor: &Actor, message: &str, emoji: &str) -> Answer {
    actor.delete(&format!("/api/messages/{message}/reactions/{}", encoded(emoji))).await
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |path, byte| path + &format!("%{byte:02X}"))
}

/// Returns each reaction's emoji, count and whether it is one's own.
fn reactions(message: &Value) -> Vec<(String, u64, bool)> {
    let all = message["reactions"].as_array().unwrap().iter();
    all.map(|one| (text(one, "emoji").to_owned(), one["count"].as_u64().unwrap(), one["me"] == true))
        .collect()
}

fn of(emoji: &str, count: u64, me: bool) -> (String, u64, bool) {
    (emoji.to_owned(), count, me)
}

#[tokio::test]
async fn reactions_reach_everyone_with_the_whole_message() {
    for kind in ["direct", "group"] {
        let world = World::new().await;
        let [ann, ben, cal] = world.users(["ann", "ben", "cal"]).await;
        let sent = if kind == "direct" {
            ann.send("ben", "shall we?").await
        } else {
            let group = ann.group("team", &["ben", "cal"]).await;
            ann.say(&group, "shall we?").await
        };
        let (id, conversation) = (sent.expect(201).id(), ann.inbox().await[0].clone());
        let mut all = Audience::of(&[&ann, &ben, &cal], 4).await;
        let before = ben.inbox().await;
        let one = all.verify(react(&ben, &id, "👍")).await.expect(200);
        assert_eq!(reactions(one.data()), [of("👍", 1, true)]);
        assert_eq!(one.data()["reactions"][0]["user_ids"], json!(["ben"]));
        assert_eq!((&one.data()["is_edited"], &one.data()["version"]), (&json!(false), &json!(2)));
        let again = all.verify(react(&ben, &id, "👍")).await.expect(200);
        assert_eq!(again.data(), one.data(), "again changes nothing");
        all.verify(react(&ann, &id, "🎉")).await.expect(200);
        all.verify(react(&ann, &id, "👍")).await.expect(200);
        let shown = ben.messages(text(&conversation, "conversation_id")).await.pop().unwrap();
        assert_eq!(reactions(&shown), [of("👍", 2, true), of("🎉", 1, false)]);
        // A read message keeps its ticks.
        all.verify(ben.mark(&id)).await.expect(200);
        all.verify(unreact(&ben, &id, "👍")).await.expect(200);
        let none = all.verify(unreact(&ben, &id, "❤️")).await.expect(200);
        assert_eq!(reactions(none.data()), [of("👍", 1, false), of("🎉", 1, false)]);
        all.verify(ann.edit(&id, "we shall")).await.expect(200);
        let shown = ann.messages(text(&conversation, "conversation_id")).await.pop().unwrap();
        assert_eq!(reactions(&shown), [of("👍", 1, true), of("🎉", 1, true)], "an edit keeps them");
        let after = ben.inbox().await;
        assert_eq!(before[0]["last_message_id"], after[0]["last_message_id"]);
        assert_eq!(before[0]["last_message_at"], after[0]["last_message_at"]);
        all.verify(ann.unsend(&id)).await.expect(200);
        let shown = ben.messages(text(&conversation, "conversation_id")).await.pop().unwrap();
        assert_eq!(reactions(&shown), []);
        react(&ben, &id, "👍").await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn reactions_have_bounds() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let id = alice.send("bob", "hello").await.expect(201).id();
    for wrong in ["a", "👍👍", ":+1:", "1"] {
        react(&bob, &id, wrong).await.refused(400, "invalid_request");
    }
    react(&world.user("eve").await, &id, "👍").await.refused(403, "not_a_participant");
    let emoji = "😀😃😄😁😆😅😂🙂🙃😉😊😇🥰😍🤩😘😗😚😙🥲";
    for one in emoji.chars() {
        react(&bob, &id, &one.to_string()).await.expect(200);
    }
    react(&bob, &id, "👍").await.refused(409, "conflict");
    react(&alice, &id, "😀").await.expect(200);
    // The same emoji without its variation selector.
    unreact(&bob, &id, "🥲").await.expect(200);
    react(&bob, &id, "❤").await.expect(200);
    let shown = react(&alice, &id, "❤️").await.expect(200);
    assert_eq!(reactions(shown.data()).last(), Some(&of("❤️", 2, true)));
    bob.block("alice").await.expect(200);
    react(&alice, &id, "👍").await.refused(403, "blocked");
    react(&bob, &id, "👍").await.refused(403, "blocked");
}

#[tokio::test]
async fn everyone_in_a_group_can_react_at_once() {
    let world = World::new().await;
    let crowd = world.crowd(24).await;
    let others: Vec<&str> = crowd[1..].iter().map(|actor| actor.id.as_str()).collect();
    let group = crowd[0].group("us", &others).await;
    let id = crowd[0].say(&group, "now!").await.expect(201).id();
    let both = crowd.iter().map(async |actor| {
        react(actor, &id, "👍").await.expect(200);
        if actor.id.as_str() < "p012" {
            react(actor, &id, "🎉").await.expect(200);
        }
    });
    join_all(both).await;
    let shown = crowd[5].messages(&group).await.pop().unwrap();
    let mut found = reactions(&shown);
    found.sort();
    assert_eq!(found, [of("🎉", 12, true), of("👍", 24, true)]);
    join_all(crowd.iter().map(async |actor| unreact(actor, &id, "👍").await.expect(200))).await;
    assert_eq!(reactions(&crowd[20].messages(&group).await[0]), [of("🎉", 12, false)]);
}

#[tokio::test]
async fn a_reaction_costs_little() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let id = alice.send("bob", "hello").await.expect(201).id();
    let direct = react(&bob, &id, "👍").await.expect(200);
    assert!(direct.cost("depth") <= 2.0 && direct.cost("wcu") <= 8.0, "{}", direct.cost("wcu"));
    let crowd = world.crowd(24).await;
    let others: Vec<&str> = crowd[1..].iter().map(|actor| actor.id.as_str()).collect();
    let group = crowd[0].group("us", &others).await;
    let id = crowd[0].say(&group, "now!").await.expect(201).id();
    let in_group = react(&crowd[1], &id, "👍").await.expect(200);
    assert!(in_group.cost("depth") <= 2.0 && in_group.cost("wcu") <= 52.0, "{}", in_group.cost("wcu"));
    let page = |path: String| async move { path };
    let path = page(format!("/api/conversations/{group}/messages")).await;
    let (plain, answer) = (2.0, crowd[2].get(&path).await.expect(200));
    assert!(answer.cost("depth") <= plain, "{}", answer.cost("depth"));
}

#[tokio::test]
async fn messages_are_pinned_for_everyone() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let mut all = Audience::of(&[&alice, &bob], 4).await;
    let pin = |actor: &Actor, id: &str| {
        let (actor, path) = (actor.clone(), format!("/api/messages/{id}/pin"));
        async move { actor.put(&path).await }
    };
    let first = all.verify(alice.send("bob", "one")).await.expect(201);
    let second = all.verify(alice.send("bob", "two")).await.expect(201).id();
    for id in [first.id(), second.clone()] {
        let pinned = all.verify(pin(&bob, &id)).await.expect(200);
        assert!(pinned.data()["pinned_at"].is_string());
        let again = all.verify(pin(&alice, &id)).await.expect(200);
        assert_eq!(again.data()["version"], pinned.data()["version"]);
    }
    let path = format!("/api/conversations/{}/pins", first.conversation());
    let pins = async || {
        let pins = alice.get(&path).await.expect(200);
        pins.list().iter().map(|message| text(message, "message_text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(pins().await, ["two", "one"]);
    all.verify(alice.edit(&first.id(), "one, edited")).await.expect(200);
    assert_eq!(pins().await, ["two", "one, edited"]);
    all.verify(alice.delete(&format!("/api/messages/{second}/pin"))).await.expect(200);
    all.verify(alice.unsend(&first.id())).await.expect(200);
    assert_eq!(pins().await, Vec::<String>::new());
    pin(&alice, &first.id()).await.refused(404, "not_found");
    world.user("eve").await.get(&path).await.refused(403, "not_a_participant");
}

#[tokio::test]
async fn at_most_fifty_messages_are_pinned() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let mut ids = Vec::new();
    for n in 0..53 {
        ids.push(alice.send("bob", &n.to_string()).await.expect(201).id());
    }
    let pinned =
        join_all(ids.iter().map(async |id| alice.put(&format!("/api/messages/{id}/pin")).await)).await;
    assert_eq!(pinned.iter().filter(|answer| answer.status == 200).count(), 50);
    for refused in pinned.iter().filter(|answer| answer.status != 200) {
        refused.refused(409, "conflict");
    }
}

#[tokio::test]
async fn pinning_in_a_large_group_is_for_admins() {
    let world = World::new().await;
    let crowd = world.crowd(26).await;
    let others: Vec<&str> = crowd[1..].iter().map(|actor| actor.id.as_str()).collect();
    let group = crowd[0].group("all", &others).await;
    world.fan_out(&group).await;
    let id = crowd[1].say(&group, "hello").await.expect(201).id();
    world.fan_out(&group).await;
    let mut all = Audience::of(&[&crowd[0], &crowd[1]], 4).await;
    let path = format!("/api/messages/{id}/pin");
    crowd[1].put(&path).await.refused(403, "not_an_admin");
    let change = async {
        crowd[0].put(&path).await.expect(200);
        react(&crowd[1], &id, "👍").await.expect(200);
        world.fan_out(&group).await;
    };
    all.verify(change).await;
    let pins = crowd[7].get(&format!("/api/conversations/{group}/pins")).await.expect(200);
    assert_eq!(text(&pins.list()[0], "id"), id);
}

/// Creates a group of this size with one message. Returns the users, the group and the message.
async fn crowd_with_a_message(world: &World, people: usize) -> (Vec<Actor>, String, String) {
    let (crowd, group) = world.group_of(people).await;
    world.fan_out(&group).await;
    let id = crowd[0].say(&group, "hello").await.expect(201).id();
    world.fan_out(&group).await;
    (crowd, group, id)
}

/// Returns the reactions to the only message of a conversation, as a user sees them.
async fn seen(actor: &Actor, conversation: &str) -> Vec<(String, u64, bool)> {
    reactions(actor.messages(conversation).await.last().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_can_react_at_once_to_one_message() {
    let world = World::new().await;
    let (crowd, group, id) = crowd_with_a_message(&world, 1_000).await;
    let heart = |n: usize| n.is_multiple_of(4);
    // This machine works for all of them, so at times it is too slow for one; clients then try again.
    let at_once = crowd.iter().enumerate().map(async |(n, actor)| {
        let answer = with_retries(|| react(actor, &id, "👍")).await.expect(200);
        assert!(reactions(answer.data()).iter().any(|(emoji, _, me)| emoji == "👍" && *me), "{}", actor.id);
        if heart(n) {
            with_retries(|| react(actor, &id, "❤️")).await.expect(200);
        }
        with_retries(|| react(actor, &id, "👍")).await.expect(200);
    });
    join_all(at_once).await;
    for (n, actor) in crowd.iter().enumerate().step_by(97) {
        let mut found = seen(actor, &group).await;
        found.sort();
        assert_eq!(found, [of("❤️", 250, heart(n)), of("👍", 1_000, true)], "{}", actor.id);
    }
    let message = crowd[9].messages(&group).await.pop().unwrap();
    assert!(message["reactions"].as_array().unwrap().iter().all(|one| list(one, "user_ids").len() <= 10));
    assert_eq!(message["version"], 1 + 1_000 + 250);
    let one_more = react(&crowd[500], &id, "🎉").await.expect(200);
    let cost = (one_more.cost("wcu"), one_more.cost("depth"));
    assert!(cost.0 <= 12.0 && cost.1 <= 3.0, "{cost:?}");
    let none =
        crowd[1..].iter().map(async |actor| with_retries(|| unreact(actor, &id, "👍")).await.expect(200));
    join_all(none).await;
    let mut found = seen(&crowd[4], &group).await;
    found.sort();
    assert_eq!(found, [of("❤️", 250, true), of("🎉", 1, false), of("👍", 1, false)]);
}

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().unwrap()
}

#[tokio::test]
async fn users_whom_a_message_does_not_list_know_their_own_reactions() {
    let world = World::new().await;
    let (crowd, group, id) = crowd_with_a_message(&world, 26).await;
    for actor in &crowd[..20] {
        react(actor, &id, "👍").await.expect(200);
    }
    world.fan_out(&group).await;
    // The last one who has reacted, and one who has not: both are not listed.
    let [unlisted, other] = [&crowd[19], &crowd[25]];
    let mut all = Audience::of(&[&crowd[0], unlisted, other], 4).await;
    assert_eq!(seen(unlisted, &group).await, [of("👍", 20, true)]);
    assert_eq!(seen(other, &group).await, [of("👍", 20, false)]);
    let again = react(unlisted, &id, "👍").await.expect(200);
    assert_eq!(reactions(again.data()), [of("👍", 20, true)], "again changes nothing");
    // Events, edits, pins and searches show the same.
    let changes = async {
        react(other, &id, "👍").await.expect(200);
        unreact(&crowd[3], &id, "👍").await.expect(200);
        react(&crowd[3], &id, "🎉").await.expect(200);
        world.fan_out(&group).await;
        crowd[0].edit(&id, "hello, everyone").await.expect(200);
        crowd[0].put(&format!("/api/messages/{id}/pin")).await.expect(200);
        world.fan_out(&group).await;
    };
    all.verify(changes).await;
    let wanted = [of("👍", 20, true), of("🎉", 1, false)];
    for path in [format!("/api/conversations/{group}/pins"), "/api/messages/search?q=everyone".to_owned()] {
        let found = other.get(&path).await.expect(200);
        assert_eq!(reactions(&found.list()[0]), wanted, "{path}");
    }
    // The only one who is left of an emoji takes it away.
    unreact(&crowd[3], &id, "🎉").await.expect(200);
    let gone = unreact(unlisted, &id, "👍").await.expect(200);
    assert_eq!(reactions(gone.data()), [of("👍", 19, false)]);
    world.fan_out(&group).await;
}

#[tokio::test]
async fn reactions_that_a_deletion_removed_do_not_come_back() {
    let world = World::new().await;
    let (crowd, group, id) = crowd_with_a_message(&world, 26).await;
    join_all(crowd.iter().map(async |actor| react(actor, &id, "👍").await.expect(200))).await;
    crowd[0].unsend(&id).await.expect(200);
    world.fan_out(&group).await;
    world.app.store.restore_message(&id.parse().unwrap()).await.unwrap();
    world.fan_out(&group).await;
    assert_eq!(seen(&crowd[25], &group).await, []);
    for actor in crowd.iter().rev().take(15) {
        react(actor, &id, "👍").await.expect(200);
    }
    world.fan_out(&group).await;
    assert_eq!(seen(&crowd[0], &group).await, [of("👍", 15, false)]);
    assert_eq!(seen(&crowd[25], &group).await, [of("👍", 15, true)]);
}

#[tokio::test]
async fn the_stream_publishes_many_reactions_as_few_events() {
    let world = World::new().await;
    let (crowd, group, id) = crowd_with_a_message(&world, 40).await;
    let mut place = Place::start(&crowd[30]).await;
    join_all(crowd.iter().map(async |actor| react(actor, &id, "👍").await.expect(200))).await;
    let stream = world.follow_stream();
    let mut events = Vec::new();
    let newest = async {
        loop {
            events.extend(place.drain(100).await);
            let last = events.iter().rfind(|event| event["type"] == "message.updated");
            if last.is_some_and(|event| event["data"]["message"]["version"] == 41) {
                return last.unwrap().clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let newest = tokio::time::timeout(PATIENCE, newest).await.expect("the reactions are published");
    assert_eq!(reactions(&newest["data"]["message"]), [of("👍", 40, true)]);
    stream.stop().await;
    assert!(events.len() <= 3, "{} events", events.len());
    // Records that come again change nothing.
    let records: usize = place.drain(100).await.len();
    world.app.store.log_reactions(&id.parse().unwrap()).await.unwrap();
    world.fan_out(&group).await;
    assert_eq!((records, place.drain(100).await.len()), (0, 0));
}

#[tokio::test]
async fn messages_are_forwarded_without_their_author() {
    let world = World::new().await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let mut all = Audience::of(&[&alice, &bob, &carol], 4).await;
    let body = json!({
        "recipient_id": "bob", "message_text": "worth telling", "custom": {"origin": "import", "n": 7},
        "attachment_url": "https://a.example/cat.png", "attachment_type": "image/png",
    });
    let sent = all.verify(alice.post("/api/messages/send", &body)).await.expect(201);
    assert_eq!(sent.data()["custom"], json!({"origin": "import", "n": 7}));
    let forward =
        |to: &str, key: &str| json!({"recipient_id": to, "forward": sent.id(), "client_message_id": key});
    let again = all.verify(bob.post("/api/messages/send", &forward("carol", "k"))).await.expect(201);
    let message = again.data();
    assert_eq!((&message["message_text"], &message["is_forwarded"]), (&json!("worth telling"), &json!(true)));
    assert_eq!((&message["sender_id"], &message["custom"]), (&json!("bob"), &Value::Null));
    assert_eq!(message["attachment_url"], "https://a.example/cat.png");
    bob.post("/api/messages/send", &forward("carol", "k")).await.expect(200);
    carol.post("/api/messages/send", &forward("bob", "k")).await.refused(403, "not_a_participant");
    all.verify(alice.unsend(&sent.id())).await.expect(200);
    bob.post("/api/messages/send", &forward("carol", "k")).await.expect(200);
    bob.post("/api/messages/send", &forward("carol", "other")).await.refused(403, "not_a_participant");
    let both = json!({"recipient_id": "carol", "forward": sent.id(), "message_text": "mine"});
    bob.post("/api/messages/send", &both).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn custom_data_can_be_replaced_and_removed() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let send = |custom: Value| {
        let (alice, body) =
            (alice.clone(), json!({"recipient_id": "bob", "message_text": "x", "custom": custom}));
        async move { alice.post("/api/messages/send", &body).await }
    };
    let custom = json!({"a": [1, {"b": null}], "c": "d", "e": 1.5, "f": -3});
    let sent = send(custom.clone()).await.expect(201);
    assert_eq!((&sent.data()["custom"], &bob.page("alice").await[0]["custom"]), (&custom, &custom));
    let edited =
        alice.patch(&format!("/api/messages/{}", sent.id()), &json!({"custom": {"new": true}})).await;
    let edited = edited.expect(200);
    assert_eq!(
        (&edited.data()["custom"], &edited.data()["message_text"]),
        (&json!({"new": true}), &json!("x"))
    );
    let none =
        alice.patch(&format!("/api/messages/{}", sent.id()), &json!({"custom": null})).await.expect(200);
    assert_eq!(none.data()["custom"], Value::Null);
    alice.patch(&format!("/api/messages/{}", sent.id()), &json!({})).await.refused(400, "invalid_request");
}
