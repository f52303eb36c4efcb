//! Editing messages, deleting them for everyone or for oneself, and restoring them.

use harness::live::Reader;
use harness::process::{Server, binary, token};
use harness::{Actor, Answer, World};
use serde_json::{Value, json};

use crate::direct::{another_message, search, text, texts};
use crate::durability::{call, history};
use crate::inputs::refused_for;

const DAY: i64 = 24 * 3_600 * 1_000;

/// The kinds of conversations in which messages are changed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Direct,
    Group,
    LargeGroup,
}

const KINDS: [Kind; 3] = [Kind::Direct, Kind::Group, Kind::LargeGroup];

/// Creates a conversation of Alice and Bob with one message, "first" by Bob, which Alice has read.
async fn create_conversation(world: &World, kind: Kind) -> (Actor, Actor, String) {
    let (alice, bob) = world.two().await;
    let crowd = world.crowd(if kind == Kind::LargeGroup { 24 } else { 1 }).await;
    let crowd: Vec<&str> = crowd.iter().map(|actor| actor.id.as_str()).collect();
    let conversation = if kind == Kind::Direct {
        bob.send("alice", "first").await.expect(201).conversation()
    } else {
        let group = alice.group("g", &[&["bob"][..], &crowd].concat()).await;
        bob.say(&group, "first").await.expect(201);
        group
    };
    world.fan_out(&conversation).await;
    alice.put(&format!("/api/conversations/{conversation}/read")).await.expect(200);
    (alice, bob, conversation)
}

async fn restore(world: &World, id: &str) -> bool {
    world.app.store.restore_message(&id.parse().unwrap()).await.is_ok()
}

async fn preview(actor: &Actor, conversation: &str) -> Value {
    actor.row_of(conversation).await.unwrap()["last_message"].clone()
}

#[track_caller]
fn assert_text(answer: &Answer, text: &str, version: u64) {
    let message = answer.data();
    assert_eq!(
        (&message["message_text"], &message["version"]),
        (&json!(text), &json!(version)),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_edit_shows_everywhere() {
    for kind in KINDS {
        let world = World::new().await;
        let (alice, bob, conversation) = create_conversation(&world, kind).await;
        let mut reader = Reader::new(&bob).await;
        reader.poll().await;
        let sent = alice.say(&conversation, "the old words").await.expect(201);
        let edited = alice.edit(&sent.id(), "the new words").await.expect(200);
        world.fan_out(&conversation).await;
        assert_text(&edited, "the new words", 2);
        let message = edited.data();
        assert_eq!((&message["is_edited"], &message["sent_at"]), (&json!(true), &sent.data()["sent_at"]));
        assert!(text(message, "edited_at") >= text(message, "sent_at"));
        for actor in [&alice, &bob] {
            assert_eq!(actor.messages(&conversation).await[1], *message, "{kind:?}");
            assert_eq!(preview(actor, &conversation).await, "the new words", "{kind:?}");
            assert!(search(actor, "old").await.is_empty());
            assert_eq!(texts(&search(actor, "new").await), ["the new words"]);
        }
        assert_eq!(bob.unread().await, 1);
        let events = reader.poll().await;
        assert_eq!(events.last().unwrap()["data"]["message"], *message, "{kind:?}");
        assert!(!json!(events).to_string().contains("old"), "{kind:?} {events:?}");
        // The same text again changes nothing.
        let before = world.items().await;
        assert_text(&alice.edit(&sent.id(), "the new words").await.expect(200), "the new words", 2);
        assert!(world.items().await == before);
        assert_text(&alice.edit(&sent.id(), "the newest").await.expect(200), "the newest", 3);
    }
}

#[tokio::test]
async fn an_edit_of_an_older_message_keeps_the_preview() {
    for kind in KINDS {
        let world = World::new().await;
        let (alice, bob, conversation) = create_conversation(&world, kind).await;
        let sent = alice.say(&conversation, "one").await.expect(201);
        bob.say(&conversation, "two").await.expect(201);
        alice.edit(&sent.id(), "one, edited").await.expect(200);
        world.fan_out(&conversation).await;
        for actor in [&alice, &bob] {
            assert_eq!(preview(actor, &conversation).await, "two");
            assert_eq!(texts(&actor.messages(&conversation).await), ["first", "one, edited", "two"]);
        }
    }
}

#[tokio::test]
async fn edits_are_validated() {
    let world = World::new().await;
    let (alice, bob, conversation) = create_conversation(&world, Kind::Direct).await;
    let plain = alice.say(&conversation, "x").await.expect(201).id();
    let body = json!({"conversation_id": conversation, "message_text": "x", "attachment_url": "https://a.example/c.png"});
    let picture = alice.post("/api/messages/send", &body).await.expect(201).id();
    let before = world.items().await;
    for message in [&plain, &picture] {
        refused_for(&alice.edit(message, &"x".repeat(10_001)).await, "message_text");
        let path = format!("/api/messages/{message}");
        for bad in
            [json!({}), json!({"message_text": null}), json!({"message_text": 7}), json!({"text": "x"})]
        {
            alice.patch(&path, &bad).await.refused(400, "invalid_request");
        }
        let more = json!({"message_text": "y", "attachment_url": null});
        alice.patch(&path, &more).await.refused(400, "invalid_request");
    }
    refused_for(&alice.edit(&plain, "").await, "message_text");
    alice.edit(&another_message(&plain), "y").await.refused(404, "not_found");
    assert!(world.items().await == before);
    assert_text(&alice.edit(&plain, &"😀".repeat(10_000)).await.expect(200), &"😀".repeat(10_000), 2);
    let cleared = alice.edit(&picture, "").await.expect(200);
    assert_text(&cleared, "", 2);
    assert_eq!(text(cleared.data(), "attachment_url"), "https://a.example/c.png");
    alice.unsend(&plain).await.expect(200);
    alice.edit(&plain, "y").await.refused(409, "conflict");
    bob.block("alice").await.expect(200);
    alice.edit(&picture, "y").await.refused(403, "blocked");
    bob.unblock("alice").await.expect(200);
    assert_text(&alice.edit(&picture, "y").await.expect(200), "y", 3);
}

#[tokio::test]
async fn a_deleted_message_is_gone_everywhere() {
    for kind in KINDS {
        for edited in [false, true] {
            let world = World::new().await;
            let (alice, bob, conversation) = create_conversation(&world, kind).await;
            // Bob's row is hidden, so that it reappears with the message.
            bob.delete(&format!("/api/messages/conversation/{conversation}")).await.expect(200);
            let mut readers = [Reader::new(&alice).await, Reader::new(&bob).await];
            for reader in &mut readers {
                reader.poll().await;
            }
            let body = json!({
                "conversation_id": conversation, "message_text": "secret",
                "attachment_url": "https://a.example/secret.png", "attachment_type": "secret/png",
            });
            let sent = alice.post("/api/messages/send", &body).await.expect(201).id();
            if edited {
                alice.edit(&sent, "secret again").await.expect(200);
                alice.edit(&sent, "secret at last").await.expect(200);
            }
            world.fan_out(&conversation).await;
            assert_eq!(bob.unread().await, 1);
            let deleted = alice.unsend(&sent).await.expect(200);
            world.fan_out(&conversation).await;
            assert_text(&deleted, "", if edited { 4 } else { 2 });
            assert_eq!(deleted.data()["is_deleted"], true);
            assert!(deleted.data()["deleted_at"].is_string());
            for (actor, reader) in [&alice, &bob].into_iter().zip(&mut readers) {
                let page = actor.messages(&conversation).await;
                assert_eq!(page.last(), Some(deleted.data()), "the message keeps its place");
                assert_eq!((preview(actor, &conversation).await, actor.unread().await), (json!(""), 0));
                assert!(search(actor, "secret").await.is_empty());
                let events = reader.poll().await;
                let (gone, before) = events.split_last().unwrap();
                assert_eq!(
                    (text(gone, "type"), text(&gone["data"], "scope")),
                    ("message.deleted", "everyone")
                );
                assert_eq!(gone["data"]["unread_count"], 0);
                assert!(
                    before.iter().all(|event| !text(event, "type").starts_with("message.")),
                    "{before:?}"
                );
                let visible = json!([page, actor.inbox().await, events]).to_string();
                assert!(!visible.contains("secret"), "{kind:?} {visible}");
            }
            let before = world.items().await;
            assert_eq!(alice.unsend(&sent).await.expect(200).data(), deleted.data());
            assert!(world.items().await == before);
        }
    }
}

#[tokio::test]
async fn unread_counts_stay_exact_when_messages_are_deleted() {
    for kind in KINDS {
        let world = World::new().await;
        let (alice, bob, conversation) = create_conversation(&world, kind).await;
        let mut sent = Vec::new();
        for n in 0..6 {
            sent.push(alice.say(&conversation, &format!("{n}")).await.expect(201).id());
        }
        world.fan_out(&conversation).await;
        bob.mark(&sent[1]).await.expect(200);
        for (id, unread) in [(&sent[0], 4), (&sent[1], 4), (&sent[3], 3), (&sent[5], 2)] {
            alice.unsend(id).await.expect(200);
            world.fan_out(&conversation).await;
            assert_eq!(bob.unread().await, unread, "{kind:?}");
        }
        bob.hide(&sent[4]).await.expect(200);
        bob.hide(&sent[4]).await.expect(200);
        assert_eq!(bob.unread().await, 1);
        // A deleted message can be marked as read, too.
        assert_eq!(bob.mark(&sent[3]).await.expect(200).data()["unread_count"], 0);
        assert!(restore(&world, &sent[5]).await);
        world.fan_out(&conversation).await;
        assert_eq!(bob.unread().await, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn an_operator_can_restore_a_message() {
    for kind in KINDS {
        let world = World::new().await;
        let (alice, bob, conversation) = create_conversation(&world, kind).await;
        let sent = alice.say(&conversation, "the old words").await.expect(201).id();
        alice.edit(&sent, "the words").await.expect(200);
        alice.unsend(&sent).await.expect(200);
        world.fan_out(&conversation).await;
        let mut reader = Reader::new(&bob).await;
        reader.poll().await;
        assert!(restore(&world, &sent).await);
        world.fan_out(&conversation).await;
        let back = alice.messages(&conversation).await.pop().unwrap();
        assert_eq!((text(&back, "message_text"), &back["version"]), ("the words", &json!(4)));
        assert_eq!((&back["is_deleted"], &back["is_edited"]), (&json!(false), &json!(true)));
        assert_eq!((preview(&bob, &conversation).await, bob.unread().await), (json!("the words"), 1));
        assert_eq!(texts(&search(&bob, "words").await), ["the words"]);
        assert_eq!(reader.poll().await.last().unwrap()["data"]["message"], back, "{kind:?}");
        assert!(!restore(&world, &sent).await, "a message that is not deleted cannot be restored");
        assert_text(&alice.edit(&sent, "more words").await.expect(200), "more words", 5);
        alice.unsend(&sent).await.expect(200);
        assert!(restore(&world, &sent).await && !restore(&world, &another_message(&sent)).await);
    }
}

#[tokio::test]
async fn a_deleted_message_can_be_restored_for_30_days() {
    let world = World::new().await;
    let (alice, _, conversation) = create_conversation(&world, Kind::Group).await;
    let sent = alice.say(&conversation, "hello").await.expect(201).id();
    alice.unsend(&sent).await.expect(200);
    assert!(!restore(&world.with_clock_off_by(31 * DAY), &sent).await);
    assert_eq!(alice.messages(&conversation).await[1]["is_deleted"], true);
    assert!(restore(&world.with_clock_off_by(29 * DAY), &sent).await);
    assert_eq!(texts(&alice.messages(&conversation).await), ["first", "hello"]);
}

#[test]
fn an_operator_can_restore_a_message_from_the_shell() {
    let folder = tempfile::tempdir().unwrap();
    let run = |message: &str| {
        let mut command = std::process::Command::new(binary());
        command.args(["restore", message, "--data-dir"]).arg(folder.path()).output().unwrap()
    };
    let (alice, bob) = (token(folder.path(), "alice"), token(folder.path(), "bob"));
    let server = Server::start(folder.path(), &["--quiet"]);
    for token in [&alice, &bob] {
        call(&server.url, token, "GET", "/api/users/me", "").unwrap();
    }
    let body = json!({"recipient_id": "bob", "message_text": "hello"}).to_string();
    let (_, sent) = call(&server.url, &alice, "POST", "/api/messages/send", &body).unwrap();
    let id = text(&sent["data"], "id");
    let (status, _) = call(&server.url, &alice, "DELETE", &format!("/api/messages/{id}"), "").unwrap();
    assert_eq!((status, history(&server.url, &bob, "alice")), (200, vec![String::new()]));
    server.terminate();
    let restored = run(id);
    assert!(restored.status.success(), "{restored:?}");
    assert!(String::from_utf8(restored.stdout).unwrap().contains(id));
    for unknown in [id, "no id"] {
        assert!(!run(unknown).status.success(), "{unknown}");
    }
    let server = Server::start(folder.path(), &["--quiet"]);
    assert_eq!(history(&server.url, &bob, "alice"), ["hello"]);
}

#[tokio::test]
async fn hiding_a_message_hides_it_from_the_caller_alone() {
    for kind in KINDS {
        let world = World::new().await;
        let (alice, bob, conversation) = create_conversation(&world, kind).await;
        let mut reader = Reader::new(&bob).await;
        reader.poll().await;
        let one = alice.say(&conversation, "one").await.expect(201).id();
        let two = alice.say(&conversation, "two").await.expect(201).id();
        world.fan_out(&conversation).await;
        reader.poll().await;
        bob.hide(&two).await.expect(200);
        assert_eq!(
            (texts(&bob.messages(&conversation).await), bob.unread().await),
            (vec!["first", "one"], 1)
        );
        assert_eq!(preview(&bob, &conversation).await, "one");
        assert!(search(&bob, "two").await.is_empty());
        let events = reader.poll().await;
        let data = &events[0]["data"];
        assert_eq!((events.len(), text(data, "scope"), &data["unread_count"]), (1, "me", &json!(1)));
        assert_eq!(
            (text(&data["message"], "id"), text(&data["message"], "message_text")),
            (two.as_str(), "")
        );
        for path in [format!("/api/messages/{two}/receipts"), format!("/api/messages/{two}")] {
            let method = if path.ends_with("receipts") { "GET" } else { "DELETE" };
            bob.call(method, &path, &[], "").await.refused(404, "not_found");
        }
        bob.hide(&one).await.expect(200);
        assert_eq!((preview(&bob, &conversation).await, bob.unread().await), (json!("first"), 0));
        // For the other user nothing changes, and Alice can still change the messages.
        assert_eq!(texts(&alice.messages(&conversation).await), ["first", "one", "two"]);
        assert_eq!(preview(&alice, &conversation).await, "two");
        reader.poll().await;
        alice.edit(&two, "two, edited").await.expect(200);
        alice.unsend(&one).await.expect(200);
        world.fan_out(&conversation).await;
        assert_eq!(reader.poll().await, Vec::<Value>::new(), "{kind:?}: hidden messages cause no events");
        assert!(restore(&world, &one).await);
        world.fan_out(&conversation).await;
        assert_eq!((preview(&bob, &conversation).await, bob.unread().await), (json!("first"), 0), "{kind:?}");
        assert_eq!(
            (texts(&bob.messages(&conversation).await), reader.poll().await.len()),
            (vec!["first"], 0)
        );
        // Users can also hide their own messages, deleted messages, and the last visible message.
        let mine = bob.say(&conversation, "mine").await.expect(201).id();
        bob.unsend(&mine).await.expect(200);
        world.fan_out(&conversation).await;
        bob.hide(&mine).await.expect(200);
        let first = text(&bob.messages(&conversation).await[0], "id").to_owned();
        bob.hide(&first).await.expect(200);
        let row = bob.row_of(&conversation).await.expect("the row stays");
        assert_eq!((&row["last_message"], &row["last_message_id"]), (&Value::Null, &Value::Null));
        assert!(bob.messages(&conversation).await.is_empty());
        alice.say(&conversation, "three").await.expect(201);
        world.fan_out(&conversation).await;
        assert_eq!((preview(&bob, &conversation).await, bob.unread().await), (json!("three"), 1));
    }
}

#[tokio::test]
async fn an_edit_reaches_a_row_that_previews_an_older_message() {
    for kind in KINDS {
        let world = World::new().await;
        let (alice, bob, conversation) = create_conversation(&world, kind).await;
        let one = alice.say(&conversation, "one").await.expect(201).id();
        let two = alice.say(&conversation, "two").await.expect(201).id();
        world.fan_out(&conversation).await;
        bob.hide(&two).await.expect(200);
        alice.edit(&one, "one, edited").await.expect(200);
        world.fan_out(&conversation).await;
        assert_eq!(preview(&bob, &conversation).await, "one, edited", "{kind:?}");
        alice.unsend(&one).await.expect(200);
        world.fan_out(&conversation).await;
        assert_eq!((preview(&bob, &conversation).await, bob.unread().await), (json!(""), 0), "{kind:?}");
    }
}

#[tokio::test]
async fn changes_in_a_deleted_conversation_cause_no_events() {
    for kind in KINDS {
        let world = World::new().await;
        let (alice, bob, conversation) = create_conversation(&world, kind).await;
        let sent = alice.say(&conversation, "secret").await.expect(201).id();
        world.fan_out(&conversation).await;
        bob.delete(&format!("/api/messages/conversation/{conversation}")).await.expect(200);
        let mut reader = Reader::new(&bob).await;
        reader.poll().await;
        alice.edit(&sent, "secret, edited").await.expect(200);
        world.fan_out(&conversation).await;
        assert_eq!(reader.poll().await, Vec::<Value>::new(), "{kind:?}");
        alice.unsend(&sent).await.expect(200);
        assert!(restore(&world, &sent).await);
        world.fan_out(&conversation).await;
        assert_eq!(reader.poll().await, Vec::<Value>::new(), "{kind:?}");
        assert!(bob.inbox().await.is_empty());
    }
}

#[tokio::test]
async fn an_admin_can_delete_messages_of_others() {
    let world = World::new().await;
    let (alice, bob, conversation) = create_conversation(&world, Kind::Group).await;
    let sent = bob.say(&conversation, "rude").await.expect(201).id();
    bob.unsend(&alice.say(&conversation, "polite").await.expect(201).id())
        .await
        .refused(403, "not_the_sender");
    alice.unsend(&sent).await.expect(200);
    bob.edit(&sent, "still rude").await.refused(409, "conflict");
    assert_eq!(texts(&bob.messages(&conversation).await), ["first", "", "polite"]);
}
