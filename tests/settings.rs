//! A user's own settings of a conversation (muted, notification level, pinned, archived), and marking as unread.

use futures_util::future::join_all;
use harness::sync::Audience;
use harness::{Actor, World};
use serde_json::{Value, json};

use crate::direct::text;

/// Creates users who each send Alice a message. Returns Alice, them, and the conversations.
async fn crowd(world: &World, names: &[&str]) -> (Actor, Vec<Actor>, Vec<String>) {
    let alice = world.user("alice").await;
    let (mut others, mut conversations) = (Vec::new(), Vec::new());
    for name in names {
        let other = world.user(name).await;
        conversations.push(other.send("alice", &format!("from {name}")).await.expect(201).conversation());
        others.push(other);
    }
    (alice, others, conversations)
}

/// Returns whom the rows are of.
fn peers(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| text(row, "other_user_id")).collect()
}

async fn total(actor: &Actor, query: &str) -> u64 {
    let answer = actor.get(&format!("/api/messages/inbox?limit=1&{query}")).await.expect(200);
    answer.json["total"].as_u64().unwrap()
}

/// Returns the unread messages and conversations, and those of them that are neither muted nor archived.
async fn unread(actor: &Actor) -> [u64; 4] {
    let counts = actor.get("/api/messages/unread-count").await.expect(200);
    ["unread_count", "conversations", "unmuted_unread_count", "unmuted_conversations"]
        .map(|field| counts.data()[field].as_u64().unwrap())
}

#[tokio::test]
async fn pinned_conversations_come_first_in_the_order_of_pinning() {
    let world = World::new().await;
    let (alice, others, ids) = crowd(&world, &["c0", "c1", "c2", "c3"]).await;
    for n in [1, 0] {
        let row = alice.set(&ids[n], &json!({"pinned": true})).await.expect(200);
        assert!(row.data()["pinned_at"].is_string() && row.data()["is_archived"] == false, "{row:?}");
    }
    assert_eq!(peers(&alice.inbox().await), ["c1", "c0", "c3", "c2"]);
    others[2].send("alice", "again").await.expect(201);
    others[0].send("alice", "again").await.expect(201);
    assert_eq!(peers(&alice.inbox().await), ["c1", "c0", "c2", "c3"], "a message moves no pinned row");
    let pages = alice.pages("/api/messages/inbox?limit=1").await.concat();
    assert_eq!(peers(&pages), ["c1", "c0", "c2", "c3"]);
    let before = alice.row("c1").await.unwrap();
    let again = alice.set(&ids[1], &json!({"pinned": true})).await.expect(200);
    assert_eq!(again.data()["pinned_at"], before["pinned_at"], "pinning again changes nothing");
    let row = alice.set(&ids[0], &json!({"pinned": false})).await.expect(200);
    assert_eq!(row.data()["pinned_at"], Value::Null);
    assert_eq!(peers(&alice.inbox().await), ["c1", "c0", "c2", "c3"], "back at its latest message");
    assert_eq!(total(&alice, "").await, 4);
}

#[tokio::test]
async fn a_row_without_messages_keeps_its_time_while_it_is_pinned_or_archived() {
    let world = World::new().await;
    let [alice, _] = [world.user("alice").await, world.user("bob").await];
    let id = alice.group("Trip", &["bob"]).await;
    let made = alice.row_of(&id).await.unwrap()["last_message_at"].clone();
    assert!(made.is_string());
    for change in [
        json!({"pinned": true}),
        json!({"pinned": false}),
        json!({"archived": true}),
        json!({"archived": false}),
    ] {
        let row = alice.set(&id, &change).await.expect(200);
        assert_eq!(row.data()["last_message_at"], made, "{change}");
    }
    assert_eq!(alice.row_of(&id).await.unwrap()["last_message_at"], made);
}

#[tokio::test]
async fn at_most_ten_conversations_are_pinned_however_many_calls_race() {
    let world = World::new().await;
    let names: Vec<String> = (0..13).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (alice, _, ids) = crowd(&world, &names).await;
    let pin = json!({"pinned": true});
    let answers = join_all(ids.iter().map(|id| alice.set(id, &pin))).await;
    let accepted = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(accepted, 10, "{answers:?}");
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.refused(409, "conflict");
    }
    // Deleting, leaving and unpinning free a place; archiving does, too.
    let pinned: Vec<String> =
        alice.inbox().await.iter().take(10).map(|row| text(row, "conversation_id").to_owned()).collect();
    alice.forget(&pinned[0]).await.expect(200);
    alice.set(&pinned[1], &json!({"archived": true})).await.expect(200);
    alice.set(&pinned[2], &json!({"pinned": false})).await.expect(200);
    let free: Vec<&String> = ids.iter().filter(|id| !pinned.contains(id)).collect();
    for id in free {
        alice.set(id, &pin).await.expect(200);
    }
    alice.set(&pinned[2], &pin).await.refused(409, "conflict");
    assert_eq!((total(&alice, "").await, total(&alice, "archived=true").await), (11, 1));
}

#[tokio::test]
async fn archived_conversations_come_back_with_a_message_unless_muted() {
    let world = World::new().await;
    let (alice, others, ids) = crowd(&world, &["bob", "carol"]).await;
    for id in &ids {
        assert_eq!(alice.set(id, &json!({"archived": true})).await.expect(200).data()["is_archived"], true);
    }
    alice.set(&ids[1], &json!({"muted_until": "always"})).await.expect(200);
    assert_eq!((peers(&alice.inbox().await), alice.archive().await.len()), (vec![], 2));
    assert_eq!((total(&alice, "").await, total(&alice, "archived=true").await), (0, 2));
    assert_eq!(unread(&alice).await, [2, 2, 0, 0]);
    for other in &others {
        other.send("alice", "hello?").await.expect(201);
    }
    assert_eq!(peers(&alice.inbox().await), ["bob"]);
    assert_eq!(peers(&alice.archive().await), ["carol"]);
    assert_eq!((total(&alice, "").await, total(&alice, "archived=true").await), (1, 1));
    assert_eq!(unread(&alice).await, [4, 2, 2, 1]);
    alice.set(&ids[1], &json!({"archived": false, "muted_until": null})).await.expect(200);
    assert_eq!(peers(&alice.inbox().await), ["carol", "bob"]);
    assert_eq!(unread(&alice).await, [4, 2, 4, 2]);
    // One's own message brings it back as well, with its unread messages.
    alice.set(&ids[0], &json!({"archived": true})).await.expect(200);
    assert_eq!(unread(&alice).await, [4, 2, 2, 1]);
    alice.send("bob", "back").await.expect(201);
    assert_eq!((peers(&alice.inbox().await), alice.archive().await.len()), (vec!["bob", "carol"], 0));
    assert_eq!(unread(&alice).await, [4, 2, 4, 2]);
}

#[tokio::test]
async fn a_mute_ends_by_itself() {
    let world = World::new().await;
    let (alice, others, ids) = crowd(&world, &["bob"]).await;
    let until = world.app.store.now().millis() + 60_000;
    let until = domain::time::Timestamp::from_millis(until).to_string();
    let change = json!({"archived": true, "muted_until": until});
    let row = alice.set(&ids[0], &change).await.expect(200);
    assert_eq!((&row.data()["muted_until"], &row.data()["is_archived"]), (&json!(until), &json!(true)));
    others[0].send("alice", "stays").await.expect(201);
    assert_eq!((alice.inbox().await.len(), alice.archive().await.len()), (0, 1));
    assert_eq!(unread(&alice).await, [2, 1, 0, 0]);
    let later = world.with_clock_off_by(61_000);
    let alice = later.user("alice").await;
    later.user("bob").await.send("alice", "returns").await.expect(201);
    assert_eq!((alice.inbox().await.len(), alice.archive().await.len()), (1, 0));
    assert_eq!(unread(&alice).await, [3, 1, 3, 1]);
    let past = json!({"muted_until": "2020-01-01T00:00:00Z"});
    assert_eq!(alice.set(&ids[0], &past).await.expect(200).data()["muted_until"], Value::Null);
}

#[tokio::test]
async fn settings_are_for_the_caller_alone_and_end_with_the_row() {
    let world = World::new().await;
    let (alice, others, ids) = crowd(&world, &["bob"]).await;
    let change = json!({"muted_until": "always", "notify": "none", "pinned": true});
    let row = alice.set(&ids[0], &change).await.expect(200).data().clone();
    assert_eq!((&row["muted_until"], &row["notify"]), (&json!("always"), &json!("none")));
    assert_eq!(alice.row("bob").await.unwrap(), row);
    let theirs = others[0].row("alice").await.unwrap();
    assert_eq!((&theirs["muted_until"], &theirs["notify"]), (&Value::Null, &json!("all")));
    alice.forget(&ids[0]).await.expect(200);
    alice.set(&ids[0], &change).await.refused(403, "not_a_participant");
    others[0].send("alice", "anew").await.expect(201);
    let row = alice.row("bob").await.unwrap();
    assert_eq!(
        (&row["muted_until"], &row["notify"], &row["pinned_at"]),
        (&Value::Null, &json!("all"), &Value::Null)
    );
    let room = alice.room("Lobby").await;
    assert_eq!(alice.row_of(&room).await.unwrap()["notify"], "mentions");
    world.user("carol").await.set(&ids[0], &change).await.refused(403, "not_a_participant");
}

#[tokio::test]
async fn malformed_settings_are_refused() {
    let world = World::new().await;
    let (alice, _, ids) = crowd(&world, &["bob"]).await;
    for change in [
        json!({}),
        json!({"pinned": true, "archived": true}),
        json!({"pinned": null}),
        json!({"notify": "loud"}),
        json!({"muted_until": "tomorrow"}),
        json!({"muted_until": 5}),
        json!({"archived": "yes"}),
        json!({"color": "red"}),
    ] {
        alice.set(&ids[0], &change).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn settings_reach_the_callers_other_devices() {
    let world = World::new().await;
    let (alice, others, ids) = crowd(&world, &["bob", "carol"]).await;
    let (bob, carol) = (&others[0], &others[1]);
    let mut all = Audience::of(&[&alice, bob, carol], 7).await;
    for change in [
        json!({"muted_until": "always"}),
        json!({"pinned": true}),
        json!({"notify": "mentions"}),
        json!({"archived": true}),
        json!({"muted_until": null}),
        json!({"archived": false}),
        json!({"archived": true}),
    ] {
        all.verify(alice.set(&ids[0], &change)).await.expect(200);
    }
    all.verify(bob.send("alice", "brings it back")).await.expect(201);
    all.verify(alice.set(&ids[0], &json!({"archived": true, "muted_until": "always"}))).await.expect(200);
    all.verify(bob.send("alice", "does not")).await.expect(201);
    world.wire.lose_answers(1);
    all.verify(alice.set(&ids[1], &json!({"pinned": true}))).await.expect(200);
    all.verify(alice.forget(&ids[0])).await.expect(200);
}

#[tokio::test]
async fn settings_race_with_messages() {
    let world = World::new().await;
    let (alice, others, ids) = crowd(&world, &["bob"]).await;
    let mut all = Audience::of(&[&alice, &others[0]], 3).await;
    for round in 0..12 {
        let change = [
            json!({"archived": true}),
            json!({"pinned": true}),
            json!({"archived": true, "muted_until": "always"}),
            json!({"muted_until": null, "archived": false, "pinned": false}),
        ];
        let race = async {
            let set = alice.set(&ids[0], &change[round % 4]);
            let sends = join_all((0..3).map(|n| others[0].send("alice", ["a", "b", "c"][n])));
            let (set, sends) = tokio::join!(set, sends);
            set.expect(200);
            for sent in sends {
                drop(sent.expect(201));
            }
        };
        all.verify(race).await;
        let (inbox, archive) = (alice.inbox().await, alice.archive().await);
        assert_eq!(inbox.len() + archive.len(), 1);
        assert_eq!(
            (total(&alice, "").await, total(&alice, "archived=true").await),
            (inbox.len() as u64, archive.len() as u64)
        );
    }
}

#[tokio::test]
async fn what_was_read_can_be_marked_as_unread() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let mut all = Audience::of(&[&alice, &bob], 5).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(all.verify(alice.send("bob", &format!("m{n}"))).await.expect(201).id());
    }
    all.verify(bob.mark(&ids[4])).await.expect(200);
    let receipts = alice.get(&format!("/api/messages/{}/receipts", ids[3])).await.expect(200).data().clone();
    let marked = all.verify(bob.mark_unread(&ids[2])).await.expect(200);
    assert_eq!((&marked.data()["message_id"], &marked.data()["unread_count"]), (&json!(ids[4]), &json!(3)));
    let row = bob.row("alice").await.unwrap();
    assert_eq!((&row["marked_unread"], &row["unread_count"]), (&json!(true), &json!(3)));
    assert!(alice.history("bob").await.iter().all(|message| message["read"] == true), "the ticks stay");
    let same = alice.get(&format!("/api/messages/{}/receipts", ids[3])).await.expect(200).data().clone();
    assert_eq!(same, receipts);
    all.verify(alice.send("bob", "one more")).await.expect(201);
    all.verify(bob.send("alice", "sending does not mark as read")).await.expect(201);
    assert_eq!(
        (bob.unread().await, bob.row("alice").await.unwrap()["marked_unread"].clone()),
        (4, json!(true))
    );
    all.verify(alice.unsend(&ids[3])).await.expect(200);
    all.verify(bob.hide(&ids[2])).await.expect(200);
    assert_eq!(bob.unread().await, 2);
    all.verify(bob.mark_unread(&ids[4])).await.expect(200);
    assert_eq!(bob.unread().await, 2);
    // Marking what was read before is enough to end it.
    all.verify(bob.mark(&ids[0])).await.expect(200);
    let row = bob.row("alice").await.unwrap();
    assert_eq!((&row["marked_unread"], &row["unread_count"]), (&json!(false), &json!(1)));
    all.verify(bob.mark_unread(&ids[1])).await.expect(200);
    all.verify(bob.read_all(text(&row, "conversation_id"))).await.expect(200);
    let row = bob.row("alice").await.unwrap();
    assert_eq!((&row["marked_unread"], &row["unread_count"]), (&json!(false), &json!(0)));
    // A page that marks as read ends it as well.
    all.verify(bob.mark_unread(&ids[1])).await.expect(200);
    assert_eq!(bob.unread().await, 3);
    all.verify(bob.get("/api/messages/conversation/alice")).await.expect(200);
    assert_eq!(
        (bob.unread().await, bob.row("alice").await.unwrap()["marked_unread"].clone()),
        (0, json!(false))
    );
}

#[tokio::test]
async fn marking_as_unread_before_anything_was_read_changes_no_count() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let mut all = Audience::of(&[&alice, &bob], 5).await;
    let first = all.verify(alice.send("bob", "one")).await.expect(201).id();
    let second = all.verify(alice.send("bob", "two")).await.expect(201).id();
    let marked = all.verify(bob.mark_unread(&second)).await.expect(200);
    assert_eq!((&marked.data()["message_id"], &marked.data()["unread_count"]), (&Value::Null, &json!(2)));
    let carol = world.user("carol").await;
    carol.mark_unread(&first).await.refused(403, "not_a_participant");
    let missing = format!("{}{}", &first[..25], &first[25..].chars().rev().collect::<String>());
    assert!([400, 404].contains(&bob.mark_unread(&missing).await.status));
    // Of one's own message: nothing counts, and the row is marked all the same.
    let own = all.verify(bob.send("alice", "mine")).await.expect(201).id();
    all.verify(bob.read_all(&own[..25])).await.expect(200);
    all.verify(bob.mark_unread(&own)).await.expect(200);
    let row = bob.row("alice").await.unwrap();
    assert_eq!((&row["marked_unread"], &row["unread_count"]), (&json!(true), &json!(0)));
}

#[tokio::test]
async fn marking_as_unread_is_exact_beside_sends_deletions_and_marks() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let mut all = Audience::of(&[&alice, &bob], 11).await;
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(alice.send("bob", &format!("m{n}")).await.expect(201).id());
    }
    for round in 0..8 {
        let race = async {
            tokio::join!(
                bob.mark_unread(&ids[(round * 3) % 8]),
                alice.send("bob", "beside"),
                alice.unsend(&ids[round]),
                bob.mark(&ids[(round * 5) % 8]),
            )
        };
        let (unread, sent, ..) = all.verify(race).await;
        unread.expect(200);
        ids.push(sent.expect(201).id());
        let row = bob.row("alice").await.unwrap();
        let marked = bob.mark_unread(&ids[0]).await.expect(200).data()["unread_count"].clone();
        let living =
            bob.history("alice").await.iter().filter(|message| message["is_deleted"] == false).count();
        assert_eq!(marked, living, "{row}");
    }
}

#[tokio::test]
async fn settings_cost_what_the_budget_allows() {
    let world = World::new().await;
    let (alice, others, ids) = crowd(&world, &["bob"]).await;
    let cost = |answer: &harness::Answer| ["depth", "rcu", "wcu"].map(|figure| answer.cost(figure));
    alice.read_all(&ids[0]).await.expect(200);
    for (change, wcu) in [
        (json!({"muted_until": "always"}), 6.0),
        (json!({"notify": "none", "muted_until": null}), 6.0),
        (json!({"pinned": true}), 8.0),
        (json!({"pinned": false}), 8.0),
        (json!({"archived": true}), 8.0),
        (json!({"archived": false}), 8.0),
    ] {
        let answer = alice.set(&ids[0], &change).await.expect(200);
        let cost = cost(&answer);
        assert!(cost[0] <= 1.0 && cost[1] <= 1.0 && cost[2] <= wcu, "{change}: {cost:?}");
    }
    let id = others[0].send("alice", "hello").await.expect(201).id();
    alice.read_all(&ids[0]).await.expect(200);
    let answer = alice.mark_unread(&id).await.expect(200);
    let cost = cost(&answer);
    assert!(cost[0] <= 3.0 && cost[1] <= 3.0 && cost[2] <= 8.0, "{cost:?}");
    // A pinned row and a muted one in the archive keep their places, so a send costs less than usual.
    alice.set(&ids[0], &json!({"archived": true, "muted_until": "always"})).await.expect(200);
    let sent = others[0].send("alice", "hello").await.expect(201);
    assert!(sent.cost("depth") <= 1.0 && sent.cost("wcu") <= 16.0, "{}", sent.cost("wcu"));
}
