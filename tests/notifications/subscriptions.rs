//! Push subscriptions: the calls that store and remove them, and how they end.

use harness::{PASSWORD, World};
use serde_json::{Value, json};

use super::service::{PushService, Reply};
use super::{PUBLIC_KEY, new_messages, notify, subscribe, texts};
use crate::direct::text;

async fn ids(user: &harness::Actor) -> Vec<String> {
    let answer = user.get("/api/push/subscriptions").await.expect(200);
    answer.list().iter().map(|one| text(one, "id").to_owned()).collect()
}

#[tokio::test]
async fn subscriptions_are_stored_once_and_removed() {
    let (world, service) = (World::new().await, PushService::start().await);
    let (alice, bob) = world.two().await;
    let key = world.anonymous().get("/api/push/key").await.expect(200);
    assert_eq!(key.data()["public_key"], PUBLIC_KEY);
    let id = subscribe(&bob, &service, "phone").await;
    let again = bob.json("PUT", "/api/push/subscriptions", &service.subscription("phone")).await.expect(200);
    assert_eq!(again.id(), id);
    assert_eq!(ids(&bob).await, [id.as_str()]);
    let listed = bob.get("/api/push/subscriptions").await.expect(200);
    assert_eq!(listed.list()[0]["host"], "127.0.0.1");
    assert!(!listed.json.to_string().contains("/push/phone"), "the endpoint is a secret");
    assert_eq!(ids(&alice).await, [] as [String; 0]);
    // Nobody can remove those of others, and removing again changes nothing.
    alice.delete(&format!("/api/push/subscriptions/{id}")).await.expect(200);
    assert_eq!(ids(&bob).await, [id.as_str()]);
    for _ in 0..2 {
        bob.delete(&format!("/api/push/subscriptions/{id}")).await.expect(200);
        assert_eq!(ids(&bob).await, [] as [String; 0]);
    }
    bob.delete("/api/push/subscriptions/x").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn the_eleventh_replaces_the_oldest() {
    let (world, service) = (World::new().await, PushService::start().await);
    let bob = world.user("bob").await;
    let mut stored = Vec::new();
    for n in 0..11 {
        stored.push(subscribe(&bob, &service, &format!("d{n}")).await);
    }
    assert_eq!(ids(&bob).await, stored[1..]);
}

#[tokio::test]
async fn concurrent_changes_are_all_kept() {
    let (world, service) = (World::new().await, PushService::start().await);
    let bob = world.user("bob").await;
    let devices: Vec<_> = (0..6).map(|n| format!("d{n}")).collect();
    let mut stored =
        futures_util::future::join_all(devices.iter().map(|device| subscribe(&bob, &service, device))).await;
    let mut found = ids(&bob).await;
    found.sort();
    stored.sort();
    assert_eq!(found, stored);
}

#[tokio::test]
async fn endpoints_and_keys_are_checked() {
    let (world, service) = (World::new().await, PushService::start().await);
    let bob = world.user("bob").await;
    let good = service.subscription("phone");
    for endpoint in [
        "https://evil.example/x",
        "https://fcm.googleapis.com/x",
        "http://127.0.0.1@evil.example/x",
        "http://user:password@127.0.0.1/x",
        "http://127.0.0.2/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/x",
        "http://localhost/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "/push/phone",
        "",
    ] {
        let mut bad = good.clone();
        bad["endpoint"] = endpoint.into();
        let answer = bob.json("PUT", "/api/push/subscriptions", &bad).await;
        answer.refused(400, "invalid_request");
        assert_eq!(answer.json["errors"][0]["field"], "endpoint", "{endpoint}");
    }
    for (field, value) in [("p256dh", "AAAA"), ("p256dh", "?"), ("auth", "AAAA"), ("auth", "")] {
        let mut bad = good.clone();
        bad["keys"][field] = value.into();
        bob.json("PUT", "/api/push/subscriptions", &bad).await.refused(400, "invalid_request");
    }
    for bad in [json!({}), json!({"endpoint": good["endpoint"]}), Value::Null] {
        bob.json("PUT", "/api/push/subscriptions", &bad).await.refused(400, "invalid_request");
    }
    assert_eq!(ids(&bob).await, [] as [String; 0]);
}

#[tokio::test]
async fn a_test_reaches_all_devices_and_forgets_those_that_are_gone() {
    let (world, service) = (World::new().await, PushService::start().await);
    let bob = world.user("bob").await;
    for device in ["phone", "laptop"] {
        subscribe(&bob, &service, device).await;
    }
    let tested = bob.post("/api/push/test", &Value::Null).await.expect(200);
    assert_eq!(tested.data(), &json!({"sent": 2, "removed": 0, "failed": 0}));
    let pushes = service.take();
    assert!(pushes.iter().all(|push| push.body["notification"]["title"] == "Tidings"), "{pushes:?}");
    service.replies(&[Reply::Status(410), Reply::Status(500)]);
    let tested = bob.post("/api/push/test", &Value::Null).await.expect(200);
    assert_eq!(tested.data(), &json!({"sent": 0, "removed": 1, "failed": 1}));
    assert_eq!(ids(&bob).await.len(), 1);
}

#[tokio::test]
async fn a_subscription_ends_with_its_session() {
    let (world, service) = (World::new().await, PushService::start().await);
    let alice = world.user("alice").await;
    let (phone, laptop) = (world.registered("bob").await, world.login("bob", PASSWORD).await);
    let first = subscribe(&phone.actor, &service, "phone").await;
    let second = subscribe(&laptop.actor, &service, "laptop").await;
    let bob = &laptop.actor;
    assert_eq!(ids(bob).await, [first, second.clone()]);
    let send = async || {
        let id = alice.send(&bob.id, "hello").await.expect(201).id();
        notify(&world, new_messages(&[&id])).await;
        service.take().into_iter().map(|push| push.device).collect::<Vec<_>>().len()
    };
    assert_eq!(send().await, 2);
    let body = json!({"refresh_token": phone.refresh_token});
    phone.actor.post("/api/auth/logout", &body).await.expect(200);
    assert_eq!(ids(bob).await, [second.as_str()]);
    assert_eq!(send().await, 1);
    // A token that outlives its session cannot subscribe again.
    let again = phone.actor.json("PUT", "/api/push/subscriptions", &service.subscription("phone")).await;
    again.refused(401, "not_authenticated");
    assert_eq!((ids(bob).await.len(), send().await), (1, 1));
    // A new password ends all sessions but the caller's.
    let other = world.login("bob", PASSWORD).await;
    subscribe(&other.actor, &service, "tablet").await;
    assert_eq!(send().await, 2);
    let change = json!({"current_password": PASSWORD, "new_password": "another password"});
    bob.post("/api/auth/change-password", &change).await.expect(200);
    assert_eq!((ids(bob).await, send().await), (vec![second], 1));
    let items = world.items().await.into_iter();
    let devices =
        items.filter(|item| item["sk"]["S"] == "DEVICES" && item["pk"]["S"] == format!("U#{}", bob.id));
    let devices: Vec<_> = devices.collect();
    assert!(!devices[0].to_string().contains("/push/phone"), "it was forgotten: {}", devices[0]);
    bob.json("DELETE", "/api/users/me", &json!({"password": "another password"})).await.expect(200);
    assert!(world.items().await.iter().all(|item| item["sk"]["S"] != "DEVICES"));
    assert_eq!(texts(&service.take()), [] as [&str; 0]);
}
