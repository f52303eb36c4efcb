//! Groups: joining and leaving, changes, messages and reads keep clients up to date.

use harness::World;
use harness::sync::Audience;
use serde_json::{Value, json};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

#[tokio::test]
async fn opening_keeps_clients_up_to_date() {
    let world = World::new().await;
    let [alice, bob, carol, _] = world.users(NAMES).await;
    let mut all = Audience::of(&[&alice, &bob, &carol], 1).await;
    let direct = |with: &str| json!({"type": "direct", "participant_ids": [with]});
    let opened = all.verify(alice.post("/api/conversations", &direct("bob"))).await.expect(201);
    let id = opened.data()["conversation_id"].as_str().unwrap();
    all.verify(alice.post("/api/conversations", &direct("bob"))).await.expect(200);
    all.verify(bob.post("/api/conversations", &direct("alice"))).await.expect(200);
    all.verify(alice.forget(id)).await.expect(200);
    all.verify(alice.say(id, "after all")).await.expect(201);
    all.verify(alice.forget(id)).await.expect(200);
    all.verify(alice.post("/api/conversations", &direct("bob"))).await.expect(200);
    all.verify(bob.say(id, "an answer")).await.expect(201);
    let group = |key: Value| json!({"type": "group", "name": "Trip", "participant_ids": ["bob", "dave"], "client_conversation_id": key});
    all.verify(alice.post("/api/conversations", &group(Value::Null))).await.expect(201);
    all.verify(alice.post("/api/conversations", &group("key".into()))).await.expect(201);
    all.verify(alice.post("/api/conversations", &group("key".into()))).await.expect(200);
    world.wire.lose_answers(1);
    all.verify(alice.post("/api/conversations", &group("lost".into()))).await.expect(201);
    all.verify(carol.group("Alone", &[])).await;
}

#[tokio::test]
async fn changes_of_a_group_keep_clients_up_to_date() {
    let world = World::new().await;
    let [alice, bob, carol, dave] = world.users(NAMES).await;
    let mut all = Audience::of(&[&alice, &bob, &carol, &dave], 2).await;
    let trip = all.verify(alice.group("Trip", &["bob"])).await;
    for details in [
        json!({"name": "The trip"}),
        json!({"description": "Where we go"}),
        json!({"photo_url": "https://a.example/1.png", "name": "Trip"}),
        json!({"photo_url": null, "description": null}),
        json!({"name": "Trip"}),
    ] {
        all.verify(alice.change(&trip, &details)).await.expect(200);
    }
    all.verify(bob.change(&trip, &json!({"name": "Mine"}))).await.refused(403, "not_an_admin");
    all.verify(alice.set_admin(&trip, "bob", true)).await.expect(200);
    all.verify(bob.change(&trip, &json!({"name": "Mine"}))).await.expect(200);
    all.verify(bob.set_admin(&trip, "alice", false)).await.expect(200);
    all.verify(bob.set_admin(&trip, "bob", false)).await.refused(409, "conflict");
    all.verify(bob.add(&trip, &["carol"])).await.expect(200);
    all.verify(bob.add(&trip, &["carol"])).await.expect(200);
    // Changes of a hidden row show once the row is back in the inbox.
    all.verify(carol.forget(&trip)).await.expect(200);
    all.verify(bob.change(&trip, &json!({"name": "Ours", "photo_url": "https://a.example/2.png"})))
        .await
        .expect(200);
    all.verify(bob.set_admin(&trip, "carol", true)).await.expect(200);
    all.verify(bob.add(&trip, &["dave"])).await.expect(200);
    all.verify(bob.say(&trip, "back again")).await.expect(201);
    all.verify(async {
        carol.forget(&trip).await.expect(200);
        bob.change(&trip, &json!({"name": "Theirs", "photo_url": null})).await.expect(200);
        bob.set_admin(&trip, "carol", false).await.expect(200);
        bob.say(&trip, "and again").await.expect(201);
        bob.change(&trip, &json!({"name": "Ours"})).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn joining_and_leaving_keep_clients_up_to_date() {
    let world = World::new().await;
    let [alice, bob, carol, dave] = world.users(NAMES).await;
    let mut all = Audience::of(&[&alice, &bob, &carol, &dave], 3).await;
    let trip = all.verify(alice.group("Trip", &["bob"])).await;
    let first = all.verify(alice.say(&trip, "before")).await.expect(201).id();
    all.verify(bob.mark(&first)).await.expect(200);
    all.verify(alice.add(&trip, &["carol", "bob", "dave"])).await.expect(200);
    all.verify(carol.read_all(&trip)).await.expect(200);
    let second = all.verify(alice.say(&trip, "for all")).await.expect(201).id();
    all.verify(dave.mark(&second)).await.expect(200);
    all.verify(alice.remove(&trip, "dave")).await.expect(200);
    all.verify(alice.say(&trip, "without dave")).await.expect(201);
    // A user who is added again starts anew and sees no earlier messages.
    all.verify(alice.add(&trip, &["dave"])).await.expect(200);
    all.verify(alice.say(&trip, "with dave")).await.expect(201);
    all.verify(async {
        dave.remove(&trip, "dave").await.expect(200);
        bob.say(&trip, "gone").await.expect(201);
        alice.add(&trip, &["dave"]).await.expect(200);
        bob.say(&trip, "and back").await.expect(201);
    })
    .await;
    // Dave deletes the conversation, and then leaves.
    all.verify(dave.forget(&trip)).await.expect(200);
    all.verify(dave.remove(&trip, "dave")).await.expect(200);
    all.verify(alice.add(&trip, &["dave"])).await.expect(200);
    // When the last admin leaves, another participant becomes admin.
    all.verify(alice.remove(&trip, "alice")).await.expect(200);
    assert_eq!(bob.get(&format!("/api/conversations/{trip}")).await.data()["is_admin"], true);
    all.verify(bob.add(&trip, &["alice"])).await.expect(200);
    for actor in [&bob, &carol, &dave, &alice] {
        all.verify(actor.remove(&trip, &actor.id)).await.expect(200);
    }
    all.verify(alice.say(&trip, "hello?")).await.refused(403, "not_a_participant");
}

#[tokio::test]
async fn messages_and_reads_keep_clients_up_to_date() {
    let world = World::new().await;
    let [alice, bob, carol, dave] = world.users(NAMES).await;
    let mut all = Audience::of(&[&alice, &bob, &carol, &dave], 4).await;
    let trip = all.verify(alice.group("Trip", &["bob", "carol"])).await;
    let mut ids = Vec::new();
    for (n, actor) in [&alice, &bob, &alice, &carol, &alice].into_iter().enumerate() {
        ids.push(all.verify(actor.say(&trip, &format!("m{n}"))).await.expect(201).id());
    }
    let reply = json!({"conversation_id": trip, "message_text": "yes", "reply_to": ids[1], "client_message_id": "key"});
    all.verify(carol.post("/api/messages/send", &reply)).await.expect(201);
    all.verify(carol.post("/api/messages/send", &reply)).await.expect(200);
    all.verify(bob.mark(&ids[2])).await.expect(200);
    all.verify(bob.mark(&ids[0])).await.expect(200);
    all.verify(bob.mark(&ids[4])).await.expect(200);
    all.verify(bob.read_all(&trip)).await.expect(200);
    all.verify(carol.read_all(&trip)).await.expect(200);
    let page = format!("/api/conversations/{trip}/messages?limit=2&mark_read=true&before={}", ids[3]);
    all.verify(alice.get(&page)).await.expect(200);
    all.verify(dave.mark(&ids[4])).await.refused(403, "not_a_participant");
    // A conversation that was deleted for oneself returns with the next message.
    all.verify(bob.forget(&trip)).await.expect(200);
    all.verify(bob.read_all(&trip)).await.expect(200);
    let back = all.verify(alice.say(&trip, "it returns")).await.expect(201).id();
    all.verify(bob.mark(&back)).await.expect(200);
    all.verify(async {
        bob.forget(&trip).await.expect(200);
        carol.forget(&trip).await.expect(200);
        bob.say(&trip, "by one's own hand").await.expect(201);
        alice.forget(&trip).await.expect(200);
    })
    .await;
    for is_typing in [true, false] {
        let signal = json!({"conversation_id": trip, "is_typing": is_typing});
        all.verify(bob.post("/api/typing", &signal)).await.expect(200);
    }
}

#[tokio::test]
async fn group_changes_keep_clients_up_to_date_despite_clock_skew() {
    for ahead in [4_000, -4_000] {
        let world = World::new().await;
        let [alice, bob, carol, _] = world.users(NAMES).await;
        let mut all = Audience::of(&[&alice, &bob, &carol], 5).await;
        let other = world.with_clock_off_by(ahead);
        let [alice_there, bob_there] = ["alice", "bob"].map(|id| other.stranger(id));
        let trip = all.verify(alice.group("Trip", &["bob"])).await;
        all.verify(alice_there.add(&trip, &["carol"])).await.expect(200);
        all.verify(alice.change(&trip, &json!({"name": "The trip"}))).await.expect(200);
        all.verify(bob_there.say(&trip, "there")).await.expect(201);
        all.verify(carol.say(&trip, "here")).await.expect(201);
        // Bob deletes the conversation, leaves, and is added again.
        all.verify(bob_there.forget(&trip)).await.expect(200);
        all.verify(bob.remove(&trip, "bob")).await.expect(200);
        all.verify(alice.add(&trip, &["bob"])).await.expect(200);
        all.verify(alice_there.remove(&trip, "bob")).await.expect(200);
        all.verify(alice.add(&trip, &["bob"])).await.expect(200);
        all.verify(alice.say(&trip, "all of us")).await.expect(201);
        all.verify(bob_there.forget(&trip)).await.expect(200);
        all.verify(alice.change(&trip, &json!({"name": "Trip"}))).await.expect(200);
        all.verify(carol.say(&trip, "it returns")).await.expect(201);
    }
}

#[tokio::test]
async fn a_reopened_conversation_stays_despite_clock_skew() {
    for ahead in [4_000, -4_000] {
        let world = World::new().await;
        let (alice, bob) = world.two().await;
        let mut all = Audience::of(&[&alice, &bob], 6).await;
        let bob_there = world.with_clock_off_by(ahead).stranger("bob");
        let first = all.verify(alice.send("bob", "one")).await.expect(201);
        let id = first.data()["conversation_id"].as_str().unwrap();
        let open = json!({"type": "direct", "participant_ids": ["alice"]});
        all.verify(bob_there.forget(id)).await.expect(200);
        all.verify(bob.post("/api/conversations", &open)).await.expect(200);
        all.verify(alice.say(id, "two")).await.expect(201);
    }
}
