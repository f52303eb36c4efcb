//! Rooms: names, the list of rooms, joining and leaving, the users in a room, and deletion.

use aws_sdk_dynamodb::types::AttributeValue;
use harness::live::Reader;
use harness::{Actor, TABLE, World};
use serde_json::{Value, json};

use crate::direct::{search, shown, text, texts, total};

async fn create(actor: &Actor, name: &str) -> harness::Answer {
    actor.post("/api/rooms", &json!({"name": name})).await
}

fn names(rooms: &[Value]) -> Vec<&str> {
    rooms.iter().map(|room| text(room, "name")).collect()
}

/// Returns the ids and statuses of the users in a room, fetched in pages of `limit`.
async fn users(actor: &Actor, room: &str, limit: usize) -> Vec<(String, String)> {
    let pages = actor.pages(&format!("/api/rooms/{room}/users?limit={limit}")).await;
    let field = |user: &Value, field: &str| text(user, field).to_owned();
    pages.concat().iter().map(|user| (field(user, "user_id"), field(user, "status"))).collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| text(event, "type")).collect()
}

#[tokio::test]
async fn a_room_has_these_fields() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let body = json!({"name": "The Room", "description": "all and sundry"});
    let made = alice.post("/api/rooms", &body).await.expect(201);
    let room = made.conversation();
    let replaced = [(room.as_str(), "<room>"), (text(made.data(), "last_message_at"), "<created>")];
    insta::assert_snapshot!(shown(made.data(), &replaced), @r#"
    {
      "conversation_id": "<room>",
      "counted_to": null,
      "first_mention_id": null,
      "is_admin": true,
      "is_archived": false,
      "last_message": null,
      "last_message_at": "<created>",
      "last_message_from_me": false,
      "last_message_id": null,
      "last_message_kind": null,
      "last_read_message_id": null,
      "marked_unread": false,
      "mention_count": 0,
      "muted_until": null,
      "name": "The Room",
      "notify": "mentions",
      "other_user_id": null,
      "other_user_name": "The Room",
      "participant_count": 1,
      "photo_url": null,
      "pinned_at": null,
      "type": "room",
      "unread_count": 0
    }
    "#);
    assert_eq!(alice.row_of(&room).await.as_ref(), Some(made.data()));
    let listed = bob.get("/api/rooms").await.expect(200).list()[0].clone();
    let replaced = [(room.as_str(), "<room>"), (text(&listed, "created_at"), "<created at>")];
    insta::assert_snapshot!(shown(&listed, &replaced), @r#"
    {
      "conversation_id": "<room>",
      "created_at": "<created at>",
      "description": "all and sundry",
      "is_participant": false,
      "name": "The Room",
      "participant_count": 1
    }
    "#);
    let joined = bob.join(&room).await.expect(200);
    assert_eq!(bob.row_of(&room).await.as_ref(), Some(joined.data()));
    assert_eq!((&joined.data()["participant_count"], &joined.data()["is_admin"]), (&json!(2), &json!(false)));
    let user = bob.get(&format!("/api/rooms/{room}/users")).await.expect(200).list()[0].clone();
    assert_eq!(user, json!({"user_id": "alice", "name": "Alice", "photo_url": null, "status": "offline"}));
}

#[tokio::test]
async fn room_names_are_unique() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let room = create(&alice, "Straße").await.expect(201).conversation();
    let before = world.items().await;
    for same in ["Straße", "STRASSE", "strasse", "ＳＴＲＡＳＳＥ", "ſtraße"] {
        create(&bob, same).await.refused(409, "already_exists");
    }
    assert_eq!(world.items().await, before);
    let other = create(&bob, "Strasse 2").await.expect(201).conversation();
    bob.change(&other, &json!({"name": "STRASSE"})).await.refused(409, "already_exists");
    // A room may spell its own name differently, and a name that was given up is free.
    alice.change(&room, &json!({"name": "STRASSE"})).await.expect(200);
    alice.change(&room, &json!({"name": "Weg"})).await.expect(200);
    bob.change(&other, &json!({"name": "Straße"})).await.expect(200);
    assert_eq!(names(alice.get("/api/rooms").await.list()), ["Straße", "Weg"]);
    // Group names need not be unique.
    alice.group("Weg", &["bob"]).await;
    // Of several concurrent creations one succeeds.
    let racing = futures_util::future::join_all((0..8).map(|_| create(&alice, "fast"))).await;
    assert_eq!(racing.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(racing.iter().filter(|answer| answer.status == 409).count(), 7);
    assert_eq!(total(&alice).await, json!(3));
}

#[tokio::test]
async fn long_names_are_compared_to_the_end() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let long = "n".repeat(99);
    create(&alice, &format!("{long}1")).await.expect(201);
    create(&alice, &format!("{long}2")).await.expect(201);
    create(&alice, &format!("{long}1")).await.refused(409, "already_exists");
    create(&alice, &format!("{long}11")).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn rooms_are_listed_by_name() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for name in ["delta", "Bravo", "alpha", "Émile", "charlie", "ALPHA2", "zulu"] {
        create(&alice, name).await.expect(201);
    }
    let all = bob.get("/api/rooms").await.expect(200).list().to_vec();
    assert_eq!(names(&all), ["alpha", "ALPHA2", "Bravo", "charlie", "delta", "zulu", "Émile"]);
    for limit in 1..=8 {
        let pages = bob.pages(&format!("/api/rooms?limit={limit}")).await;
        assert!(pages.iter().all(|page| page.len() <= limit));
        assert_eq!(pages.concat(), all, "by {limit}");
    }
    bob.join(text(&all[2], "conversation_id")).await.expect(200);
    for (actor, mine) in [(&alice, [true; 7]), (&bob, [false, false, true, false, false, false, false])] {
        let rooms = actor.get("/api/rooms").await.expect(200).list().to_vec();
        let is_mine: Vec<_> = rooms.iter().map(|room| room["is_participant"] == true).collect();
        assert_eq!(
            (is_mine.as_slice(), &rooms[2]["participant_count"]),
            (&mine[..], &json!(2)),
            "{}",
            actor.id
        );
    }
    let cursor = bob.get("/api/rooms?limit=2").await.json["next_cursor"].as_str().unwrap().to_owned();
    alice.get(&format!("/api/rooms?limit=2&cursor={cursor}")).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn joining_shows_the_last_100_messages_as_read() {
    for fill in [0, 24] {
        let world = World::new().await;
        let (alice, bob) = world.two().await;
        let room = alice.room("talk").await;
        for actor in world.crowd(fill).await {
            actor.join(&room).await.expect(200);
        }
        for n in 0..103 {
            alice.say(&room, &format!("m {n}")).await.expect(201);
        }
        world.fan_out(&room).await;
        let mut reader = Reader::new(&bob).await;
        let joined = bob.join(&room).await.expect(200);
        assert_eq!((&joined.data()["unread_count"], bob.unread().await), (&json!(0), 0));
        assert_eq!(text(joined.data(), "last_message"), "m 102");
        let pages = bob.pages(&format!("/api/conversations/{room}/messages?limit=40")).await;
        let seen: Vec<Value> = pages.into_iter().rev().flatten().collect();
        assert_eq!(texts(&seen), (3..103).map(|n| format!("m {n}")).collect::<Vec<_>>());
        assert_eq!(search(&bob, "%22m%203%22").await.len(), 11);
        assert_eq!(search(&bob, "%22m%202%22").await.len(), 10, "20 to 29, and not 2 itself");
        assert_eq!(types(&reader.poll().await), ["conversation.created"]);
        // Joining again changes nothing.
        let items = world.items().await;
        assert_eq!(bob.join(&room).await.expect(200).data(), joined.data());
        assert!(world.items().await == items);
        let new = alice.say(&room, "new").await.expect(201);
        world.fan_out(&room).await;
        assert_eq!(
            (bob.unread().await, bob.mark(&new.id()).await.expect(200).data()["unread_count"].clone()),
            (1, json!(0))
        );
    }
}

#[tokio::test]
async fn messages_that_joining_marks_as_read_have_a_receipt() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let room = alice.room("talk").await;
    let sent = alice.say(&room, "hello").await.expect(201).id();
    let receipts = async || {
        let count = alice.messages(&room).await[0]["read_count"].clone();
        let answer = alice.get(&format!("/api/messages/{sent}/receipts")).await.expect(200);
        (count, answer.list().to_vec())
    };
    bob.join(&room).await.expect(200);
    let (count, first) = receipts().await;
    assert_eq!((count, first.len(), text(&first[0], "user_id")), (json!(1), 1, "bob"));
    bob.leave(&room).await.expect(200);
    assert_eq!(receipts().await, (json!(0), vec![]));
    bob.join(&room).await.expect(200);
    assert_eq!(receipts().await, (json!(1), first), "the receipt keeps the time of the first join");
}

#[tokio::test]
async fn users_can_leave_and_rejoin() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let room = alice.room("talk").await;
    alice.say(&room, "one").await.expect(201);
    bob.join(&room).await.expect(200);
    bob.say(&room, "mine").await.expect(201);
    let mut reader = Reader::new(&bob).await;
    reader.poll().await;
    let leave = format!("/api/rooms/{room}/leave");
    bob.post(&leave, &json!({})).await.expect(200);
    bob.post(&leave, &json!({})).await.refused(403, "not_a_participant");
    assert_eq!(types(&reader.poll().await), ["participant.left", "conversation.deleted"]);
    assert!(bob.inbox().await.is_empty());
    bob.get(&format!("/api/conversations/{room}/messages")).await.refused(403, "not_a_participant");
    alice.say(&room, "without bob").await.expect(201);
    let back = bob.join(&room).await.expect(200);
    assert_eq!((&back.data()["unread_count"], text(back.data(), "last_message")), (&json!(0), "without bob"));
    assert_eq!(texts(&bob.messages(&room).await), ["one", "mine", "without bob"]);
    assert_eq!(types(&reader.poll().await), ["conversation.created"]);
    // When the creator leaves, the longest-standing participant owns the room. An empty room exists, too.
    alice.leave(&room).await.expect(200);
    assert_eq!(bob.row_of(&room).await.unwrap()["is_admin"], true);
    bob.leave(&room).await.expect(200);
    let listed = bob.get("/api/rooms").await.expect(200).list()[0].clone();
    assert_eq!((&listed["participant_count"], text(&listed, "name")), (&json!(0), "talk"));
    // The first who joins an empty room owns it.
    assert_eq!(bob.join(&room).await.expect(200).data()["is_admin"], true);
    assert_eq!(alice.join(&room).await.expect(200).data()["is_admin"], false);
}

#[tokio::test]
async fn a_room_always_has_an_owner() {
    for fill in [1, 27] {
        let world = World::new().await;
        let ann = world.registered("ann").await.actor;
        let room = ann.room("Orphan").await;
        let crowd = world.crowd(fill).await;
        let heir = world.user("heir").await;
        for actor in [&heir].into_iter().chain(&crowd) {
            actor.join(&room).await.expect(200);
        }
        heir.change(&room, &json!({"name": "Mine"})).await.refused(403, "not_an_admin");
        world.fan_out(&room).await;
        let mut reader = Reader::new(&heir).await;
        reader.poll().await;
        ann.json("DELETE", "/api/users/me", &json!({"password": harness::PASSWORD})).await.expect(200);
        world.fan_out(&room).await;
        let events = reader.poll().await;
        assert!(events.iter().any(|event| event["data"]["is_admin"] == true), "{events:?}");
        assert_eq!(heir.row_of(&room).await.unwrap()["is_admin"], true);
        heir.change(&room, &json!({"name": "Mine"})).await.expect(200);
        crowd[0].delete(&format!("/api/rooms/{room}")).await.refused(403, "not_an_admin");
        // A former owner has no rights, not even after rejoining.
        heir.leave(&room).await.expect(200);
        heir.delete(&format!("/api/rooms/{room}")).await.refused(403, "not_an_admin");
        assert_eq!(heir.join(&room).await.expect(200).data()["is_admin"], false);
        let owner = crowd.iter().min_by_key(|actor| actor.id.clone()).unwrap();
        owner.delete(&format!("/api/rooms/{room}")).await.expect(200);
        heir.room("Orphan").await;
    }
}

#[tokio::test]
async fn online_users_are_listed_first() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let crowd = world.crowd(6).await;
    let room = alice.room("talk").await;
    for actor in &crowd {
        actor.join(&room).await.expect(200);
    }
    for (n, status) in [(1, "online"), (3, "away"), (4, "do_not_disturb"), (5, "online")] {
        crowd[n].json("PUT", "/api/presence", &json!({"status": status})).await.expect(200);
    }
    alice.block("p001").await.expect(200);
    crowd[3].block("alice").await.expect(200);
    let listed = |users: &[(&str, &str)]| -> Vec<(String, String)> {
        users.iter().map(|(id, status)| ((*id).to_owned(), (*status).to_owned())).collect()
    };
    let hers = listed(&[
        ("p004", "do_not_disturb"),
        ("p005", "online"),
        ("alice", "offline"),
        ("p000", "offline"),
        ("p001", "offline"),
        ("p002", "offline"),
        ("p003", "offline"),
    ]);
    let others = listed(&[
        ("p001", "online"),
        ("p003", "away"),
        ("p004", "do_not_disturb"),
        ("p005", "online"),
        ("alice", "offline"),
        ("p000", "offline"),
        ("p002", "offline"),
    ]);
    for limit in [1, 2, 3, 100] {
        assert_eq!(users(&alice, &room, limit).await, hers, "by {limit}");
        assert_eq!(users(&crowd[0], &room, limit).await, others, "by {limit}");
    }
}

#[tokio::test]
async fn only_its_owner_can_delete_a_room() {
    for fill in [0, 24] {
        let world = World::new().await;
        let (alice, bob) = world.two().await;
        let room = alice.room("talk").await;
        let crowd = world.crowd(fill).await;
        for actor in crowd.iter().chain([&bob]) {
            actor.join(&room).await.expect(200);
        }
        let sent = alice.say(&room, "hello").await.expect(201).id();
        world.fan_out(&room).await;
        bob.delete(&format!("/api/messages/conversation/{room}")).await.expect(200);
        let mut readers = Vec::new();
        for actor in crowd.iter().chain([&alice, &bob]) {
            readers.push((actor, Reader::new(actor).await));
            readers.last_mut().unwrap().1.poll().await;
        }
        bob.delete(&format!("/api/rooms/{room}")).await.refused(403, "not_an_admin");
        alice.delete(&format!("/api/rooms/{room}")).await.expect(200);
        world.fan_out(&room).await;
        for (actor, reader) in &mut readers {
            let events = reader.poll().await;
            assert_eq!(types(&events).last(), Some(&"conversation.deleted"), "{}", actor.id);
            assert_eq!(
                (actor.inbox().await.len(), total(actor).await, actor.unread().await),
                (0, json!(0), 0)
            );
            actor.get(&format!("/api/conversations/{room}")).await.refused(403, "not_a_participant");
            actor.get(&format!("/api/messages/{sent}/receipts")).await.refused(403, "not_a_participant");
            actor.say(&room, "still here").await.refused(403, "not_a_participant");
            actor.change(&room, &json!({"name": "x"})).await.refused(403, "not_a_participant");
            actor.join(&room).await.refused(404, "not_found");
            actor.get(&format!("/api/rooms/{room}/users")).await.refused(404, "not_found");
            actor.delete(&format!("/api/rooms/{room}")).await.refused(404, "not_found");
            assert!(search(actor, "hello").await.is_empty());
        }
        assert!(alice.get("/api/rooms").await.expect(200).list().is_empty());
        assert_ne!(bob.room("TALK").await, room);
    }
}

#[tokio::test]
async fn a_full_room_cannot_be_joined() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let room = alice.room("talk").await;
    let set_participant_count = async |people: u32| {
        let meta = world.database().update_item().table_name(TABLE);
        let meta = meta.key("pk", AttributeValue::S(format!("C#{room}")));
        let meta = meta.key("sk", AttributeValue::S("META".to_owned()));
        let meta = meta.update_expression("SET people = :people");
        let people = AttributeValue::N(people.to_string());
        meta.expression_attribute_values(":people", people).send().await.unwrap();
    };
    set_participant_count(1_000).await;
    let before = world.items().await;
    bob.join(&room).await.refused(409, "conflict");
    assert_eq!(world.items().await, before);
    alice.join(&room).await.expect(200);
    set_participant_count(999).await;
    assert_eq!(bob.join(&room).await.expect(200).data()["participant_count"], 1_000);
}

#[tokio::test]
async fn names_that_look_like_a_taken_one_are_taken() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let room = create(&alice, "General\u{3164}").await.expect(201);
    assert_eq!(room.data()["name"], "General", "blanks at the ends are cut");
    for taken in [
        "General ",
        " General\n",
        "Gen\u{200b}eral",
        "G\u{435}n\u{435}ral",
        "GEN\u{415}RAL",
        "general\u{fe0f}",
        "GeneraI",
    ] {
        create(&bob, taken).await.refused(409, "already_exists");
    }
    for invalid in ["", " ", "\t", "\u{200b}", "\u{3164}", "\u{2800}", "\u{202e}evil", "a\nb", "a\u{2028}b"] {
        create(&bob, invalid).await.refused(400, "invalid_request");
    }
    let other = create(&bob, "G\u{e9}n\u{e9}ral").await.expect(201).conversation();
    bob.change(&other, &json!({"name": "G\u{435}n\u{435}ral"})).await.refused(409, "already_exists");
    // The list shows each room once, although "Room 1" is reserved as "Roorn l" as well.
    create(&bob, "Room 1").await.expect(201);
    let pages = alice.pages("/api/rooms?limit=1").await.concat();
    assert_eq!(names(&pages), ["General", "G\u{e9}n\u{e9}ral", "Room 1"]);
}

#[tokio::test]
async fn what_a_name_looks_like_moves_with_the_room() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let room = create(&alice, "Modern").await.expect(201).conversation();
    create(&bob, "Modem").await.refused(409, "already_exists");
    for name in ["Modem", "MODEM", "Rnodem", "Modern"] {
        alice.change(&room, &json!({"name": name})).await.expect(200);
        create(&bob, "Modern").await.refused(409, "already_exists");
        create(&bob, "Modem").await.refused(409, "already_exists");
    }
    alice.change(&room, &json!({"name": "Classic"})).await.expect(200);
    let second = create(&bob, "Modem").await.expect(201).conversation();
    alice.change(&room, &json!({"name": "Modern"})).await.refused(409, "already_exists");
    bob.delete(&format!("/api/rooms/{second}")).await.expect(200);
    alice.change(&room, &json!({"name": "Modern"})).await.expect(200);
}

#[tokio::test]
async fn rooms_older_than_reserved_forms_keep_their_names() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let old = create(&alice, "Modem").await.expect(201).conversation();
    for item in world.items().await {
        if item["look"]["BOOL"] == true && item["sk"]["S"].as_str().unwrap().starts_with("N#rnod") {
            let field = |name: &str| AttributeValue::S(item[name]["S"].as_str().unwrap().to_owned());
            let delete = world.database().delete_item().table_name(TABLE);
            delete.key("pk", field("pk")).key("sk", field("sk")).send().await.unwrap();
        }
    }
    create(&bob, "Rnodern").await.expect(201);
    alice.change(&old, &json!({"name": "Classic"})).await.expect(200);
    alice.delete(&format!("/api/rooms/{old}")).await.expect(200);
    create(&alice, "Rnodern").await.refused(409, "already_exists");
    assert_eq!(names(&bob.pages("/api/rooms").await.concat()), ["Rnodern"]);
}

/// Users who hide a message for themselves and leave stay in its item, which must not outgrow the database's limit.
#[tokio::test]
async fn a_message_that_a_thousand_users_have_hidden_can_still_be_edited_and_deleted() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let room = alice.room("talk").await;
    bob.join(&room).await.expect(200);
    let sent = alice.say(&room, "spam").await.expect(201).id();
    let path = format!("/api/messages/{sent}?scope=me");
    let hidden_by = |count: usize| {
        let users = (0..count).map(|n| AttributeValue::S(format!("{n:0>128}"))).collect();
        let item = world.database().update_item().table_name(TABLE);
        let item = item.key("pk", AttributeValue::S(format!("C#{room}")));
        let item = item.key("sk", AttributeValue::S(format!("M#{}", &sent[room.len()..])));
        let item =
            item.update_expression("SET hidden_by = :users").condition_expression("attribute_exists(pk)");
        item.expression_attribute_values(":users", AttributeValue::L(users)).send()
    };
    hidden_by(1_000).await.unwrap();
    bob.delete(&path).await.refused(409, "conflict");
    hidden_by(999).await.unwrap();
    bob.delete(&path).await.expect(200);
    assert!(bob.messages(&room).await.is_empty());
    alice.patch(&format!("/api/messages/{sent}"), &json!({"message_text": "ham"})).await.expect(200);
    alice.delete(&format!("/api/messages/{sent}")).await.expect(200);
}

#[tokio::test]
async fn joining_again_does_not_change_when_a_message_was_read() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let room = alice.room("talk").await;
    bob.join(&room).await.expect(200);
    let sent =
        [alice.say(&room, "one").await.expect(201).id(), alice.say(&room, "two").await.expect(201).id()];
    for id in &sent {
        bob.mark(id).await.expect(200);
    }
    let receipts =
        async |id: &str| alice.get(&format!("/api/messages/{id}/receipts")).await.expect(200).data().clone();
    let before = (receipts(&sent[0]).await, receipts(&sent[1]).await);
    for _ in 0..2 {
        bob.leave(&room).await.expect(200);
        bob.join(&room).await.expect(200);
        assert_eq!((receipts(&sent[0]).await, receipts(&sent[1]).await), before);
    }
}
