//! Groups: creation, joining and leaving, admins, and what each participant sees.

use futures_util::future::join_all;
use harness::live::Reader;
use harness::{Actor, World};
use serde_json::{Value, json};

use crate::direct::{ids, search, shown, text, texts, total};
use crate::inputs::refused_for;

/// Creates Alice, Bob and Carol, and a group of the three that Alice created.
async fn three(world: &World) -> ([Actor; 3], String) {
    let people = [world.user("alice").await, world.user("bob").await, world.user("carol").await];
    let group = people[0].group("the three", &["bob", "carol"]).await;
    (people, group)
}

async fn create(actor: &Actor, more: &Value) -> harness::Answer {
    let mut body = json!({"type": "group", "name": "a group", "participant_ids": []});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    actor.post("/api/conversations", &body).await
}

/// Returns the ids of the participants, as one of them sees them.
async fn people(actor: &Actor, conversation: &str) -> Vec<String> {
    let overview = actor.overview(conversation).await;
    let people = overview["participants"].as_array().unwrap();
    people.iter().map(|person| text(person, "user_id").to_owned()).collect()
}

/// Returns the ids of the admins.
async fn admins(actor: &Actor, conversation: &str) -> Vec<String> {
    let overview = actor.overview(conversation).await;
    let people = overview["participants"].as_array().unwrap().iter();
    people
        .filter(|person| person["is_admin"] == true)
        .map(|person| text(person, "user_id").to_owned())
        .collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| text(event, "type")).collect()
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "two snapshots")]
async fn a_group_has_these_fields() {
    let world = World::new().await;
    let ([alice, bob, _], group) = three(&world).await;
    let sent = alice.say(&group, "hello").await.expect(201);
    bob.mark(&sent.id()).await.expect(200);
    let overview = bob.overview(&group).await;
    let joined = text(&overview["participants"][0], "joined_at");
    let read = text(&overview["participants"][1], "last_read_at");
    let replaced = [
        (text(sent.data(), "id"), "<message>"),
        (group.as_str(), "<group>"),
        (text(sent.data(), "sent_at"), "<time>"),
        (joined, "<time>"),
        (read, "<time>"),
    ];
    insta::assert_snapshot!(shown(&overview, &replaced), @r#"
    {
      "conversation_id": "<group>",
      "counted_to": "<message>",
      "custom": null,
      "description": null,
      "first_mention_id": null,
      "is_admin": false,
      "is_archived": false,
      "last_message": "hello",
      "last_message_at": "<time>",
      "last_message_from_me": false,
      "last_message_id": "<message>",
      "last_message_kind": "text",
      "last_read_message_id": "<message>",
      "marked_unread": false,
      "mention_count": 0,
      "muted_until": null,
      "name": "the three",
      "notify": "all",
      "other_user_id": null,
      "other_user_name": "the three",
      "participant_count": 3,
      "participants": [
        {
          "is_admin": true,
          "joined_at": "<time>",
          "last_read_at": null,
          "last_read_message_id": null,
          "name": "Alice",
          "photo_url": null,
          "user_id": "alice"
        },
        {
          "is_admin": false,
          "joined_at": "<time>",
          "last_read_at": "<time>",
          "last_read_message_id": "<message>",
          "name": "Bob",
          "photo_url": null,
          "user_id": "bob"
        },
        {
          "is_admin": false,
          "joined_at": "<time>",
          "last_read_at": null,
          "last_read_message_id": null,
          "name": "Carol",
          "photo_url": null,
          "user_id": "carol"
        }
      ],
      "photo_url": null,
      "pinned_at": null,
      "type": "group",
      "unread_count": 0
    }
    "#);
    let mut row = overview.clone();
    for more in ["participants", "description", "custom"] {
        row.as_object_mut().unwrap().remove(more).unwrap();
    }
    assert_eq!(bob.row_of(&group).await.unwrap(), row);
    insta::assert_snapshot!(shown(sent.data(), &replaced), @r#"
    {
      "attachment_type": null,
      "attachment_url": null,
      "attachments": [],
      "client_message_id": null,
      "conversation_id": "<group>",
      "custom": null,
      "deleted_at": null,
      "edited_at": null,
      "id": "<message>",
      "is_deleted": false,
      "is_edited": false,
      "is_forwarded": false,
      "mention_all": false,
      "mentions": [],
      "message_text": "hello",
      "pinned_at": null,
      "reactions": [],
      "read": false,
      "read_at": null,
      "read_count": 0,
      "recipient_id": null,
      "reply_to": null,
      "sender_id": "alice",
      "sent_at": "<time>",
      "version": 1
    }
    "#);
}

#[tokio::test]
async fn each_named_user_participates_once() {
    let world = World::new().await;
    let ([alice, bob, _], _) = three(&world).await;
    let named = json!({"participant_ids": ["bob", "alice", "bob", "carol", "carol"]});
    let made = create(&alice, &named).await.expect(201);
    assert_eq!((&made.data()["participant_count"], &made.data()["is_admin"]), (&json!(3), &json!(true)));
    let group = made.conversation();
    assert_eq!(people(&bob, &group).await, ["alice", "bob", "carol"]);
    assert_eq!(admins(&bob, &group).await, ["alice"]);
    assert_eq!(bob.row_of(&group).await.unwrap()["participant_count"], 3);
    let alone = create(&alice, &json!({})).await.expect(201).conversation();
    assert_eq!(people(&alice, &alone).await, ["alice"]);
    alice.say(&alone, "a note").await.expect(201);
    assert_eq!((texts(&alice.messages(&alone).await), alice.unread().await), (vec!["a note"], 0));
}

#[tokio::test]
async fn a_group_is_created_whole_or_not_at_all() {
    let world = World::new().await;
    let ([alice, bob, carol], _) = three(&world).await;
    carol.block("alice").await.expect(200);
    let before = world.items().await;
    create(&alice, &json!({"participant_ids": ["bob", "nobody"]})).await.refused(404, "not_found");
    create(&alice, &json!({"participant_ids": ["bob", "carol"]})).await.refused(403, "blocked");
    assert_eq!(world.items().await, before);
    // A user who has blocked another may create a group with them.
    create(&carol, &json!({"participant_ids": ["bob", "alice"]})).await.expect(201);
    create(&alice, &json!({"participant_ids": ["bob"]})).await.expect(201);
    assert_eq!(bob.inbox().await.len(), 3);
}

#[tokio::test]
async fn a_group_has_up_to_1000_participants() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let crowd = world.crowd(1_001).await;
    let ids: Vec<&str> = crowd.iter().map(|actor| actor.id.as_str()).collect();
    refused_for(&create(&alice, &json!({"participant_ids": ids[..1_000]})).await, "participant_ids");
    assert!(alice.inbox().await.is_empty());
    let made = create(&alice, &json!({"participant_ids": ids[..995]})).await.expect(201);
    let group = made.conversation();
    assert_eq!(made.data()["participant_count"], 996);
    let before = world.items().await;
    for too_many in [&ids[995..1_000], &ids[970..1_000], &ids[995..]] {
        refused_for(&alice.add(&group, too_many).await, "user_ids");
    }
    assert!(world.items().await == before, "a refused call added participants");
    let full = alice.add(&group, &ids[970..999]).await.expect(200);
    assert_eq!(full.data()["participant_count"], 1_000);
    refused_for(&alice.add(&group, &ids[999..1_000]).await, "user_ids");
    let pages = alice.pages("/api/rooms?limit=1").await;
    assert_eq!(pages.concat().len(), 0);
    world.fan_out(&group).await;
    assert_eq!(crowd[998].row_of(&group).await.unwrap()["participant_count"], 1_000);
    assert!(crowd[999].inbox().await.is_empty());
}

#[tokio::test]
async fn participants_are_paged() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let crowd = world.crowd(120).await;
    let ids: Vec<&str> = crowd.iter().map(|actor| actor.id.as_str()).collect();
    let group = alice.group("many", &ids).await;
    let everyone: Vec<&str> = ["alice"].into_iter().chain(ids).collect();
    for (query, size) in
        [("", 100), ("?limit=100", 100), ("?limit=50", 50), ("?limit=121", 0), ("?limit=40", 40)]
    {
        let path = format!("/api/conversations/{group}");
        let first = crowd[3].get(&format!("{path}{query}")).await;
        if size == 0 {
            refused_for(&first, "limit");
            continue;
        }
        let (mut answer, mut found) = (first.expect(200), Vec::new());
        loop {
            let page = answer.data()["participants"].as_array().unwrap().clone();
            assert!(page.len() <= size);
            found.extend(page.iter().map(|person| text(person, "user_id").to_owned()));
            let Some(cursor) = answer.json["next_cursor"].as_str() else { break };
            let join = if query.is_empty() { "?" } else { &format!("{query}&") };
            let next = format!("{path}{join}cursor={cursor}");
            alice.get(&next).await.refused(400, "invalid_request");
            answer = crowd[3].get(&next).await.expect(200);
        }
        assert_eq!(found, everyone, "{query}");
    }
}

#[tokio::test]
async fn a_client_id_creates_one_group() {
    let world = World::new().await;
    let ([alice, bob, _], _) = three(&world).await;
    let named = json!({"participant_ids": ["bob"], "client_conversation_id": "g 1"});
    let racing = join_all((0..8).map(|_| create(&alice, &named))).await;
    let mut statuses: Vec<_> = racing.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201]);
    let group = racing[0].conversation();
    assert!(racing.iter().all(|answer| answer.conversation() == group));
    assert_eq!((total(&alice).await, total(&bob).await), (json!(2), json!(2)));
    // A retry returns the group as it is now, even if its other fields differ.
    alice.change(&group, &json!({"name": "renamed"})).await.expect(200);
    let retry = create(&alice, &json!({"name": "x", "client_conversation_id": "g 1"})).await.expect(200);
    assert_eq!((retry.conversation(), text(retry.data(), "name")), (group.clone(), "renamed"));
    // The same client id of another user creates another group.
    assert_ne!(create(&bob, &named).await.expect(201).conversation(), group);
    alice.leave(&group).await.expect(200);
    create(&alice, &named).await.refused(403, "not_a_participant");
}

#[tokio::test]
async fn a_large_group_is_created_once_although_its_creation_was_interrupted() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let crowd = world.crowd(80).await;
    let ids: Vec<&str> = crowd.iter().map(|actor| actor.id.as_str()).collect();
    let named = json!({"participant_ids": ids, "client_conversation_id": "g1"});
    // Interrupted after the group itself, and after each of the transactions that add further participants.
    for _ in 0..4 {
        world.wire.away_after(1);
        create(&alice, &named).await.refused(503, "unavailable");
        world.wire.heal();
    }
    let made = create(&alice, &named).await.expect(200);
    let group = made.conversation();
    world.fan_out(&group).await;
    assert_eq!(alice.pages("/api/messages/inbox").await.concat().len(), 1);
    assert_eq!(alice.overview(&group).await["participant_count"], 81);
    for actor in &crowd {
        let row = actor.row_of(&group).await.expect("everyone has a row");
        assert_eq!((&row["participant_count"], total(actor).await), (&json!(81), json!(1)), "{}", actor.id);
    }
}

#[tokio::test]
async fn a_newcomer_sees_only_later_messages() {
    let world = World::new().await;
    let ([alice, bob, _], group) = three(&world).await;
    let dave = world.user("dave").await;
    let old = alice.say(&group, "an old one").await.expect(201);
    let mut reader = Reader::new(&dave).await;
    alice.add(&group, &["dave"]).await.expect(200);
    let row = dave.row_of(&group).await.unwrap();
    assert_eq!((&row["last_message"], &row["unread_count"]), (&Value::Null, &json!(0)));
    assert!(dave.messages(&group).await.is_empty() && search(&dave, "old").await.is_empty());
    dave.mark(&old.id()).await.refused(404, "not_found");
    dave.get(&format!("/api/messages/{}/receipts", old.id())).await.refused(404, "not_found");
    dave.hide(&old.id()).await.refused(404, "not_found");
    alice.set_admin(&group, "dave", true).await.expect(200);
    dave.unsend(&old.id()).await.refused(404, "not_found");
    alice.edit(&old.id(), "an old one, edited").await.expect(200);
    let new = bob.say(&group, "a new one").await.expect(201);
    assert_eq!(texts(&dave.messages(&group).await), ["a new one"]);
    assert_eq!(dave.unread().await, 1);
    let events = reader.poll().await;
    assert_eq!(types(&events), ["conversation.created", "conversation.updated", "message.created"]);
    assert_eq!(events[2]["data"]["message"], *new.data());
    // Nor does the newcomer count among those who could read the old message.
    for actor in [&bob, &world.stranger("carol")] {
        actor.mark(&old.id()).await.expect(200);
    }
    let first = alice.messages(&group).await.remove(0);
    assert_eq!((&first["read"], &first["read_count"]), (&json!(true), &json!(2)));
}

#[tokio::test]
async fn a_former_participant_sees_nothing() {
    for crowd in [0, 23] {
        let world = World::new().await;
        let (alice, bob, carol) =
            (world.user("alice").await, world.user("bob").await, world.user("carol").await);
        let crowd = world.crowd(crowd).await;
        let others = ["bob", "carol"].into_iter().chain(crowd.iter().map(|actor| actor.id.as_str()));
        let group = alice.group("ours", &others.collect::<Vec<_>>()).await;
        let mut late = Reader::new(&bob).await;
        let sent = alice.say(&group, "between us").await.expect(201).id();
        carol.say(&group, "only us").await.expect(201);
        world.fan_out(&group).await;
        assert_eq!(bob.unread().await, 2);
        alice.remove(&group, "bob").await.expect(200);
        world.fan_out(&group).await;
        let after = alice.say(&group, "without bob, between us").await.expect(201).id();
        alice.edit(&sent, "between the rest of us").await.expect(200);
        world.fan_out(&group).await;
        assert_eq!((bob.inbox().await.len(), total(&bob).await, bob.unread().await), (0, json!(0), 0));
        assert!(search(&bob, "us").await.is_empty());
        for path in [
            format!("/api/conversations/{group}"),
            format!("/api/conversations/{group}/messages"),
            format!("/api/messages/search?q=us&conversation_id={group}"),
            format!("/api/messages/{sent}/receipts"),
            format!("/api/messages/{after}/receipts"),
        ] {
            bob.get(&path).await.refused(403, "not_a_participant");
        }
        // Earlier events no longer contain the messages, either.
        let events = late.poll().await;
        assert_eq!(types(&events[events.len() - 2..]), ["participant.left", "conversation.deleted"]);
        assert!(!types(&events).iter().any(|kind| kind.starts_with("message.")), "{events:?}");
        assert!(!format!("{events:?}").contains("us\""), "{events:?}");
        assert_eq!(people(&carol, &group).await.len(), crowd.len() + 2);
    }
}

#[tokio::test]
async fn former_participants_do_not_see_the_message_that_showed_the_row_again() {
    let world = World::new().await;
    let ([alice, bob, _], group) = three(&world).await;
    alice.say(&group, "old").await.expect(201);
    bob.delete(&format!("/api/messages/conversation/{group}")).await.expect(200);
    let mut late = Reader::new(&bob).await;
    late.poll().await;
    let new = alice.say(&group, "secret").await.expect(201);
    bob.leave(&group).await.expect(200);
    alice.edit(&new.id(), "secret, and changed since").await.expect(200);
    let events = late.poll().await;
    assert_eq!(types(&events), ["conversation.created", "participant.left", "conversation.deleted"]);
    assert_eq!(events[0]["data"]["conversation"]["last_message"], "");
}

#[tokio::test]
async fn the_last_admin_hands_over_to_the_longest_standing_participant() {
    let world = World::new().await;
    let ([alice, bob, carol], group) = three(&world).await;
    // Bob rejoins, and so has participated for a shorter time than Carol.
    bob.leave(&group).await.expect(200);
    alice.add(&group, &["bob"]).await.expect(200);
    let mut reader = Reader::new(&carol).await;
    reader.poll().await;
    alice.leave(&group).await.expect(200);
    assert_eq!(admins(&bob, &group).await, ["carol"]);
    assert_eq!(carol.row_of(&group).await.unwrap()["is_admin"], true);
    let events = reader.poll().await;
    assert_eq!(types(&events), ["participant.left", "conversation.updated", "conversation.updated"]);
    assert_eq!(events[0]["data"], json!({"user_id": "alice", "by": "alice"}));
    assert_eq!(
        (&events[1]["data"]["participant_count"], &events[2]["data"]["is_admin"]),
        (&json!(2), &json!(true))
    );
    carol.change(&group, &json!({"name": "hers"})).await.expect(200);
    // While there is another admin, no one is promoted.
    carol.set_admin(&group, "bob", true).await.expect(200);
    carol.add(&group, &["alice"]).await.expect(200);
    carol.leave(&group).await.expect(200);
    assert_eq!(admins(&alice, &group).await, ["bob"]);
}

#[tokio::test]
async fn the_last_participant_can_leave() {
    let world = World::new().await;
    let ([alice, bob, carol], group) = three(&world).await;
    for actor in [&carol, &alice, &bob] {
        actor.leave(&group).await.expect(200);
        actor.leave(&group).await.refused(403, "not_a_participant");
    }
    for actor in [&alice, &bob, &carol] {
        assert_eq!((actor.inbox().await.len(), total(actor).await), (0, json!(0)));
    }
}

#[tokio::test]
async fn a_group_keeps_an_admin() {
    let world = World::new().await;
    let ([alice, bob, _], group) = three(&world).await;
    alice.set_admin(&group, "alice", false).await.refused(409, "conflict");
    alice.set_admin(&group, "bob", true).await.expect(200);
    alice.set_admin(&group, "bob", true).await.expect(200);
    let both = tokio::join!(alice.set_admin(&group, "bob", false), bob.set_admin(&group, "alice", false));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!((statuses, admins(&alice, &group).await.len()), ([200, 403], 1));
}

#[tokio::test]
async fn adding_participants_again_changes_nothing() {
    let world = World::new().await;
    let ([alice, _, _], group) = three(&world).await;
    world.user("dave").await;
    let before = world.items().await;
    for participants in [&["bob"][..], &["carol", "bob", "alice"], &[]] {
        alice.add(&group, participants).await.expect(200);
    }
    assert_eq!(world.items().await, before);
    let added = alice.add(&group, &["bob", "dave", "dave"]).await.expect(200);
    assert_eq!(added.data()["participant_count"], 4);
}

#[tokio::test]
async fn joining_and_leaving_send_events_to_all() {
    let world = World::new().await;
    let ([alice, bob, _], group) = three(&world).await;
    let dave = world.user("dave").await;
    let (mut his, mut theirs) = (Reader::new(&dave).await, Reader::new(&bob).await);
    theirs.poll().await;
    alice.add(&group, &["dave"]).await.expect(200);
    let events = theirs.poll().await;
    assert_eq!(types(&events), ["participant.joined", "conversation.updated"]);
    assert_eq!(events[0]["data"], json!({"user_id": "dave", "by": "alice"}));
    assert_eq!(events[1]["data"]["participant_count"], 4);
    let events = his.poll().await;
    assert_eq!(types(&events), ["conversation.created"]);
    assert_eq!(Some(&events[0]["data"]["conversation"]), dave.row_of(&group).await.as_ref());
    alice.remove(&group, "dave").await.expect(200);
    let events = theirs.poll().await;
    assert_eq!(types(&events), ["participant.left", "conversation.updated"]);
    assert_eq!(events[0]["data"], json!({"user_id": "dave", "by": "alice"}));
    assert_eq!(types(&his.poll().await), ["participant.left", "conversation.deleted"]);
}

#[tokio::test]
async fn an_admin_changes_name_description_and_photo() {
    let world = World::new().await;
    let ([alice, bob, _], group) = three(&world).await;
    let mut reader = Reader::new(&bob).await;
    reader.poll().await;
    let photo = "https://a.example/us.png";
    let custom = json!({"season": 1e-7, "route": ["a", {"b": null}]});
    let all = json!({"name": "N".repeat(100), "description": "d", "photo_url": photo, "custom": custom});
    let changed = alice.change(&group, &all).await.expect(200);
    assert_eq!((&changed.data()["name"], &changed.data()["photo_url"]), (&all["name"], &all["photo_url"]));
    let seen = bob.overview(&group).await;
    assert_eq!((&seen["description"], &seen["custom"]), (&json!("d"), &custom));
    let row = bob.row_of(&group).await.unwrap();
    assert_eq!((&row["name"], &row["photo_url"]), (&all["name"], &all["photo_url"]));
    // Repeating the same values changes nothing, nor does an empty change.
    let before = world.items().await;
    for again in [&all, &json!({}), &json!({"name": null})] {
        alice.change(&group, again).await.expect(200);
    }
    assert_eq!(world.items().await, before);
    alice.change(&group, &json!({"photo_url": null})).await.expect(200);
    alice.change(&group, &json!({"description": null, "name": "x", "custom": null})).await.expect(200);
    let overview = bob.overview(&group).await;
    assert_eq!(
        (&overview["description"], &overview["photo_url"], &overview["custom"], text(&overview, "name")),
        (&Value::Null, &Value::Null, &Value::Null, "x")
    );
    for wrong in [json!([1]), json!("text"), json!({"text": "x".repeat(1_024)})] {
        alice.change(&group, &json!({"custom": wrong})).await.refused(400, "invalid_request");
    }
    let events = reader.poll().await;
    let changes: Vec<Value> = events
        .iter()
        .map(|event| {
            let mut data = event["data"].clone();
            assert!(data.as_object_mut().unwrap().remove("version").unwrap().is_u64());
            data
        })
        .collect();
    let named = |mut change: Value| {
        change["other_user_name"] = change["name"].clone();
        change
    };
    let renamed = named(json!({"description": null, "name": "x", "custom": null}));
    assert_eq!(changes, [named(all), json!({"photo_url": null}), renamed]);
    assert!(events.iter().map(|event| event["data"]["version"].as_u64()).is_sorted_by(|a, b| a < b));
}

#[tokio::test]
async fn typing_reaches_the_others_of_a_small_group() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let crowd = world.crowd(24).await;
    let ids: Vec<&str> = crowd.iter().map(|actor| actor.id.as_str()).collect();
    let (small, large) = (alice.group("24", &ids[1..]).await, alice.group("25", &ids).await);
    let signal = async |group: &str| {
        let body = json!({"conversation_id": group, "is_typing": true});
        crowd[1].post("/api/typing", &body).await.expect(200);
    };
    let mut readers = Vec::new();
    for actor in [&alice, &crowd[1], &crowd[23]] {
        readers.push(Reader::new(actor).await);
        readers.last_mut().unwrap().poll().await;
    }
    signal(&large).await;
    signal(&small).await;
    let mut received = Vec::new();
    for reader in &mut readers {
        let events = reader.poll().await;
        received
            .push(events.iter().map(|event| text(event, "conversation_id").to_owned()).collect::<Vec<_>>());
    }
    assert_eq!(received, [vec![small.clone()], vec![], vec![small]]);
}

#[tokio::test]
async fn reads_send_events_in_groups_of_up_to_8_and_are_counted_up_to_100() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    let crowd = world.crowd(100).await;
    let ids: Vec<&str> = crowd.iter().map(|actor| actor.id.as_str()).collect();
    for (others, sends_events, is_counted) in
        [(2, true, true), (7, true, true), (8, false, true), (99, false, true), (100, false, false)]
    {
        let group = alice.group("readers", &ids[..others]).await;
        let sent = alice.say(&group, "hello").await.expect(201);
        world.fan_out(&group).await;
        let mut reader = Reader::new(&alice).await;
        reader.poll().await;
        let mut own = Reader::new(&crowd[0]).await;
        own.poll().await;
        crowd[0].mark(&sent.id()).await.expect(200);
        crowd[1].put(&format!("/api/conversations/{group}/read")).await.expect(200);
        let events = reader.poll().await;
        assert_eq!(types(&events), if sends_events { vec!["message.read"; 2] } else { vec![] }, "{others}");
        assert!(events.iter().all(|event| event["data"]["unread_count"].is_null()));
        let events = own.poll().await;
        assert_eq!(events[0]["data"]["unread_count"], 0);
        let message = alice.messages(&group).await.remove(0);
        let count = if is_counted { json!(2) } else { Value::Null };
        assert_eq!((&message["read_count"], &message["read"]), (&count, &json!(others == 2)), "{others}");
        assert_eq!(message["read_at"], Value::Null);
        let receipts = alice.get(&format!("/api/messages/{}/receipts", sent.id())).await.expect(200);
        let readers: Vec<_> = receipts.list().iter().map(|receipt| text(receipt, "user_id")).collect();
        assert_eq!(readers, ids[..2], "{others}");
    }
}

#[tokio::test]
async fn receipts_come_from_the_first_move_past_a_message() {
    let world = World::new().await;
    let ([alice, bob, carol], group) = three(&world).await;
    let mut sent = Vec::new();
    for text in ["one", "two", "three"] {
        sent.push(alice.say(&group, text).await.expect(201).id());
    }
    carol.mark(&sent[0]).await.expect(200);
    bob.mark(&sent[1]).await.expect(200);
    carol.mark(&sent[2]).await.expect(200);
    let receipts = async |message: &str| {
        let answer = bob.get(&format!("/api/messages/{message}/receipts")).await.expect(200);
        answer.list().iter().map(|receipt| text(receipt, "user_id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(receipts(&sent[0]).await, ["carol", "bob"]);
    assert_eq!(receipts(&sent[1]).await, ["bob", "carol"]);
    assert_eq!(receipts(&sent[2]).await, ["carol"]);
    let page = bob.messages(&group).await;
    let counts: Vec<_> = page.iter().map(|message| message["read_count"].as_u64().unwrap()).collect();
    assert_eq!((counts, ids(&page)), (vec![2, 2, 1], sent.iter().map(String::as_str).collect()));
    // However often others have read since, each reader's first move is one read.
    for n in 0..60 {
        let id = alice.say(&group, &format!("{n}")).await.expect(201).id();
        bob.mark(&id).await.expect(200);
    }
    let last = alice.say(&group, "last").await.expect(201).id();
    carol.mark(&last).await.expect(200);
    let answer = alice.get(&format!("/api/messages/{}/receipts", sent[2])).await.expect(200);
    assert_eq!(answer.list().len(), 2);
    assert!(answer.cost("rcu") <= 6.0 && answer.cost("depth") <= 3.0, "{answer:?}");
    // A user who has left no longer counts among those who could read a message.
    bob.leave(&group).await.expect(200);
    assert!(carol.messages(&group).await.iter().all(|message| message["read"] == true));
}
