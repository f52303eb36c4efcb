//! "State plus events equals fresh state": what a client holds that loaded once and then followed its queue.
//!
//! Invariant: nothing here depends on the order in which events arrive, or on how often. Of a message the highest
//! version wins, of a row its latest appearance or removal; an unread count is the one that was told for the highest
//! watermark, of these the one that counts up to the newest message, and of these the lowest (for a message that is
//! deleted counts no longer), plus the messages of others that it does not count.
//!
//! Who has read the messages of a group is not followed: a page says it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value, json};

use crate::{Actor, Answer};

/// What a client shows: its inbox, its totals, and the messages of each conversation in the inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The rows, in the order of their ids.
    pub rows: Vec<Value>,
    /// `unread_count` and `conversations`.
    pub unread: Value,
    /// The messages of each conversation, oldest first.
    pub messages: BTreeMap<String, Vec<Value>>,
    /// Who takes part in each group and room.
    pub people: BTreeMap<String, BTreeSet<String>>,
}

impl State {
    /// What the server has for a user now.
    pub async fn of(actor: &Actor) -> Self {
        let (mut rows, mut messages, mut people) = (actor.inbox().await, BTreeMap::new(), BTreeMap::new());
        rows.sort_by_key(|row| text(row, "conversation_id").to_owned());
        for row in &rows {
            let id = text(row, "conversation_id");
            let mut pages = actor.pages(&format!("/api/conversations/{id}/messages?limit=100")).await;
            pages.reverse();
            messages.insert(id.to_owned(), pages.concat().iter().map(followed).collect());
            if row["type"] != "direct" {
                let overview = actor.get(&format!("/api/conversations/{id}")).await.expect(200);
                let participants = overview.data()["participants"].as_array().expect("a list");
                people.insert(
                    id.to_owned(),
                    participants.iter().map(|p| text(p, "user_id").to_owned()).collect(),
                );
            }
        }
        let unread = actor.get("/api/messages/unread-count").await.expect(200).data().clone();
        Self { rows, unread, messages, people }
    }
}

/// A message without what is not followed: who has read it, in a group or room.
fn followed(message: &Value) -> Value {
    let mut message = message.clone();
    if message["recipient_id"].is_null()
        && let Some(fields) = message.as_object_mut()
    {
        fields.retain(|name, _| !["read", "read_count"].contains(&name.as_str()));
    }
    message
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
    /// Event and unread count of each time that one was told.
    counts: Vec<(String, Count)>,
    messages: BTreeMap<String, Known>,
    /// Messages that the user has deleted for themselves.
    hidden: BTreeSet<String>,
    /// Reader, message and time of each move of a watermark.
    moves: Vec<(String, String, Value)>,
    /// Event, version and value of each change of a field of the row.
    changes: Vec<(String, u64, String, Value)>,
    /// Who takes part, where that was loaded, and the user's latest leaving before.
    people: Option<(String, BTreeSet<String>)>,
    /// Event and whether they joined: who came and went since.
    moved: Vec<(String, String, bool)>,
    /// The user's latest leaving: what was before holds no longer, though they join again.
    left: String,
    /// When a deleted message was last brought back: counts that were told before hold no longer.
    restored: String,
    /// The appearance of the row after which its messages were loaded.
    loaded_by: String,
}

impl Chat {
    fn appears(&mut self, by: &str, row: &Value) {
        if by >= self.row_by.as_str() {
            (self.row, self.row_by) = (row.clone(), by.to_owned());
        }
        if by >= self.life.0.as_str() {
            self.life = (by.to_owned(), true);
        }
        self.counts(by, Count::of_row(row));
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

    fn counts(&mut self, by: &str, count: Count) {
        self.counts.push((by.to_owned(), count));
    }

    /// The unread count that holds.
    fn count(&self) -> Count {
        let from = self.left.as_str().max(&self.restored);
        let since = self.counts.iter().filter(|(by, _)| by.as_str() >= from).map(|(_, count)| count);
        let place =
            |count: &Count| (count.watermark.clone(), count.counted_to.clone(), Reverse(count.unread));
        since.max_by_key(|count| place(count)).cloned().unwrap_or_default()
    }

    fn leaves(&mut self, by: &str) {
        self.left = self.left.clone().max(by.to_owned());
    }

    fn is_restored(&mut self, by: &str, count: Count) {
        self.counts(by, count);
        self.restored = self.restored.clone().max(by.to_owned());
    }

    fn holds(&mut self, by: &str, message: &Value) {
        if by < self.gone.as_str() {
            return;
        }
        let id = text(message, "id").to_owned();
        let message = &followed(message);
        let known =
            self.messages.entry(id).or_insert_with(|| Known { message: message.clone(), by: by.to_owned() });
        if message["version"].as_u64() > known.message["version"].as_u64() {
            known.message = message.clone();
        }
        if by > known.by.as_str() {
            by.clone_into(&mut known.by);
        }
    }

    /// A message of a direct conversation, with what the moves say of it.
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
        let mut changes: Vec<_> = self
            .changes
            .iter()
            .filter(|(by, ..)| *by > self.row_by)
            .map(|(_, v, f, to)| (v, f, to))
            .collect();
        changes.sort_by_key(|(version, ..)| *version);
        for (_, field, value) in changes {
            row[field] = value.clone();
        }
        let (messages, count) = (|| self.shown_messages(), self.count());
        let uncounted = messages().filter(|m| {
            let id = text(m, "id");
            let is_new = id > count.counted_to.as_str() && id > count.watermark.as_str();
            is_new && text(m, "sender_id") != me && m["is_deleted"] == false
        });
        row["unread_count"] = (count.unread + uncounted.count() as u64).into();
        row["last_read_message_id"] = id_or_null(&count.watermark);
        let newest = self.messages.keys().next_back().max(Some(&count.counted_to));
        if newest.is_some_and(|newest| newest.as_str() > text(&row, "counted_to")) {
            row["counted_to"] = newest.cloned().into();
        }
        if self.hidden.contains(text(&row, "last_message_id")) && messages().next().is_none() {
            for field in ["last_message", "last_message_id", "last_message_at"] {
                row[field] = Value::Null;
            }
            row["last_message_from_me"] = false.into();
        }
        if let Some(last) = messages().next_back() {
            let preview: String = text(last, "message_text").chars().take(100).collect();
            row["last_message"] = preview.into();
            row["last_message_id"] = last["id"].clone();
            row["last_message_at"] = last["sent_at"].clone();
            row["last_message_from_me"] = (text(last, "sender_id") == me).into();
        }
        row
    }

    /// The messages that are not hidden, oldest first.
    fn shown_messages(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.messages.iter().filter(|(id, _)| !self.hidden.contains(*id)).map(|(_, known)| &known.message)
    }

    /// Whether the row tells of messages that have to be loaded first: those of a room that was joined.
    fn is_unloaded(&self) -> bool {
        let last = text(&self.row, "last_message_id");
        let is_read = !last.is_empty() && last <= text(&self.row, "last_read_message_id");
        is_read && self.loaded_by < self.row_by
    }

    /// Takes in what was loaded now.
    fn load(&mut self, messages: Option<&Vec<Value>>, people: Option<&BTreeSet<String>>) {
        if self.is_unloaded() {
            let by = self.row_by.clone();
            for message in messages.into_iter().flatten() {
                self.holds(&by, message);
            }
            self.loaded_by = by;
        }
        if self.people().is_none() {
            self.people = people.map(|people| (self.left.clone(), people.clone()));
            self.moved.clear();
        }
    }

    /// Who takes part, where that was loaded.
    fn people(&self) -> Option<BTreeSet<String>> {
        let (_, mut people) = self.people.clone().filter(|(left, _)| *left == self.left)?;
        let mut moved = self.moved.clone();
        moved.sort();
        for (_, user, joined) in moved {
            if joined {
                people.insert(user);
            } else {
                people.remove(&user);
            }
        }
        Some(people)
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
            let people = state.people.get(&id).map(|people| (String::new(), people.clone()));
            let mut chat = Chat { people, ..Chat::default() };
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
            "message.updated" => {
                chat.holds(by, &data["message"]);
                if data["unread_count"].is_u64() {
                    chat.is_restored(by, Count::of_row(data));
                }
            }
            "message.deleted" => {
                if data["scope"] == "me" {
                    chat.hidden.insert(text(&data["message"], "id").to_owned());
                } else {
                    assert_eq!(
                        (text(&data["message"], "message_text"), &data["message"]["is_deleted"]),
                        ("", &json!(true))
                    );
                    chat.holds(by, &data["message"]);
                }
                chat.counts(by, Count::of_row(data));
            }
            "conversation.updated" => {
                let version = data["version"].as_u64().expect("a version");
                for (field, value) in data.as_object().expect("an object") {
                    if !["version", "description"].contains(&field.as_str()) {
                        chat.changes.push((by.to_owned(), version, field.clone(), value.clone()));
                    }
                }
            }
            "participant.joined" | "participant.left" => {
                let joined = text(event, "type") == "participant.joined";
                chat.moved.push((by.to_owned(), text(data, "user_id").to_owned(), joined));
                if !joined && data["user_id"] == self.me {
                    chat.leaves(by);
                }
            }
            "message.read" => {
                let (reader, upto) = (text(data, "user_id"), text(data, "message_id"));
                chat.moves.push((reader.to_owned(), upto.to_owned(), data["read_at"].clone()));
                assert_eq!(reader == self.me, data["unread_count"].is_u64(), "{event}");
                if reader == self.me {
                    let unread = data["unread_count"].as_u64().expect("a count");
                    let counted_to = text(data, "counted_to").to_owned();
                    chat.counts(by, Count { watermark: upto.to_owned(), counted_to, unread });
                }
            }
            "typing" => {}
            other => panic!("an unknown event: {other}"),
        }
    }

    /// Loads what events do not tell: what was said in a room before one joined, and who takes part.
    fn load(&mut self, fresh: &State) {
        for (id, chat) in &mut self.chats {
            chat.load(fresh.messages.get(id), fresh.people.get(id));
        }
    }

    /// What it shows.
    pub fn state(&self) -> State {
        let there = || self.chats.iter().filter(|(_, chat)| chat.life.1);
        let rows: Vec<Value> = there().map(|(_, chat)| chat.row(&self.me)).collect();
        let counts: Vec<u64> = rows.iter().filter_map(|row| row["unread_count"].as_u64()).collect();
        let conversations = counts.iter().filter(|count| **count > 0).count();
        let messages = there().map(|(id, chat)| {
            (id.clone(), chat.shown_messages().map(|message| chat.shown(message)).collect())
        });
        let messages = messages.filter(|(id, _)| !self.chats[id].is_unloaded());
        let people = there().filter_map(|(id, chat)| Some((id.clone(), chat.people()?)));
        let unread = json!({"unread_count": counts.iter().sum::<u64>(), "conversations": conversations});
        State { messages: messages.collect(), people: people.collect(), rows, unread }
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
    pub fn verify<T>(&mut self, action: impl Future<Output = T>) -> impl Future<Output = T> {
        let action = Box::pin(action);
        async {
            let mut before = Vec::new();
            for actor in &self.actors {
                before.push((Place::start(actor).await, State::of(actor).await));
            }
            let outcome = action.await;
            self.compare(before).await;
            outcome
        }
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
            replica.load(&fresh);
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
    let mut fresh = fresh.clone();
    // What has to be loaded first is not held against it.
    fresh.messages.retain(|id, _| replica.messages.contains_key(id));
    fresh.people.retain(|id, _| replica.people.contains_key(id));
    assert_eq!(*replica, fresh, "{}'s client, with events {order}", actor.id);
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
