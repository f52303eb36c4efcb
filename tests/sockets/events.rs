//! A socket gets the same events as the queue.

use std::cell::Cell;

use harness::live::Reader;
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_socket_gets_the_events_of_the_queue() {
    let live = Live::start().await;
    let (alice, bob) = live.two().await;
    let (mut readers, mut sockets) = (Vec::new(), Vec::new());
    for user in [&alice, &bob] {
        readers.push(Reader::new(user).await);
        sockets.push([live.open(user).await, live.open(user).await]);
    }

    let sent = alice.send_once("bob", "hello", "once").await.expect(201);
    let conversation = text(&sent.data()["conversation_id"]);
    alice.send_once("bob", "hello", "once").await.expect(200);
    let typing = json!({"conversation_id": conversation, "is_typing": true});
    alice.post("/api/typing", &typing).await.expect(200);
    bob.mark(&sent.id()).await.expect(200);
    alice.delete(&format!("/api/messages/conversation/{conversation}")).await.expect(200);
    bob.send("alice", "back again").await.expect(201);

    let (created, message) = ("conversation.created", "message.created");
    let expected = [
        vec![created, message, "message.read", "conversation.deleted", created, message],
        vec![created, message, "typing", "message.read", message],
    ];
    for ((reader, sockets), expected) in readers.iter_mut().zip(&mut sockets).zip(expected) {
        let queue = reader.poll().await;
        assert_eq!(kinds(&queue), expected);
        for socket in sockets {
            assert_eq!(socket.news().await, queue);
        }
    }
}

#[tokio::test]
async fn actions_on_a_socket_reach_every_device_of_both_users() {
    let (live, alice, bob, conversation) = talking().await;
    let (mut theirs, mut mine) = (Reader::new(&bob).await, Reader::new(&alice).await);
    let mut phone = live.open(&alice).await;
    let (mut laptop, mut other) = (live.open(&alice).await, live.open(&bob).await);
    let send = json!({"action": "send", "ref": 1, "recipient_id": "bob", "message_text": "by socket"});
    let sent = phone.ask(&send).await;
    let typing = json!({"action": "typing", "ref": 2, "conversation_id": conversation, "is_typing": false});
    phone.ask(&typing).await;
    let read = json!({"action": "mark_as_read", "ref": 3, "message_id": sent["data"]["id"]});
    other.ask(&read).await;

    // A new reader's cursor is a few seconds back, so the reader gets the first message, too.
    let (theirs, mine) = (theirs.poll().await, mine.poll().await);
    assert_eq!(kinds(&theirs[2..]), ["message.created", "typing", "message.read"]);
    assert_eq!(kinds(&mine[2..]), ["message.created", "message.read"]);
    assert_eq!(other.news().await, theirs[2..]);
    assert_eq!(phone.news().await, mine[2..]);
    assert_eq!(laptop.news().await, mine[2..]);
}

#[tokio::test]
async fn reading_on_one_device_clears_the_badge_on_the_other() {
    let (live, alice, bob, _) = talking().await;
    let (mut phone, mut laptop) = (live.open(&bob).await, live.open(&bob).await);
    let mut sender = live.open(&alice).await;
    for text in ["one", "two", "three"] {
        alice.send("bob", text).await.expect(201);
    }
    assert_eq!(bob.unread().await, 4);
    let messages = bob.page("alice").await;
    let (second, last) = (&messages[1]["id"], &messages[3]["id"]);

    let ack = phone.ask(&json!({"action": "mark_as_read", "message_id": second})).await;
    assert_eq!(ack["data"]["unread_count"], 2);
    let read = laptop.event("message.read").await;
    assert_eq!(read["data"]["unread_count"], 2);
    assert_eq!(read["data"]["message_id"], *second);
    assert_eq!(read["data"]["counted_to"], *last);
    assert_eq!(phone.event("message.read").await, read);

    phone.ask(&json!({"action": "mark_as_read", "message_id": last})).await;
    let read = laptop.event("message.read").await;
    assert_eq!(read["data"]["unread_count"], 0);
    assert_eq!(read["data"]["counted_to"], *last);

    // The sender gets the reader's watermark, but not the reader's unread count.
    let seen = sender.event("message.read").await;
    assert_eq!(seen["data"]["user_id"], "bob");
    assert_eq!(seen["data"]["message_id"], *second);
    assert_eq!(seen["data"].as_object().unwrap().len(), 3, "{seen}");
}

#[tokio::test]
async fn a_message_too_large_for_a_frame_is_pushed_without_data_and_polled() {
    let (live, alice, bob, conversation) = talking().await;
    let mut reader = Reader::new(&bob).await;
    let mut socket = live.open(&bob).await;
    let long = "🐝".repeat(10_000);
    let sent = alice.send("bob", &long).await.expect(201);
    alice.send("bob", "short").await.expect(201);

    let pushed = socket.event("message.created").await;
    let polled = reader.poll().await.into_iter().find(|event| event["id"] == pushed["id"]).unwrap();
    assert_eq!(polled["data"]["message"]["message_text"], long);
    assert_eq!(polled["data"]["message"]["id"], sent.id());
    let expected = json!({
        "id": polled["id"],
        "type": "message.created",
        "conversation_id": conversation,
        "occurred_at": polled["occurred_at"],
        "truncated": true,
    });
    assert_eq!(pushed, expected);
    assert_eq!(texts(&socket.news().await), ["short"]);
}

#[tokio::test]
async fn one_poll_returns_what_lost_sockets_missed() {
    let (live, alice, bob, _) = talking().await;
    let mut reader = Reader::new(&bob).await;
    assert_eq!(kinds(&reader.poll().await), ["conversation.created", "message.created"]);
    let is_over = Cell::new(false);
    let burst = async {
        let mut sent = Vec::new();
        while !is_over.get() || sent.len() < 30 {
            let text = sent.len().to_string();
            alice.send("bob", &text).await.expect(201);
            sent.push(text);
        }
        sent
    };
    let reconnecting = async {
        let mut pushed = Vec::new();
        for _ in 0..6 {
            let mut socket = live.open(&bob).await;
            pushed.push(socket.event("message.created").await);
        }
        is_over.set(true);
        (live.open(&bob).await, pushed)
    };
    let (sent, (mut last, mut pushed)) = tokio::join!(burst, reconnecting);
    pushed.extend(last.news().await);

    let polled = reader.poll().await;
    assert_eq!(texts(&polled), sent);
    assert!(pushed.iter().all(|event| polled.contains(event)));
    assert!(pushed.is_sorted_by(|one, next| one["id"].as_str() < next["id"].as_str()));
    assert!(reader.poll().await.is_empty());
}
