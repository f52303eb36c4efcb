//! Pages of messages in both directions, and pages of the inbox.

use harness::{Actor, World};
use serde_json::{Value, json};

use crate::direct::{ids, text, texts};

/// Creates Alice and Bob, who have exchanged `count` messages. Returns the messages, too.
async fn with_messages(world: &World, count: usize) -> (Actor, Actor, Vec<Value>) {
    let (alice, bob) = world.two().await;
    for n in 0..count {
        let (from, to) = if n % 2 == 0 { (&alice, "bob") } else { (&bob, "alice") };
        from.send(to, &format!("m{n}")).await.expect(201);
    }
    let all = alice.page("bob").await;
    assert_eq!(all.len(), count);
    (alice, bob, all)
}

/// The conversation with Bob, which the pages leave unread.
const LIST: &str = "/api/messages/conversation/bob?mark_read=false";

async fn page(actor: &Actor, query: &str) -> (Vec<Value>, Option<String>) {
    let answer = actor.get(&format!("{LIST}{query}")).await.expect(200);
    (answer.list().to_vec(), answer.json["next_cursor"].as_str().map(ToOwned::to_owned))
}

/// Returns all pages, starting with the page that `first` selects.
async fn walk(actor: &Actor, limit: usize, first: &str) -> Vec<Vec<Value>> {
    let (messages, mut next) = page(actor, &format!("&limit={limit}{first}")).await;
    let mut pages = vec![messages];
    while let Some(cursor) = next {
        let (messages, after) = page(actor, &format!("&limit={limit}&cursor={cursor}")).await;
        assert!(messages.len() <= limit && ids(&messages).is_sorted());
        pages.push(messages);
        next = after;
    }
    pages
}

/// Returns the messages of all pages towards the oldest message, oldest first.
async fn older(actor: &Actor, limit: usize, first: &str) -> Vec<Value> {
    let mut pages = walk(actor, limit, first).await;
    pages.reverse();
    pages.concat()
}

#[tokio::test]
async fn the_first_page_is_the_newest_50() {
    let world = World::new().await;
    let (alice, _, all) = with_messages(&world, 53).await;
    let (newest, next) = page(&alice, "").await;
    assert_eq!(newest, all[3..]);
    let (rest, end) = page(&alice, &format!("&cursor={}", next.unwrap())).await;
    assert_eq!((&*rest, end), (&all[..3], None));
}

#[tokio::test]
async fn pages_cover_the_whole_conversation_in_both_directions() {
    let world = World::new().await;
    let (alice, _, all) = with_messages(&world, 12).await;
    for limit in 1..=13 {
        assert_eq!(older(&alice, limit, "").await, all, "older, by {limit}");
        for at in [0, 1, 5, 11] {
            let id = text(&all[at], "id");
            let before = older(&alice, limit, &format!("&before={id}")).await;
            assert_eq!(before, all[..at], "before {at}, by {limit}");
            let after = walk(&alice, limit, &format!("&after={id}")).await.concat();
            assert_eq!(after, all[at + 1..], "after {at}, by {limit}");
        }
        let (low, high) = (text(&all[2], "id"), text(&all[9], "id"));
        let between = walk(&alice, limit, &format!("&after={low}&before={high}")).await.concat();
        assert_eq!(between, all[3..9], "between, by {limit}");
    }
}

#[tokio::test]
async fn a_page_before_or_after_is_adjacent_to_its_message() {
    let world = World::new().await;
    let (alice, _, all) = with_messages(&world, 8).await;
    let id = |at: usize| text(&all[at], "id");
    for (query, range) in [
        (format!("&before={}&limit=3", id(5)), 2..5),
        (format!("&after={}&limit=3", id(2)), 3..6),
        (format!("&after={}&before={}&limit=3", id(0), id(6)), 1..4),
        (format!("&before={}", id(0)), 0..0),
        (format!("&after={}", id(7)), 0..0),
        (format!("&after={}&before={}", id(3), id(4)), 0..0),
        (format!("&after={}&before={}", id(3), id(3)), 0..0),
        (format!("&after={}&before={}", id(5), id(2)), 0..0),
        (format!("&before={}&offset=2&limit=2", id(7)), 3..5),
    ] {
        let (messages, next) = page(&alice, &query).await;
        assert_eq!(texts(&messages), texts(&all[range.clone()]), "{query}");
        assert!(!range.is_empty() || next.is_none(), "{query}");
    }
}

#[tokio::test]
async fn an_offset_counts_back_from_the_newest() {
    let world = World::new().await;
    let (alice, _, all) = with_messages(&world, 7).await;
    for offset in 0..9 {
        for limit in [1, 3, 10] {
            let (messages, _) = page(&alice, &format!("&offset={offset}&limit={limit}")).await;
            let end = 7_usize.saturating_sub(offset);
            assert_eq!(messages, all[end.saturating_sub(limit)..end], "{limit} at {offset}");
        }
        let rest = older(&alice, 2, &format!("&offset={offset}")).await;
        assert_eq!(rest, all[..7_usize.saturating_sub(offset)], "from {offset} on");
    }
    let (none, end) = page(&alice, "&offset=10000").await;
    assert_eq!((none.len(), end), (0, None));
}

#[tokio::test]
async fn new_messages_do_not_shift_pages() {
    let world = World::new().await;
    let (alice, bob, all) = with_messages(&world, 6).await;
    let (newest, next) = page(&alice, "&limit=3").await;
    let (first, more) = page(&alice, &format!("&limit=2&after={}", text(&all[1], "id"))).await;
    bob.send("alice", "meanwhile").await.expect(201);
    let (rest, end) = page(&alice, &format!("&limit=3&cursor={}", next.unwrap())).await;
    assert_eq!([rest, newest].concat(), all);
    assert!(end.is_none() || page(&alice, &format!("&cursor={}", end.unwrap())).await.0.is_empty());
    let (rest, _) = page(&alice, &format!("&cursor={}", more.unwrap())).await;
    assert_eq!(texts(&[first, rest].concat()), ["m2", "m3", "m4", "m5", "meanwhile"]);
    let (new, _) = page(&alice, &format!("&after={}", text(&all[5], "id"))).await;
    assert_eq!(texts(&new), ["meanwhile"]);
}

#[tokio::test]
async fn a_conversation_has_the_same_pages_by_its_id() {
    let world = World::new().await;
    let (alice, _, all) = with_messages(&world, 5).await;
    let by_id = format!("/api/conversations/{}/messages", text(&all[0], "conversation_id"));
    assert_eq!(alice.get(&by_id).await.expect(200).list(), all);
    let id = text(&all[2], "id");
    for query in [format!("after={id}"), format!("before={id}"), "offset=1&limit=2".to_owned()] {
        let answer = alice.get(&format!("{by_id}?{query}")).await.expect(200);
        assert_eq!(answer.list(), page(&alice, &format!("&{query}")).await.0, "{query}");
    }
    let mut pages = alice.pages(&format!("{by_id}?limit=2")).await;
    pages.reverse();
    assert_eq!(pages.concat(), all);
}

#[tokio::test]
async fn pages_contain_no_deleted_messages() {
    let world = World::new().await;
    let (alice, bob, all) = with_messages(&world, 6).await;
    let conversation = text(&all[0], "conversation_id");
    let (_, older_still) = page(&alice, "&limit=2").await;
    alice.delete(&format!("/api/messages/conversation/{conversation}")).await.expect(200);
    assert_eq!(page(&alice, "").await, (vec![], None));
    for n in 6..10 {
        bob.send("alice", &format!("m{n}")).await.expect(201);
    }
    let new = alice.page("bob").await;
    assert_eq!(texts(&new), ["m6", "m7", "m8", "m9"]);
    for limit in 1..=5 {
        assert_eq!(older(&alice, limit, "").await, new, "by {limit}");
    }
    assert!(older(&alice, 2, &format!("&cursor={}", older_still.unwrap())).await.is_empty());
    assert!(older(&alice, 2, &format!("&before={}", text(&all[3], "id"))).await.is_empty());
    assert!(older(&alice, 2, "&offset=4").await.is_empty());
    assert_eq!(older(&alice, 2, "&offset=1").await, new[..3]);
}

#[tokio::test]
async fn pages_after_a_deleted_message_reach_new_messages() {
    let world = World::new().await;
    let (alice, bob, all) = with_messages(&world, 6).await;
    let after = format!("&after={}", text(&all[0], "id"));
    let (_, newer) = page(&alice, &format!("{after}&limit=2")).await;
    let path = format!("/api/messages/conversation/{}", text(&all[0], "conversation_id"));
    alice.delete(&path).await.expect(200);
    bob.send("alice", "new").await.expect(201);
    for limit in [10, 5, 2, 1] {
        assert_eq!(texts(&walk(&alice, limit, &after).await.concat()), ["new"], "by {limit}");
    }
    let rest = walk(&alice, 2, &format!("&cursor={}", newer.unwrap())).await.concat();
    assert_eq!(texts(&rest), ["new"]);
}

/// Creates Alice, who has sent a message to each of these users, in this order.
async fn with_peers(world: &World, peers: &[&str]) -> Actor {
    let alice = world.user("alice").await;
    for peer in peers {
        world.user(peer).await;
        alice.send(peer, "hello").await.expect(201);
    }
    alice
}

fn others(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| text(row, "other_user_id")).collect()
}

#[tokio::test]
async fn the_inbox_has_the_latest_activity_first() {
    let world = World::new().await;
    let alice = with_peers(&world, &["bob", "carol", "dave"]).await;
    assert_eq!(others(&alice.inbox().await), ["dave", "carol", "bob"]);
    world.stranger("bob").send("alice", "hi").await.expect(201);
    assert_eq!(others(&alice.inbox().await), ["bob", "dave", "carol"]);
    alice.send("carol", "still there?").await.expect(201);
    assert_eq!(others(&alice.inbox().await), ["carol", "bob", "dave"]);
    // Reading does not count as activity.
    alice.get("/api/messages/conversation/bob").await.expect(200);
    world.stranger("dave").get("/api/messages/conversation/alice").await.expect(200);
    assert_eq!(others(&alice.inbox().await), ["carol", "bob", "dave"]);
}

#[tokio::test]
async fn pages_cover_the_whole_inbox() {
    let world = World::new().await;
    let peers = ["a1", "a2", "a3", "a4", "a5", "a6", "a7"];
    let alice = with_peers(&world, &peers).await;
    let whole = alice.inbox().await;
    assert_eq!(others(&whole), ["a7", "a6", "a5", "a4", "a3", "a2", "a1"]);
    for limit in 1..=8 {
        let pages = alice.pages(&format!("/api/messages/inbox?limit={limit}")).await;
        assert!(pages.iter().all(|page| page.len() <= limit));
        assert_eq!(pages.concat(), whole, "by {limit}");
        for offset in 0..9 {
            let path = format!("/api/messages/inbox?limit={limit}&offset={offset}");
            let answer = alice.get(&path).await.expect(200);
            let rest = &whole[offset.min(7)..];
            assert_eq!(answer.list(), &rest[..limit.min(rest.len())], "{limit} at {offset}");
            assert_eq!(answer.json["total"], 7);
            if let Some(cursor) = answer.json["next_cursor"].as_str() {
                let next = alice.get(&format!("/api/messages/inbox?cursor={cursor}")).await.expect(200);
                assert_eq!(next.list(), &rest[limit.min(rest.len())..]);
                assert_eq!(next.json["total"], 7);
            }
        }
    }
}

#[tokio::test]
async fn an_inbox_page_has_50_rows_and_the_total_of_all() {
    let world = World::new().await;
    let alice = world.user("alice").await;
    for n in 0..53 {
        world.stranger(&format!("peer-{n}")).send("alice", "hello").await.expect(201);
    }
    let first = alice.get("/api/messages/inbox").await.expect(200);
    assert_eq!((first.list().len(), &first.json["total"]), (50, &json!(53)));
    let pages = alice.pages("/api/messages/inbox").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [50, 3]);
    assert_eq!(alice.get("/api/messages/inbox?offset=10000").await.expect(200).json["total"], 53);
    let gone = text(&first.list()[7], "conversation_id");
    alice.delete(&format!("/api/messages/conversation/{gone}")).await.expect(200);
    assert_eq!(alice.get("/api/messages/inbox?limit=1").await.expect(200).json["total"], 52);
    assert!(alice.inbox().await.iter().all(|row| row["conversation_id"] != gone));
}

#[tokio::test]
async fn a_row_shows_the_start_of_a_long_text() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", &"é😀".repeat(5_000)).await.expect(201);
    let row = bob.row("alice").await.unwrap();
    let preview = text(&row, "last_message");
    assert!(!preview.is_empty() && "é😀".repeat(5_000).starts_with(preview));
}
