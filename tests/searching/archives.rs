//! Search through archives: every result must be what a plain filter over the visible messages finds, whatever was
//! archived before; and archives make it cheap.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::id::Stamp;
use domain::time::Timestamp;
use futures_util::future::join_all;
use harness::wire::{Faults, TABLE};
use harness::{Actor, Answer, World};
use serde_json::{Value, json};

use super::{encoded, found};
use crate::direct::{ids, text};

const WORDS: [&str; 6] = ["apple", "banana", "cherry", "Zürich", "grapefruit", "APPLE pie"];
/// A word that no message contains.
const NOWHERE: &str = "zebra";
/// A day before now, in milliseconds.
const A_DAY_AGO: i64 = -24 * 3600 * 1000;

/// Random numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(bits).unwrap() % bound
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// A text of 20 to 120 characters, of words that occur often.
fn chatter(random: &mut Random) -> String {
    const COMMON: [&str; 40] = [
        "the", "we", "you", "I", "meet", "at", "seven", "tomorrow", "lunch", "maybe", "it", "is", "not",
        "yet", "ready", "please", "send", "me", "your", "address", "again", "thanks", "see", "there", "what",
        "about", "friday", "evening", "train", "late", "call", "when", "home", "ok", "great", "have",
        "looked", "into", "problem", "server",
    ];
    let length = 20 + random.below(100);
    let mut text = String::new();
    while text.len() < length {
        text.push_str(random.of(&COMMON));
        text.push(' ');
    }
    text.trim_end().to_owned()
}

/// Puts older messages into a conversation, from `from` (milliseconds before now, negative) on, one every 50 ms.
async fn seed(
    world: &World,
    conversation: &str,
    from: i64,
    messages: impl Iterator<Item = (String, String)>,
) {
    let now = world.app.store.now().millis();
    let items = (0..).zip(messages).map(|(n, (sender, text))| {
        let stamp = Stamp::first_of(Timestamp::from_millis(now + from + 50 * n)).plus(n.unsigned_abs() % 7);
        json!({"PutRequest": {"Item": {
            "pk": {"S": format!("C#{conversation}")}, "sk": {"S": format!("M#{stamp}")},
            "sender": {"S": sender}, "content": {"M": {"text": {"S": text}}},
            "version": {"N": "1"}, "touched": {"N": "0"},
        }}})
    });
    for items in items.collect::<Vec<_>>().chunks(25) {
        let body = json!({"RequestItems": {TABLE: items}}).to_string();
        let (status, answer) = world.wire.engine().call("BatchWriteItem", body.as_bytes()).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    }
}

async fn search(actor: &Actor, query: &str, more: &str) -> Answer {
    actor.get(&format!("/api/messages/search?q={}{more}", encoded(query))).await.expect(200)
}

/// Returns the ids of what a user can see and a filter accepts, newest first.
async fn filtered(actor: &Actor, accepts: impl Fn(&Value) -> bool) -> Vec<String> {
    let rows = actor.pages("/api/messages/inbox?limit=100").await.concat();
    let histories = rows.iter().map(|row| actor.history_of(text(row, "conversation_id")));
    let mut messages = join_all(histories).await.concat();
    messages.retain(|message| message["is_deleted"] == false && accepts(message));
    messages.sort_by_key(|message| std::cmp::Reverse(text(message, "id")[25..].to_owned()));
    ids(&messages).into_iter().map(ToOwned::to_owned).collect()
}

/// Asserts that searches find what a plain filter finds. `faults` strike during the search alone.
async fn agrees(world: &World, faults: Faults, actor: &Actor, random: &mut Random, context: &str) {
    let word = random.of(&WORDS);
    let other = random.of(&WORDS);
    let sender = random.of(&["alice", "bob", "me"]);
    let from = if sender == "me" { actor.id.clone() } else { sender.to_owned() };
    let contains = |message: &Value, word: &str| {
        text(message, "message_text").to_lowercase().contains(&word.to_lowercase())
    };
    let (query, expected) = match random.below(5) {
        4 => {
            let accepts = |message: &Value| {
                let listed = message["mentions"].as_array().unwrap().contains(&json!(actor.id));
                message["sender_id"] != *actor.id && (listed || message["mention_all"] == true)
            };
            (String::new(), filtered(actor, accepts).await)
        }
        0 => (word.to_owned(), filtered(actor, |message| contains(message, word)).await),
        1 => {
            let accepts = |message: &Value| contains(message, word) && !contains(message, other);
            (format!("\"{word}\" -\"{other}\""), filtered(actor, accepts).await)
        }
        2 => {
            let accepts = |message: &Value| contains(message, word) && message["sender_id"] == from;
            (format!("\"{word}\" from:{sender}"), filtered(actor, accepts).await)
        }
        _ => (format!("-\"{word}\" from:{sender}"), {
            filtered(actor, |message| !contains(message, word) && message["sender_id"] == from).await
        }),
    };
    let limit = 1 + random.below(60);
    let path = match &*query {
        "" => format!("/api/mentions?limit={limit}"),
        query => format!("/api/messages/search?q={}&limit={limit}", encoded(query)),
    };
    world.wire.inject(faults, 1);
    let pages = actor.pages(&path).await;
    world.wire.heal();
    let full = pages.iter().rev().skip(1).all(|page| page.len() == limit);
    assert!(full, "{context}: a page of {query} by {limit} is not full");
    let found: Vec<String> = ids(&pages.concat()).into_iter().map(ToOwned::to_owned).collect();
    let differs = found.iter().zip(&expected).position(|(one, other)| one != other);
    let lengths = (found.len(), expected.len());
    assert!(
        found == expected,
        "{context}: {} searches {query} by {limit}: {lengths:?} {differs:?}",
        actor.id
    );
}

/// Creates Alice and Bob, who have 20 short conversations each, a long one with each other, a group and a room.
async fn town(world: &World, random: &mut Random) -> (Vec<Actor>, Vec<String>) {
    let yesterday = world.with_clock_off_by(A_DAY_AGO);
    let (alice, bob) = yesterday.two().await;
    for n in 0..20 {
        let peer = yesterday.user(&format!("peer{n}")).await;
        for actor in [&alice, &bob] {
            actor.send(&peer.id, random.of(&WORDS)).await.expect(201);
            peer.send(&actor.id, random.of(&WORDS)).await.expect(201);
        }
    }
    let direct = alice.send("bob", "apple").await.expect(201).conversation();
    let group = alice.group("Fruit", &["bob", "peer0"]).await;
    let room = alice.room("Market").await;
    bob.join(&room).await.expect(200);
    for conversation in [&direct, &group, &room] {
        let texts: Vec<_> = (0..1_300)
            .map(|_| (random.of(&["alice", "bob"]).to_owned(), random.of(&WORDS).to_owned()))
            .collect();
        seed(world, conversation, A_DAY_AGO + 10_000_000, texts.into_iter()).await;
    }
    let actors = vec![world.stranger("alice"), world.stranger("bob")];
    for conversation in [&direct, &group, &room] {
        actors[0].say(conversation, "cherry").await.expect(201);
    }
    (actors, vec![direct, group, room])
}

/// Lets a user do something by chance.
async fn act(world: &World, actors: &[Actor], conversations: &[String], random: &mut Random) -> String {
    let actor = &actors[random.below(actors.len())];
    let conversation = &random.of(conversations);
    let peer = format!("peer{}", random.below(20));
    let word = random.of(&WORDS);
    let room = &conversations[2];
    // A message of theirs or of another, in a short or in a long conversation.
    let message = async |random: &mut Random| {
        let (short, peer) = (random.below(2) == 0, format!("peer{}", random.below(20)));
        let takes_part = actor.row_of(conversation).await.is_some();
        let history = if short || !takes_part {
            actor.history(&peer).await
        } else {
            actor.history_of(conversation).await
        };
        (!history.is_empty()).then(|| text(&random.of(&history), "id").to_owned())
    };
    match random.below(15) {
        13 => {
            let all = random.below(2) == 0;
            let body = json!({"conversation_id": conversation, "message_text": word,
                "mentions": if all { vec![] } else { vec![random.of(&["alice", "bob"])] }, "mention_all": all});
            drop(actor.post("/api/messages/send", &body).await);
            return "a mention".to_owned();
        }
        14 => {
            let mentions = random.of(&[vec!["alice"], vec!["bob"], vec!["alice", "bob"], vec![]]);
            let body = json!({"mentions": mentions, "mention_all": random.below(4) == 0});
            if let Some(id) = message(random).await {
                for actor in actors {
                    actor.patch(&format!("/api/messages/{id}"), &body).await;
                }
            }
            return "an edit of mentions".to_owned();
        }
        0 | 1 => drop(actor.send(&peer, word).await),
        2 => drop(world.stranger(&peer).send(&actor.id, word).await),
        3 => drop(actor.say(conversation, word).await),
        4..=6 => {
            let id = message(random).await;
            if let Some(id) = id {
                // Others' messages are refused.
                for actor in actors {
                    actor.edit(&id, word).await;
                }
            }
            return "an edit".to_owned();
        }
        7 | 8 => {
            if let Some(id) = message(random).await {
                for actor in actors {
                    actor.unsend(&id).await;
                }
                if random.below(2) == 0 {
                    let _ = world.app.store.restore_message(&id.parse().unwrap()).await;
                    return "a restore".to_owned();
                }
            }
            return "a deletion".to_owned();
        }
        9 => {
            if let Some(id) = message(random).await {
                actor.hide(&id).await;
            }
        }
        10 => {
            if let Some(row) = actor.row(&peer).await {
                actor.forget(text(&row, "conversation_id")).await;
            }
            return "a conversation is deleted".to_owned();
        }
        11 => {
            actor.leave(room).await;
            return "someone leaves".to_owned();
        }
        _ => {
            actor.join(room).await;
            return "someone joins".to_owned();
        }
    }
    "something".to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_agree_with_a_plain_filter_whatever_happens() {
    whatever_happens(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_agree_with_a_plain_filter_whatever_else_happens() {
    whatever_happens(2).await;
}

async fn whatever_happens(seed: u64) {
    let mut random = Random(seed * 7919);
    let world = World::new().await;
    let (actors, conversations) = town(&world, &mut random).await;
    let mut last = "the beginning".to_owned();
    for step in 0..40 {
        let actor = actors[random.below(actors.len())].clone();
        let context = format!("seed {seed}, step {step}, after {last}");
        agrees(&world, Faults::default(), &actor, &mut random, &context).await;
        for _ in 0..=random.below(3) {
            last = act(&world, &actors, &conversations, &mut random).await;
        }
    }
    let keys: BTreeSet<String> = world.items().await.iter().map(|item| item["sk"]["S"].to_string()).collect();
    assert!(keys.contains("\"ARCHIVE\"") && keys.contains("\"A#INDEX\"") && keys.contains("\"PACK\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_agree_when_the_database_fails_and_replicas_lag() {
    let mut random = Random(104_729);
    let world = World::new().await;
    let (actors, conversations) = town(&world, &mut random).await;
    for step in 0..16 {
        let faults = Faults { throttled: 0.1, failed: 0.1, lost: 0.1, unprocessed: 0.3, ..Faults::default() };
        world.wire.inject(faults, step + 1);
        // A search that fails, or is cut off in the middle, may leave half of an archive.
        let path = format!("/api/messages/search?q={NOWHERE}");
        let time = Duration::from_millis(5 * (step % 10) + 1);
        let _ = tokio::time::timeout(time, actors[0].get(&path)).await;
        let answer = actors[1].get(&path).await;
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        world.wire.heal();
        act(&world, &actors, &conversations, &mut random).await;
        let stale = Faults { lag: Duration::from_hours(1), ..Faults::default() };
        let actor = &actors[random.below(2)];
        agrees(&world, stale, actor, &mut random, &format!("step {step}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_searchers_build_at_once() {
    let mut random = Random(31);
    let world = World::new().await;
    let (actors, conversations) = town(&world, &mut random).await;
    for round in 0..3 {
        let searches = (0..8).map(|n| search(&actors[n % 2], NOWHERE, ""));
        assert!(join_all(searches).await.iter().all(|answer| answer.list().is_empty()));
        agrees(&world, Faults::default(), &actors[round % 2], &mut random, "afterwards").await;
        act(&world, &actors, &conversations, &mut random).await;
    }
}

/// Returns a direct conversation of Alice and Bob with this many older messages, archived.
async fn archived(world: &World, count: usize) -> (Actor, Actor, String) {
    let (alice, bob) = world.two().await;
    let conversation = alice.send("bob", "the last one").await.expect(201).conversation();
    let mut random = Random(5);
    let texts: Vec<_> = (0..count).map(|_| ("alice".to_owned(), chatter(&mut random))).collect();
    seed(world, &conversation, A_DAY_AGO, texts.into_iter()).await;
    assert!(search(&alice, NOWHERE, "").await.list().is_empty());
    assert!(world.items().await.iter().any(|item| item["sk"]["S"] == "A#INDEX"));
    (alice, bob, conversation)
}

/// Returns a user whose calls reach another process, which keeps no packs yet.
fn elsewhere(world: &World, actor: &Actor) -> Actor {
    world.with_clock_off_by(0).stranger(&actor.id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_goes_on_in_a_pack_when_its_first_candidates_are_no_hits() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let conversation = alice.send("bob", "the last one").await.expect(201).conversation();
    let texts = (0..2_000).map(|n| ("alice".to_owned(), format!("needle {n}")));
    seed(&world, &conversation, A_DAY_AGO, texts).await;
    assert!(search(&alice, NOWHERE, "").await.list().is_empty());
    assert!(world.items().await.iter().any(|item| item["sk"]["S"] == "A#INDEX"));
    let history = bob.history_of(&conversation).await;
    for messages in history[1_600..2_000].chunks(20) {
        let hidden = messages.iter().map(async |message| bob.hide(text(message, "id")).await.expect(200));
        join_all(hidden).await;
    }
    // A search of one conversation reads its archive from the beginning.
    let pages = format!("&limit=100&conversation_id={conversation}");
    let page = search(&bob, "needle", &pages).await;
    let texts: Vec<&str> = page.list().iter().map(|message| text(message, "message_text")).collect();
    let expected: Vec<String> = (1_500..1_600).rev().map(|n| format!("needle {n}")).collect();
    assert_eq!(texts, expected);
    assert_eq!(found(&bob, "needle", &pages).await.len(), 1_600);
    assert_eq!(found(&alice, "needle", &pages).await.len(), 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_frequent_word_reads_as_many_messages_as_it_needs() {
    let world = World::new().await;
    let (alice, _bob) = world.two().await;
    let conversation = alice.send("bob", "the last one").await.expect(201).conversation();
    let text = |n| if n % 6 == 0 { format!("needle {n}") } else { format!("nothing to see here {n}") };
    seed(&world, &conversation, A_DAY_AGO, (0..900).map(|n| ("alice".to_owned(), text(n)))).await;
    let page = search(&alice, "needle", &format!("&limit=50&conversation_id={conversation}")).await;
    assert_eq!(page.list().len(), 50);
    assert_eq!(page.list()[49]["message_text"], format!("needle {}", 894 - 49 * 6));
    // It costs 13.5 units, and would cost more if each step read as much as it may.
    within(&page, 4.0, 18.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_of_the_last_day_reads_nothing_older() {
    let world = World::new().await;
    let (alice, _bob) = world.two().await;
    let conversation = alice.send("bob", "the last one").await.expect(201).conversation();
    let texts = |count| (0..count).map(|n| ("alice".to_owned(), format!("nothing to see here {n}")));
    seed(&world, &conversation, 2 * A_DAY_AGO, texts(900)).await;
    seed(&world, &conversation, A_DAY_AGO / 2, texts(60)).await;
    let since = Timestamp::from_millis(world.app.store.now().millis() + A_DAY_AGO);
    let page =
        search(&alice, "here", &format!("&limit=100&after={since}&conversation_id={conversation}")).await;
    assert_eq!(page.list().len(), 60);
    within(&page, 3.0, 7.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_search_of_the_last_day_leaves_is_archived_later() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let conversation = alice.send("bob", "the last one").await.expect(201).conversation();
    // The newer ones are worth a pack because of their texts, although they are few.
    for (from, count, length) in [(2 * A_DAY_AGO, 200, 0), (A_DAY_AGO / 2, 300, 1_000)] {
        let word = |n| if n % 10 == 0 { "pebble" } else { "nothing" };
        let texts = (0..count).map(|n| format!("{} {n}{}", word(n), " and on".repeat(length / 7)));
        seed(&world, &conversation, from, texts.map(|text| ("alice".to_owned(), text))).await;
    }
    let history = alice.history_of(&conversation).await;
    let id = |n: usize| text(&history[n], "id");
    alice.unsend(id(0)).await.expect(200);
    alice.edit(id(10), "a stone").await.expect(200);
    alice.edit(id(11), "pebble 11").await.expect(200);

    let packs = async || world.items().await.iter().filter(|item| item["sk"]["S"] == "PACK").count();
    let since = Timestamp::from_millis(world.app.store.now().millis() + A_DAY_AGO);
    let within = format!("&limit=100&conversation_id={conversation}");
    for (since, expected) in [(format!("&after={since}"), 1), (String::new(), 2)] {
        let mut page = search(&alice, "zebra", &format!("{within}{since}")).await;
        while let Some(cursor) = page.json["next_cursor"].as_str() {
            page = search(&alice, "zebra", &format!("{within}{since}&cursor={cursor}")).await;
        }
        assert_eq!(packs().await, expected);
    }
    let all = found(&elsewhere(&world, &bob), "pebble", &within).await;
    let old: Vec<String> = (20..200).step_by(10).rev().chain([11]).map(|n| format!("pebble {n}")).collect();
    assert_eq!(all[all.len() - old.len()..], old);
    assert_eq!(all.len(), 30 + old.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_archived_messages_are_found_at_once() {
    let world = World::new().await;
    let (alice, bob, conversation) = archived(&world, 2_000).await;
    let history = alice.history_of(&conversation).await;
    for nth in [0, 700, 1_400] {
        let id = text(&history[nth], "id");
        let before = text(&history[nth], "message_text").to_owned();
        alice.edit(id, "a zebra").await.expect(200);
        for actor in [&alice, &bob] {
            assert_eq!(found(actor, NOWHERE, "").await, ["a zebra"]);
            let old = format!("&conversation_id={conversation}");
            assert!(!found(actor, &format!("\"{before}\""), &old).await.contains(&before));
        }
        alice.unsend(id).await.expect(200);
        assert!(found(&bob, NOWHERE, "").await.is_empty());
        world.app.store.restore_message(&id.parse().unwrap()).await.unwrap();
        bob.hide(id).await.expect(200);
        assert_eq!((found(&alice, NOWHERE, "").await.len(), found(&bob, NOWHERE, "").await.len()), (1, 0));
        alice.edit(id, &before).await.expect(200);
        assert!(found(&alice, NOWHERE, "").await.is_empty());
    }
    // Many edits lead to a new pack, which costs no more than the old one.
    for message in &history[100..140] {
        alice.edit(text(message, "id"), "a zebra").await.expect(200);
    }
    assert_eq!(found(&bob, NOWHERE, "&limit=100").await.len(), 40);
    let rewritten = search(&elsewhere(&world, &alice), "quagga", "").await;
    assert!(rewritten.cost("rcu") < 60.0, "{}", rewritten.cost("rcu"));
    assert_eq!(found(&bob, NOWHERE, "&limit=7").await.len(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_archive_shows_nobody_more_than_they_may_see() {
    let world = World::new().await;
    let yesterday = world.with_clock_off_by(A_DAY_AGO - 1_000_000);
    let [alice, bob, carol] = yesterday.users(["alice", "bob", "carol"]).await;
    let group = alice.group("Everyone", &["bob"]).await;
    let room = alice.room("Open").await;
    for conversation in [&group, &room] {
        let texts = (0..1_500).map(|n| ("alice".to_owned(), format!("needle {n}")));
        seed(&world, conversation, A_DAY_AGO, texts).await;
        world.stranger("alice").say(conversation, "the last needle").await.expect(201);
    }
    let count = async |actor: &Actor| found(actor, "needle", "&limit=100").await.len();
    assert_eq!((count(&alice).await, count(&bob).await, count(&carol).await), (3_002, 1_501, 0));
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|id| world.stranger(id));
    alice.add(&group, &["carol"]).await.expect(200);
    carol.join(&room).await.expect(200);
    // A newcomer sees nothing of the group, and the last 100 messages of the room.
    assert_eq!(count(&carol).await, 100);
    alice.say(&group, "needle for all").await.expect(201);
    assert_eq!((count(&carol).await, count(&bob).await), (101, 1_502));
    bob.forget(&group).await.expect(200);
    assert_eq!(count(&bob).await, 0);
    alice.say(&group, "one more needle").await.expect(201);
    assert_eq!(found(&bob, "needle", "").await, ["one more needle"]);
    carol.leave(&group).await.expect(200);
    assert_eq!(count(&carol).await, 100);
    let path = format!("/api/messages/search?q=needle&conversation_id={group}");
    carol.get(&path).await.refused(403, "not_a_participant");
    alice.delete(&format!("/api/rooms/{room}")).await.expect(200);
    assert_eq!((count(&carol).await, count(&alice).await), (0, 1_503));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_conversations_are_searched_in_three_calls() {
    let world = World::new().await;
    let yesterday = world.with_clock_off_by(A_DAY_AGO);
    let hub = world.user("hub").await;
    let mut random = Random(11);
    for some in (0..1_000).collect::<Vec<_>>().chunks(20) {
        let sent = some.iter().map(async |n| {
            let peer = yesterday.user(&format!("peer{n}")).await;
            peer.send("hub", &format!("hello from {n}")).await.expect(201).conversation()
        });
        for conversation in join_all(sent).await {
            let texts: Vec<_> = (0..9).map(|_| ("hub".to_owned(), chatter(&mut random))).collect();
            seed(&world, &conversation, 2 * A_DAY_AGO, texts.into_iter()).await;
        }
    }
    while search(&hub, NOWHERE, "").await.json["next_cursor"].is_string() {}
    let nothing = search(&elsewhere(&world, &hub), NOWHERE, "").await;
    within(&nothing, 3.0, 80.0);
    // The process that has built the archive keeps it.
    within(&search(&hub, NOWHERE, "").await, 2.0, 30.0);
    let one = search(&elsewhere(&world, &hub), "\"hello from 777\"", "&limit=1").await;
    assert_eq!(one.list()[0]["message_text"], "hello from 777");
    within(&one, 3.0, 80.0);
    // Newer messages are found, at the price of reading their conversations.
    world.stranger("peer5").send("hub", "a zebra").await.expect(201);
    let fresh = search(&elsewhere(&world, &hub), NOWHERE, "").await;
    assert_eq!(fresh.list().len(), 1);
    within(&fresh, 4.0, 85.0);
    assert_eq!(search(&hub, "hello", "&limit=100").await.list().len(), 100);
}

/// Asserts upper bounds for a search: sequential database calls and read units.
#[track_caller]
fn within(answer: &Answer, depth: f64, rcu: f64) {
    let cost = (answer.cost("depth"), answer.cost("rcu"));
    assert!(cost.0 <= depth && cost.1 <= rcu, "{cost:?} is over {:?}", (depth, rcu));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_conversation_of_a_thousand_is_searched_once_for_all() {
    let world = World::new().await;
    let yesterday = world.with_clock_off_by(A_DAY_AGO - 1_000_000);
    let (crowd, group) = yesterday.group_of(1_000).await;
    world.fan_out(&group).await;
    let mut random = Random(13);
    let count = 20_000;
    let texts: Vec<_> = (0..count)
        .map(|n| {
            (crowd[n % 1_000].id.clone(), if n == 70 { "a needle".into() } else { chatter(&mut random) })
        })
        .collect();
    seed(&world, &group, A_DAY_AGO, texts.into_iter()).await;
    world.stranger(&crowd[0].id).say(&group, "the last one").await.expect(201);
    let mut first = search(&crowd[0], NOWHERE, "").await;
    while let Some(cursor) = first.json["next_cursor"].as_str() {
        first = search(&crowd[0], NOWHERE, &format!("&cursor={cursor}")).await;
    }
    // 100,000 messages cost five times as much.
    let second = search(&elsewhere(&world, &crowd[1]), NOWHERE, "").await;
    assert!(second.json["next_cursor"].is_null());
    within(&second, 8.0, 60.0);
    let found = search(&crowd[999], "needle", "").await;
    assert_eq!(found.list()[0]["message_text"], "a needle");
    // Pages go on where the last one ended: the last hundred costs little more than the first.
    let mut next = format!("/api/messages/search?q=server&limit=100&conversation_id={group}");
    let (mut hits, mut costs) = (BTreeSet::new(), Vec::new());
    for _ in 0..30 {
        let page = elsewhere(&world, &crowd[2]).get(&next).await.expect(200);
        hits.extend(ids(page.list()).into_iter().map(ToOwned::to_owned));
        costs.push(page.cost("rcu"));
        let cursor = text(&page.json, "next_cursor");
        assert!(cursor.len() < 400);
        next = format!("/api/messages/search?q=server&limit=100&conversation_id={group}&cursor={cursor}");
    }
    assert_eq!(hits.len(), 3_000);
    assert!(costs.iter().all(|cost| *cost < 120.0), "{costs:?}");
}
