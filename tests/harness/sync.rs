//! "State plus events equals fresh state": what a client holds that loaded once and then followed its queue.
//!
//! Invariant: nothing here depends on the order in which events arrive, or on how often. Of a message the highest
//! version wins, of a row its latest appearance or removal; an unread count is the one that was told for the highest
//! watermark, and of these the one that counts the most, plus the messages of others that it does not count.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::{Actor, Answer};

/// What a client shows: its inbox, its totals, and the messages of each conversation in the inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The rows, latest activity first.
    pub rows: Vec<Value>,
    /// `unread_count` and `conversations`.
    pub unread: Value,
    /// The messages of each conversation, oldest first.
    pub messages: BTreeMap<String, Vec<Value>>,
}

impl State {
    /// What the server has for a user now.
    pub async fn of(actor: &Actor) -> Self {
        let (rows, mut messages) = (actor.inbox().await, BTreeMap::new());
        for row in &rows {
            let (conversation, other) = (text(row, "conversation_id"), text(row, "other_user_id"));
            messages.insert(conversation.to_owned(), actor.history(other).await);
        }
        let unread = actor.get("/api/messages/unread-count").await.expect(200).data().clone();
        Self { rows, unread, messages }
    }
}

/// A reader's place in their queue.
#[derive(Clone)]
pub struct Place {
    /// Whose queue.
    pub actor: Actor,
    /// The latest cursor.
    pub cursor: String,
}

impl Place {
    /// Where a new reader begins.
    pub async fn start(actor: &Actor) -> Self {
        let answer = actor.get("/api/events").await.expect(200);
        assert_eq!(answer.data()["events"], json!([]));
        Self { actor: actor.clone(), cursor: text(answer.data(), "cursor").to_owned() }
    }

    /// Polls once, and moves on.
    pub async fn poll(&mut self, limit: usize) -> Answer {
        let answer = self.peek(limit).await.expect(200);
        let ids: Vec<_> = events(&answer).iter().map(|event| text(event, "id")).collect();
        assert!(ids.len() <= limit && ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        text(answer.data(), "cursor").clone_into(&mut self.cursor);
        answer
    }

    /// Polls once, and stays.
    pub async fn peek(&self, limit: usize) -> Answer {
        self.actor.get(&format!("/api/events?limit={limit}&cursor={}", self.cursor)).await
    }

    /// All that is to be had at once.
    pub async fn drain(&mut self, limit: usize) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let answer = self.poll(limit).await;
            all.extend_from_slice(events(&answer));
            if answer.data()["has_more"] == false {
                return all;
            }
        }
    }
}

/// The events of a poll.
pub fn events(answer: &Answer) -> &[Value] {
    answer.data()["events"].as_array().expect("events")
}

/// An unread count: what it holds for.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Count {
    watermark: String,
    counted_to: String,
    unread: u64,
}

impl Count {
    fn of_row(row: &Value) -> Self {
        Self {
            watermark: text(row, "last_read_message_id").to_owned(),
            counted_to: text(row, "counted_to").to_owned(),
            unread: row["unread_count"].as_u64().expect("a count"),
        }
    }
}

#[derive(Debug, Clone)]
struct Known {
    message: Value,
    /// The event that told of it; empty for what was loaded.
    by: String,
}

/// What a client knows of a conversation. Ids of events are empty for what was loaded.
#[derive(Debug, Clone, Default)]
struct Chat {
    row: Value,
    row_by: String,
    /// The latest event that made the row appear or go, and whether it is there.
    life: (String, bool),
    /// The latest event that removed the row.
    gone: String,
    count: Count,
    messages: BTreeMap<String, Known>,
    /// Reader, message and time of each move of a watermark.
    moves: Vec<(String, String, Value)>,
}

impl Chat {
    fn appears(&mut self, by: &str, row: &Value) {
        if by >= self.row_by.as_str() {
            (self.row, self.row_by) = (row.clone(), by.to_owned());
        }
        if by >= self.life.0.as_str() {
            self.life = (by.to_owned(), true);
        }
        self.counts(Count::of_row(row));
    }

    fn goes(&mut self, by: &str) {
        if by >= self.life.0.as_str() {
            self.life = (by.to_owned(), false);
        }
        if by > self.gone.as_str() {
            by.clone_into(&mut self.gone);
            self.messages.retain(|_, known| known.by.as_str() > by);
        }
    }

    fn counts(&mut self, count: Count) {
        let place = |count: &Count| (count.watermark.clone(), count.counted_to.clone());
        if place(&count) >= place(&self.count) {
            self.count = count;
        }
    }

    fn holds(&mut self, by: &str, message: &Value) {
        if by < self.gone.as_str() {
            return;
        }
        let id = text(message, "id").to_owned();
        let known =
            self.messages.entry(id).or_insert_with(|| Known { message: message.clone(), by: by.to_owned() });
        if message["version"].as_u64() > known.message["version"].as_u64() {
            known.message = message.clone();
        }
        if by > known.by.as_str() {
            by.clone_into(&mut known.by);
        }
    }

    /// A message, with what the moves say of it.
    fn shown(&self, message: &Value) -> Value {
        let mut message = message.clone();
        let (id, sender) = (text(&message, "id").to_owned(), text(&message, "sender_id").to_owned());
        let moves = self.moves.iter().filter(|(reader, upto, _)| *reader != sender && *upto >= id);
        if message["read"] == false
            && let Some((_, _, at)) = moves.min_by_key(|(_, upto, _)| upto.clone())
        {
            message["read"] = true.into();
            message["read_at"] = at.clone();
            message["read_count"] = 1.into();
        }
        message
    }

    /// The row, as the events have left it.
    fn row(&self, me: &str) -> Value {
        let mut row = self.row.clone();
        let messages = || self.messages.values().map(|known| &known.message);
        let uncounted = messages()
            .filter(|m| text(m, "sender_id") != me && text(m, "id") > self.count.counted_to.as_str());
        row["unread_count"] = (self.count.unread + uncounted.count() as u64).into();
        row["last_read_message_id"] = id_or_null(&self.count.watermark);
        if let Some(last) = messages().next_back() {
            let preview: String = text(last, "message_text").chars().take(100).collect();
            row["last_message"] = preview.into();
            row["last_message_id"] = last["id"].clone();
            row["last_message_at"] = last["sent_at"].clone();
            row["last_message_from_me"] = (text(last, "sender_id") == me).into();
            row["counted_to"] = last["id"].clone();
        }
        row
    }
}

/// A client: what it has loaded, and what it has made of the events since.
#[derive(Debug, Clone)]
pub struct Replica {
    me: String,
    chats: BTreeMap<String, Chat>,
}

impl Replica {
    /// A client of a user that has loaded a state.
    pub fn with(me: &str, state: &State) -> Self {
        let mut chats = BTreeMap::new();
        for row in &state.rows {
            let id = text(row, "conversation_id").to_owned();
            let mut chat = Chat::default();
            chat.appears("", row);
            for message in &state.messages[&id] {
                chat.holds("", message);
            }
            chats.insert(id, chat);
        }
        Self { me: me.to_owned(), chats }
    }

    /// Takes in an event.
    pub fn apply(&mut self, event: &Value) {
        let (by, data) = (text(event, "id"), &event["data"]);
        let chat = self.chats.entry(text(event, "conversation_id").to_owned()).or_default();
        match text(event, "type") {
            "conversation.created" => chat.appears(by, &data["conversation"]),
            "conversation.deleted" => chat.goes(by),
            "message.created" => chat.holds(by, &data["message"]),
            "message.read" => {
                let (reader, upto) = (text(data, "user_id"), text(data, "message_id"));
                chat.moves.push((reader.to_owned(), upto.to_owned(), data["read_at"].clone()));
                assert_eq!(reader == self.me, data["unread_count"].is_u64(), "{event}");
                if reader == self.me {
                    let unread = data["unread_count"].as_u64().expect("a count");
                    let counted_to = text(data, "counted_to").to_owned();
                    chat.counts(Count { watermark: upto.to_owned(), counted_to, unread });
                }
            }
            "typing" => {}
            other => panic!("an unknown event: {other}"),
        }
    }

    /// What it shows.
    pub fn state(&self) -> State {
        let there = || self.chats.iter().filter(|(_, chat)| chat.life.1);
        let mut rows: Vec<Value> = there().map(|(_, chat)| chat.row(&self.me)).collect();
        // A message's place in time is what follows its conversation's id.
        rows.sort_by_key(|row| {
            let place = text(row, "last_message_id").strip_prefix(text(row, "conversation_id"));
            std::cmp::Reverse(place.unwrap_or_default().to_owned())
        });
        let counts: Vec<u64> = rows.iter().filter_map(|row| row["unread_count"].as_u64()).collect();
        let conversations = counts.iter().filter(|count| **count > 0).count();
        let messages = there().map(|(id, chat)| {
            (id.clone(), chat.messages.values().map(|known| chat.shown(&known.message)).collect())
        });
        let unread = json!({"unread_count": counts.iter().sum::<u64>(), "conversations": conversations});
        State { messages: messages.collect(), rows, unread }
    }
}

/// People whose clients follow along.
pub struct Audience {
    actors: Vec<Actor>,
    /// Clients that have loaded once, at the beginning.
    long: Vec<(Replica, Place)>,
    dice: Dice,
}

impl Audience {
    /// The clients of some people, who load what there is now.
    pub async fn of(actors: &[&Actor], seed: u64) -> Self {
        let mut long = Vec::new();
        for actor in actors {
            let place = Place::start(actor).await;
            long.push((Replica::with(&actor.id, &State::of(actor).await), place));
        }
        Self { actors: actors.iter().map(|actor| (*actor).clone()).collect(), long, dice: Dice(seed) }
    }

    /// Does something, and checks that everyone's clients learn of it: those that follow from the beginning, and new
    /// ones that loaded just before, whatever the order in which events reach them, and if some come twice.
    pub async fn verify<T>(&mut self, action: impl Future<Output = T>) -> T {
        let mut before = Vec::new();
        for actor in &self.actors {
            before.push((Place::start(actor).await, State::of(actor).await));
        }
        let outcome = action.await;
        self.compare(before).await;
        outcome
    }

    /// Checks that clients which loaded some state, maybe a late one, come to show what there is.
    pub async fn compare(&mut self, loaded: Vec<(Place, State)>) {
        for ((mut place, state), (replica, follows)) in loaded.into_iter().zip(&mut self.long) {
            let actor = place.actor.clone();
            let fresh = State::of(&actor).await;
            for event in follows.drain(100).await {
                replica.apply(&event);
            }
            same(&replica.state(), &fresh, &actor, "following from the beginning");
            let events = place.drain(30).await;
            let ids: HashSet<_> = events.iter().map(|event| text(event, "id")).collect();
            assert_eq!(ids.len(), events.len(), "an event came twice");
            let shuffled = self.dice.shuffled(&events);
            let again = self.dice.with_some_twice(&events);
            for (order, events) in [("in order", events), ("in any order", shuffled), ("some twice", again)] {
                let mut replica = Replica::with(&actor.id, &state);
                for event in &events {
                    replica.apply(event);
                }
                same(&replica.state(), &fresh, &actor, order);
            }
        }
    }
}

#[track_caller]
fn same(replica: &State, fresh: &State, actor: &Actor, order: &str) {
    assert_eq!(replica, fresh, "{}'s client, with events {order}", actor.id);
}

/// Chance that can be had again.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides` (xorshift64*).
    pub fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.max(1);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(bits).expect("31 bits") % sides
    }

    fn shuffled(&mut self, events: &[Value]) -> Vec<Value> {
        let mut shuffled = events.to_vec();
        for at in (1..shuffled.len()).rev() {
            shuffled.swap(at, self.below(at + 1));
        }
        shuffled
    }

    /// In order, but now and then some of what came before comes again.
    fn with_some_twice(&mut self, events: &[Value]) -> Vec<Value> {
        let mut all = Vec::new();
        for (at, event) in events.iter().enumerate() {
            all.push(event.clone());
            if self.below(3) == 0 {
                all.extend_from_slice(&events[self.below(at + 1)..=at]);
            }
        }
        all
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

fn id_or_null(id: &str) -> Value {
    if id.is_empty() { Value::Null } else { id.into() }
}
