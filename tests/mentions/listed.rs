//! `GET /api/mentions`: exactly the messages that mention the caller and that the caller can see, newest first.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use harness::{Actor, World};
use serde_json::{Value, json};

use super::{counts, mention, mention_all, three};
use crate::direct::{ids, text};
use crate::inputs::refused_for;

/// Returns the ids of all mentions, in pages of `limit`.
async fn listed(actor: &Actor, limit: usize) -> Vec<String> {
    let pages = actor.pages(&format!("/api/mentions?limit={limit}")).await;
    assert!(pages.iter().all(|page| page.len() <= limit));
    ids(&pages.concat()).into_iter().map(ToOwned::to_owned).collect()
}

/// Changes whom a message mentions.
async fn readdress(actor: &Actor, message: &str, mentions: &Value) {
    actor.patch(&format!("/api/messages/{message}"), mentions).await.expect(200);
}

/// Mentions a user in the direct conversation with them.
async fn mention_directly(actor: &Actor, other: &str) -> String {
    let body = json!({"recipient_id": other, "message_text": "look", "mentions": [other]});
    actor.post("/api/messages/send", &body).await.expect(201).id()
}

#[tokio::test]
async fn the_list_follows_every_change() {
    let world = World::new().await;
    let ([ann, ben, cal], group) = three(&world).await;
    assert!(listed(&ben, 50).await.is_empty());
    let plain = ann.say(&group, "hello ben").await.expect(201).id();
    let first = mention(&ann, &group, &["ben"]).await.expect(201).id();
    let all = mention_all(&cal, &group).await.expect(201).id();
    // Those who send a message are not mentioned by it.
    mention_all(&ben, &group).await.expect(201);
    mention(&ben, &group, &["ben"]).await.expect(201);
    let direct = mention_directly(&ann, "ben").await;
    assert_eq!(listed(&ben, 50).await, [&*direct, &all, &first]);
    assert_eq!(listed(&ben, 1).await, [&*direct, &all, &first]);
    assert_eq!(listed(&ann, 50).await.len(), 2, "those of everyone, by cal and ben");
    // Reading changes nothing.
    ben.read_all(&group).await.expect(200);
    assert_eq!(listed(&ben, 50).await.len(), 3);
    // Edited out, and in.
    readdress(&ann, &first, &json!({"mentions": ["cal"]})).await;
    readdress(&cal, &all, &json!({"mention_all": false})).await;
    readdress(&ann, &plain, &json!({"mentions": ["ben"]})).await;
    assert_eq!(listed(&ben, 50).await, [&*direct, &plain]);
    readdress(&cal, &all, &json!({"mention_all": true})).await;
    readdress(&ann, &first, &json!({"mentions": ["cal", "ben"]})).await;
    assert_eq!(listed(&ben, 50).await, [&*direct, &all, &first, &plain]);
    // Another text leaves the mention.
    ann.edit(&first, "look again").await.expect(200);
    let shown = ben.get("/api/mentions?limit=3").await.expect(200);
    assert_eq!(shown.list()[2]["message_text"], "look again");
    assert_eq!(shown.list()[2]["mentions"], json!(["ben", "cal"]));
    // Hidden, deleted, restored.
    ben.hide(&plain).await.expect(200);
    cal.unsend(&all).await.expect(200);
    assert_eq!(listed(&ben, 50).await, [&*direct, &first]);
    world.app.store.restore_message(&all.parse().unwrap()).await.unwrap();
    assert_eq!(listed(&ben, 50).await, [&*direct, &all, &first]);
    // A block hides no earlier message.
    ben.block("ann").await.expect(200);
    assert_eq!(listed(&ben, 50).await, [&*direct, &all, &first]);
    ben.forget(&group).await.expect(200);
    assert_eq!(listed(&ben, 50).await, [&*direct]);
    let again = mention(&cal, &group, &["ben"]).await.expect(201).id();
    assert_eq!(listed(&ben, 50).await, [&*again, &direct]);
    ben.leave(&group).await.expect(200);
    assert_eq!(listed(&ben, 50).await, [&*direct]);
    mention_all(&cal, &group).await.expect(201);
    ann.add(&group, &["ben"]).await.refused(403, "blocked");
    ben.unblock("ann").await.expect(200);
    ann.add(&group, &["ben"]).await.expect(200);
    assert_eq!(listed(&ben, 50).await, [&*direct], "a newcomer sees nothing from before");
    let last = mention_all(&cal, &group).await.expect(201).id();
    assert_eq!(listed(&ben, 50).await, [&*last, &direct]);
    assert_eq!(counts(&ben, &group).await.1, 1);
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended() {
    let world = World::new().await;
    let ([ann, ben, cal], group) = three(&world).await;
    let mut sent = Vec::new();
    for n in 0..23 {
        ann.say(&group, "in between").await.expect(201);
        sent.insert(
            0,
            match n % 3 {
                0 => mention(&ann, &group, &["ben"]).await.expect(201).id(),
                1 => mention_all(&cal, &group).await.expect(201).id(),
                _ => mention_directly(&ann, "ben").await,
            },
        );
    }
    for limit in [1, 2, 7, 22, 23, 24, 100] {
        assert_eq!(listed(&ben, limit).await, sent, "by {limit}");
    }
    let first = ben.get("/api/mentions?limit=5").await.expect(200);
    assert_eq!(ids(first.list()), sent[..5]);
    let next = format!("/api/mentions?limit=100&cursor={}", text(&first.json, "next_cursor"));
    // Messages that come or go above do not shift the next page.
    mention(&cal, &group, &["ben"]).await.expect(201);
    ann.unsend(&sent[2]).await;
    let rest = ben.get(&next).await.expect(200);
    assert_eq!(ids(rest.list()), sent[5..]);
    assert!(rest.json["next_cursor"].is_null());
    refused_for(&cal.get(&next).await, "cursor");
    refused_for(&ben.get("/api/mentions?limit=0").await, "limit");
    world.anonymous().get("/api/mentions").await.refused(401, "not_authenticated");
}

#[tokio::test]
async fn a_large_group_is_listed_before_its_fan_out() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(30).await;
    world.fan_out(&group).await;
    let one = mention(&crowd[0], &group, &["p001"]).await.expect(201).id();
    let all = mention_all(&crowd[0], &group).await.expect(201).id();
    assert_eq!(listed(&crowd[1], 50).await, [&*all, &one]);
    assert_eq!(listed(&crowd[2], 50).await, [&*all]);
    world.fan_out(&group).await;
    readdress(&crowd[0], &one, &json!({"mentions": ["p002"]})).await;
    crowd[0].unsend(&all).await.expect(200);
    assert!(listed(&crowd[1], 50).await.is_empty());
    assert_eq!(listed(&crowd[2], 50).await, [&*one]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mentions_in_hundreds_of_conversations_are_listed() {
    let world = World::new().await;
    let yesterday = world.with_clock_off_by(-24 * 3600 * 1000);
    let hub = world.user("hub").await;
    let mut sent = BTreeSet::new();
    for some in (0..300).collect::<Vec<_>>().chunks(20) {
        let sends = some.iter().map(async |n| {
            let peer = yesterday.user(&format!("peer{n}")).await;
            peer.send("hub", "hello").await.expect(201);
            mention_directly(&peer, "hub").await
        });
        sent.extend(join_all(sends).await);
    }
    let mut sent: Vec<String> = sent.into_iter().collect();
    sent.sort_by_key(|id| std::cmp::Reverse(id[id.len() - 22..].to_owned()));
    assert_eq!(listed(&hub, 100).await, sent);
    assert_eq!(listed(&hub, 33).await, sent);
    // Once there is an archive, a page costs its messages and little more.
    let page = hub.get("/api/mentions?limit=10").await.expect(200);
    assert_eq!(ids(page.list()), sent[..10]);
    assert!(page.cost("depth") <= 4.0 && page.cost("rcu") <= 60.0, "{page:?}");
    // An old message that begins to mention the user takes its place.
    let old = world.stranger("peer7");
    let hello = hub.history("peer7").await[0]["id"].as_str().unwrap().to_owned();
    readdress(&old, &hello, &json!({"mentions": ["hub"]})).await;
    let with_old: BTreeSet<String> = listed(&hub, 100).await.into_iter().collect();
    assert!(with_old.len() == 301 && with_old.contains(&hello));
}

#[tokio::test]
async fn large_messages_end_a_page_early() {
    let world = World::new().await;
    let [ann, ben] = world.users(["ann", "ben"]).await;
    let long = "\u{1F600}".repeat(10_000);
    for _ in 0..120 {
        let body = json!({"recipient_id": "ben", "message_text": long, "mentions": ["ben"]});
        ann.post("/api/messages/send", &body).await.expect(201);
    }
    let pages = ben.pages("/api/mentions?limit=100").await;
    assert!(pages[0].len() < 100 && pages.concat().len() == 120);
}
