//! Search, end to end. The folding of texts has unit tests beside its code.

use harness::{Actor, World};
use serde_json::{Value, json};

use crate::direct::{ids, text, texts};

mod archives;

/// Percent-encodes a text for a query string.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}

/// Returns the hits of all pages. `more` is appended to the query string.
async fn find(actor: &Actor, query: &str, more: &str) -> Vec<Value> {
    let path = format!("/api/messages/search?q={}{more}", encoded(query));
    let hits = actor.pages(&path).await.concat();
    let sent_at: Vec<_> = hits.iter().map(|hit| text(hit, "sent_at")).collect();
    assert!(sent_at.is_sorted_by(|newer, older| newer >= older), "{sent_at:?}");
    hits
}

/// Returns the texts of the hits of all pages.
pub(crate) async fn found(actor: &Actor, query: &str, more: &str) -> Vec<String> {
    find(actor, query, more).await.iter().map(|hit| text(hit, "message_text").to_owned()).collect()
}

/// Creates Alice, who exchanges messages with three users, one a minute: even ones are hers, odd ones theirs.
async fn three_conversations(world: &World) -> Actor {
    let alice = world.user("alice").await;
    for (n, peer) in (0..12).zip(["bob", "carol", "bob", "dave"].into_iter().cycle()) {
        let minutes = world.with_clock_off_by(n * 60_000);
        let (from, to) = if n % 2 == 0 { ("alice", peer) } else { (peer, "alice") };
        minutes.user(from).await;
        minutes.user(peer).await;
        minutes.stranger(from).send(to, &format!("meeting {n} with {peer}")).await.expect(201);
    }
    alice
}

#[tokio::test]
async fn hits_come_from_all_conversations_newest_first() {
    let world = World::new().await;
    let alice = three_conversations(&world).await;
    let all = found(&alice, "meeting", "").await;
    let peers = ["bob", "carol", "bob", "dave"];
    let expected: Vec<_> = (0..12).rev().map(|n| format!("meeting {n} with {}", peers[n % 4])).collect();
    assert_eq!(all, expected);
    for limit in 1..=13 {
        let path = format!("/api/messages/search?q=meeting&limit={limit}");
        assert!(alice.pages(&path).await.iter().all(|page| page.len() <= limit));
        assert_eq!(found(&alice, "meeting", &format!("&limit={limit}")).await, all, "by {limit}");
    }
    let few = found(&alice, "carol", "&limit=2").await;
    assert_eq!(few, ["meeting 9 with carol", "meeting 5 with carol", "meeting 1 with carol"]);
}

#[tokio::test]
async fn new_messages_do_not_shift_the_pages() {
    let world = World::new().await;
    let alice = three_conversations(&world).await;
    let first = alice.get("/api/messages/search?q=meeting&limit=5").await.expect(200);
    world.with_clock_off_by(3_600_000).stranger("dave").send("alice", "a new meeting").await.expect(201);
    let cursor = text(&first.json, "next_cursor");
    let rest =
        alice.get(&format!("/api/messages/search?q=meeting&limit=20&cursor={cursor}")).await.expect(200);
    let seen = [first.list(), rest.list()].concat();
    assert_eq!(ids(&seen), ids(&find(&alice, "meeting", "").await[1..]));
}

#[tokio::test]
async fn filters_narrow_a_search() {
    let world = World::new().await;
    let alice = three_conversations(&world).await;
    let all = find(&alice, "meeting", "").await;
    let ids_of = |hits: &[Value]| ids(hits).into_iter().map(ToOwned::to_owned).collect::<Vec<_>>();
    let ids_where = |wanted: &dyn Fn(&Value) -> bool| {
        ids_of(&all.iter().filter(|hit| wanted(hit)).cloned().collect::<Vec<_>>())
    };
    for from in ["alice", "bob", "carol", "nobody"] {
        let hits = find(&alice, "meeting", &format!("&from={from}&limit=2")).await;
        assert_eq!(ids_of(&hits), ids_where(&|hit| hit["sender_id"] == from), "{from}");
    }
    for peer in ["bob", "carol"] {
        let conversation = alice.row(peer).await.unwrap()["conversation_id"].clone();
        let id = conversation.as_str().unwrap();
        let hits = find(&alice, "meeting", &format!("&conversation_id={id}&limit=2")).await;
        assert_eq!(ids_of(&hits), ids_where(&|hit| hit["conversation_id"] == conversation), "{peer}");
    }
    // Both bounds are exclusive.
    let (late, early) = (text(&all[2], "sent_at"), text(&all[9], "sent_at"));
    assert_eq!(ids_of(&find(&alice, "meeting", &format!("&before={late}")).await), ids_of(&all[3..]));
    assert_eq!(ids_of(&find(&alice, "meeting", &format!("&after={early}&limit=3")).await), ids_of(&all[..9]));
    let between = format!("&after={early}&before={late}");
    assert_eq!(ids_of(&find(&alice, "meeting", &between).await), ids_of(&all[3..9]));
    let from = format!("{between}&from=alice&limit=1");
    assert_eq!(ids_of(&find(&alice, "meeting", &from).await).len(), 3);
    assert!(find(&alice, "meeting", &format!("&after={late}&before={early}")).await.is_empty());
    for (end, last) in [("before", 12), ("after", 0)] {
        let found = async |time: &str| find(&alice, "meeting", &format!("&{end}={time}")).await.len();
        assert_eq!(found("0000-01-01T00:00:00Z").await, 12 - last);
        assert_eq!(found("1970-01-01T00:00:00.000Z").await, 12 - last);
        assert_eq!(found("9999-12-31T23:59:59.999Z").await, last);
    }
    assert_eq!(find(&alice, "meeting", "&after=1971-01-01T02:00:00%2B02:00").await.len(), 12);
}

#[tokio::test]
async fn operators_and_parameters_do_the_same() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let conversation = alice.send("bob", "lunch at https://a.example").await.expect(201).conversation();
    bob.send("alice", "lunch today").await.expect(201);
    for (attachment, kind) in
        [("cat.png", "image/png"), ("plan.pdf", "application/pdf"), ("talk.mp3", "audio")]
    {
        let body = json!({"recipient_id": "alice", "message_text": attachment,
            "attachment_url": format!("https://a.example/{attachment}"), "attachment_type": kind});
        bob.post("/api/messages/send", &body).await.expect(201);
    }
    for (query, parameters, expected) in [
        ("lunch from:me", "q=lunch&from=alice", vec!["lunch at https://a.example"]),
        ("lunch FROM:bob", "q=lunch&from=bob", vec!["lunch today"]),
        ("lunch -today", "q=lunch%20-today", vec!["lunch at https://a.example"]),
        ("lunch -\"lunch at\"", "q=lunch%20-\"lunch%20at\"", vec!["lunch today"]),
        ("a has:link", "q=a&has=link", vec!["lunch at https://a.example"]),
        ("p has:attachment", "q=p&has=attachment", vec!["talk.mp3", "plan.pdf", "cat.png"]),
        ("p has:image", "q=p&has=image", vec!["cat.png"]),
        ("has:file", "q=has:file", vec!["plan.pdf"]),
        (
            &format!("lunch in:{conversation} after:2020-01-01"),
            &format!("q=lunch&in={conversation}&after=2020-01-01T00:00:00Z"),
            vec!["lunch today", "lunch at https://a.example"],
        ),
        ("lunch before:2020-01-01", "q=lunch&before=2020-01-01T00:00:00Z", vec![]),
        ("from:alice from:bob lunch", "q=lunch%20from:alice&from=bob", vec![]),
        ("has:fun", "q=in:general", vec![]),
    ] {
        assert_eq!(found(&alice, query, "").await, expected, "{query}");
        let answer =
            alice.get(&format!("/api/messages/search?{}", parameters.replace('"', "%22"))).await.expect(200);
        assert_eq!(texts(answer.list()), expected, "{parameters}");
    }
    let carol = world.user("carol").await;
    for query in [format!("q=x%20in:{conversation}"), format!("q=x&in={conversation}")] {
        carol.get(&format!("/api/messages/search?{query}")).await.refused(403, "not_a_participant");
    }
    for malformed in [
        "q=",
        "q=%20",
        "q=x&has=fun",
        "q=x&from=a%20b",
        "q=x&from=me",
        "q=x&before=2020-01-01",
        "q=x&in=general",
        "from=bob",
    ] {
        alice.get(&format!("/api/messages/search?{malformed}")).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_hit_is_the_message_with_highlights() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let message = alice.send_once("bob", "🚀 Crème brûlée, crème", "k1").await.expect(201);
    bob.mark(&message.id()).await.expect(200);
    for (actor, other) in [(&alice, "bob"), (&bob, "alice")] {
        let mut expected = actor.page(other).await[0].clone();
        expected["highlights"] = json!([[2, 7], [16, 21]]);
        assert_eq!(find(actor, "CREME", "").await, [expected]);
    }
}

#[tokio::test]
async fn all_words_must_match_anywhere_in_the_text() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for text in [
        "the quick brown fox",
        "a brown quick fox",
        "die Straße",
        "ПРИВЕТ, Ёлка",
        "今日は東京で会議です",
        "100% 😀",
    ] {
        alice.send("bob", text).await.expect(201);
    }
    for (query, expected) in [
        ("quick fox", vec!["a brown quick fox", "the quick brown fox"]),
        ("uic RO", vec!["a brown quick fox", "the quick brown fox"]),
        ("\"quick brown\"", vec!["the quick brown fox"]),
        ("fox \"brown quick\"", vec!["a brown quick fox"]),
        ("quick slow", vec![]),
        ("strasse", vec!["die Straße"]),
        ("привет елка", vec!["ПРИВЕТ, Ёлка"]),
        ("東京", vec!["今日は東京で会議です"]),
        ("0%", vec!["100% 😀"]),
        ("😀", vec!["100% 😀"]),
    ] {
        assert_eq!(found(&bob, query, "").await, expected, "{query}");
    }
}

#[tokio::test]
async fn query_is_an_alias_of_q() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    alice.send("bob", "hello there").await.expect(201);
    let by_q = alice.get("/api/messages/search?q=hello+there").await.expect(200);
    let by_query = alice.get("/api/messages/search?query=hello%20there").await.expect(200);
    assert_eq!((by_q.list().len(), &by_q.json), (1, &by_query.json));
}

#[tokio::test]
async fn only_messages_in_ones_own_conversations_are_found() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    let carol = world.user("carol").await;
    alice.send("bob", "a secret").await.expect(201);
    carol.send("bob", "another secret").await.expect(201);
    assert_eq!(found(&alice, "secret", "").await, ["a secret"]);
    assert_eq!(found(&carol, "secret", "").await, ["another secret"]);
    assert!(found(&carol, "secret", "&from=alice").await.is_empty());
    assert_eq!(find(&bob, "secret", "").await.len(), 2);
    let foreign = alice.row("bob").await.unwrap()["conversation_id"].clone();
    let path = format!("/api/messages/search?q=secret&conversation_id={}", foreign.as_str().unwrap());
    carol.get(&path).await.refused(403, "not_a_participant");
}

#[tokio::test]
async fn messages_of_a_deleted_conversation_are_not_found() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for text in ["needle 1", "needle 2", "needle 3"] {
        alice.send("bob", text).await.expect(201);
    }
    let conversation = bob.row("alice").await.unwrap()["conversation_id"].clone();
    let id = conversation.as_str().unwrap();
    bob.delete(&format!("/api/messages/conversation/{id}")).await.expect(200);
    let only = format!("&conversation_id={id}");
    for more in ["", &only, "&limit=1"] {
        assert!(found(&bob, "needle", more).await.is_empty());
    }
    alice.send("bob", "needle 4").await.expect(201);
    for more in ["", &only, "&limit=1"] {
        assert_eq!(found(&bob, "needle", more).await, ["needle 4"]);
        assert_eq!(found(&alice, "needle", more).await.len(), 4);
    }
}

#[tokio::test]
async fn an_empty_result_is_an_empty_list() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    let nothing = alice.get("/api/messages/search?q=bye").await.expect(200);
    assert_eq!((texts(nothing.list()), nothing.json.get("next_cursor")), (vec![], Some(&Value::Null)));
}

#[tokio::test]
async fn search_reads_past_the_first_pages_of_a_long_conversation() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "the needle").await.expect(201);
    for n in 0..150 {
        alice.send("bob", &format!("hay {n}")).await.expect(201);
    }
    assert_eq!(found(&bob, "needle", "&limit=1").await, ["the needle"]);
    assert_eq!(find(&bob, "hay", "&limit=40").await.len(), 150);
}

#[tokio::test]
async fn marks_are_one_and_what_is_invisible_is_passed_over() {
    let world = World::new().await;
    let (alice, bob) = world.two().await;
    for text in
        ["I don\u{2019}t", "co\u{2011}op", "we co\u{ad}operate", "\u{645}\u{640}\u{62d}\u{645}\u{62f}"]
    {
        alice.send("bob", text).await.expect(201);
    }
    for (query, highlight) in [
        ("don't", [2, 7]),
        ("don\u{2bc}t", [2, 7]),
        ("\u{201c}i don't\u{201d}", [0, 7]),
        ("co-op", [0, 5]),
        ("co\u{2212}op", [0, 5]),
        ("cooperate", [3, 13]),
        ("co\u{200b}operate", [3, 13]),
        ("\u{645}\u{62d}\u{645}\u{62f}", [0, 5]),
    ] {
        let hits = find(&bob, query, "").await;
        assert_eq!(hits.len(), 1, "{query}");
        assert_eq!(hits[0]["highlights"], json!([highlight]), "{query}");
    }
    let nothing = alice.get(&format!("/api/messages/search?q={}", encoded("\u{200b}\u{ad}"))).await;
    nothing.refused(400, "invalid_request");
}
