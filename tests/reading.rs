//! Unread counts and read watermarks, with one call at a time.

use std::time::Duration;

use harness::{Actor, World};
use serde_json::{Value, json};

use crate::direct::{ids, text};

/// Sends one message for each initial in `senders` and returns the ids.
async fn exchange(alice: &Actor, bob: &Actor, senders: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for sender in senders.chars() {
        let (from, to) = if sender == 'a' { (alice, "bob") } else { (bob, "alice") };
        ids.push(from.send(to, "hello").await.expect(201).id());
    }
    ids
}

/// Returns which of the messages are read.
fn read(messages: &[Value]) -> Vec<bool> {
    messages.iter().map(|message| message["read"] == true).collect()
}

/// Returns when each message was read, `-` if unread. `read` and `read_count` must agree with it.
#[track_caller]
fn read_at(messages: &[Value]) -> Vec<&str> {
    for message in messages {
        assert_eq!(message["read"], message["read_at"].is_string(), "{message}");
        assert_eq!(message["read_count"], u64::from(message["read"] == true), "{message}");
    }
    messages.iter().map(|message| message["read_at"].as_str().unwrap_or("-")).collect()
}

async fn watermark(actor: &Actor, other: &str) -> Value {
    let row = actor.row(other).await.unwrap_or_default();
    assert_eq!(row["other_user_id"], other);
    row["last_read_message_id"].clone()
}

/// Returns the id of Alice's and Bob's conversation.
async fn conversation(alice: &Actor) -> String {
    text(&alice.row("bob").await.unwrap_or_default(), "conversation_id").to_owned()
}

async fn receipts(actor: &Actor, message: &str) -> Vec<Value> {
    actor.get(&format!("/api/messages/{message}/receipts")).await.expect(200).list().to_vec()
}

#[tokio::test]
async fn a_message_is_unread_until_the_other_reads_it() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, "aa").await;
    assert_eq!((alice.unread().await, bob.unread().await), (0, 2));
    assert_eq!(read_at(&alice.page("bob").await), ["-", "-"]);
    let answer = bob.mark(&sent[1]).await.expect(200);
    let conversation = conversation(&alice).await;
    assert_eq!(
        answer.data(),
        &json!({"conversation_id": conversation, "message_id": sent[1], "unread_count": 0})
    );
    assert_eq!((bob.unread().await, bob.row("alice").await.unwrap()["unread_count"].clone()), (0, json!(0)));
    let seen = alice.page("bob").await;
    assert_eq!(read(&seen), [true, true]);
    assert_eq!(read_at(&seen)[0], read_at(&seen)[1]);
    assert_eq!(bob.page("alice").await, seen);
}

#[tokio::test]
async fn sending_does_not_move_the_watermark() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    exchange(&alice, &bob, "aab").await;
    assert_eq!((bob.unread().await, watermark(&bob, "alice").await), (2, Value::Null));
    assert_eq!((alice.unread().await, watermark(&alice, "bob").await), (1, Value::Null));
    assert_eq!(read(&alice.page("bob").await), [false, false, false]);
}

#[tokio::test]
async fn the_watermark_never_goes_back() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, "aaaa").await;
    bob.mark(&sent[2]).await.expect(200);
    let before = alice.page("bob").await;
    for id in [&sent[0], &sent[2], &sent[1]] {
        let answer = bob.mark(id).await.expect(200);
        assert_eq!(
            (&answer.data()["message_id"], &answer.data()["unread_count"]),
            (&json!(sent[2]), &json!(1))
        );
    }
    let older = format!("/api/messages/conversation/alice?before={}", sent[1]);
    bob.get(&older).await.expect(200);
    assert_eq!((watermark(&bob, "alice").await, bob.unread().await), (json!(sent[2]), 1));
    assert_eq!(alice.page("bob").await, before, "nothing was read again");
}

#[tokio::test]
async fn marking_an_older_message_leaves_the_rest() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, "abaaba").await;
    let conversation = conversation(&alice).await;
    for (at, rest) in [(0, 3), (1, 3), (2, 2), (3, 1), (4, 1), (5, 0)] {
        let answer = bob.mark(&sent[at]).await.expect(200);
        assert_eq!(
            answer.data(),
            &json!({
                "conversation_id": conversation, "message_id": sent[at], "unread_count": rest,
            })
        );
        assert_eq!((bob.unread().await, watermark(&bob, "alice").await), (rest, json!(sent[at])));
        let seen = alice.page("bob").await;
        let of_alice = seen.iter().enumerate().filter(|(_, message)| message["sender_id"] == "alice");
        assert!(of_alice.clone().all(|(n, message)| message["read"] == (n <= at)));
    }
    assert_eq!(alice.unread().await, 2);
}

#[tokio::test]
async fn senders_can_mark_their_own_message() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, "aba").await;
    let answer = alice.mark(&sent[2]).await.expect(200);
    assert_eq!((&answer.data()["message_id"], &answer.data()["unread_count"]), (&json!(sent[2]), &json!(0)));
    assert_eq!(read(&bob.page("alice").await), [false, true, false]);
    assert_eq!((alice.unread().await, bob.unread().await), (0, 2));
    assert!(receipts(&alice, &sent[2]).await.is_empty());
}

#[tokio::test]
async fn a_page_marks_up_to_its_newest_and_never_further() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, "aaaaaa").await;
    let get =
        async |query: String| bob.get(&format!("/api/messages/conversation/alice?{query}")).await.expect(200);
    get(format!("before={}", sent[0])).await;
    assert_eq!((watermark(&bob, "alice").await, bob.unread().await), (Value::Null, 6));
    get(format!("before={}&limit=1", sent[2])).await;
    assert_eq!((watermark(&bob, "alice").await, bob.unread().await), (json!(sent[1]), 4));
    get(format!("after={}&limit=2", sent[0])).await;
    assert_eq!((watermark(&bob, "alice").await, bob.unread().await), (json!(sent[2]), 3));
    get("limit=2&offset=1".to_owned()).await;
    assert_eq!((watermark(&bob, "alice").await, bob.unread().await), (json!(sent[4]), 1));
    get("limit=1".to_owned()).await;
    assert_eq!((watermark(&bob, "alice").await, bob.unread().await), (json!(sent[5]), 0));
    assert_eq!(alice.unread().await, 0);
}

#[tokio::test]
async fn mark_read_decides_whether_a_page_marks() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, "aa").await;
    let by_id = format!("/api/conversations/{}/messages", conversation(&alice).await);
    for path in
        ["/api/messages/conversation/alice?mark_read=false", &by_id, &format!("{by_id}?mark_read=false")]
    {
        assert_eq!(bob.get(path).await.expect(200).list().len(), 2);
        assert_eq!((bob.unread().await, watermark(&bob, "alice").await), (2, Value::Null));
    }
    bob.get(&format!("{by_id}?mark_read=true&before={}", sent[1])).await.expect(200);
    assert_eq!((bob.unread().await, watermark(&bob, "alice").await), (1, json!(sent[0])));
    bob.get("/api/messages/conversation/alice?mark_read=true").await.expect(200);
    assert_eq!((bob.unread().await, watermark(&bob, "alice").await), (0, json!(sent[1])));
}

#[tokio::test]
async fn everything_can_be_marked_read() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, "aaba").await;
    let conversation = conversation(&alice).await;
    let path = format!("/api/conversations/{conversation}/read");
    let all = json!({"conversation_id": conversation, "message_id": sent[3], "unread_count": 0});
    for _ in 0..2 {
        assert_eq!(bob.put(&path).await.expect(200).data(), &all);
        assert_eq!((bob.unread().await, watermark(&bob, "alice").await), (0, json!(sent[3])));
    }
    assert_eq!(read(&alice.page("bob").await), [true, true, false, true]);
    exchange(&alice, &bob, "a").await;
    assert_eq!(bob.unread().await, 1);
}

#[tokio::test]
async fn each_move_of_the_watermark_has_its_own_read_time() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, "aaaaaaaa").await;
    // Machines whose clocks differ, so that each move has its own time.
    let later = |minutes: i64| world.with_clock_off_by(minutes * 60_000).stranger("bob");
    let older = format!("/api/messages/conversation/alice?before={}&limit=1", sent[2]);
    bob.get(&older).await.expect(200);
    later(1).mark(&sent[3]).await.expect(200);
    let newer = format!("/api/messages/conversation/alice?after={}&limit=1", sent[3]);
    later(2).get(&newer).await.expect(200);
    later(3).get("/api/messages/conversation/alice?offset=1&limit=1").await.expect(200);
    let seen = alice.page("bob").await;
    let at = read_at(&seen);
    assert_eq!(at[0], at[1]);
    assert_eq!(at[2], at[3]);
    assert_eq!(at[5], at[6]);
    assert_eq!(at[7], "-");
    assert!([at[0], at[2], at[4], at[5]].is_sorted_by(|a, b| a < b), "{at:?}");
    // The times are the same for both users, on every page and in the receipts. The last move changes none of them.
    later(4).get("/api/messages/conversation/alice").await.expect(200);
    let mut whole = alice.page("bob").await;
    assert_eq!(read_at(&whole)[..7], at[..7]);
    assert_eq!(bob.page("alice").await, whole);
    for message in &whole {
        for actor in [&alice, &bob] {
            let receipt = json!({"user_id": "bob", "read_at": message["read_at"]});
            assert_eq!(receipts(actor, text(message, "id")).await, [receipt]);
        }
    }
    for limit in 1..=3 {
        let path = format!("/api/messages/conversation/bob?mark_read=false&limit={limit}");
        let mut pages = alice.pages(&path).await;
        pages.reverse();
        assert_eq!(pages.concat(), whole, "pages of {limit}");
    }
    let found = alice.get("/api/messages/search?q=hello").await.expect(200);
    whole.reverse();
    let found: Vec<_> = found.list().iter().map(|hit| hit["read_at"].clone()).collect();
    assert_eq!(found, whole.iter().map(|message| message["read_at"].clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_looks_the_same_on_every_page() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, "babbaabbab").await;
    // Alice reads messages as they arrive, Bob much later.
    for id in [&sent[0], &sent[2], &sent[3], &sent[6], &sent[7]] {
        alice.mark(id).await.expect(200);
    }
    bob.mark(&sent[8]).await.expect(200);
    let whole = alice.page("bob").await;
    assert_eq!(read(&whole), [true, true, true, true, true, true, true, true, true, false]);
    assert_eq!(bob.page("alice").await, whole);
    for reader in [(&alice, "bob"), (&bob, "alice")] {
        for at in 0..sent.len() {
            for limit in 1..=4 {
                let list = format!("/api/messages/conversation/{}?mark_read=false&limit={limit}", reader.1);
                let before = reader.0.get(&format!("{list}&before={}", sent[at])).await.expect(200);
                assert_eq!(before.list(), &whole[at.saturating_sub(limit)..at], "{limit} before {at}");
                let after = reader.0.get(&format!("{list}&after={}", sent[at])).await.expect(200);
                let end = (at + 1 + limit).min(sent.len());
                assert_eq!(after.list(), &whole[at + 1..end], "{limit} after {at}");
            }
        }
    }
}

#[tokio::test]
async fn receipts_show_who_has_read_a_message() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, "ab").await;
    assert!(receipts(&alice, &sent[0]).await.is_empty());
    bob.mark(&sent[1]).await.expect(200);
    let read_at = alice.page("bob").await[0]["read_at"].clone();
    for actor in [&alice, &bob] {
        assert_eq!(receipts(actor, &sent[0]).await, [json!({"user_id": "bob", "read_at": read_at})]);
        assert!(receipts(actor, &sent[1]).await.is_empty(), "the sender has no receipt");
    }
}

#[tokio::test]
async fn the_unread_count_sums_all_conversations() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    let count = async || {
        let counts = alice.get("/api/messages/unread-count").await.expect(200).data().clone();
        (counts["unread_count"].as_u64().unwrap(), counts["conversations"].as_u64().unwrap())
    };
    assert_eq!(count().await, (0, 0));
    for (id, messages) in [("bob", 1), ("carol", 3), ("dave", 2)] {
        let peer = world.user(id).await;
        for _ in 0..messages {
            peer.send("alice", "hello").await.expect(201);
        }
    }
    assert_eq!(count().await, (6, 3));
    let first = alice.page("carol").await[0].clone();
    alice.mark(text(&first, "id")).await.expect(200);
    assert_eq!(count().await, (5, 3));
    alice.get("/api/messages/conversation/dave").await.expect(200);
    assert_eq!(count().await, (3, 2));
    alice
        .delete(&format!("/api/messages/conversation/{}", text(&first, "conversation_id")))
        .await
        .expect(200);
    assert_eq!(count().await, (1, 1));
}

#[tokio::test]
async fn counted_to_is_the_newest_message_that_the_count_includes() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for senders in ["a", "b", "aa", "bab"] {
        let last = exchange(&alice, &bob, senders).await.pop();
        for (actor, other) in [(&alice, "bob"), (&bob, "alice")] {
            let row = actor.row(other).await.unwrap();
            assert_eq!((&row["counted_to"], &row["last_message_id"]), (&json!(last), &json!(last)));
            assert_eq!(row["last_message_at"], actor.page(other).await.last().unwrap()["sent_at"]);
            let read = row["last_read_message_id"].as_str().unwrap_or_default();
            let seen = actor.page(other).await;
            let unread = seen.iter().filter(|m| m["sender_id"] == other && text(m, "id") > read).count();
            assert_eq!(row["unread_count"], unread);
        }
        let middle = ids(&bob.page("alice").await)[1.min(senders.len() - 1)].to_owned();
        bob.mark(&middle).await.expect(200);
    }
}

#[tokio::test]
async fn deleting_a_conversation_does_not_mark_it_as_read() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    exchange(&alice, &bob, "aa").await;
    bob.delete(&format!("/api/messages/conversation/{}", conversation(&alice).await)).await.expect(200);
    assert_eq!(read(&alice.page("bob").await), [false, false]);
    exchange(&alice, &bob, "a").await;
    assert_eq!(bob.unread().await, 1);
    bob.get("/api/messages/conversation/alice").await.expect(200);
    assert_eq!((bob.unread().await, alice.page("bob").await[2]["read"].clone()), (0, json!(true)));
}

/// Returns how many messages are unread, counted from the messages themselves.
async fn recount(actor: &Actor, other: &str) -> u64 {
    let read = watermark(actor, other).await;
    let history = actor.history(other).await;
    let unread = history.iter().filter(|message| {
        message["sender_id"] == other
            && message["is_deleted"] == false
            && read.as_str().is_none_or(|read| text(message, "id") > read)
    });
    unread.count() as u64
}

#[tokio::test]
async fn counts_are_exact_after_marking_anywhere() {
    for seed in 1..=3_usize {
        let world = World::new().await;
        let (alice, bob) = world.two().await;
        let senders: String = (0..900).map(|n| if (n * seed) % 7 == 3 { 'b' } else { 'a' }).collect();
        let sent = exchange(&alice, &bob, &senders).await;
        let from_alice = |n: &usize| senders.as_bytes()[*n] == b'a';
        for n in (5..900).step_by(31 + seed).filter(from_alice) {
            if n % 2 == 0 {
                alice.unsend(&sent[n]).await.expect(200)
            } else {
                bob.hide(&sent[n]).await.expect(200)
            };
        }
        // Near the watermark, far from both ends, and near the newest message.
        let mut at = 0;
        for step in [1, 40, 250 * seed, 3, 199, 90, 60] {
            at = (at + step).min(899);
            let history = bob.history("alice").await;
            let visible = ids(&history);
            let Some(n) = (at..900).find(|n| visible.contains(&sent[*n].as_str())) else { break };
            let answer = bob.mark(&sent[n]).await.expect(200);
            let counted = recount(&bob, "alice").await;
            assert_eq!(answer.data()["unread_count"], counted, "seed {seed}, at {n}");
            assert_eq!(bob.unread().await, counted);
            at = n;
        }
    }
}

#[tokio::test]
async fn reading_page_by_page_costs_what_the_pages_cost() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, &"a".repeat(1_200)).await;
    for (n, page) in sent.chunks(100).enumerate() {
        let answer = bob.mark(&page[99]).await.expect(200);
        assert_eq!(answer.data()["unread_count"], 1_200 - 100 * (n as u64 + 1));
        assert!(answer.cost("rcu") <= 12.0 && answer.cost("depth") <= 3.0, "{answer:?}");
    }
}

/// One user reads 300 messages one by one, and the other one reads only the last: the moves of the first one do not make
/// that of the other one expensive to find.
#[tokio::test]
async fn the_time_of_reading_costs_the_same_however_often_the_other_has_read() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let asked = alice.send("bob", "are you there?").await.expect(201).id();
    for n in 0..300 {
        let id = bob.send("alice", &format!("{n}")).await.expect(201).id();
        alice.mark(&id).await.expect(200);
    }
    let last = alice.send("bob", "at last").await.expect(201).id();
    bob.mark(&last).await.expect(200);
    let found = alice.get(&format!("/api/messages/{asked}/receipts")).await.expect(200);
    assert_eq!(found.list().len(), 1);
    assert!(found.cost("rcu") <= 4.0 && found.cost("depth") <= 2.0, "{found:?}");
    // The oldest page, and what a search finds there.
    let path = format!("/api/messages/conversation/bob?after={asked}&limit=50&mark_read=false");
    let page = alice.get(&path).await.expect(200);
    assert!(read_at(page.list()).iter().all(|time| *time != "-"));
    assert!(page.cost("rcu") <= 6.0 && page.cost("depth") <= 2.0, "{page:?}");
    let hit = alice.get("/api/messages/search?q=there").await.expect(200);
    assert_eq!(read_at(hit.list()), [text(&found.list()[0], "read_at")]);
}

/// All messages of a page were read by different moves far from one another: a page of hits finds each of them.
#[tokio::test]
async fn hits_tell_when_each_was_read() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let mut times = Vec::new();
    for n in 0..120 {
        let text = if n % 10 == 0 { "needle" } else { "hay" };
        let id = alice.send("bob", text).await.expect(201).id();
        bob.mark(&id).await.expect(200);
        if n % 10 == 0 {
            times.push(receipts(&alice, &id).await[0]["read_at"].clone());
        }
    }
    times.reverse();
    let hits = alice.get("/api/messages/search?q=needle").await.expect(200);
    let found: Vec<Value> = hits.list().iter().map(|hit| hit["read_at"].clone()).collect();
    assert_eq!(found, times);
}

/// A page that marks as read tells the same times as the next one.
#[tokio::test]
async fn a_page_that_marks_as_read_tells_when() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let first = bob.send("alice", "0").await.expect(201).id();
    alice.mark(&first).await.expect(200);
    for n in 1..4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        bob.send("alice", &n.to_string()).await.expect(201);
        let marking = alice.get("/api/messages/conversation/bob").await.expect(200);
        let after = alice.get("/api/messages/conversation/bob?mark_read=false").await.expect(200);
        assert_eq!(read_at(marking.list()), read_at(after.list()));
    }
}

/// Messages that are read during a block show it by the next move after the block, on a page that ends anywhere.
#[tokio::test]
async fn after_a_block_every_page_tells_when_a_message_was_read() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let sent = exchange(&alice, &bob, "bbbbbb").await;
    alice.block("bob").await.expect(200);
    for id in &sent[..4] {
        alice.mark(id).await.expect(200);
    }
    alice.unblock("bob").await.expect(200);
    alice.mark(&sent[4]).await.expect(200);
    let shown = receipts(&bob, &sent[0]).await[0]["read_at"].clone();
    for end in &sent[1..5] {
        for limit in 1..4 {
            let path = format!("/api/messages/conversation/alice?before={end}&limit={limit}&mark_read=false");
            let page = bob.get(&path).await.expect(200);
            assert!(page.list().iter().all(|message| message["read_at"] == shown), "{end} {limit}: {page:?}");
        }
    }
}
