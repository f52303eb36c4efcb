//! Random actions of four users in direct conversations, a group and a room keep their clients up to date: on a healthy
//! and on a faulty database, despite clock skew, and in a large group.

use std::time::Duration;

use harness::sync::{Audience, Dice};
use harness::wire::Faults;
use harness::{Actor, Answer, World};
use serde_json::json;

use crate::direct::text;

const PEOPLE: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// The faults of a database on a bad day.
fn bad_day() -> Faults {
    Faults {
        held: 0.05,
        unprocessed: 0.1,
        conflict_per_item: 0.01,
        throttled: 0.01,
        failed: 0.02,
        lost: 0.05,
        slow: Duration::ZERO,
        lag: Duration::ZERO,
    }
}

/// Four users, the machines that serve them, and their group and room.
struct Simulation {
    machines: Vec<World>,
    actors: [Actor; 4],
    group: String,
    room: String,
    dice: Dice,
}

impl Simulation {
    /// Creates a simulation whose group has `crowd` further participants.
    async fn new(machines: Vec<World>, crowd: usize, seed: u64) -> Self {
        let actors = machines[0].users(PEOPLE).await;
        let mut others = vec!["bob".to_owned(), "carol".to_owned()];
        for n in 0..crowd {
            others.push(machines[0].user(&format!("user{n:03}")).await.id);
        }
        let group = actors[0].group("Trip", &others.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let room = actors[1].room("Lobby").await;
        Self { machines, actors, group, room, dice: Dice(seed * 0x9E37_79B9) }
    }

    fn pick<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[self.dice.below(some.len())]
    }

    /// Performs a random action of a random user. It may be refused, or fail with 503.
    async fn step(&mut self) {
        let machine = self.dice.below(self.machines.len());
        let user = self.dice.below(4);
        let (actor, other) = (self.machines[machine].stranger(PEOPLE[user]), *self.pick(&PEOPLE));
        let direct = json!({"type": "direct", "participant_ids": [other]});
        let (group, room) = (self.group.clone(), self.room.clone());
        let id = [&group, &group, &room][self.dice.below(3)].as_str();
        let number = self.dice.below(1_000);
        let answer = match self.dice.below(24) {
            0..=3 => actor.say(id, &format!("m{number}")).await,
            4 | 5 if other != actor.id => actor.send(other, &format!("m{number}")).await,
            6 if other != actor.id => actor.post("/api/conversations", &direct).await,
            7 | 8 => actor.join(&room).await,
            9 => actor.leave(&room).await,
            10..=12 => actor.add(&group, &[other]).await,
            13 => actor.remove(id, other).await,
            14 => actor.set_admin(&group, other, number.is_multiple_of(2)).await,
            15 => actor.change(id, &json!({"name": format!("name {number}")})).await,
            _ => self.change(&actor, number).await,
        };
        assert!([200, 201, 400, 403, 404, 409, 503].contains(&answer.status), "{answer:?}");
    }

    /// Performs a random action on a conversation or message that the user sees.
    async fn change(&mut self, actor: &Actor, number: usize) -> Answer {
        let inbox = actor.get("/api/messages/inbox").await;
        if inbox.status != 200 || inbox.list().is_empty() {
            return inbox;
        }
        let id = text(self.pick(inbox.list()), "conversation_id").to_owned();
        let page = actor.get(&format!("/api/conversations/{id}/messages?limit=6")).await;
        if page.status != 200 || page.list().is_empty() {
            return page;
        }
        let message = text(self.pick(page.list()), "id").to_owned();
        match self.dice.below(8) {
            0 => actor.forget(&id).await,
            1 => actor.read_all(&id).await,
            2 => actor.mark(&message).await,
            3 | 4 => actor.edit(&message, &format!("edited {number}")).await,
            5 => actor.hide(&message).await,
            _ => actor.unsend(&message).await,
        }
    }

    /// Performs at least `steps` random actions, and checks all clients after every one to three of them.
    async fn run(&mut self, steps: usize, faults: &Faults) {
        let actors = self.actors.clone();
        let mut all = Audience::of(&actors.each_ref(), self.dice.0).await;
        let world = self.machines[0].clone();
        let mut step = 0;
        while step < steps {
            let some = 1 + self.dice.below(3);
            all.verify(async {
                world.wire.inject(faults.clone(), (step + 1) as u64 * 7_919);
                for _ in 0..some {
                    self.step().await;
                }
                world.wire.heal();
                let worker = &self.machines[step % self.machines.len()];
                worker.fan_out(&self.group).await;
            })
            .await;
            step += some;
        }
    }
}

#[tokio::test]
async fn random_actions_keep_clients_up_to_date() {
    for seed in 1..5 {
        // With a window of 0, fresh cursors return no earlier events.
        let world = World::new().await.settling_after(if seed % 2 == 0 { 0 } else { 15_000 });
        Simulation::new(vec![world], 0, seed).await.run(60, &Faults::default()).await;
    }
}

#[tokio::test]
async fn random_actions_on_a_faulty_database_keep_clients_up_to_date() {
    for seed in 1..4 {
        let world = World::new().await;
        Simulation::new(vec![world], 0, seed).await.run(40, &bad_day()).await;
    }
}

#[tokio::test]
async fn random_actions_keep_clients_up_to_date_despite_clock_skew() {
    for seed in 1..5 {
        let world = World::new().await;
        let machines = vec![world.clone(), world.with_clock_off_by(4_000), world.with_clock_off_by(-3_000)];
        Simulation::new(machines, 0, seed).await.run(60, &Faults::default()).await;
    }
}

#[tokio::test]
async fn random_actions_in_a_large_group_keep_clients_up_to_date() {
    for seed in 1..3 {
        let world = World::new().await;
        let machines = vec![world.clone(), world.with_clock_off_by(4_000)];
        Simulation::new(machines, 23, seed).await.run(40, &Faults::default()).await;
    }
}
