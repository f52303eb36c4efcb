//! Direct messages, with one call at a time: sending, what both users see, and names. Retries, deleting, reading,
//! pages, blocks and search have files of their own.

use harness::{Actor, World};
use serde_json::{Value, json};

use crate::tokens::{now, signed};

/// Returns a text field of an object.
#[track_caller]
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    let text = object[field].as_str();
    assert!(text.is_some(), "no {field} in {object}");
    text.unwrap_or_default()
}

/// Returns the texts of messages.
pub(crate) fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| text(message, "message_text")).collect()
}

/// Returns the ids of messages.
pub(crate) fn ids(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| text(message, "id")).collect()
}

/// Returns another valid id that no message has. Leaves the last character, which has unused bits.
pub(crate) fn another_message(id: &str) -> String {
    let at = id.len() - 2;
    let other = if &id[at..=at] == "x" { "y" } else { "x" };
    format!("{}{other}{}", &id[..at], &id[at + 1..])
}

/// Returns another valid id that no conversation has.
pub(crate) fn another_conversation(id: &str) -> String {
    another_message(id)
}

/// Formats an object. Replaces values that differ from run to run.
pub(crate) fn shown(object: &Value, replaced: &[(&str, &str)]) -> String {
    replaced.iter().fold(format!("{object:#}"), |shown, (from, to)| shown.replace(from, to))
}

/// Returns the number of conversations in the inbox.
pub(crate) async fn total(actor: &Actor) -> Value {
    actor.get("/api/messages/inbox").await.expect(200).json["total"].clone()
}

/// Returns the first page of hits.
pub(crate) async fn search(actor: &Actor, words: &str) -> Vec<Value> {
    actor.get(&format!("/api/messages/search?q={words}")).await.expect(200).list().to_vec()
}

#[tokio::test]
async fn a_message_reaches_the_inbox() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = alice.send("bob", "See you soon!").await.expect(201);
    assert_eq!(sent.data()["sender_id"], "alice");
    let row = bob.row("alice").await.unwrap();
    assert_eq!((&row["last_message"], &row["unread_count"]), (&"See you soon!".into(), &1.into()));
    assert_eq!(row["last_message_from_me"], false);
    assert_eq!((alice.unread().await, bob.unread().await), (0, 1));
}

#[tokio::test]
async fn a_message_has_these_fields() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let first = bob.send("alice", "hello").await.expect(201);
    let body = json!({
        "recipient_id": "bob",
        "message_text": "look",
        "attachment_url": "https://a.example/cat.png",
        "attachment_type": "image/png",
        "reply_to": first.id(),
        "client_message_id": "k1",
    });
    let sent = alice.post("/api/messages/send", &body).await.expect(201);
    let message = sent.data();
    let replaced = [
        (text(first.data(), "id"), "<first>"),
        (text(message, "id"), "<id>"),
        (text(message, "conversation_id"), "<conversation>"),
        (text(message, "sent_at"), "<sent at>"),
    ];
    insta::assert_snapshot!(shown(message, &replaced), @r#"
    {
      "attachment_type": "image/png",
      "attachment_url": "https://a.example/cat.png",
      "attachments": [],
      "client_message_id": "k1",
      "conversation_id": "<conversation>",
      "custom": null,
      "deleted_at": null,
      "edited_at": null,
      "id": "<id>",
      "is_deleted": false,
      "is_edited": false,
      "is_forwarded": false,
      "mention_all": false,
      "mentions": [],
      "message_text": "look",
      "pinned_at": null,
      "reactions": [],
      "read": false,
      "read_at": null,
      "read_count": 0,
      "recipient_id": "bob",
      "reply_to": "<first>",
      "sender_id": "alice",
      "sent_at": "<sent at>",
      "version": 1
    }
    "#);
    assert_eq!(alice.page("bob").await, [first.data().clone(), message.clone()]);
    // The recipient does not see the sender's client id.
    let mut theirs = message.clone();
    theirs["client_message_id"] = Value::Null;
    assert_eq!(bob.page("alice").await[1], theirs);
}

#[tokio::test]
async fn an_inbox_row_has_these_fields() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let first = bob.send("alice", "hello").await.expect(201);
    alice.mark(&first.id()).await.expect(200);
    let last = bob.send("alice", "are you there?").await.expect(201);
    let replaced = [
        (text(first.data(), "id"), "<first>"),
        (text(last.data(), "id"), "<last>"),
        (text(last.data(), "conversation_id"), "<conversation>"),
        (text(last.data(), "sent_at"), "<sent at>"),
    ];
    insta::assert_snapshot!(shown(&alice.row("bob").await.unwrap(), &replaced), @r#"
    {
      "conversation_id": "<conversation>",
      "counted_to": "<last>",
      "first_mention_id": null,
      "is_admin": false,
      "is_archived": false,
      "last_message": "are you there?",
      "last_message_at": "<sent at>",
      "last_message_from_me": false,
      "last_message_id": "<last>",
      "last_message_kind": "text",
      "last_read_message_id": "<first>",
      "marked_unread": false,
      "mention_count": 0,
      "muted_until": null,
      "name": null,
      "notify": "all",
      "other_user_id": "bob",
      "other_user_name": "Bob",
      "participant_count": 2,
      "photo_url": null,
      "pinned_at": null,
      "type": "direct",
      "unread_count": 1
    }
    "#);
    insta::assert_snapshot!(shown(&bob.row("alice").await.unwrap(), &replaced), @r#"
    {
      "conversation_id": "<conversation>",
      "counted_to": "<last>",
      "first_mention_id": null,
      "is_admin": false,
      "is_archived": false,
      "last_message": "are you there?",
      "last_message_at": "<sent at>",
      "last_message_from_me": true,
      "last_message_id": "<last>",
      "last_message_kind": "text",
      "last_read_message_id": null,
      "marked_unread": false,
      "mention_count": 0,
      "muted_until": null,
      "name": null,
      "notify": "all",
      "other_user_id": "alice",
      "other_user_name": "Alice",
      "participant_count": 2,
      "photo_url": null,
      "pinned_at": null,
      "type": "direct",
      "unread_count": 0
    }
    "#);
}

#[tokio::test]
async fn a_profile_has_these_fields() {
    let world = World::new().await;
    let me = world.user("alice").await.get("/api/users/me").await.expect(200);
    insta::assert_snapshot!(shown(me.data(), &[(text(me.data(), "created_at"), "<created at>")]), @r#"
    {
      "avatar_url": null,
      "created_at": "<created at>",
      "custom": null,
      "email": null,
      "full_name": "Alice",
      "id": "alice",
      "username": null
    }
    "#);
}

#[tokio::test]
async fn messages_are_in_the_order_of_their_ids() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for n in 0..10 {
        let (from, to) = if n % 3 == 0 { (&bob, "alice") } else { (&alice, "bob") };
        from.send(to, &format!("m{n}")).await.expect(201);
    }
    let seen = alice.page("bob").await;
    assert_eq!(texts(&seen), (0..10).map(|n| format!("m{n}")).collect::<Vec<_>>());
    assert!(ids(&seen).is_sorted());
    assert!(seen.iter().map(|message| text(message, "sent_at")).is_sorted());
    assert_eq!(bob.page("alice").await, seen);
}

#[tokio::test]
async fn a_message_can_be_sent_to_a_conversation() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let conversation = alice.send("bob", "hello").await.expect(201).data()["conversation_id"].clone();
    let body = json!({"conversation_id": conversation, "message_text": "hi"});
    let sent = bob.post("/api/messages/send", &body).await.expect(201);
    assert_eq!(
        (&sent.data()["recipient_id"], &sent.data()["conversation_id"]),
        (&json!("alice"), &conversation)
    );
    assert_eq!(texts(&alice.page("bob").await), ["hello", "hi"]);
}

#[tokio::test]
async fn an_attachment_needs_no_text() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let body = json!({"recipient_id": "bob", "attachment_url": "https://a.example/cat.png"});
    let sent = alice.post("/api/messages/send", &body).await.expect(201);
    assert_eq!((text(sent.data(), "message_text"), &sent.data()["attachment_type"]), ("", &Value::Null));
    assert_eq!(bob.page("alice").await, [sent.data().clone()]);
    assert_eq!(
        (bob.unread().await, bob.row("alice").await.unwrap()["last_message"].clone()),
        (1, json!("cat.png"))
    );
    let kind = async || bob.row("alice").await.unwrap()["last_message_kind"].clone();
    assert_eq!(kind().await, "file");
    for (described, wanted) in
        [("image/png", "image"), ("voice", "voice"), ("Video/mp4", "video"), ("x", "file")]
    {
        let body = json!({
            "recipient_id": "bob", "attachment_url": "https://a.example/a/b%20c?d=/e", "attachment_type": described,
        });
        alice.post("/api/messages/send", &body).await.expect(201);
        assert_eq!(kind().await, wanted);
    }
    assert_eq!(bob.row("alice").await.unwrap()["last_message"], "b c");
    let last = alice.send("bob", "hello").await.expect(201).id();
    assert_eq!(kind().await, "text");
    alice.unsend(&last).await.expect(200);
    let row = bob.row("alice").await.unwrap();
    assert_eq!((&row["last_message_kind"], &row["last_message"]), (&json!("deleted"), &json!("")));
}

#[tokio::test]
async fn a_reply_is_to_a_message_of_the_same_conversation() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    world.user("carol").await;
    let reply = |to: &str, id: &str| json!({"recipient_id": to, "message_text": "yes", "reply_to": id});
    let (mine, theirs) = (alice.send("bob", "1").await.expect(201), bob.send("alice", "2").await.expect(201));
    let foreign = alice.send("carol", "3").await.expect(201).id();
    for good in [mine.id(), theirs.id()] {
        let sent = alice.post("/api/messages/send", &reply("bob", &good)).await.expect(201);
        assert_eq!(sent.data()["reply_to"], good);
    }
    let missing = another_message(&mine.id());
    let malformed = foreign.replace(text(mine.data(), "conversation_id"), "");
    for bad in [&foreign, &missing, &another_message(&foreign), &malformed[1..].to_owned()] {
        alice.post("/api/messages/send", &reply("bob", bad)).await.refused(400, "invalid_request");
    }
    assert_eq!(alice.page("bob").await.len(), 4);
}

#[tokio::test]
async fn a_stranger_who_sends_becomes_a_user() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let dave = world.stranger("dave");
    alice.send("dave", "hello?").await.refused(404, "not_found");
    dave.send("bob", "hello").await.expect(201);
    alice.send("dave", "hello!").await.expect(201);
    assert_eq!(alice.row("dave").await.unwrap()["other_user_name"], "Dave");
    assert_eq!(texts(&dave.page("alice").await), ["hello!"]);
}

#[tokio::test]
async fn a_stranger_has_an_empty_inbox() {
    let world = World::new().await;
    world.two().await;
    let dave = world.stranger("dave");
    assert_eq!((dave.inbox().await.len(), dave.unread().await, total(&dave).await), (0, 0, json!(0)));
    for other in ["alice", "dave", "nobody"] {
        let page = dave.get(&format!("/api/messages/conversation/{other}")).await.expect(200);
        assert_eq!((page.list().len(), page.json.get("next_cursor")), (0, Some(&Value::Null)));
    }
    assert!(search(&dave, "hello").await.is_empty());
    assert!(dave.get("/api/messages/blocked-users").await.expect(200).list().is_empty());
}

#[tokio::test]
async fn user_ids_may_have_every_allowed_character() {
    let world = World::new().await;
    let (one, other) = ("auth0|Az09_-.@:x", "a".repeat(128));
    let (first, second) = (world.user(one).await, world.user(&other).await);
    let message = first.send_once(&other, "hello", "k#1").await.expect(201);
    second.send(one, "hi").await.expect(201);
    let path = "/api/messages/conversation/auth0%7CAz09_-.%40%3Ax";
    assert_eq!(texts(second.get(path).await.expect(200).list()), ["hello", "hi"]);
    second.block(one).await.expect(200);
    assert_eq!(second.get("/api/messages/blocked-users").await.list()[0]["user_id"], one);
    let receipts = first.get(&format!("/api/messages/{}/receipts", message.id())).await.expect(200);
    assert_eq!(receipts.list()[0]["user_id"], *other);
    second.unblock("auth0%7CAz09_-.@:x").await.expect(200);
    assert_eq!(first.send_once(&other, "hello", "k#1").await.expect(200).id(), message.id());
    first.send(&other, "hello again").await.expect(201);
}

#[tokio::test]
async fn names_and_pictures_come_from_tokens() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    bob.send("alice", "hello").await.expect(201);
    let seen = async |actor: &Actor| {
        let row = alice.row("bob").await.unwrap();
        let me = actor.get("/api/users/me").await.expect(200);
        (me.data()["full_name"].clone(), row["other_user_name"].clone(), row["photo_url"].clone())
    };
    assert_eq!(seen(&bob).await, (json!("Bob"), json!("Bob"), Value::Null));
    let claims = |more: Value| {
        let mut claims = json!({"sub": "bob", "exp": now() + 600});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        signed(&claims)
    };
    let picture = "https://a.example/bob.png";
    let renamed = bob.with_token(Some(&claims(json!({"name": "Robert", "picture": picture}))));
    // Sending does not update the profile.
    renamed.send("alice", "it is me").await.expect(201);
    assert_eq!(alice.row("bob").await.unwrap()["other_user_name"], "Bob");
    let me = renamed.get("/api/users/me").await.expect(200);
    assert_eq!((&me.data()["full_name"], &me.data()["avatar_url"]), (&json!("Robert"), &json!(picture)));
    // A token without a name and a picture leaves them as they are.
    let plain = bob.with_token(Some(&claims(json!({}))));
    for actor in [&renamed, &plain] {
        assert_eq!(seen(actor).await, (json!("Robert"), json!("Robert"), json!(picture)));
    }
    let carol = world.user("carol").await;
    plain.send("carol", "hello").await.expect(201);
    assert_eq!(carol.row("bob").await.unwrap()["other_user_name"], "Robert");
    alice.block("bob").await.expect(200);
    assert_eq!(alice.get("/api/messages/blocked-users").await.list()[0]["name"], "Robert");
}
