//! The demo data: users and conversations. The tests use a shorter busy room than the real demo.

use std::collections::BTreeMap;

use harness::process::{Server, token};
use harness::{Actor, World};
use local::demo::{self, PEOPLE};
use serde_json::{Value, json};

use crate::direct::{text, texts};
use crate::durability::call;
use crate::searching::found;

/// Number of messages in the busy room.
const ROOM_MESSAGES: usize = 120;
/// How long events are kept, in milliseconds.
const WEEK: i64 = 7 * 24 * 3_600_000;

async fn filled() -> World {
    let world = World::new().await;
    demo::fill(&world.app, ROOM_MESSAGES).await.unwrap();
    world
}

fn people(world: &World) -> Vec<Actor> {
    PEOPLE.iter().map(|(id, _)| world.stranger(id)).collect()
}

/// Returns all messages of a conversation that the user may see, oldest first.
async fn messages(actor: &Actor, row: &Value) -> Vec<Value> {
    let id = text(row, "conversation_id");
    let mut pages = actor.pages(&format!("/api/conversations/{id}/messages?limit=100")).await;
    pages.reverse();
    pages.concat()
}

async fn row(actor: &Actor, name: &str) -> Value {
    let matches = |row: &Value| row["name"] == name || row["other_user_id"] == name;
    actor.inbox().await.into_iter().find(matches).unwrap()
}

/// Returns each user's inbox rows and messages, without ids and times.
async fn snapshot(world: &World) -> BTreeMap<String, Vec<Value>> {
    let mut snapshot = BTreeMap::new();
    for actor in people(world) {
        let mut conversations = Vec::new();
        for row in actor.inbox().await {
            let history = messages(&actor, &row).await;
            let shown = history.iter().map(|message| {
                let fields =
                    ["sender_id", "message_text", "attachment_url", "is_edited", "is_deleted", "read"];
                let replied_to = history.iter().position(|other| other["id"] == message["reply_to"]);
                (fields.map(|field| message[field].clone()), replied_to)
            });
            let fields = ["type", "name", "other_user_id", "last_message", "unread_count", "is_admin"];
            conversations.push(json!([fields.map(|field| row[field].clone()), shown.collect::<Vec<_>>()]));
        }
        snapshot.insert(actor.id, conversations);
    }
    snapshot
}

#[tokio::test]
async fn the_demo_is_deterministic_and_filled_once() {
    let world = filled().await;
    let first = snapshot(&world).await;
    let calls = world.wire.calls().len();
    demo::fill(&world.app, ROOM_MESSAGES).await.unwrap();
    let writes = |call: &String| call == "TransactWriteItems";
    assert!(!world.wire.calls()[calls..].iter().any(writes));
    assert_eq!(snapshot(&world).await, first);
    assert_eq!(snapshot(&filled().await).await, first);
}

#[tokio::test]
async fn an_interrupted_fill_is_completed() {
    let whole = snapshot(&filled().await).await;
    let world = World::new().await;
    for commits in [0, 1, 2, 5, 30, 60, 90, 120] {
        world.wire.away_after(commits);
        assert!(demo::fill(&world.app, ROOM_MESSAGES).await.is_err(), "away after {commits} more");
        world.wire.heal();
    }
    demo::fill(&world.app, ROOM_MESSAGES).await.unwrap();
    assert_eq!(snapshot(&world).await, whole);
}

#[tokio::test]
async fn a_fill_resumes_despite_a_block_made_meanwhile() {
    let world = World::new().await;
    world.wire.away_after(60);
    demo::fill(&world.app, ROOM_MESSAGES).await.unwrap_err();
    world.wire.heal();
    world.stranger("bob").block("alice").await.expect(200);
    demo::fill(&world.app, ROOM_MESSAGES).await.unwrap();
    assert_eq!(
        messages(&world.stranger("bob"), &row(&world.stranger("bob"), "Café Babel").await).await.len(),
        ROOM_MESSAGES
    );
}

#[tokio::test]
async fn a_store_that_knows_a_demo_user_is_left_alone() {
    let world = World::new().await;
    let yuki = world.user("yuki").await;
    demo::fill(&world.app, ROOM_MESSAGES).await.unwrap();
    assert!(yuki.inbox().await.is_empty());
    yuki.get("/api/users/alice").await.refused(404, "not_found");
}

#[tokio::test]
async fn every_inbox_has_correct_counts() {
    let world = filled().await;
    for actor in people(&world) {
        let inbox = actor.inbox().await;
        assert!(inbox.len() > 3, "{}: {inbox:?}", actor.id);
        let mut all = 0;
        for row in &inbox {
            let history = messages(&actor, row).await;
            let read = row["last_read_message_id"].as_str();
            let unread = history.iter().filter(|message| {
                let is_new = read.is_none_or(|read| text(message, "id") > read);
                message["sender_id"] != *actor.id && message["is_deleted"] == false && is_new
            });
            let unread = unread.count() as u64;
            assert_eq!(row["unread_count"], unread, "{}: {row}", actor.id);
            let last = history.last().map_or(&Value::Null, |message| &message["id"]);
            assert_eq!(row["last_message_id"], *last, "{}: {row}", actor.id);
            all += unread;
        }
        assert_eq!(actor.unread().await, all, "{}", actor.id);
        world.login(&actor.id, demo::PASSWORD).await.actor.get("/api/users/me").await.expect(200);
    }
}

#[tokio::test]
async fn all_messages_are_in_order_and_less_than_a_week_old() {
    let world = filled().await;
    let now = world.app.store.now();
    let oldest = domain::time::Timestamp::from_millis(now.millis() - WEEK).to_string();
    for actor in people(&world) {
        for row in actor.inbox().await {
            let history = messages(&actor, &row).await;
            let times: Vec<_> = history.iter().map(|message| text(message, "sent_at")).collect();
            assert!(times.is_sorted(), "{row}");
            let is_recent = |time: &&str| *time > oldest.as_str() && *time <= now.to_string().as_str();
            assert!(times.iter().all(is_recent), "{row}: {times:?}");
        }
    }
}

#[tokio::test]
async fn the_inbox_shows_every_kind_of_row() {
    let world = filled().await;
    let alice = world.stranger("alice");
    let (eleni, yuki) = (row(&alice, "eleni").await, row(&alice, "yuki").await);
    assert_eq!((&eleni["last_message"], &eleni["last_message_from_me"]), (&json!(""), &json!(false)));
    assert_eq!(yuki["last_message"], Value::Null);
    assert_eq!(row(&alice, "Book club 📚").await["last_message"], Value::Null);
    assert_eq!(row(&alice, "bob").await["unread_count"], 2);
    let ticks =
        async |other: &str| messages(&alice, &row(&alice, other).await).await.last().unwrap()["read"].clone();
    assert_eq!((ticks("carol").await, ticks("farah").await), (json!(false), json!(true)));
    let shown = messages(&alice, &row(&alice, "mei").await).await;
    assert_eq!(shown[2]["attachment_type"], "image/png");
    let carol = world.stranger("carol");
    assert_eq!(texts(&messages(&carol, &row(&carol, "eleni").await).await), ["Carol; Το βιβλίο;"]);
}

#[tokio::test]
async fn the_group_has_two_admins_one_former_and_one_late_participant() {
    let world = filled().await;
    let (alice, farah, carol) = (world.stranger("alice"), world.stranger("farah"), world.stranger("carol"));
    let group = row(&alice, "Moving day 📦").await;
    let id = text(&group, "conversation_id");
    let shown = alice.get(&format!("/api/conversations/{id}")).await.expect(200);
    assert!(text(shown.data(), "description").contains("Saturday"));
    let people = shown.data()["participants"].as_array().unwrap();
    let roles: Vec<_> = people.iter().map(|one| (text(one, "user_id"), one["is_admin"] == true)).collect();
    let expected = [("alice", true), ("bob", true), ("eleni", false), ("farah", false), ("priya", false)];
    assert_eq!(roles, expected);
    carol.get(&format!("/api/conversations/{id}")).await.refused(403, "not_a_participant");
    let all = messages(&alice, &group).await;
    assert_eq!(messages(&farah, &row(&farah, "Moving day 📦").await).await.len(), all.len() - 5);
}

#[tokio::test]
async fn all_scripts_are_returned_unchanged_and_found() {
    let world = filled().await;
    let bob = world.stranger("bob");
    let history = messages(&bob, &row(&bob, "Café Babel").await).await;
    assert_eq!(history.len(), ROOM_MESSAGES);
    for exact in [
        "عندي موعد الساعة 10:30 في Café Central (الطابق 3)، من يأتي معي؟",
        "יש כאן גם עברית, גם English וגם 123 באותה שורה.",
        "The whole family is here this weekend 👨‍👩‍👧‍👦 plus 👩🏿‍🦱 and the dog 🐕‍🦺",
        "Packliste:\n  1. Schlafsack 🏕️\n  2. Taschenlampe\n  3. Käse\n\nFehlt etwas?",
        "Two ways to write the same thing: é (one character) and e\u{301} (two). Search finds both.",
        "𠮷野家和吉野家，第一个字不一样，你们看得出来吗？",
    ] {
        let matches = |message: &&Value| message["message_text"] == exact;
        assert_eq!(history.iter().filter(matches).count(), 1, "{exact}");
    }
    for word in
        ["rindfleisch", "καλως", "ежик", "مرحبا", "עברית", "संयुक्ताक्षर", "สวัสดี", "野家", "가나다", "𠮷", "👨‍👩‍👧‍👦"]
    {
        assert!(!found(&bob, word, "").await.is_empty(), "{word}");
    }
}

#[test]
fn without_the_demo_the_store_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let alice = token(folder.path(), "alice");
    let (_, inbox) = call(&server.url, &alice, "GET", "/api/messages/inbox", "").unwrap();
    let (_, rooms) = call(&server.url, &alice, "GET", "/api/rooms", "").unwrap();
    assert_eq!((&inbox["data"], &rooms["data"]), (&json!([]), &json!([])));
    assert!(!server.welcome.iter().any(|line| line.contains("alice")), "{:?}", server.welcome);
}
