//! Notifications: subscriptions, who is notified of a message, and what push services get.

mod deciding;
mod service;
mod subscriptions;

use std::time::Duration;

use aws_lambda_events::dynamodb::Event;
use domain::id::MessageId;
use harness::storage::png;
use harness::{Actor, World};
use observe::meter::{self, Meter};
use serde_json::{Value, json};
use service::{Push, PushService, Reply};

/// The public key of the worlds (RFC 8291, appendix A).
const PUBLIC_KEY: &str =
    "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";

/// Stores a subscription of a user's browser.
async fn subscribe(user: &Actor, service: &PushService, device: &str) -> String {
    let answer = user.json("PUT", "/api/push/subscriptions", &service.subscription(device)).await;
    answer.expect(201).id()
}

async fn set_active(user: &Actor, is_active: bool) {
    let change = json!({"status": "online", "is_active": is_active});
    user.json("PUT", "/api/presence", &change).await.expect(200);
}

/// Returns the event with records of these changes: each an `eventName`, a partition key and a sort key.
fn event(changes: &[(&str, String, String)]) -> Event {
    let records = changes.iter().enumerate().map(|(number, (change, pk, sk))| {
        json!({
            "awsRegion": "us-east-1", "eventID": "1", "eventName": change, "eventSource": "aws:dynamodb",
            "dynamodb": {
                "ApproximateCreationDateTime": 0, "SizeBytes": 1, "StreamViewType": "KEYS_ONLY",
                "SequenceNumber": number.to_string(), "Keys": {"pk": {"S": pk}, "sk": {"S": sk}},
            },
        })
    });
    serde_json::from_value(json!({"Records": records.collect::<Vec<_>>()})).unwrap()
}

/// Returns the event of these new messages.
fn new_messages(ids: &[&str]) -> Event {
    let record = |id: &&str| {
        let MessageId { conversation, stamp } = id.parse().unwrap();
        ("INSERT", format!("C#{conversation}"), format!("M#{stamp}"))
    };
    event(&ids.iter().map(record).collect::<Vec<_>>())
}

/// Returns the event of a user who waits no more.
fn waits_no_more(user: &str) -> Event {
    event(&[("REMOVE", "WAITING".to_owned(), format!("H#{user}"))])
}

/// Invokes `notify` in this process, without its delay. Returns how many records failed.
async fn notify(world: &World, event: Event) -> usize {
    let call = async {
        meter::serve_as("notify");
        notify::handle_after(world.app.clone(), event, 0).await
    };
    Meter::default().watch(call).await.unwrap().batch_item_failures.len()
}

/// Returns the texts of notifications.
fn texts(pushes: &[Push]) -> Vec<&str> {
    pushes.iter().map(Push::text).collect()
}

#[tokio::test]
async fn a_message_is_pushed_with_its_headers_and_text() {
    let (world, service) = (World::new().await, PushService::start().await);
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    let sent = alice.send("bob", "Are you there?").await.expect(201);
    assert_eq!(notify(&world, new_messages(&[&sent.id()])).await, 0);
    let [push] = &service.take()[..] else { panic!("not one push") };
    assert_eq!([push.header("ttl"), push.header("urgency"), push.header("topic")].map(str::len), [5, 4, 22]);
    assert_eq!((push.header("ttl"), push.header("urgency")), ("86400", "high"));
    let conversation = sent.conversation();
    assert_eq!(
        push.body,
        json!({
            "web_push": 8030, "conversation_id": conversation, "message_id": sent.id(),
            "notification": {
                "title": "Alice", "body": "Are you there?", "tag": conversation, "app_badge": 1, "dir": "auto",
                "navigate": format!("/#/c/{conversation}"),
            },
        })
    );
}

#[tokio::test]
async fn a_group_names_itself_and_the_sender() {
    let (world, service) = (World::new().await, PushService::start().await);
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let group = alice.group("Climbing", &["bob", "carol"]).await;
    for user in [&alice, &bob, &carol] {
        subscribe(user, &service, &user.id).await;
    }
    let sent = alice.say(&group, "Friday?").await.expect(201);
    notify(&world, new_messages(&[&sent.id()])).await;
    let mut pushes = service.take();
    pushes.sort_by(|a, b| a.device.cmp(&b.device));
    assert_eq!(pushes.iter().map(|push| push.device.as_str()).collect::<Vec<_>>(), ["bob", "carol"]);
    assert_eq!(pushes[0].body["notification"]["title"], "Climbing");
    assert_eq!(texts(&pushes), ["Alice: Friday?"; 2]);
    assert_eq!(pushes[0].header("urgency"), "normal");
}

#[tokio::test]
async fn a_message_without_text_is_named_by_its_kind_and_a_long_one_is_cut() {
    let (world, service) = (World::new().await, PushService::start().await);
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    for (kind, text) in
        [("image/png", "Photo"), ("video/mp4", "Video"), ("voice", "Voice message"), ("x", "a b.txt")]
    {
        let url = "https://a.example/a%20b.txt";
        let body = json!({"recipient_id": "bob", "attachment_url": url, "attachment_type": kind});
        let sent = alice.post("/api/messages/send", &body).await.expect(201);
        notify(&world, new_messages(&[&sent.id()])).await;
        assert_eq!(texts(&service.take()), [text]);
    }
    // The service asserts that the JSON fits into 2,000 bytes.
    for letter in ["😀", "\u{1}x", "\"", "x"] {
        let sent = alice.send("bob", &letter.repeat(5_000)).await.expect(201);
        notify(&world, new_messages(&[&sent.id()])).await;
        let pushes = service.take();
        assert!(
            pushes[0].text().starts_with(letter) && pushes[0].text().ends_with('…'),
            "{:?}",
            pushes[0].body
        );
    }
}

#[tokio::test]
async fn a_file_is_shown_by_its_text_else_by_its_kind_or_name() {
    let (world, _files) = World::with_files().await;
    let service = PushService::start().await;
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    let photo = alice.upload("cat.png", &png(8, 6)).await;
    let report = alice.upload("report.txt", b"a report").await;
    let captioned = alice.upload("more.txt", b"another").await;
    for (upload, text, shown) in
        [(photo, "", "Photo"), (report, "", "report.txt"), (captioned, "Read this", "Read this")]
    {
        let body =
            json!({"recipient_id": "bob", "message_text": text, "attachments": [{"attachment_id": upload}]});
        let sent = alice.post("/api/messages/send", &body).await.expect(201);
        notify(&world, new_messages(&[&sent.id()])).await;
        assert_eq!(texts(&service.take()), [shown]);
    }
}

#[tokio::test]
async fn several_messages_of_a_batch_are_one_push_to_each_device() {
    let (world, service) = (World::new().await, PushService::start().await);
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    subscribe(&bob, &service, "laptop").await;
    subscribe(&alice, &service, "alices").await;
    let one = alice.send("bob", "one").await.expect(201).id();
    let two = alice.send("bob", "two").await.expect(201).id();
    let reply = bob.send("alice", "three").await.expect(201).id();
    notify(&world, new_messages(&[&one, &two, &reply])).await;
    let mut pushes = service.take();
    pushes.sort_by(|a, b| a.device.cmp(&b.device));
    let shown: Vec<_> = pushes.iter().map(|push| (push.device.as_str(), push.text())).collect();
    assert_eq!(shown, [("alices", "three"), ("laptop", "two"), ("phone", "two")]);
    assert_eq!(pushes[2].body["notification"]["app_badge"], 2);
}

#[tokio::test]
async fn nobody_is_notified_twice_of_a_message() {
    let (world, service) = (World::new().await, PushService::start().await);
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    let first = alice.send("bob", "first").await.expect(201).id();
    let second = alice.send("bob", "second").await.expect(201).id();
    // Two workers at once, the batch again, and a part of it again.
    let (batch, again) = (new_messages(&[&first, &second]), new_messages(&[&first, &second]));
    tokio::join!(notify(&world, batch), notify(&world, again));
    notify(&world, new_messages(&[&first, &second])).await;
    notify(&world, new_messages(&[&first])).await;
    assert_eq!(texts(&service.take()), ["second"]);
    let third = alice.send("bob", "third").await.expect(201).id();
    notify(&world, new_messages(&[&first, &second, &third])).await;
    assert_eq!(texts(&service.take()), ["third"]);
}

#[tokio::test]
async fn a_worker_that_dies_anywhere_notifies_nobody_twice_and_skips_no_other_user() {
    let mut lost = 0;
    for steps in (0..400).step_by(7) {
        let (world, service) = (World::new().await, PushService::start().await);
        let (crowd, group) = world.group_of(4).await;
        for user in &crowd {
            subscribe(user, &service, &user.id).await;
        }
        let id = crowd[0].say(&group, "to all").await.expect(201).id();
        let kill = async {
            for _ in 0..steps {
                tokio::task::yield_now().await;
            }
        };
        let is_finished = tokio::select! {
            biased;
            () = kill => false,
            _ = notify(&world, new_messages(&[&id])) => true,
        };
        assert_eq!(notify(&world, new_messages(&[&id])).await, 0);
        // A push of the killed worker may be on its way.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut devices: Vec<_> = service.take().into_iter().map(|push| push.device).collect();
        devices.sort();
        let count = devices.len();
        devices.dedup();
        assert_eq!(devices.len(), count, "somebody was notified twice");
        lost += 3 - count;
        if is_finished {
            assert_eq!(count, 3);
            break;
        }
    }
    // Only what was claimed when the worker died.
    assert!(lost <= 60, "{lost} lost");
}

#[tokio::test]
async fn a_failing_database_reports_the_records_and_a_retry_notifies() {
    let (world, service) = (World::new().await, PushService::start().await);
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    let id = alice.send("bob", "hello").await.expect(201).id();
    world.wire.inject(harness::wire::Faults { throttled: 1.0, ..Default::default() }, 7);
    assert_eq!(notify(&world, new_messages(&[&id])).await, 1);
    world.wire.inject(harness::wire::Faults::default(), 7);
    assert!(service.take().is_empty());
    assert_eq!(notify(&world, new_messages(&[&id])).await, 0);
    assert_eq!(texts(&service.take()), ["hello"]);
}

#[tokio::test]
async fn push_services_may_refuse() {
    let (world, service) = (World::new().await, PushService::start().await);
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    let elsewhere = PushService::start().await;
    // Each is given up: neither the sender nor the next message notices.
    for reply in [
        Reply::Status(500),
        Reply::Status(503),
        Reply::RetryAfter,
        Reply::Status(400),
        Reply::Redirect(elsewhere.endpoint("phone")),
        Reply::Hang,
    ] {
        service.replies(std::slice::from_ref(&reply));
        let id = alice.send("bob", "hello").await.expect(201).id();
        assert_eq!(notify(&world, new_messages(&[&id])).await, 0, "{reply:?}");
        assert_eq!(service.take().len(), 1, "{reply:?}");
    }
    assert!(elsewhere.take().is_empty(), "a redirect is not followed");
    assert_eq!(bob.get("/api/push/subscriptions").await.list().len(), 1);
    // Too large: once more, without the text.
    service.replies(&[Reply::Status(413)]);
    let id = alice.send("bob", "too long").await.expect(201).id();
    notify(&world, new_messages(&[&id])).await;
    assert_eq!(texts(&service.take()), ["too long", "New message"]);
    for status in [404, 410] {
        service.replies(&[Reply::Status(status)]);
        let id = alice.send("bob", "gone").await.expect(201).id();
        notify(&world, new_messages(&[&id])).await;
        assert_eq!(bob.get("/api/push/subscriptions").await.list(), [] as [Value; 0], "{status}");
        let id = alice.send("bob", "nobody listens").await.expect(201).id();
        notify(&world, new_messages(&[&id])).await;
        assert_eq!(texts(&service.take()), ["gone"], "{status}");
        subscribe(&bob, &service, "phone").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_wakes_the_function() {
    let (world, service) = (World::new().await, PushService::start().await);
    let tail = world.follow_stream_to_notify(Duration::from_millis(100));
    let (alice, bob) = world.two().await;
    subscribe(&bob, &service, "phone").await;
    alice.send("bob", "hello").await.expect(201);
    assert_eq!(texts(&service.wait_for(1).await), ["hello"]);
    // An active user is not notified before they close the page.
    set_active(&bob, true).await;
    alice.send("bob", "look here").await.expect(201);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(service.take().is_empty());
    set_active(&bob, false).await;
    assert_eq!(texts(&service.wait_for(1).await), ["look here"]);
    tail.stop().await;
}
