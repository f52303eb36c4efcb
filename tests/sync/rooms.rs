//! Rooms: joining and leaving keep clients up to date. Clients load the messages from before they joined.

use harness::World;
use harness::sync::Audience;
use serde_json::{Value, json};

use crate::direct::texts;

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

#[tokio::test]
async fn rooms_keep_clients_up_to_date() {
    let world = World::new().await;
    let [alice, bob, carol] = world.users(NAMES).await;
    let mut all = Audience::of(&[&alice, &bob, &carol], 1).await;
    let lobby = all.verify(alice.room("Lobby")).await;
    all.verify(bob.post("/api/rooms", &json!({"name": "LOBBY"}))).await.refused(409, "already_exists");
    all.verify(bob.join(&lobby)).await.expect(200);
    all.verify(bob.join(&lobby)).await.expect(200);
    let first = all.verify(bob.say(&lobby, "hello")).await.expect(201).id();
    all.verify(carol.join(&lobby)).await.expect(200);
    let second = all.verify(alice.say(&lobby, "welcome")).await.expect(201).id();
    all.verify(carol.mark(&first)).await.expect(200);
    all.verify(carol.mark(&second)).await.expect(200);
    all.verify(alice.change(&lobby, &json!({"name": "Hall", "description": "For all"}))).await.expect(200);
    all.verify(bob.forget(&lobby)).await.expect(200);
    all.verify(carol.say(&lobby, "it returns")).await.expect(201);
    all.verify(carol.leave(&lobby)).await.expect(200);
    all.verify(alice.say(&lobby, "without carol")).await.expect(201);
    all.verify(carol.join(&lobby)).await.expect(200);
    all.verify(bob.say(&lobby, "with carol")).await.expect(201);
    all.verify(alice.remove(&lobby, "carol")).await.expect(200);
    // The owner leaves the room, which goes to Bob, and rejoins it.
    all.verify(alice.leave(&lobby)).await.expect(200);
    all.verify(bob.say(&lobby, "alone")).await.expect(201);
    all.verify(alice.join(&lobby)).await.expect(200);
    let photo = json!({"photo_url": "https://a.example/1.png"});
    all.verify(alice.change(&lobby, &photo)).await.refused(403, "not_an_admin");
    all.verify(bob.change(&lobby, &photo)).await.expect(200);
    all.verify(async {
        bob.leave(&lobby).await.expect(200);
        alice.say(&lobby, "gone").await.expect(201);
        bob.join(&lobby).await.expect(200);
        alice.say(&lobby, "and back").await.expect(201);
    })
    .await;
    all.verify(bob.delete(&format!("/api/rooms/{lobby}"))).await.refused(403, "not_an_admin");
    all.verify(alice.delete(&format!("/api/rooms/{lobby}"))).await.expect(200);
    all.verify(alice.delete(&format!("/api/rooms/{lobby}"))).await.refused(404, "not_found");
    all.verify(bob.join(&lobby)).await.refused(404, "not_found");
}

#[tokio::test]
async fn users_who_join_see_the_last_hundred_messages() {
    let world = World::new().await;
    let [alice, bob, _] = world.users(NAMES).await;
    let lobby = alice.room("Lobby").await;
    let mut ids = Vec::new();
    for n in 0..103 {
        ids.push(alice.say(&lobby, &format!("m{n}")).await.expect(201).id());
    }
    let mut all = Audience::of(&[&alice, &bob], 2).await;
    let row = all.verify(bob.join(&lobby)).await.expect(200);
    assert_eq!((&row.data()["last_message_id"], &row.data()["unread_count"]), (&json!(ids[102]), &json!(0)));
    let path = format!("/api/conversations/{lobby}/messages?limit=100");
    let shown: Vec<Value> = bob.pages(&path).await.into_iter().rev().flatten().collect();
    assert_eq!((shown.len(), texts(&shown)[0], texts(&shown)[99]), (100, "m3", "m102"));
    // Bob's client follows changes of the earlier messages that he sees, and of no others.
    all.verify(alice.edit(&ids[102], "the newest")).await.expect(200);
    all.verify(alice.edit(&ids[3], "the oldest")).await.expect(200);
    all.verify(alice.edit(&ids[2], "out of sight")).await.expect(200);
    all.verify(alice.unsend(&ids[1])).await.expect(200);
    all.verify(bob.hide(&ids[102])).await.expect(200);
    all.verify(alice.unsend(&ids[101])).await.expect(200);
    bob.mark(&ids[2]).await.refused(404, "not_found");
    all.verify(alice.say(&lobby, "a new one")).await.expect(201);
}

#[tokio::test]
async fn users_who_rejoin_do_not_see_messages_that_they_hid() {
    let world = World::new().await;
    let [alice, bob, _] = world.users(NAMES).await;
    let lobby = alice.room("Lobby").await;
    bob.join(&lobby).await.expect(200);
    let mut all = Audience::of(&[&alice, &bob], 3).await;
    let older = all.verify(alice.say(&lobby, "older")).await.expect(201).id();
    let newest = all.verify(alice.say(&lobby, "newest")).await.expect(201).id();
    all.verify(bob.hide(&newest)).await.expect(200);
    all.verify(bob.leave(&lobby)).await.expect(200);
    let row = all.verify(bob.join(&lobby)).await.expect(200);
    assert_eq!(row.data()["last_message"], "older");
    // The preview follows the message that it shows.
    all.verify(alice.edit(&older, "edited")).await.expect(200);
    assert_eq!(bob.inbox().await[0]["last_message"], "edited");
}
