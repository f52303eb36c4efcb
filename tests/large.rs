//! Conversations of more than 24 participants: the fan-out brings each committed change to every participant once and
//! in order, even if its workers die or run concurrently.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use domain::error::Error;
use futures_util::future::{join, join_all};
use harness::live::PATIENCE;
use harness::sync::{Audience, Dice, Place, events};
use harness::wire::Faults;
use harness::{Actor, Answer, TABLE, World};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::direct::text;
use crate::queue::created;
use crate::racing::bad_day;

/// Retries a call until it is not answered with 503, after pauses that grow, as a client does.
pub(crate) async fn with_retries(call: impl AsyncFn() -> Answer) -> Answer {
    for attempt in 0..50 {
        let answer = call().await;
        if answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20 << attempt.min(7))).await;
    }
    panic!("every call was answered with 503");
}

/// Sends a text to a conversation until it is acknowledged, and returns its id.
pub(crate) async fn say_with_retries(from: &Actor, conversation: &str, text: &str) -> String {
    let answer = with_retries(|| from.say_once(conversation, text)).await;
    assert!([200, 201].contains(&answer.status), "{answer:?}");
    answer.id()
}

/// Asserts that a user's row agrees with a recount of the messages that the user sees. Returns these, oldest first.
pub(crate) async fn checked_history(actor: &Actor, conversation: &str) -> Vec<Value> {
    let (history, row) = (actor.history_of(conversation).await, actor.row_of(conversation).await);
    let row = row.unwrap_or_else(|| panic!("{} has no row", actor.id));
    let ids: Vec<_> = history.iter().map(|message| text(message, "id")).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let read = row["last_read_message_id"].as_str().unwrap_or_default();
    let is_unread =
        |m: &&Value| m["sender_id"] != actor.id.as_str() && text(m, "id") > read && m["is_deleted"] == false;
    let unread = history.iter().filter(is_unread).count();
    assert_eq!(row["unread_count"], unread, "{row} of {}", actor.id);
    if let Some(last) = history.last() {
        assert_eq!(row["last_message_id"], last["id"], "{row} of {}", actor.id);
        assert_eq!(row["last_message"], last["message_text"], "{row} of {}", actor.id);
    }
    history
}

/// Returns the ids of the messages that the events create. Asserts that no event repeats and that the ids ascend.
fn created_once(events: &[Value]) -> Vec<String> {
    let ids: HashSet<_> = events.iter().map(|event| text(event, "id")).collect();
    assert_eq!(ids.len(), events.len(), "an event came twice");
    let created = created(events);
    assert!(created.is_sorted_by(|a, b| a < b), "{created:?}");
    created
}

async fn start_readers(actors: &[Actor]) -> Vec<Place> {
    join_all(actors.iter().map(Place::start)).await
}

/// Runs the fan-out of a conversation, but kills it after `steps` steps. Returns whether it had finished.
async fn fan_out_killed_after(world: &World, conversation: &str, steps: usize) -> bool {
    let kill = async {
        for _ in 0..steps {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = kill => false,
        () = world.fan_out(conversation) => true,
    }
}

/// Runs the fan-out of a conversation, but kills it after `commits` commits.
async fn fan_out_killed_after_commits(world: &World, conversation: &str, commits: usize) {
    world.wire.away_after(commits);
    tokio::select! {
        () = world.wire.wait_until_away() => {}
        () = world.fan_out(conversation) => {}
    }
    world.wire.heal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_group_can_grow_large_during_sends() {
    for seed in 1..6 {
        let world = World::new().await;
        let (crowd, group) = world.group_of(23).await;
        let new = join_all(["x", "y", "z"].map(async |id| world.user(id).await)).await;
        let mut queues = start_readers(&crowd).await;
        world.wire.inject(bad_day(), seed);
        let sends = join_all(crowd[..6].iter().map(async |from| {
            let mut ids = Vec::new();
            for n in 0..4 {
                ids.push(say_with_retries(from, &group, &format!("{} {n}", from.id)).await);
            }
            ids
        }));
        let growth = async {
            let path = format!("/api/conversations/{group}/participants");
            for user in ["x", "y", "z"] {
                let joins = json!({"user_ids": [user]});
                with_retries(|| crowd[0].post(&path, &joins)).await.expect(200);
            }
        };
        let (ids, ()) = join(sends, growth).await;
        world.wire.heal();
        world.fan_out(&group).await;
        let sent: HashSet<String> = ids.concat().into_iter().collect();
        assert_eq!(sent.len(), 24);
        let seen = checked_history(&crowd[7], &group).await;
        assert_eq!(seen.iter().map(|m| text(m, "id").to_owned()).collect::<HashSet<_>>(), sent);
        for place in &mut queues {
            let created = created_once(&place.drain(100).await);
            assert_eq!(created, seen.iter().map(|m| text(m, "id")).collect::<Vec<_>>(), "{}", place.actor.id);
            assert_eq!(place.actor.row_of(&group).await.unwrap()["participant_count"], 26);
        }
        for newcomer in &new {
            // Newcomers see the messages sent after they joined, and none from before.
            let shown = checked_history(newcomer, &group).await;
            assert_eq!(shown, newcomer.history_of(&group).await);
            let rest: Vec<_> = seen[seen.len() - shown.len()..].iter().map(|m| text(m, "id")).collect();
            let created = created_once(&Place::start(newcomer).await.drain(100).await);
            assert_eq!(created, rest, "{}", newcomer.id);
        }
    }
}

#[tokio::test]
async fn a_group_of_a_hundred_is_created_in_one_call() {
    let world = World::new().await;
    let crowd = world.crowd(100).await;
    let mut queues = start_readers(&crowd).await;
    let others: Vec<&str> = crowd[1..].iter().map(|actor| actor.id.as_str()).collect();
    let body = json!({
        "type": "group", "name": "Everyone", "participant_ids": others, "client_conversation_id": "once",
    });
    let made = crowd[0].post("/api/conversations", &body).await.expect(201);
    let again = crowd[0].post("/api/conversations", &body).await.expect(200);
    assert_eq!(made.data(), again.data());
    let group = text(made.data(), "conversation_id");
    world.fan_out(group).await;
    for place in &mut queues {
        let events = place.drain(100).await;
        assert_eq!(events.iter().map(|e| text(e, "type")).collect::<Vec<_>>(), ["conversation.created"]);
        let inbox = place.actor.get("/api/messages/inbox").await.expect(200);
        assert_eq!((&inbox.json["total"], &inbox.list()[0]["participant_count"]), (&json!(1), &json!(100)));
        assert_eq!(inbox.list()[0]["is_admin"], place.actor.id == "p000");
    }
}

#[tokio::test]
async fn a_retry_completes_a_group_whose_creation_was_interrupted() {
    for commits in 1..5 {
        let world = World::new().await;
        let crowd = world.crowd(90).await;
        let others: Vec<&str> = crowd[1..].iter().map(|actor| actor.id.as_str()).collect();
        let body = json!({
            "type": "group", "name": "Everyone", "participant_ids": others, "client_conversation_id": "once",
        });
        world.wire.away_after(commits);
        assert!([201, 503].contains(&crowd[0].post("/api/conversations", &body).await.status));
        world.wire.heal();
        let made = with_retries(|| crowd[0].post("/api/conversations", &body)).await;
        let group = text(made.data(), "conversation_id");
        crowd[0].say(group, "hello").await.expect(201);
        world.fan_out(group).await;
        for actor in &crowd {
            assert_eq!(checked_history(actor, group).await.len(), 1);
            assert_eq!(actor.row_of(group).await.unwrap()["participant_count"], 90);
            assert_eq!(created_once(&Place::start(actor).await.drain(100).await).len(), 1);
        }
    }
}

#[tokio::test]
async fn a_retry_adds_only_those_who_were_asked_for_and_may_be_added() {
    let world = World::new().await;
    let crowd = world.crowd(30).await;
    let (creator, last) = (&crowd[0], &crowd[29]);
    let ids: Vec<&str> = crowd[1..].iter().map(|actor| actor.id.as_str()).collect();
    let body = |ids: &[&str]| {
        json!({
            "type": "group", "name": "Everyone", "participant_ids": ids, "client_conversation_id": "once",
        })
    };
    let make = async |ids: &[&str]| creator.post("/api/conversations", &body(ids)).await;
    world.wire.away_after(1);
    make(&ids).await.refused(503, "unavailable");
    world.wire.heal();
    for other in ["ghost", "p000x"] {
        make(&[&ids[..28], &[other]].concat()).await.refused(409, "conflict");
    }
    last.block(&creator.id).await.expect(200);
    make(&ids).await.refused(403, "blocked");
    assert!(last.inbox().await.iter().all(|row| row["type"] != "group"));
    last.unblock(&creator.id).await.expect(200);
    // The order of the list does not matter.
    let reversed: Vec<&str> = ids.iter().rev().copied().collect();
    make(&reversed).await.expect(200);
    let group = make(&ids).await.expect(200).conversation();
    world.fan_out(&group).await;
    for actor in &crowd {
        assert_eq!(actor.row_of(&group).await.unwrap()["participant_count"], 30, "{}", actor.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_former_admin_adds_nobody_more() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(30).await;
    crowd[0].set_admin(&group, "p001", true).await.expect(200);
    for n in 0..96 {
        world.user(&format!("new{n:03}")).await;
    }
    let ids: Vec<String> = (0..96).map(|n| format!("new{n:03}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (held, release) = world.wire.hold_after(2);
    let demotion = async {
        timeout(PATIENCE, held).await.expect("a third transaction").expect("the wire holds it");
        crowd[0].set_admin(&group, "p001", false).await.expect(200);
        drop(release);
    };
    // An attempt that is held for too long is answered with 503.
    let (added, ()) = join(with_retries(|| crowd[1].add(&group, &ids)), demotion).await;
    added.refused(403, "not_an_admin");
    // The two transactions before it added 24 users each.
    assert_eq!(crowd[0].overview(&group).await["participant_count"], 30 + 2 * 24);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_fan_out_ends_while_messages_keep_coming() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(30).await;
    crowd[0].say(&group, "the first").await.expect(201);
    let sends = async {
        for (n, from) in crowd.iter().cycle().enumerate() {
            say_with_retries(from, &group, &n.to_string()).await;
        }
    };
    let fan_out = timeout(PATIENCE, world.fan_out(&group));
    tokio::select! {
        ended = fan_out => ended.expect("the fan-out ends"),
        () = sends => {}
    }
    // Changes after its start wake it again.
    world.fan_out(&group).await;
    checked_history(&crowd[1], &group).await;
}

#[tokio::test]
async fn a_fan_out_that_runs_out_of_time_names_its_records() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(30).await;
    crowd[0].say(&group, "hello").await.expect(201);
    let event = || harness::stream_event(&format!("C#{group}"), &format!("L#{:020}", 2));
    let now = tokio::time::Instant::now();
    world.wire.inject(Faults { slow: Duration::from_millis(20), ..Faults::default() }, 1);
    let late = fan_out::handle_until(world.app.clone(), event(), now).await.unwrap();
    let named: Vec<_> = late.batch_item_failures.iter().map(|failure| &failure.item_identifier).collect();
    assert_eq!(named, [&Some(harness::SEQUENCE_NUMBER.to_owned())]);
    world.wire.heal();
    assert!(fan_out::handle(world.app.clone(), event()).await.unwrap().batch_item_failures.is_empty());
    assert_eq!(checked_history(&crowd[1], &group).await.len(), 1);
}

#[tokio::test]
async fn every_change_reaches_all_clients() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(30).await;
    let new = world.user("new").await;
    let [admin, ann, ben] = [0, 1, 29].map(|n| &crowd[n]);
    let mut all = Audience::of(&[admin, ann, ben, &new], 1).await;
    let path = format!("/api/conversations/{group}");
    let then = async |answer: Answer| {
        world.fan_out(&group).await;
        answer
    };
    let first = all.verify(async { then(ann.say(&group, "the first").await).await }).await.expect(201).id();
    let second = all.verify(async { then(ben.say(&group, "the second").await).await }).await.expect(201).id();
    all.verify(async { then(admin.mark(&first).await).await }).await.expect(200);
    all.verify(async { then(ann.edit(&first, "the very first").await).await }).await.expect(200);
    all.verify(async { then(ben.edit(&second, "another second").await).await }).await.expect(200);
    all.verify(async { then(admin.unsend(&second).await).await }).await.expect(200);
    all.verify(async { then(ann.hide(&second).await).await }).await.expect(200);
    let renamed = json!({"name": "Others", "photo_url": "https://a.example/b.png"});
    all.verify(async { then(admin.patch(&path, &renamed).await).await }).await.expect(200);
    let people = format!("{path}/participants");
    let joins = json!({"user_ids": ["new"]});
    all.verify(async { then(admin.post(&people, &joins).await).await }).await.expect(200);
    all.verify(async { then(ann.say(&group, "welcome").await).await }).await.expect(201);
    let role = json!({"is_admin": true});
    all.verify(async { then(admin.patch(&format!("{people}/new"), &role).await).await }).await.expect(200);
    all.verify(async { then(new.delete(&format!("{people}/{}", ann.id)).await).await }).await.expect(200);
    all.verify(async { then(admin.delete(&format!("{people}/p000")).await).await }).await.expect(200);
    all.verify(async { then(ben.say(&group, "and then").await).await }).await.expect(201);
    let gone = format!("/api/messages/conversation/{group}");
    all.verify(async { then(new.delete(&gone).await).await }).await.expect(200);
    all.verify(async { then(ben.say(&group, "it returns").await).await }).await.expect(201);
    all.verify(async { then(ben.unsend(&first).await).await }).await.refused(403, "not_the_sender");
    checked_history(ben, &group).await;
    assert_eq!(checked_history(&new, &group).await.len(), 1);
    assert!(ann.row_of(&group).await.is_none());
    ann.say(&group, "let me in").await.refused(403, "not_a_participant");
}

#[tokio::test]
async fn actions_before_the_fan_out_take_effect() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(30).await;
    let sender = &crowd[0];
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(sender.say(&group, &format!("m{n}")).await.expect(201).id());
    }
    let [reads, reads_all, hides, leaves, deletes, marks_page] = [1, 2, 3, 4, 5, 6].map(|n| &crowd[n]);
    let mut all = Audience::of(&[sender, reads, reads_all, hides, deletes, marks_page], 1).await;
    all.verify(async {
        assert_eq!(reads.mark(&ids[6]).await.expect(200).data()["message_id"], ids[6].as_str());
        let read = reads_all.put(&format!("/api/conversations/{group}/read")).await.expect(200);
        assert_eq!((&read.data()["message_id"], &read.data()["unread_count"]), (&json!(ids[9]), &json!(0)));
        hides.hide(&ids[2]).await.expect(200);
        hides.hide(&ids[9]).await.expect(200);
        leaves.delete(&format!("/api/conversations/{group}/participants/{}", leaves.id)).await.expect(200);
        deletes.delete(&format!("/api/messages/conversation/{group}")).await.expect(200);
        let page = format!("/api/conversations/{group}/messages?mark_read=true&limit=4&before={}", ids[8]);
        assert_eq!(marks_page.get(&page).await.expect(200).list().len(), 4);
        sender.unsend(&ids[8]).await.expect(200);
        sender.unsend(&ids[3]).await.expect(200);
        sender.edit(&ids[7], "edited").await.expect(200);
        world.fan_out(&group).await;
    })
    .await;
    for (actor, unread) in [(reads, 2), (reads_all, 0), (marks_page, 1), (hides, 6), (&crowd[7], 8)] {
        assert_eq!(actor.row_of(&group).await.unwrap()["unread_count"], unread, "{}", actor.id);
        assert_eq!(actor.unread().await, unread, "{}", actor.id);
    }
    assert_eq!(checked_history(hides, &group).await.len(), 8);
    checked_history(&crowd[7], &group).await;
    assert!(deletes.row_of(&group).await.is_none(), "a message from before the deletion brought it back");
    assert_eq!(created(&Place::start(leaves).await.drain(100).await), [""; 0]);
    assert!(leaves.inbox().await.is_empty());
    // A later message shows the conversation again, with only the new message.
    all.verify(async {
        sender.say(&group, "later").await.expect(201);
        world.fan_out(&group).await;
    })
    .await;
    assert_eq!(checked_history(deletes, &group).await.len(), 1);
    assert_eq!(deletes.get("/api/messages/inbox").await.json["total"], 1);
}

#[tokio::test]
async fn a_message_deleted_before_its_fan_out_is_never_shown() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(26).await;
    let mut place = Place::start(&crowd[3]).await;
    let id = crowd[0].say(&group, "a secret").await.expect(201).id();
    crowd[0].unsend(&id).await.expect(200);
    world.fan_out(&group).await;
    let events = place.drain(100).await;
    assert!(!json!(events).to_string().contains("secret"));
    assert_eq!(crowd[3].row_of(&group).await.unwrap()["unread_count"], 0);
    assert_eq!(checked_history(&crowd[3], &group).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_workers_publish_each_event_once() {
    for seed in 1..6 {
        let world = World::new().await;
        let (crowd, group) = world.group_of(40).await;
        let mut queues = start_readers(&crowd).await;
        let mut ids = Vec::new();
        for (n, from) in crowd[..10].iter().enumerate() {
            ids.push(from.say(&group, &format!("m{n}")).await.expect(201).id());
        }
        world.wire.inject(Faults { slow: Duration::from_millis(3), ..Faults::default() }, seed);
        join_all((0..3).map(|_| world.fan_out(&group))).await;
        world.wire.heal();
        for place in &mut queues {
            assert_eq!(created_once(&place.drain(100).await), ids);
            assert_eq!(checked_history(&place.actor, &group).await.len(), 10);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_resume_where_others_died() {
    for seed in 1..6 {
        let world = World::new().await;
        let (crowd, group) = world.group_of(40).await;
        let mut queues = start_readers(&crowd).await;
        let mut dice = Dice(seed);
        let mut ids = Vec::new();
        for (n, from) in crowd[..12].iter().enumerate() {
            ids.push(from.say(&group, &format!("m{n}")).await.expect(201).id());
            fan_out_killed_after(&world, &group, dice.below(400)).await;
            fan_out_killed_after_commits(&world, &group, 1 + dice.below(60)).await;
        }
        world.fan_out(&group).await;
        for place in &mut queues {
            assert_eq!(created_once(&place.drain(100).await), ids);
            assert_eq!(checked_history(&place.actor, &group).await.len(), 12);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_faulty_database_loses_no_events() {
    for seed in 1..4 {
        let world = World::new().await;
        let (crowd, group) = world.group_of(30).await;
        let mut queues = start_readers(&crowd).await;
        world.wire.inject(bad_day(), seed);
        let mut ids = Vec::new();
        for (n, from) in crowd[..8].iter().enumerate() {
            ids.push(say_with_retries(from, &group, &format!("m{n}")).await);
            let id = group.parse().unwrap();
            let outcome = fan_out::fan_out(&world.app, &id).await;
            assert!(matches!(outcome, Ok(()) | Err(Error::Unavailable(_))), "{outcome:?}");
        }
        world.wire.heal();
        world.fan_out(&group).await;
        for place in &mut queues {
            assert_eq!(created_once(&place.drain(100).await), ids);
            assert_eq!(checked_history(&place.actor, &group).await.len(), 8);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn users_who_join_during_the_fan_out_get_all_later_messages() {
    for seed in 1..8 {
        let world = World::new().await;
        let crowd = world.crowd(40).await;
        let room = crowd[0].room("Everyone").await;
        let join = format!("/api/rooms/{room}/join");
        for actor in &crowd[1..26] {
            actor.post(&join, &json!({})).await.expect(200);
        }
        world.wire.inject(Faults { slow: Duration::from_millis(4), ..Faults::default() }, seed);
        let (end, ended) = tokio::sync::watch::channel(false);
        let changes = async {
            for (n, actor) in crowd[26..].iter().enumerate() {
                with_retries(async || actor.post(&join, &json!({})).await).await.expect(200);
                say_with_retries(&crowd[n], &room, &format!("m{n}")).await;
            }
            end.send_replace(true);
        };
        let worker = async || {
            while !*ended.borrow() {
                world.fan_out(&room).await;
            }
        };
        futures_util::future::join3(changes, worker(), worker()).await;
        world.wire.heal();
        world.fan_out(&room).await;
        for actor in &crowd {
            assert_eq!(checked_history(actor, &room).await.len(), 14);
        }
        // Each newcomer's queue has the messages sent after the newcomer joined.
        for (n, actor) in crowd[26..].iter().enumerate() {
            assert_eq!(
                created_once(&Place::start(actor).await.drain(100).await).len(),
                14 - n,
                "{}",
                actor.id
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_hidden_during_the_fan_out_stays_hidden() {
    for seed in 1..12 {
        let world = World::new().await;
        let (crowd, group) = world.group_of(26).await;
        world.wire.inject(Faults { slow: Duration::from_millis(3), ..Faults::default() }, seed);
        for n in 0..4 {
            let id = crowd[0].say(&group, &format!("m{n}")).await.expect(201).id();
            let hides = crowd[1..8].iter().map(|actor| with_retries(|| actor.hide(&id)));
            join(world.fan_out(&group), join_all(hides)).await;
        }
        world.wire.heal();
        world.fan_out(&group).await;
        for actor in &crowd[1..8] {
            assert_eq!(checked_history(actor, &group).await.len(), 0);
            assert_eq!(actor.unread().await, 0);
        }
        assert_eq!(checked_history(&crowd[8], &group).await.len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_gets_each_event_once() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(30).await;
    world.wire.delay_commits(Duration::from_millis(30), 1);
    let (end, ended) = tokio::sync::watch::channel(false);
    let sends = async {
        let all = crowd[..4].iter().map(async |from| {
            let mut ids = Vec::new();
            for n in 0..15 {
                ids.push(say_with_retries(from, &group, &format!("{} {n}", from.id)).await);
            }
            ids
        });
        let mut ids = join_all(all).await.concat();
        ids.sort();
        ids
    };
    let worker = |offset| {
        let machine = world.with_clock_off_by(offset);
        let (group, ended) = (group.clone(), ended.clone());
        async move {
            while !*ended.borrow() {
                machine.fan_out(&group).await;
            }
            machine.fan_out(&group).await;
        }
    };
    let readers = async |limit: usize| {
        let mut place = Place::start(&crowd[20 + limit % 10]).await;
        let mut all = Vec::new();
        while !*ended.borrow() {
            all.extend_from_slice(events(&place.poll(limit).await));
        }
        (place, all)
    };
    let sends = async {
        let ids = sends.await;
        end.send_replace(true);
        ids
    };
    let work = join(worker(0), worker(900));
    let readers = join_all([1, 3, 100].map(readers));
    let (ids, _, readers) = futures_util::future::join3(sends, work, readers).await;
    world.wire.heal();
    world.fan_out(&group).await;
    for (mut place, mut all) in readers {
        all.extend(place.drain(50).await);
        let unique: HashSet<_> = all.iter().map(|event| text(event, "id")).collect();
        assert_eq!(unique.len(), all.len(), "an event came twice");
        let mut received = created(&all);
        received.sort();
        assert_eq!(received, ids, "{}", place.actor.id);
    }
}

#[tokio::test]
async fn the_stream_starts_the_fan_out_and_a_deleted_room_leaves_every_inbox() {
    let world = World::new().await;
    let crowd = world.crowd(30).await;
    let room = crowd[0].room("Everyone").await;
    for actor in &crowd[1..] {
        actor.post(&format!("/api/rooms/{room}/join"), &json!({})).await.expect(200);
    }
    crowd[3].delete(&format!("/api/messages/conversation/{room}")).await.expect(200);
    let mut queues = start_readers(&crowd).await;
    let _tail = world.follow_stream();
    crowd[0].say(&room, "soon gone").await.expect(201);
    crowd[0].delete(&format!("/api/rooms/{room}")).await.expect(200);
    crowd[1].say(&room, "too late").await.refused(403, "not_a_participant");
    let gone = async {
        for place in &mut queues {
            let mut last = Vec::new();
            while last.last() != Some(&"conversation.deleted".to_owned()) {
                let answer = place.poll(100).await;
                last.extend(events(&answer).iter().map(|event| text(event, "type").to_owned()));
            }
        }
    };
    timeout(PATIENCE, gone).await.expect("everyone gets conversation.deleted");
    for actor in &crowd {
        let inbox = actor.get("/api/messages/inbox").await.expect(200);
        assert_eq!((&inbox.json["total"], inbox.list().len()), (&json!(0), 0), "{}", actor.id);
        assert_eq!(actor.unread().await, 0);
        actor.get(&format!("/api/conversations/{room}/messages")).await.refused(403, "not_a_participant");
    }
}

/// Returns the ids of the messages that a user's queue refers to, in the order of the queue.
async fn queued(world: &World, user: &str, conversation: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut start = None;
    loop {
        let query = world.database().query().table_name(TABLE).consistent_read(true);
        let query = query.key_condition_expression("pk = :pk").projection_expression("event");
        let user = aws_sdk_dynamodb::types::AttributeValue::S(format!("Q#{user}"));
        let query = query.expression_attribute_values(":pk", user).set_exclusive_start_key(start);
        let page = query.send().await.unwrap();
        for item in page.items() {
            let event: Value = serde_json::from_str(item["event"].as_s().unwrap()).unwrap();
            if let Some(id) = event["created"].as_str() {
                assert!(id.starts_with(conversation));
                ids.push(id.to_owned());
            }
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            return ids;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_users_get_two_hundred_messages_although_workers_die() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(1_000).await;
    let sample: Vec<Actor> = crowd.iter().skip(7).step_by(100).cloned().collect();
    let queues = start_readers(&sample).await;
    let mut dice = Dice(7);
    let mut sent: BTreeMap<String, &str> = BTreeMap::new();
    for round in 0..4 {
        let senders = &crowd[round * 10..round * 10 + 5];
        let ids = join_all(senders.iter().map(async |from| {
            let mut ids = Vec::new();
            for n in 0..10 {
                ids.push((say_with_retries(from, &group, &format!("{round} {n}")).await, from.id.as_str()));
            }
            ids
        }));
        sent.extend(ids.await.concat());
        for _ in 0..3 {
            fan_out_killed_after(&world, &group, dice.below(4_000)).await;
        }
        fan_out_killed_after_commits(&world, &group, 1 + dice.below(900)).await;
    }
    world.fan_out(&group).await;
    let ids: Vec<&str> = sent.keys().map(String::as_str).collect();
    assert_eq!(ids.len(), 200);
    for actor in &crowd {
        assert_eq!(queued(&world, &actor.id, &group).await, ids, "{}", actor.id);
        let row = actor.row_of(&group).await.unwrap();
        let others = sent.values().filter(|sender| **sender != actor.id).count();
        assert_eq!((&row["unread_count"], &row["last_message_id"]), (&json!(others), &json!(ids[199])));
        assert_eq!(actor.unread().await, others as u64);
    }
    for mut place in queues {
        assert_eq!(created_once(&place.drain(100).await), ids);
        assert_eq!(checked_history(&place.actor, &group).await.len(), 200);
    }
}

#[tokio::test]
async fn reading_page_by_page_costs_what_the_pages_cost() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(26).await;
    let mut sent = Vec::new();
    for n in 0..800 {
        sent.push(crowd[0].say(&group, &format!("m{n}")).await.expect(201).id());
    }
    world.fan_out(&group).await;
    let reader = &crowd[1];
    for (n, page) in sent.chunks(100).enumerate().take(5) {
        let answer = reader.mark(&page[99]).await.expect(200);
        assert_eq!(answer.data()["unread_count"], 800 - 100 * (n as u64 + 1));
        assert!(answer.cost("rcu") <= 40.0 && answer.cost("depth") <= 5.0, "{answer:?}");
    }
    // Deletions that the fan-out has not brought to the row yet: below the target, and above it.
    for n in [505, 530, 790] {
        crowd[0].unsend(&sent[n]).await.expect(200);
    }
    reader.mark(&sent[520]).await.expect(200);
    world.fan_out(&group).await;
    checked_history(reader, &group).await;
    assert_eq!(reader.row_of(&group).await.unwrap()["unread_count"], 800 - 521 - 2);
    let marked = reader.mark(&sent[540]).await.expect(200);
    assert_eq!(marked.data()["unread_count"], 800 - 541 - 1);
    checked_history(reader, &group).await;
}

/// A conversation that was once large stays so: even with few participants, rows lag behind its messages.
#[tokio::test]
async fn a_newcomer_to_a_group_that_has_shrunk_finds_its_messages_at_once() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(26).await;
    for actor in &crowd[20..] {
        actor.leave(&group).await.expect(200);
    }
    world.fan_out(&group).await;
    let newcomer = world.user("newcomer").await;
    crowd[0].add(&group, &["newcomer"]).await.expect(200);
    let sent = crowd[0].say(&group, "a needle").await.expect(201).id();
    for actor in [&newcomer, &crowd[5]] {
        let hits = actor.get("/api/messages/search?q=needle").await.expect(200);
        assert_eq!(
            hits.list().iter().map(|hit| text(hit, "id")).collect::<Vec<_>>(),
            [sent.as_str()],
            "{}",
            actor.id
        );
    }
}
