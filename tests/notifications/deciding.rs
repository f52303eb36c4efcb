//! Which users are notified of a message, decided by the state at the time when `notify` is invoked.

use std::time::Duration;

use harness::{Actor, World};
use serde_json::json;

use super::service::PushService;
use super::{new_messages, notify, set_active, subscribe, texts, waits_no_more};

/// Alice sends Bob a message, then something happens, and then `notify` is invoked. Returns the number of pushes.
async fn pushes_after(what: &str) -> usize {
    let (world, service) = (World::new().await, PushService::start().await);
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    let first = alice.send("bob", "first").await.expect(201);
    let (conversation, id) = (first.conversation(), alice.send("bob", "second").await.expect(201).id());
    let hour = |hours: i64| {
        let now = world.app.store.now().millis();
        json!(domain::time::Timestamp::from_millis(now + hours * 3_600_000))
    };
    let set = async |change: serde_json::Value| drop(bob.set(&conversation, &change).await.expect(200));
    match what {
        "nothing" => {}
        "read" => drop(bob.mark(&id).await.expect(200)),
        "first read" => drop(bob.mark(&first.id()).await.expect(200)),
        "unread again" => {
            bob.mark(&id).await.expect(200);
            bob.mark_unread(&id).await.expect(200);
        }
        "hidden" => drop(bob.hide(&id).await.expect(200)),
        "deleted" => drop(alice.unsend(&id).await.expect(200)),
        "both deleted" => {
            alice.unsend(&id).await.expect(200);
            alice.unsend(&first.id()).await.expect(200);
        }
        "edited" => drop(alice.edit(&id, "newer").await.expect(200)),
        "muted" => set(json!({"muted_until": "always"})).await,
        "muted for an hour" => set(json!({"muted_until": hour(1)})).await,
        "mute ended" => {
            set(json!({"muted_until": "always"})).await;
            set(json!({"muted_until": null})).await;
        }
        "mute passed" => set(json!({"muted_until": hour(-1)})).await,
        "archived" => set(json!({"archived": true})).await,
        "archived and muted" => set(json!({"archived": true, "muted_until": "always"})).await,
        "pinned" => set(json!({"pinned": true})).await,
        "level mentions" => set(json!({"notify": "mentions"})).await,
        "level none" => set(json!({"notify": "none"})).await,
        "level all" => set(json!({"notify": "all"})).await,
        "blocked by the receiver" => drop(bob.block("alice").await.expect(200)),
        "blocked by the sender" => drop(alice.block("bob").await.expect(200)),
        "forgotten" => drop(bob.forget(&conversation).await.expect(200)),
        "active" => set_active(&bob, true).await,
        "active no more" => {
            set_active(&bob, true).await;
            set_active(&bob, false).await;
        }
        "online" => drop(bob.json("PUT", "/api/presence", &json!({"status": "online"})).await.expect(200)),
        "second device" => drop(subscribe(&bob, &service, "laptop").await),
        other => panic!("{other}"),
    }
    assert_eq!(notify(&world, new_messages(&[&first.id(), &id])).await, 0, "{what}");
    let pushes = service.take();
    match what {
        "edited" => assert_eq!(texts(&pushes), ["newer"]),
        "hidden" | "deleted" => assert_eq!(texts(&pushes), ["first"], "{what}"),
        _ => assert!(pushes.iter().all(|push| push.text() == "second"), "{what}: {pushes:?}"),
    }
    pushes.len()
}

#[tokio::test]
async fn a_user_is_notified_by_what_holds_at_that_moment() {
    for (what, count) in [
        ("nothing", 1),
        ("read", 0),
        ("first read", 1),
        ("unread again", 1),
        ("hidden", 1),
        ("deleted", 1),
        ("both deleted", 0),
        ("edited", 1),
        ("muted", 0),
        ("muted for an hour", 0),
        ("mute ended", 1),
        ("mute passed", 1),
        ("archived", 1),
        ("archived and muted", 0),
        ("pinned", 1),
        ("level mentions", 0),
        ("level none", 0),
        ("level all", 1),
        ("blocked by the receiver", 0),
        ("blocked by the sender", 0),
        ("forgotten", 0),
        ("active", 0),
        ("active no more", 1),
        ("online", 1),
        ("second device", 2),
    ] {
        assert_eq!(pushes_after(what).await, count, "{what}");
    }
}

#[tokio::test]
async fn what_came_while_a_user_was_active_is_pushed_when_they_leave() {
    let (world, service) = (World::new().await, PushService::start().await);
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    subscribe(&bob, &service, "phone").await;
    set_active(&bob, true).await;
    let read = carol.send("bob", "read").await.expect(201).id();
    let first = alice.send("bob", "first").await.expect(201).id();
    let second = alice.send("bob", "second").await.expect(201).id();
    notify(&world, new_messages(&[&read, &first])).await;
    notify(&world, new_messages(&[&second])).await;
    bob.mark(&read).await.expect(200);
    // Woken too early, it waits on.
    notify(&world, waits_no_more("bob")).await;
    assert!(service.take().is_empty());
    set_active(&bob, false).await;
    for _ in 0..2 {
        notify(&world, waits_no_more("bob")).await;
    }
    assert_eq!(texts(&service.take()), ["second"]);
}

#[tokio::test]
async fn a_laptop_that_is_closed_is_noticed_by_the_clock() {
    let (world, service) = (World::new().await, PushService::start().await);
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    set_active(&bob, true).await;
    let id = alice.send("bob", "look here").await.expect(201).id();
    notify(&world, new_messages(&[&id])).await;
    let is_waiting = async |world: &World| {
        world.items().await.iter().any(|item| item["pk"]["S"] == "WAITING" && item["sk"]["S"] == "H#bob")
    };
    // The clock asks too early, and then in time.
    notify(&world, super::event(&[])).await;
    assert!(is_waiting(&world).await);
    let later = world.with_clock_off_by(61_000);
    notify(&later, super::event(&[])).await;
    assert!(!is_waiting(&world).await);
    notify(&later, waits_no_more("bob")).await;
    assert_eq!(texts(&service.take()), ["look here"]);
}

#[tokio::test]
async fn a_mute_ends_by_itself() {
    let (world, service) = (World::new().await, PushService::start().await);
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    let first = alice.send("bob", "muted").await.expect(201);
    let end = domain::time::Timestamp::from_millis(world.app.store.now().millis() + 600_000);
    bob.set(&first.conversation(), &json!({"muted_until": end})).await.expect(200);
    notify(&world, new_messages(&[&first.id()])).await;
    assert_eq!(texts(&service.take()), [] as [&str; 0]);
    let later = world.with_clock_off_by(601_000);
    let second = later.stranger("alice").send("bob", "no longer muted").await.expect(201);
    notify(&later, new_messages(&[&second.id()])).await;
    let pushes = service.take();
    assert_eq!(texts(&pushes), ["no longer muted"]);
    assert_eq!(pushes[0].body["notification"]["app_badge"], 2);
}

#[tokio::test]
async fn what_counts_as_muted_or_archived_is_not_on_the_badge() {
    let (world, service) = (World::new().await, PushService::start().await);
    let [alice, bob, carol, dave] = world.users(["alice", "bob", "carol", "dave"]).await;
    subscribe(&bob, &service, "phone").await;
    let muted = carol.send("bob", "muted").await.expect(201).conversation();
    bob.set(&muted, &json!({"muted_until": "always"})).await.expect(200);
    let archived = dave.send("bob", "archived").await.expect(201).conversation();
    bob.set(&archived, &json!({"archived": true})).await.expect(200);
    let badge = async |from: &Actor| {
        let id = from.send("bob", "new").await.expect(201).id();
        notify(&world, new_messages(&[&id])).await;
        let pushes = service.take();
        assert_eq!(pushes.len(), 1);
        pushes[0].body["notification"]["app_badge"].clone()
    };
    assert_eq!(badge(&alice).await, 1);
    // The message takes the conversation out of the archive.
    assert_eq!(badge(&dave).await, 3);
    let unread = bob.get("/api/messages/unread-count").await.expect(200);
    assert_eq!(unread.data()["unmuted_unread_count"], 3);
}

/// Alice sends a message to a group or room with Bob, who has chosen a level, and to others. Returns who was notified, and
/// how urgently Bob was.
async fn notified_of(
    conversation: &str,
    level: Option<&str>,
    mention: &str,
) -> (Vec<String>, Option<String>) {
    let (world, service) = (World::new().await, PushService::start().await);
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let id = match conversation {
        "group" => alice.group("Team", &["bob", "carol"]).await,
        _ => alice.room("Lounge").await,
    };
    for user in [&bob, &carol] {
        if conversation == "room" {
            user.join(&id).await.expect(200);
        }
        subscribe(user, &service, &user.id).await;
    }
    if let Some(level) = level {
        bob.set(&id, &json!({"notify": level})).await.expect(200);
    }
    let mut message = json!({"conversation_id": id, "message_text": "hello"});
    match mention {
        "all" => message["mention_all"] = true.into(),
        "" => {}
        user => message["mentions"] = json!([user]),
    }
    let sent = alice.post("/api/messages/send", &message).await.expect(201).id();
    assert_eq!(notify(&world, new_messages(&[&sent])).await, 0);
    // A second record of the same message changes nothing.
    assert_eq!(notify(&world, new_messages(&[&sent])).await, 0);
    let pushes = service.take();
    let urgency =
        pushes.iter().find(|push| push.device == "bob").map(|push| push.header("urgency").to_owned());
    let mut devices: Vec<_> = pushes.into_iter().map(|push| push.device).collect();
    devices.sort();
    (devices, urgency)
}

#[tokio::test]
async fn levels_and_mentions_decide_in_groups_and_rooms() {
    for (conversation, level, mention, wanted, urgency) in [
        ("group", None, "", "bob carol", "normal"),
        ("group", None, "bob", "bob carol", "high"),
        ("group", None, "all", "bob carol", "high"),
        ("group", Some("mentions"), "", "carol", ""),
        ("group", Some("mentions"), "carol", "carol", ""),
        ("group", Some("mentions"), "bob", "bob carol", "high"),
        ("group", Some("mentions"), "all", "bob carol", "high"),
        ("group", Some("none"), "bob", "carol", ""),
        ("group", Some("none"), "all", "carol", ""),
        ("room", None, "", "", ""),
        ("room", None, "alice", "", ""),
        ("room", None, "bob", "bob", "high"),
        ("room", None, "all", "bob carol", "high"),
        ("room", Some("all"), "", "bob", "normal"),
        ("room", Some("all"), "carol", "bob carol", "normal"),
        ("room", Some("all"), "bob", "bob", "high"),
        ("room", Some("mentions"), "bob", "bob", "high"),
        ("room", Some("none"), "bob", "", ""),
        ("room", Some("none"), "all", "carol", ""),
    ] {
        let (devices, high) = notified_of(conversation, level, mention).await;
        let case = format!("{conversation}, {level:?}, {mention:?}");
        assert_eq!(devices.join(" "), wanted, "{case}");
        assert_eq!(high.unwrap_or_default(), urgency, "{case}");
    }
}

#[tokio::test]
async fn only_those_who_asked_are_notified_of_every_message_of_a_room() {
    let (world, service) = (World::new().await, PushService::start().await);
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let room = alice.room("Lounge").await;
    for user in [&bob, &carol] {
        user.join(&room).await.expect(200);
        subscribe(user, &service, &user.id).await;
    }
    let say = async || {
        let id = alice.say(&room, "hello").await.expect(201).id();
        notify(&world, new_messages(&[&id])).await;
        service.take().into_iter().map(|push| push.device).collect::<Vec<_>>()
    };
    assert_eq!(say().await, [] as [&str; 0]);
    bob.set(&room, &json!({"notify": "all"})).await.expect(200);
    assert_eq!(say().await, ["bob"]);
    bob.set(&room, &json!({"notify": "none"})).await.expect(200);
    assert_eq!(say().await, [] as [&str; 0]);
    // A user who leaves is no longer looked at.
    bob.set(&room, &json!({"notify": "all"})).await.expect(200);
    bob.leave(&room).await.expect(200);
    assert_eq!(say().await, [] as [&str; 0]);
    assert!(world.items().await.iter().all(|item| item["sk"]["S"] != "B#bob"));
}

#[tokio::test]
async fn everyone_in_a_large_group_is_notified_even_before_the_fan_out() {
    let (world, service) = (World::new().await, PushService::start().await);
    let (crowd, group) = world.group_of(130).await;
    world.fan_out(&group).await;
    let subscribed = [1, 2, 99, 100, 101, 129];
    for n in subscribed {
        subscribe(&crowd[n], &service, &crowd[n].id).await;
    }
    let id = crowd[0].say(&group, "to all").await.expect(201).id();
    notify(&world, new_messages(&[&id])).await;
    world.fan_out(&group).await;
    notify(&world, new_messages(&[&id])).await;
    let mut devices: Vec<_> = service.take().into_iter().map(|push| push.device).collect();
    devices.sort();
    assert_eq!(devices, subscribed.map(|n| crowd[n].id.clone()));
}

#[tokio::test]
async fn an_old_message_wakes_nobody() {
    let (world, service) = (World::new().await, PushService::start().await);
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    let id = alice.send("bob", "old").await.expect(201).id();
    notify(
        &world.with_clock_off_by(Duration::from_hours(2).as_millis().try_into().unwrap()),
        new_messages(&[&id]),
    )
    .await;
    assert!(service.take().is_empty());
}
