//! Checks that "state plus events equals fresh state", with the model of a client that loads once and then applies the
//! events of its queue.
//!
//! Invariant: the model's state does not depend on the order of events or on repeats, because clients must tolerate
//! both. The highest version of a message wins, and the latest event that adds or removes a row. Of the unread counts
//! that were received, the model takes those with the highest watermark, of these the ones that count up to the newest
//! message, and of these the lowest (deleted messages no longer count). It then adds the messages of others that this
//! count does not cover.
//!
//! The model does not track who has read the messages of a group, because events do not report it: a page does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Value, json};

use crate::{Actor, Answer};

/// The state of a client: its inbox, its totals, and the messages and participants of each conversation in the inbox.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The rows of the inbox and of the archive, ordered by conversation id.
    pub rows: Vec<Value>,
    /// The unread counts over all conversations.
    pub unread: Value,
    /// The messages of each conversation, oldest first.
    pub messages: BTreeMap<String, Vec<Value>>,
    /// The participants of each group and room.
    pub people: BTreeMap<String, BTreeSet<String>>,
}

impl State {
    /// Loads a user's current state from the server.
    pub async fn of(actor: &Actor) -> Self {
        let (mut rows, mut messages, mut people) = (actor.inbox().await, BTreeMap::new(), BTreeMap::new());
        rows.extend(actor.archive().await);
        rows.iter_mut().for_each(without_untracked);
        rows.sort_by_key(|row| text(row, "conversation_id").to_owned());
        for row in &rows {
            let id = text(row, "conversation_id");
            let mut pages = actor.pages(&format!("/api/conversations/{id}/messages?limit=100")).await;
            pages.reverse();
            messages.insert(id.to_owned(), pages.concat().iter().map(tracked).collect());
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

/// Removes from a row what no event reports: the time of a row whose messages its owner has hidden one by one.
fn without_untracked(row: &mut Value) {
    if row["last_message_id"].is_null() && !row["counted_to"].is_null() {
        row["last_message_at"] = Value::Null;
    }
}

/// Returns a message without the fields that the model does not track: in groups and rooms, who has read it.
fn tracked(message: &Value) -> Value {
    let mut message = message.clone();
    if message["recipient_id"].is_null()
        && let Some(fields) = message.as_object_mut()
    {
        fields.retain(|name, _| !["read", "read_count"].contains(&name.as_str()));
    }
    message
}

/// A reader's position in a user's event queue.
#[derive(Clone)]
pub struct Place {
    /// The user.
    pub actor: Actor,
    /// The latest cursor.
    pub cursor: String,
}

impl Place {
    /// Starts at a new cursor.
    pub async fn start(actor: &Actor) -> Self {
        let answer = actor.get("/api/events").await.expect(200);
        assert_eq!(answer.data()["events"], json!([]));
        Self { actor: actor.clone(), cursor: text(answer.data(), "cursor").to_owned() }
    }

    /// Polls once and moves the cursor.
    pub async fn poll(&mut self, limit: usize) -> Answer {
        let answer = self.peek(limit).await.expect(200);
        let ids: Vec<_> = events(&answer).iter().map(|event| text(event, "id")).collect();
        assert!(ids.len() <= limit && ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        text(answer.data(), "cursor").clone_into(&mut self.cursor);
        answer
    }

    /// Polls once without moving the cursor.
    pub async fn peek(&self, limit: usize) -> Answer {
        self.actor.get(&format!("/api/events?limit={limit}&cursor={}", self.cursor)).await
    }

    /// Polls until `has_more` is false. Returns all events.
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

/// Returns the events of a poll.
pub fn events(answer: &Answer) -> &[Value] {
    answer.data()["events"].as_array().expect("events")
}

/// An unread count, and the messages that it covers: those after `watermark`, up to `counted_to`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Count {
    watermark: String,
    counted_to: String,
    unread: u64,
    mentions: u64,
    first_mention: String,
}

impl Count {
    fn of_row(row: &Value) -> Self {
        Self {
            watermark: text(row, "last_read_message_id").to_owned(),
            counted_to: text(row, "counted_to").to_owned(),
            unread: row["unread_count"].as_u64().expect("a count"),
            mentions: row["mention_count"].as_u64().expect("a count of mentions"),
            first_mention: text(row, "first_mention_id").to_owned(),
        }
    }
}

/// A message in the model.
#[derive(Debug, Clone)]
struct Received {
    message: Value,
    /// Id of the latest event with the message; empty if the message was loaded.
    event: String,
}

/// The model of a conversation. An event's id is empty if the data was loaded.
#[derive(Debug, Clone, Default)]
struct Chat {
    row: Value,
    /// The event that `row` is from.
    row_event: String,
    /// The latest event that added or removed the row, and whether the row exists.
    visibility: (String, bool),
    /// The latest event that removed the row.
    removed: String,
    /// All unread counts received, with their events.
    counts: Vec<(String, Count)>,
    messages: BTreeMap<String, Received>,
    /// Messages that the user has deleted for themselves.
    hidden: BTreeSet<String>,
    /// Reader, message and time of each move of a read watermark.
    reads: Vec<(String, String, Value)>,
    /// Event, version, field and value of each change of the row.
    changes: Vec<(String, u64, String, Value)>,
    /// The participants, if loaded, and the value of `left` at that time.
    people: Option<(String, BTreeSet<String>)>,
    /// Event, user, and whether they joined, of each change of the participants since then.
    people_changes: Vec<(String, String, bool)>,
    /// The latest event with which the user left. Earlier counts and participants are invalid, even after a new join.
    left: String,
    /// The latest event that restored a deleted message or marked messages as unread: earlier counts are invalid.
    restored: String,
    /// The latest event by which the user marked messages as read or as unread, and whether it was as unread.
    marked_unread: (String, bool),
    /// The value of `row_event` when the messages were loaded.
    loaded_event: String,
}

impl Chat {
    fn add_row(&mut self, event: &str, row: &Value) {
        if event >= self.row_event.as_str() {
            (self.row, self.row_event) = (row.clone(), event.to_owned());
        }
        if event >= self.visibility.0.as_str() {
            self.visibility = (event.to_owned(), true);
        }
        self.add_count(event, Count::of_row(row));
    }

    fn remove_row(&mut self, event: &str) {
        if event >= self.visibility.0.as_str() {
            self.visibility = (event.to_owned(), false);
        }
        if event > self.removed.as_str() {
            event.clone_into(&mut self.removed);
            self.messages.retain(|_, received| received.event.as_str() > event);
        }
    }

    fn add_count(&mut self, event: &str, count: Count) {
        self.counts.push((event.to_owned(), count));
    }

    /// Returns the valid unread count.
    fn count(&self) -> Count {
        let from = self.left.as_str().max(&self.restored);
        let valid = self.counts.iter().filter(|(event, _)| event.as_str() >= from).map(|(_, count)| count);
        let rank = |count: &Count| (count.watermark.clone(), count.counted_to.clone(), Reverse(count.unread));
        valid.max_by_key(|count| rank(count)).cloned().unwrap_or_default()
    }

    fn leave(&mut self, event: &str) {
        self.left = self.left.clone().max(event.to_owned());
    }

    fn restore(&mut self, event: &str, count: Count) {
        self.add_count(event, count);
        self.restored = self.restored.clone().max(event.to_owned());
    }

    fn add_message(&mut self, event: &str, message: &Value) {
        if event < self.removed.as_str() {
            return;
        }
        let id = text(message, "id").to_owned();
        let message = &tracked(message);
        let received = self
            .messages
            .entry(id)
            .or_insert_with(|| Received { message: message.clone(), event: event.to_owned() });
        if message["version"].as_u64() > received.message["version"].as_u64() {
            received.message = message.clone();
        }
        if event > received.event.as_str() {
            event.clone_into(&mut received.event);
        }
    }

    /// Returns a message of a direct conversation, with `read` and `read_at` according to the read events.
    fn with_reads(&self, message: &Value) -> Value {
        let mut message = message.clone();
        let (id, sender) = (text(&message, "id").to_owned(), text(&message, "sender_id").to_owned());
        let reads = self.reads.iter().filter(|(reader, upto, _)| *reader != sender && *upto >= id);
        if message["read"] == false
            && let Some((_, _, at)) = reads.min_by_key(|(_, upto, _)| upto.clone())
        {
            message["read"] = true.into();
            message["read_at"] = at.clone();
            message["read_count"] = 1.into();
        }
        message
    }

    /// Returns the row with all events applied.
    fn row(&self, me: &str) -> Value {
        let mut row = self.row.clone();
        let mut changes: Vec<_> = self
            .changes
            .iter()
            .filter(|(event, ..)| *event > self.row_event)
            .map(|(_, version, field, value)| (version, field, value))
            .collect();
        changes.sort_by_key(|(version, ..)| *version);
        for (_, field, value) in changes {
            if field == "mine" {
                for (field, value) in value.as_object().expect("settings") {
                    row[field] = value.clone();
                }
            } else {
                row[field] = value.clone();
            }
        }
        if self.marked_unread.0 > self.row_event {
            row["marked_unread"] = self.marked_unread.1.into();
        }
        let (messages, count) = (|| self.visible_messages(), self.count());
        let uncounted = messages().filter(|m| {
            let id = text(m, "id");
            let is_new = id > count.counted_to.as_str() && id > count.watermark.as_str();
            is_new && text(m, "sender_id") != me && m["is_deleted"] == false
        });
        let uncounted: Vec<&Value> = uncounted.collect();
        let mentioning = || uncounted.iter().filter(|message| mentions(message, me));
        row["unread_count"] = (count.unread + uncounted.len() as u64).into();
        row["mention_count"] = (count.mentions + mentioning().count() as u64).into();
        let next = mentioning().map(|message| text(message, "id")).min().unwrap_or_default();
        row["first_mention_id"] =
            id_or_null(if count.first_mention.is_empty() { next } else { &count.first_mention });
        row["last_read_message_id"] = id_or_null(&count.watermark);
        let newest = self.messages.keys().next_back().max(Some(&count.counted_to));
        if newest.is_some_and(|newest| newest.as_str() > text(&row, "counted_to")) {
            row["counted_to"] = newest.cloned().into();
        }
        if self.hidden.contains(text(&row, "last_message_id")) && messages().next().is_none() {
            for field in ["last_message", "last_message_id", "last_message_kind"] {
                row[field] = Value::Null;
            }
            row["last_message_from_me"] = false.into();
        }
        if let Some(last) = messages().next_back() {
            (row["last_message"], row["last_message_kind"]) = preview(last);
            row["last_message_id"] = last["id"].clone();
            row["last_message_at"] = last["sent_at"].clone();
            row["last_message_from_me"] = (text(last, "sender_id") == me).into();
        }
        row
    }

    /// Returns the messages that are not hidden, oldest first.
    fn visible_messages(&self) -> impl DoubleEndedIterator<Item = &Value> {
        let visible = self.messages.iter().filter(|(id, _)| !self.hidden.contains(*id));
        visible.map(|(_, received)| &received.message)
    }

    /// Whether the row's messages must be loaded first, because the user has joined a room with earlier messages.
    fn is_unloaded(&self) -> bool {
        let last = text(&self.row, "last_message_id");
        let is_read = !last.is_empty() && last <= text(&self.row, "last_read_message_id");
        is_read && self.loaded_event < self.row_event
    }

    /// Adds loaded messages and participants, where they are missing.
    fn load(&mut self, messages: Option<&Vec<Value>>, people: Option<&BTreeSet<String>>) {
        if self.is_unloaded() {
            let event = self.row_event.clone();
            for message in messages.into_iter().flatten() {
                self.add_message(&event, message);
            }
            self.loaded_event = event;
        }
        if self.people().is_none() {
            self.people = people.map(|people| (self.left.clone(), people.clone()));
            self.people_changes.clear();
        }
    }

    /// Returns the participants, if they are loaded.
    fn people(&self) -> Option<BTreeSet<String>> {
        let (_, mut people) = self.people.clone().filter(|(left, _)| *left == self.left)?;
        let mut changes = self.people_changes.clone();
        changes.sort();
        for (_, user, joined) in changes {
            if joined {
                people.insert(user);
            } else {
                people.remove(&user);
            }
        }
        Some(people)
    }
}

/// The model of a client, which has loaded a state and then applies events.
#[derive(Debug, Clone)]
pub struct Replica {
    me: String,
    chats: BTreeMap<String, Chat>,
}

impl Replica {
    /// Creates the client of a user, with a loaded state.
    pub fn with(me: &str, state: &State) -> Self {
        let mut chats = BTreeMap::new();
        for row in &state.rows {
            let id = text(row, "conversation_id").to_owned();
            let people = state.people.get(&id).map(|people| (String::new(), people.clone()));
            let mut chat = Chat { people, ..Chat::default() };
            chat.add_row("", row);
            for message in &state.messages[&id] {
                chat.add_message("", message);
            }
            chats.insert(id, chat);
        }
        Self { me: me.to_owned(), chats }
    }

    /// Applies an event.
    pub fn apply(&mut self, event: &Value) {
        let (id, data) = (text(event, "id"), &event["data"]);
        let chat = self.chats.entry(text(event, "conversation_id").to_owned()).or_default();
        match text(event, "type") {
            "conversation.created" => chat.add_row(id, &data["conversation"]),
            "conversation.deleted" => chat.remove_row(id),
            "message.created" => chat.add_message(id, &data["message"]),
            "message.updated" => {
                chat.add_message(id, &data["message"]);
                if data["unread_count"].is_u64() {
                    chat.restore(id, Count::of_row(data));
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
                    chat.add_message(id, &data["message"]);
                }
                chat.add_count(id, Count::of_row(data));
            }
            "conversation.updated" => {
                let version = data["version"].as_u64().expect("a version");
                for (field, value) in data.as_object().expect("an object") {
                    if !["version", "description"].contains(&field.as_str()) {
                        chat.changes.push((id.to_owned(), version, field.clone(), value.clone()));
                    }
                }
            }
            "participant.joined" | "participant.left" => {
                let joined = text(event, "type") == "participant.joined";
                chat.people_changes.push((id.to_owned(), text(data, "user_id").to_owned(), joined));
                if !joined && data["user_id"] == self.me {
                    chat.leave(id);
                }
            }
            "message.read" => {
                let (reader, upto) = (text(data, "user_id"), text(data, "message_id"));
                if data["marked_unread"] != true {
                    chat.reads.push((reader.to_owned(), upto.to_owned(), data["read_at"].clone()));
                }
                assert_eq!(reader == self.me, data["unread_count"].is_u64(), "{event}");
                if reader == self.me {
                    let mut row = data.clone();
                    row["last_read_message_id"] = data["message_id"].clone();
                    let count = Count::of_row(&row);
                    let is_unread = data["marked_unread"] == true;
                    if is_unread {
                        chat.restore(id, count);
                    } else {
                        chat.add_count(id, count);
                    }
                    chat.marked_unread = chat.marked_unread.clone().max((id.to_owned(), is_unread));
                }
            }
            "typing" => {}
            other => panic!("unknown event type: {other}"),
        }
    }

    /// Loads what events do not contain: the messages of a room from before the user joined, and the participants.
    fn load(&mut self, fresh: &State) {
        for (id, chat) in &mut self.chats {
            chat.load(fresh.messages.get(id), fresh.people.get(id));
        }
    }

    /// Returns the current state.
    pub fn state(&self) -> State {
        let visible = || self.chats.iter().filter(|(_, chat)| chat.visibility.1);
        let mut rows: Vec<Value> = visible().map(|(_, chat)| chat.row(&self.me)).collect();
        rows.iter_mut().for_each(without_untracked);
        let messages = visible().map(|(id, chat)| {
            (id.clone(), chat.visible_messages().map(|message| chat.with_reads(message)).collect())
        });
        let messages = messages.filter(|(id, _)| !self.chats[id].is_unloaded());
        let people = visible().filter_map(|(id, chat)| Some((id.clone(), chat.people()?)));
        let sum = |field: &str, counts: fn(&Value) -> bool| -> (u64, usize) {
            let counted = rows.iter().filter(|row| counts(row)).filter_map(|row| row[field].as_u64());
            counted.filter(|count| *count > 0).fold((0, 0), |(sum, rows), count| (sum + count, rows + 1))
        };
        // The tests mute for so long that no mute ends while they run.
        let is_loud: fn(&Value) -> bool = |row| row["muted_until"].is_null() && row["is_archived"] == false;
        let (all, unmuted) = (sum("unread_count", |_| true), sum("unread_count", is_loud));
        let unread = json!({
            "unread_count": all.0, "conversations": all.1, "mention_count": sum("mention_count", is_loud).0,
            "unmuted_unread_count": unmuted.0, "unmuted_conversations": unmuted.1,
        });
        State { messages: messages.collect(), people: people.collect(), rows, unread }
    }
}

/// Whether a message mentions a user.
fn mentions(message: &Value, user: &str) -> bool {
    let list = message["mentions"].as_array().expect("a list");
    message["mention_all"] == true || list.iter().any(|mentioned| mentioned == user)
}

/// Returns a message's preview in an inbox row, and its kind.
fn preview(message: &Value) -> (Value, Value) {
    let (words, link) = (text(message, "message_text"), text(message, "attachment_url"));
    let kind = text(message, "attachment_type").split('/').next().unwrap_or_default();
    let kind = match kind {
        _ if message["is_deleted"] == true => "deleted",
        _ if link.is_empty() => "text",
        "image" | "video" | "audio" | "voice" => kind,
        _ => "file",
    };
    let words = if words.is_empty() { link.rsplit('/').next().unwrap_or_default() } else { words };
    (words.chars().take(100).collect::<String>().into(), kind.into())
}

/// Users whose clients apply all events.
pub struct Audience {
    actors: Vec<Actor>,
    /// Clients that loaded only once, at the beginning.
    long: Vec<(Replica, Place)>,
    dice: Dice,
}

impl Audience {
    /// Creates clients of these users, which load the current state.
    pub async fn of(actors: &[&Actor], seed: u64) -> Self {
        let mut long = Vec::new();
        for actor in actors {
            let place = Place::start(actor).await;
            long.push((Replica::with(&actor.id, &State::of(actor).await), place));
        }
        Self { actors: actors.iter().map(|actor| (*actor).clone()).collect(), long, dice: Dice(seed) }
    }

    /// Runs an action and checks that all clients reach the server's state: the clients from the beginning, and new
    /// ones that loaded just before the action and receive its events in order, in random order, and with repeats.
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

    /// Checks that clients with these loaded states, which may be newer than their places, reach the server's state.
    pub async fn compare(&mut self, loaded: Vec<(Place, State)>) {
        for ((mut place, state), (replica, long_place)) in loaded.into_iter().zip(&mut self.long) {
            let actor = place.actor.clone();
            let fresh = State::of(&actor).await;
            for event in long_place.drain(100).await {
                replica.apply(&event);
            }
            assert_same(&replica.state(), &fresh, &actor, "since the beginning");
            replica.load(&fresh);
            let events = place.drain(30).await;
            let ids: HashSet<_> = events.iter().map(|event| text(event, "id")).collect();
            assert_eq!(ids.len(), events.len(), "an event came twice");
            let shuffled = self.dice.shuffled(&events);
            let repeated = self.dice.with_repeats(&events);
            for (order, events) in
                [("in order", events), ("in random order", shuffled), ("with repeats", repeated)]
            {
                let mut replica = Replica::with(&actor.id, &state);
                for event in &events {
                    replica.apply(event);
                }
                assert_same(&replica.state(), &fresh, &actor, order);
            }
        }
    }
}

#[track_caller]
fn assert_same(replica: &State, fresh: &State, actor: &Actor, order: &str) {
    let mut fresh = fresh.clone();
    // Ignore what the client would have to load first.
    fresh.messages.retain(|id, _| replica.messages.contains_key(id));
    fresh.people.retain(|id, _| replica.people.contains_key(id));
    assert_eq!(*replica, fresh, "{}'s client, events {order}", actor.id);
}

/// Reproducible random numbers; the value is the seed.
pub struct Dice(pub u64);

impl Dice {
    /// Returns a number below `sides` (xorshift64*).
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

    /// Returns the events in order, but sometimes repeats some that came before.
    fn with_repeats(&mut self, events: &[Value]) -> Vec<Value> {
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
