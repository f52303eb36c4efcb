//! Edits, deletions and restores of messages keep clients and the previews in their inboxes up to date.

use harness::sync::Audience;
use harness::{Actor, World};
use serde_json::{Value, json};

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// Creates three users and a conversation of Alice and Bob. Carol participates only if it is a group.
async fn conversation(world: &World, kind: &str) -> ([Actor; 3], String, Audience) {
    let people = world.users(NAMES).await;
    let [alice, bob, carol] = &people;
    let mut all = Audience::of(&[alice, bob, carol], 1).await;
    let id = match kind {
        "direct" => {
            let body = json!({"type": "direct", "participant_ids": ["bob"]});
            let opened = all.verify(alice.post("/api/conversations", &body)).await.expect(201);
            opened.data()["conversation_id"].as_str().unwrap().to_owned()
        }
        "group" => all.verify(alice.group("Trip", &["bob", "carol"])).await,
        _ => {
            let room = all.verify(alice.room("Lobby")).await;
            all.verify(bob.join(&room)).await.expect(200);
            room
        }
    };
    (people, id, all)
}

const KINDS: [&str; 3] = ["direct", "group", "room"];

/// Returns the preview of a user's only row.
async fn preview(actor: &Actor) -> Value {
    actor.inbox().await[0]["last_message"].clone()
}

#[tokio::test]
async fn edits_keep_clients_up_to_date() {
    for kind in KINDS {
        let world = World::new().await;
        let ([alice, bob, _], id, mut all) = conversation(&world, kind).await;
        let older = all.verify(alice.say(&id, "older")).await.expect(201).id();
        let newest = all.verify(alice.say(&id, "newest")).await.expect(201).id();
        all.verify(alice.edit(&newest, "edited")).await.expect(200);
        assert_eq!((preview(&alice).await, preview(&bob).await), (json!("edited"), json!("edited")));
        all.verify(alice.edit(&older, "older, edited")).await.expect(200);
        all.verify(alice.edit(&older, "older, edited twice")).await.expect(200);
        all.verify(alice.edit(&older, "older, edited twice")).await.expect(200);
        all.verify(bob.edit(&older, "not mine")).await.refused(403, "not_the_sender");
        all.verify(bob.mark(&older)).await.expect(200);
        all.verify(alice.edit(&newest, &"edited again ".repeat(20))).await.expect(200);
        let sends_and_edits = async {
            let id = alice.say(&id, "at once").await.expect(201).id();
            alice.edit(&id, "edited at once").await.expect(200);
            alice.edit(&id, "and again").await.expect(200);
        };
        all.verify(sends_and_edits).await;
        world.wire.lose_answers(1);
        all.verify(alice.edit(&newest, "lost and found")).await.expect(200);
    }
}

#[tokio::test]
async fn changes_in_a_deleted_conversation_stay_hidden() {
    for kind in KINDS {
        let world = World::new().await;
        let ([alice, bob, _], id, mut all) = conversation(&world, kind).await;
        let older = all.verify(alice.say(&id, "older")).await.expect(201).id();
        let newest = all.verify(alice.say(&id, "newest")).await.expect(201).id();
        all.verify(bob.forget(&id)).await.expect(200);
        all.verify(alice.edit(&newest, "edited")).await.expect(200);
        all.verify(alice.edit(&older, "older, edited")).await.expect(200);
        all.verify(alice.say(&id, "it returns")).await.expect(201);
        all.verify(alice.edit(&newest, "edited again")).await.expect(200);
        all.verify(alice.unsend(&older)).await.expect(200);
        all.verify(alice.unsend(&newest)).await.expect(200);
    }
}

#[tokio::test]
async fn deleting_for_everyone_keeps_clients_up_to_date() {
    for kind in KINDS {
        let world = World::new().await;
        let ([alice, bob, _], id, mut all) = conversation(&world, kind).await;
        let mut ids = Vec::new();
        for n in 0..6 {
            ids.push(all.verify(alice.say(&id, &format!("m{n}"))).await.expect(201).id());
        }
        all.verify(bob.mark(&ids[2])).await.expect(200);
        all.verify(alice.unsend(&ids[0])).await.expect(200);
        all.verify(alice.unsend(&ids[4])).await.expect(200);
        assert_eq!(bob.unread().await, 2);
        all.verify(alice.unsend(&ids[5])).await.expect(200);
        all.verify(alice.unsend(&ids[5])).await.expect(200);
        assert_eq!((bob.unread().await, preview(&bob).await), (1, json!("")));
        all.verify(alice.edit(&ids[3], "edited before")).await.expect(200);
        all.verify(alice.unsend(&ids[3])).await.expect(200);
        all.verify(alice.edit(&ids[3], "too late")).await.refused(409, "conflict");
        all.verify(bob.unsend(&ids[1])).await.refused(403, "not_the_sender");
        // No client polls between these calls.
        let unseen = async {
            let id = alice.say(&id, "never seen").await.expect(201).id();
            alice.edit(&id, "nor so").await.expect(200);
            alice.unsend(&id).await.expect(200);
            bob.say(&id[..25], "an answer").await.expect(201);
        };
        all.verify(unseen).await;
        all.verify(bob.read_all(&id)).await.expect(200);
        all.verify(alice.unsend(&ids[2])).await.expect(200);
    }
}

#[tokio::test]
async fn an_admin_can_delete_messages_of_others() {
    let world = World::new().await;
    let ([alice, bob, carol], id, mut all) = conversation(&world, "group").await;
    let message = all.verify(bob.say(&id, "hm")).await.expect(201).id();
    all.verify(carol.unsend(&message)).await.refused(403, "not_the_sender");
    all.verify(alice.unsend(&message)).await.expect(200);
}

#[tokio::test]
async fn deleting_for_oneself_keeps_clients_up_to_date() {
    for kind in KINDS {
        let world = World::new().await;
        let ([alice, bob, _], id, mut all) = conversation(&world, kind).await;
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(all.verify(alice.say(&id, &format!("m{n}"))).await.expect(201).id());
        }
        all.verify(bob.mark(&ids[0])).await.expect(200);
        all.verify(bob.hide(&ids[3])).await.expect(200);
        all.verify(bob.hide(&ids[3])).await.expect(200);
        assert_eq!((bob.unread().await, preview(&bob).await), (2, json!("m2")));
        // The preview follows the message that it shows now, and not the hidden one.
        all.verify(alice.edit(&ids[2], "m2, edited")).await.expect(200);
        all.verify(alice.edit(&ids[3], "m3, edited")).await.expect(200);
        assert_eq!((preview(&bob).await, preview(&alice).await), (json!("m2, edited"), json!("m3, edited")));
        all.verify(alice.unsend(&ids[2])).await.expect(200);
        all.verify(alice.unsend(&ids[3])).await.expect(200);
        assert_eq!((bob.unread().await, preview(&bob).await), (1, json!("")));
        all.verify(bob.hide(&ids[2])).await.expect(200);
        all.verify(bob.hide(&ids[0])).await.expect(200);
        all.verify(bob.hide(&ids[1])).await.expect(200);
        assert_eq!((bob.unread().await, preview(&bob).await), (0, Value::Null));
        let last = all.verify(alice.say(&id, "one more")).await.expect(201).id();
        all.verify(alice.hide(&last)).await.expect(200);
        all.verify(bob.read_all(&id)).await.expect(200);
        all.verify(async {
            let id = bob.say(&id, "by mistake").await.expect(201).id();
            bob.hide(&id).await.expect(200);
        })
        .await;
    }
}

#[tokio::test]
async fn hidden_messages_stay_hidden_from_clients_that_load_later() {
    for kind in KINDS {
        // With a window of 0, fresh cursors return no earlier events.
        let world = World::new().await.settling_after(0);
        let ([alice, bob, _], id, mut all) = conversation(&world, kind).await;
        let older = all.verify(alice.say(&id, "older")).await.expect(201).id();
        let newest = all.verify(alice.say(&id, "newest")).await.expect(201).id();
        for message in [&older, &newest] {
            all.verify(bob.hide(message)).await.expect(200);
            all.verify(alice.edit(message, "edited")).await.expect(200);
            all.verify(alice.unsend(message)).await.expect(200);
        }
        all.verify(alice.say(&id, "a new one")).await.expect(201);
    }
}

#[tokio::test]
async fn restoring_messages_keeps_clients_up_to_date() {
    for kind in KINDS {
        let world = World::new().await;
        let ([alice, bob, _], id, mut all) = conversation(&world, kind).await;
        let restore = async |id: &str| {
            world.app.store.restore_message(&id.parse().unwrap()).await.map(|_| ()).unwrap();
        };
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(all.verify(alice.say(&id, &format!("m{n}"))).await.expect(201).id());
        }
        all.verify(bob.mark(&ids[1])).await.expect(200);
        for nth in [0, 2, 3] {
            all.verify(alice.unsend(&ids[nth])).await.expect(200);
        }
        assert_eq!((bob.unread().await, preview(&bob).await), (0, json!("")));
        for nth in [0, 3, 2] {
            all.verify(restore(&ids[nth])).await;
        }
        assert_eq!((bob.unread().await, preview(&bob).await), (2, json!("m3")));
        all.verify(async {
            alice.unsend(&ids[2]).await.expect(200);
            restore(&ids[2]).await;
            alice.edit(&ids[2], "m2, edited").await.expect(200);
        })
        .await;
        all.verify(alice.unsend(&ids[2])).await.expect(200);
        all.verify(bob.read_all(&id)).await.expect(200);
        all.verify(restore(&ids[2])).await;
    }
}

#[tokio::test]
async fn changes_keep_clients_up_to_date_despite_clock_skew() {
    for (kind, ahead) in KINDS.into_iter().flat_map(|kind| [(kind, 4_000), (kind, -4_000)]) {
        let world = World::new().await;
        let ([alice, bob, _], id, mut all) = conversation(&world, kind).await;
        let other = world.with_clock_off_by(ahead);
        let [alice_there, bob_there] = ["alice", "bob"].map(|id| other.stranger(id));
        let first = all.verify(alice_there.say(&id, "first")).await.expect(201).id();
        let second = all.verify(bob.say(&id, "second")).await.expect(201).id();
        let third = all.verify(bob.say(&id, "third")).await.expect(201).id();
        all.verify(alice_there.edit(&first, "first, there")).await.expect(200);
        all.verify(alice.edit(&first, "first, here")).await.expect(200);
        all.verify(bob_there.unsend(&second)).await.expect(200);
        all.verify(bob.unsend(&third)).await.expect(200);
        all.verify(bob_there.hide(&first)).await.expect(200);
        all.verify(bob_there.forget(&id)).await.expect(200);
        all.verify(alice.edit(&first, "out of sight")).await.expect(200);
        all.verify(alice.say(&id, "it returns")).await.expect(201);
    }
}
