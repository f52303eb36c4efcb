//! Many users who join one room or send into it at the same moment: all of them succeed, and few attempts are refused.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::wire::Faults;
use harness::{Answer, World};
use serde_json::json;

use crate::large::checked_history;

fn transactions(world: &World) -> usize {
    world.wire.calls().iter().filter(|call| *call == "TransactWriteItems").count()
}

/// The time after which a call gives up. This machine works for all callers, so a busy one may need longer.
const DEADLINE: Duration = Duration::from_secs(9);

/// Calls up to ten times, as a client does, as long as a call gives up for want of time. Returns the last answer.
async fn until_in_time(call: &impl AsyncFn() -> Answer) -> Answer {
    let mut attempts = 1;
    loop {
        let began = Instant::now();
        let answer = call().await;
        if answer.status != 503 || began.elapsed() < DEADLINE || attempts == 10 {
            return answer;
        }
        attempts += 1;
    }
}

/// Runs calls at once, all of which must succeed, with at most `attempts` transactions per call.
async fn at_once(world: &World, calls: Vec<impl AsyncFn() -> Answer>, attempts: f64) -> Vec<Answer> {
    let (count, before, began) = (calls.len(), transactions(world), Instant::now());
    let answers = join_all(calls.iter().map(until_in_time)).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status > 201).collect();
    let (made, time) = (transactions(world) - before, began.elapsed());
    assert!(refused.is_empty(), "{} of {count} in {time:?}", refused.len());
    let each = f64::from(u32::try_from(made).unwrap()) / f64::from(u32::try_from(count).unwrap());
    assert!(each <= attempts, "{each} transactions per call");
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hundreds_can_join_a_room_and_send_at_once() {
    let world = World::new().await;
    let room = world.user("owner").await.room("Launch").await;
    let crowd = world.crowd(200).await;
    let room = &room;
    at_once(&world, crowd.iter().map(|actor| async move || actor.join(room).await).collect(), 10.0).await;
    let mut sent = HashSet::new();
    for round in 0..3 {
        let texts: Vec<_> = crowd[..100].iter().map(|actor| format!("{} {round}", actor.id)).collect();
        let sends =
            crowd.iter().zip(&texts).map(|(actor, text)| async move || actor.say_once(room, text).await);
        sent.extend(at_once(&world, sends.collect(), 8.0).await.iter().map(Answer::id));
    }
    assert_eq!(sent.len(), 300);
    world.fan_out(room).await;
    for actor in crowd.iter().step_by(50) {
        let history = checked_history(actor, room).await;
        assert_eq!(history.len(), 300);
        assert!(history.iter().all(|message| sent.contains(message["id"].as_str().unwrap())));
    }
    assert_eq!(crowd[0].overview(room).await["participant_count"], 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn senders_over_a_slow_wire_do_not_refuse_each_other_for_long() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(64).await;
    world.wire.inject(Faults { slow: Duration::from_millis(15), ..Faults::default() }, 1);
    let group = &group;
    let sends = crowd.iter().map(|actor| async move || actor.say(group, "hello").await);
    at_once(&world, sends.collect(), 8.0).await;
    world.wire.heal();
    world.fan_out(group).await;
    assert_eq!(checked_history(&crowd[0], group).await.len(), 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_senders_at_once_need_no_pause() {
    let world = World::new().await;
    let (crowd, group) = world.group_of(30).await;
    let group = &group;
    for _ in 0..10 {
        let sends = crowd[..2].iter().map(|actor| async move || actor.say(group, "hello").await);
        at_once(&world, sends.collect(), 1.5).await;
    }
    let names = &json!({"name": "Others"});
    let changes = crowd[..1].iter().map(|actor| async move || actor.change(group, names).await);
    at_once(&world, changes.collect(), 1.0).await;
}
