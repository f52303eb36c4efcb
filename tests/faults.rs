//! Faults that DynamoDB has and the embedded engine lacks: every kind of call gets through them.

use std::time::{Duration, Instant};

use harness::wire::Faults;
use harness::{Answer, World};
use serde_json::json;

/// Half of the single writes meet a transaction that holds their item.
const HELD: Faults = Faults {
    conflict_per_item: 0.0,
    held: 0.5,
    unprocessed: 0.0,
    throttled: 0.0,
    failed: 0.0,
    lost: 0.0,
    slow: Duration::ZERO,
    lag: Duration::ZERO,
};

#[tokio::test]
async fn single_writes_wait_for_the_transaction_that_holds_their_item() {
    let world = World::new().await.with_limits();
    let registered = world.registered("carol").await;
    let (alice, bob) = world.two().await;
    let sent = alice.send("bob", "hello").await.expect(201);
    let conversation = sent.data()["conversation_id"].clone();
    let cursor = bob.get("/api/events").await.expect(200).data()["cursor"].clone();
    world.wire.inject(HELD, 7);
    for n in 0..8 {
        let typing = json!({"conversation_id": conversation, "is_typing": n % 2 == 0});
        alice.post("/api/typing", &typing).await.expect(200);
        alice.post("/api/ws-ticket", &json!({})).await.expect(201);
        bob.get(&format!("/api/events?cursor={}", cursor.as_str().unwrap())).await.expect(200);
    }
    let logout = json!({"refresh_token": registered.refresh_token});
    world.anonymous().post("/api/auth/logout", &logout).await.expect(200);
    world.wire.heal();
    world.anonymous().post("/api/auth/refresh", &logout).await.refused(401, "not_authenticated");
}

#[tokio::test]
async fn unprocessed_keys_are_read_again() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(12).await;
    let mut sent = Vec::new();
    for (n, actor) in crowd.iter().enumerate() {
        sent.push(actor.say(&group, &format!("m{n}")).await.expect(201).id());
    }
    world.wire.inject(Faults { unprocessed: 0.7, held: 0.0, ..HELD }, 3);
    let ids = |answer: Answer| {
        let hits = answer.list();
        hits.iter().map(|hit| hit["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut hits = ids(crowd[3].get("/api/messages/search?q=m").await.expect(200));
    hits.reverse();
    assert_eq!(hits, sent);
    let path = format!("/api/conversations/{group}");
    assert_eq!(crowd[1].get(&path).await.expect(200).data()["participants"].as_array().unwrap().len(), 12);
}

/// AWS completes a transaction whose coordinator died once it is asked again, more than 5 s after the first attempt.
#[tokio::test]
async fn a_stalled_transaction_is_retried_until_it_completes() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "before").await.expect(201);
    let began = Instant::now();
    world.wire.stall(Duration::from_secs(6));
    let sent = alice.send("bob", "hello").await.expect(201).id();
    assert!(began.elapsed() >= Duration::from_secs(6));
    let page = bob.page("alice").await;
    assert_eq!((page.len(), page[1]["id"].as_str()), (2, Some(sent.as_str())));
}
