//! Large conversations: clients are up to date after each fan-out.

use harness::sync::Audience;
use harness::{Actor, Answer, World};
use serde_json::{Value, json};

/// How many further participants make a group large.
const CROWD: usize = 23;

/// Creates four users, whose clients are checked, and `crowd` others.
async fn people(world: &World, crowd: usize) -> ([Actor; 4], Vec<String>) {
    let people = world.users(["alice", "bob", "carol", "dave"]).await;
    let mut names = Vec::new();
    for n in 0..crowd {
        names.push(world.user(&format!("user{n:03}")).await.id);
    }
    (people, names)
}

fn with<'a>(some: &[&'a str], crowd: &'a [String]) -> Vec<&'a str> {
    some.iter().copied().chain(crowd.iter().map(String::as_str)).collect()
}

/// Performs an action and fans it out.
async fn and_fan_out(world: &World, conversation: &str, action: impl Future<Output = Answer>) -> Answer {
    let answer = action.await;
    world.fan_out(conversation).await;
    answer
}

/// Performs an action in a large conversation, expects this status, and checks that all clients are up to date.
macro_rules! verify {
    ($all:ident, $world:ident, $id:expr, $action:expr, $status:expr) => {
        $all.verify(and_fan_out(&$world, $id, $action)).await.expect($status)
    };
}

#[tokio::test]
async fn a_large_group_keeps_clients_up_to_date() {
    let world = World::new().await;
    let ([alice, bob, carol, dave], crowd) = people(&world, CROWD).await;
    let mut all = Audience::of(&[&alice, &bob, &carol, &dave], 1).await;
    let trip = all.verify(alice.group("Trip", &with(&["bob"], &crowd))).await;
    let id = trip.as_str();
    verify!(all, world, id, alice.change(id, &json!({"name": "The trip"})), 200);
    verify!(all, world, id, alice.add(id, &["carol", "dave"]), 200);
    let details = json!({"name": "Trip", "photo_url": "https://a.example/1.png", "description": "Where"});
    verify!(all, world, id, alice.change(id, &details), 200);
    let mut ids = Vec::new();
    for (n, actor) in [&alice, &bob, &alice, &carol].into_iter().enumerate() {
        ids.push(verify!(all, world, id, actor.say(id, &format!("m{n}")), 201).id());
    }
    verify!(all, world, id, bob.mark(&ids[0]), 200);
    verify!(all, world, id, carol.read_all(id), 200);
    verify!(all, world, id, alice.edit(&ids[2], "edited"), 200);
    verify!(all, world, id, carol.edit(&ids[3], "the newest, edited"), 200);
    verify!(all, world, id, alice.unsend(&ids[2]), 200);
    verify!(all, world, id, alice.unsend(&ids[3]), 200);
    verify!(all, world, id, bob.hide(&ids[3]), 200);
    verify!(all, world, id, alice.edit(&ids[0], "edited"), 200);
    verify!(all, world, id, alice.set_admin(id, "bob", true), 200);
    verify!(all, world, id, bob.change(id, &json!({"photo_url": null, "description": null})), 200);
    verify!(all, world, id, dave.forget(id), 200);
    verify!(all, world, id, alice.edit(&ids[0], "out of dave's sight"), 200);
    verify!(all, world, id, bob.say(id, "it returns"), 201);
    verify!(all, world, id, bob.remove(id, "carol"), 200);
    verify!(all, world, id, bob.add(id, &["carol"]), 200);
    verify!(all, world, id, bob.set_admin(id, "bob", false), 200);
    verify!(all, world, id, alice.remove(id, "alice"), 200);
    assert!(alice.inbox().await.is_empty());
}

#[tokio::test]
async fn one_fan_out_delivers_all_pending_changes() {
    let world = World::new().await;
    let ([alice, bob, carol, dave], crowd) = people(&world, CROWD).await;
    let mut all = Audience::of(&[&alice, &bob, &carol, &dave], 2).await;
    let trip = all.verify(alice.group("Trip", &with(&["bob", "carol"], &crowd))).await;
    let id = trip.as_str();
    all.verify(async {
        let first = alice.say(id, "first").await.expect(201).id();
        let second = alice.say(id, "second").await.expect(201).id();
        alice.edit(&first, "first, edited").await.expect(200);
        bob.mark(&first).await.expect(200);
        alice.unsend(&second).await.expect(200);
        carol.hide(&first).await.expect(200);
        alice.change(id, &json!({"name": "The trip"})).await.expect(200);
        alice.add(id, &["dave"]).await.expect(200);
        alice.say(id, "with dave").await.expect(201);
        alice.remove(id, "carol").await.expect(200);
        world.fan_out(id).await;
    })
    .await;
    all.verify(async {
        bob.forget(id).await.expect(200);
        let message = alice.say(id, "for bob").await.expect(201).id();
        alice.say(id, "for bob, too").await.expect(201);
        alice.unsend(&message).await.expect(200);
        alice.change(id, &json!({"name": "Trip"})).await.expect(200);
        alice.set_admin(id, "bob", true).await.expect(200);
        world.fan_out(id).await;
        dave.remove(id, "dave").await.expect(200);
        alice.say(id, "without dave").await.expect(201);
        alice.add(id, &["dave", "carol"]).await.expect(200);
        bob.read_all(id).await.expect(200);
        world.fan_out(id).await;
    })
    .await;
}

#[tokio::test]
async fn a_group_that_grows_and_shrinks_keeps_clients_up_to_date() {
    let world = World::new().await;
    let ([alice, bob, carol, dave], crowd) = people(&world, 22).await;
    let mut all = Audience::of(&[&alice, &bob, &carol, &dave], 3).await;
    // The group has 24 participants, and later one more.
    let trip = all.verify(alice.group("Trip", &with(&["bob"], &crowd))).await;
    let id = trip.as_str();
    verify!(all, world, id, bob.say(id, "small"), 201);
    verify!(all, world, id, alice.add(id, &["carol"]), 200);
    let large = verify!(all, world, id, bob.say(id, "large"), 201).id();
    verify!(all, world, id, alice.add(id, &["dave"]), 200);
    verify!(all, world, id, alice.remove(id, "bob"), 200);
    verify!(all, world, id, alice.remove(id, "dave"), 200);
    verify!(all, world, id, alice.add(id, &["bob"]), 200);
    verify!(all, world, id, carol.read_all(id), 200);
    verify!(all, world, id, alice.unsend(&large), 200);
    verify!(all, world, id, alice.remove(id, &crowd[0]), 200);
    verify!(all, world, id, carol.say(id, "still logged"), 201);
}

#[tokio::test]
async fn everyone_sees_the_participant_count() {
    let world = World::new().await;
    let ([alice, ..], crowd) = people(&world, 60).await;
    let id = alice.group("Trip", &with(&["bob"], &crowd)).await;
    world.fan_out(&id).await;
    for name in ["alice", "bob", &crowd[20], &crowd[30], &crowd[59]] {
        assert_eq!(world.stranger(name).inbox().await[0]["participant_count"], 62, "{name}");
    }
}

#[tokio::test]
async fn a_large_room_keeps_clients_up_to_date() {
    let world = World::new().await;
    let ([alice, bob, carol, dave], crowd) = people(&world, 23).await;
    let mut all = Audience::of(&[&alice, &bob, &carol, &dave], 4).await;
    let lobby = all.verify(alice.room("Lobby")).await;
    let id = lobby.as_str();
    for name in &crowd {
        world.stranger(name).join(id).await.expect(200);
    }
    let old = verify!(all, world, id, alice.say(id, "before"), 201).id();
    verify!(all, world, id, bob.join(id), 200);
    verify!(all, world, id, carol.join(id), 200);
    verify!(all, world, id, alice.say(id, "after"), 201);
    verify!(all, world, id, alice.edit(&old, "before, edited"), 200);
    verify!(all, world, id, carol.leave(id), 200);
    verify!(all, world, id, bob.say(id, "without carol"), 201);
    verify!(all, world, id, carol.join(id), 200);
    verify!(all, world, id, bob.say(id, "with carol"), 201);
    verify!(all, world, id, bob.forget(id), 200);
    verify!(all, world, id, alice.delete(&format!("/api/rooms/{id}")), 200);
    let inboxes = [alice.inbox().await, bob.inbox().await, world.stranger(&crowd[9]).inbox().await];
    assert_eq!(inboxes, [Vec::<Value>::new(), Vec::new(), Vec::new()]);
}

#[tokio::test]
async fn a_large_group_keeps_clients_up_to_date_despite_clock_skew() {
    for ahead in [4_000, -4_000] {
        let world = World::new().await;
        let ([alice, bob, carol, _], crowd) = people(&world, CROWD).await;
        let mut all = Audience::of(&[&alice, &bob, &carol], 5).await;
        let other = world.with_clock_off_by(ahead);
        let there = other.stranger("alice");
        let trip = all.verify(there.group("Trip", &with(&["bob"], &crowd[..22]))).await;
        let id = trip.as_str();
        // The group grows under one clock, and its changes are fanned out under another.
        all.verify(there.remove(id, &crowd[0])).await.expect(200);
        verify!(all, world, id, alice.add(id, &[&crowd[0], &crowd[22]]), 200);
        verify!(all, other, id, alice.add(id, &["carol"]), 200);
        verify!(all, other, id, carol.say(id, "told there"), 201);
        // Bob's row is hidden and returns. Then he becomes an admin, leaves, and is added again.
        verify!(all, world, id, bob.forget(id), 200);
        verify!(all, other, id, alice.say(id, "it returns"), 201);
        verify!(all, world, id, alice.set_admin(id, "bob", true), 200);
        verify!(all, world, id, bob.remove(id, "bob"), 200);
        verify!(all, world, id, alice.add(id, &["bob"]), 200);
        verify!(all, other, id, bob.forget(id), 200);
        verify!(all, other, id, alice.say(id, "and again"), 201);
        verify!(all, world, id, alice.remove(id, "alice"), 200);
    }
}
