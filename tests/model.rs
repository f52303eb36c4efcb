//! Random operations by a few users: every read must agree with a model that is small enough to check by eye.

mod together;

use std::collections::BTreeMap;

use harness::{Actor, World};
use proptest::prelude::*;
use serde_json::Value;

const PEOPLE: [&str; 3] = ["ann", "ben", "cal"];
const WORDS: [&str; 4] = ["apple", "Äpfel", "banana split", "東京"];

#[derive(Debug, Clone)]
enum Operation {
    Send { from: usize, to: usize, word: usize, key: Option<u8> },
    Mark { user: usize, peer: usize, nth: usize },
    MarkAll { user: usize, peer: usize },
    Open { user: usize, peer: usize, limit: usize, before: Option<usize> },
    Delete { user: usize, peer: usize },
    Block { user: usize, other: usize },
    Unblock { user: usize, other: usize },
}

fn operation() -> impl Strategy<Value = Operation> {
    let pair =
        (0..PEOPLE.len(), 1..PEOPLE.len()).prop_map(|(user, step)| (user, (user + step) % PEOPLE.len()));
    let key = prop_oneof![3 => Just(None), 1 => (0u8..3).prop_map(Some)];
    prop_oneof![
        8 => (pair.clone(), 0..WORDS.len(), key).prop_map(|((from, to), word, key)| Operation::Send { from, to, word, key }),
        3 => (pair.clone(), 0usize..12).prop_map(|((user, peer), nth)| Operation::Mark { user, peer, nth }),
        1 => pair.clone().prop_map(|(user, peer)| Operation::MarkAll { user, peer }),
        2 => (pair.clone(), 1usize..6, proptest::option::of(0usize..12))
            .prop_map(|((user, peer), limit, before)| Operation::Open { user, peer, limit, before }),
        1 => pair.clone().prop_map(|(user, peer)| Operation::Delete { user, peer }),
        1 => pair.clone().prop_map(|(user, other)| Operation::Block { user, other }),
        1 => pair.prop_map(|(user, other)| Operation::Unblock { user, other }),
    ]
}

/// A message of the model. Its index in the list is its position in the conversation.
#[derive(Debug, Clone)]
struct Message {
    id: String,
    from: usize,
    text: String,
    /// How many messages had been sent, this one included: the order across all conversations.
    at: usize,
}

/// One participant's view of a conversation. Numbers count messages from the oldest.
#[derive(Debug, Clone, Default)]
struct Side {
    read: usize,
    /// The watermark that the other user knows of.
    public_read: usize,
    cleared: usize,
    visible: bool,
}

#[derive(Debug, Default)]
struct Conversation {
    messages: Vec<Message>,
    sides: BTreeMap<usize, Side>,
}

#[derive(Debug, Default)]
struct Model {
    conversations: BTreeMap<(usize, usize), Conversation>,
    blocks: Vec<(usize, usize)>,
    /// Message ids by sender, recipient and idempotency key.
    keys: BTreeMap<(usize, usize, u8), String>,
    sends: usize,
}

impl Model {
    fn conversation(&mut self, one: usize, other: usize) -> &mut Conversation {
        self.conversations.entry((one.min(other), one.max(other))).or_default()
    }

    fn is_blocked(&self, one: usize, other: usize) -> bool {
        self.blocks.contains(&(one, other)) || self.blocks.contains(&(other, one))
    }
}

impl Conversation {
    fn side(&mut self, user: usize) -> &mut Side {
        self.sides.entry(user).or_default()
    }

    fn seen_by(&self, user: usize) -> &[Message] {
        let cleared = self.sides.get(&user).map_or(0, |side| side.cleared);
        &self.messages[cleared..]
    }

    fn unread_by(&self, user: usize) -> usize {
        let Some(side) = self.sides.get(&user) else { return 0 };
        let unread = &self.messages[side.read.max(side.cleared)..];
        unread.iter().filter(|message| message.from != user).count()
    }

    /// Moves a watermark, which the other user does not learn of while there is a block.
    fn mark_read(&mut self, user: usize, upto: usize, is_blocked: bool) {
        let side = self.side(user);
        if upto > side.read {
            side.read = upto;
            if !is_blocked {
                side.public_read = upto;
            }
        }
    }
}

struct Run {
    actors: Vec<Actor>,
    model: Model,
}

impl Run {
    async fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Send { from, to, word, key } => self.send(from, to, word, key).await,
            Operation::Mark { user, peer, nth } => self.mark(user, peer, nth).await,
            Operation::MarkAll { user, peer } => self.mark_all(user, peer).await,
            Operation::Open { user, peer, limit, before } => self.open(user, peer, limit, before).await,
            Operation::Delete { user, peer } => self.delete(user, peer).await,
            Operation::Block { user, other } => {
                self.actors[user].block(PEOPLE[other]).await.expect(200);
                self.model.blocks.retain(|block| *block != (user, other));
                self.model.blocks.push((user, other));
            }
            Operation::Unblock { user, other } => {
                self.actors[user].unblock(PEOPLE[other]).await.expect(200);
                self.model.blocks.retain(|block| *block != (user, other));
            }
        }
    }

    async fn send(&mut self, from: usize, to: usize, word: usize, key: Option<u8>) {
        let text = format!("{} {}", WORDS[word], self.model.sends);
        let answer = match key {
            Some(key) => self.actors[from].send_once(PEOPLE[to], &text, &format!("key {key}")).await,
            None => self.actors[from].send(PEOPLE[to], &text).await,
        };
        if let Some(id) = key.and_then(|key| self.model.keys.get(&(from, to, key))) {
            assert_eq!(answer.expect(200).id(), *id, "a retry returns the first message");
            return;
        }
        if self.model.is_blocked(from, to) {
            answer.refused(403, "blocked");
            return;
        }
        let id = answer.expect(201).id();
        if let Some(key) = key {
            self.model.keys.insert((from, to, key), id.clone());
        }
        self.model.sends += 1;
        let at = self.model.sends;
        let conversation = self.model.conversation(from, to);
        conversation.messages.push(Message { id, from, text, at });
        conversation.side(from).visible = true;
        conversation.side(to).visible = true;
    }

    async fn mark(&mut self, user: usize, peer: usize, nth: usize) {
        let is_blocked = self.model.is_blocked(user, peer);
        let conversation = self.model.conversation(user, peer);
        let Some(message) = conversation.messages.get(nth) else { return };
        let answer = self.actors[user].mark(&message.id).await;
        if nth < conversation.side(user).cleared {
            return answer.refused(404, "not_found");
        }
        conversation.mark_read(user, nth + 1, is_blocked);
        let answer = answer.expect(200);
        assert_eq!(answer.data()["unread_count"], conversation.unread_by(user));
        let watermark = conversation.side(user).read;
        assert_eq!(answer.data()["message_id"], conversation.messages[watermark - 1].id);
    }

    async fn mark_all(&mut self, user: usize, peer: usize) {
        let is_blocked = self.model.is_blocked(user, peer);
        let conversation = self.model.conversation(user, peer);
        let Some(last) = conversation.messages.last() else { return };
        let path = format!("/api/conversations/{}/read", &last.id[..25]);
        let answer = self.actors[user].put(&path).await.expect(200);
        conversation.mark_read(user, conversation.messages.len(), is_blocked);
        assert_eq!(answer.data()["unread_count"], 0);
    }

    async fn open(&mut self, user: usize, peer: usize, limit: usize, before: Option<usize>) {
        let is_blocked = self.model.is_blocked(user, peer);
        let conversation = self.model.conversation(user, peer);
        let seen = conversation.seen_by(user).to_vec();
        let end = before.filter(|nth| *nth < seen.len());
        let bound = end.map(|nth| format!("&before={}", seen[nth].id)).unwrap_or_default();
        let path = format!("/api/messages/conversation/{}?limit={limit}{bound}", PEOPLE[peer]);
        let answer = self.actors[user].get(&path).await.expect(200);
        let upto = end.unwrap_or(seen.len());
        let expected = &seen[upto.saturating_sub(limit)..upto];
        let ids = answer.list().iter().map(|message| message["id"].as_str().unwrap());
        assert!(ids.eq(expected.iter().map(|message| message.id.as_str())));
        // Opening moves the watermark only if something is unread.
        let newest =
            conversation.messages.iter().position(|m| expected.last().is_some_and(|last| last.id == m.id));
        if let Some(newest) = newest
            && conversation.unread_by(user) > 0
        {
            conversation.mark_read(user, newest + 1, is_blocked);
        }
    }

    async fn delete(&mut self, user: usize, peer: usize) {
        let conversation = self.model.conversation(user, peer);
        let Some(last) = conversation.messages.last() else { return };
        let path = format!("/api/messages/conversation/{}", &last.id[..25]);
        self.actors[user].delete(&path).await.expect(200);
        let end = conversation.messages.len();
        let side = conversation.side(user);
        if side.visible {
            (side.visible, side.cleared) = (false, end);
        }
    }

    /// Compares every read of every user with the model.
    async fn check(&mut self) {
        for user in 0..PEOPLE.len() {
            self.check_inbox(user).await;
            self.check_search(user).await;
            for peer in (0..PEOPLE.len()).filter(|peer| *peer != user) {
                self.check_messages(user, peer).await;
            }
            let blocked = self.actors[user].get("/api/messages/blocked-users").await.expect(200);
            let mut listed: Vec<_> = blocked.list().iter().map(|entry| entry["user_id"].clone()).collect();
            listed.sort_by_key(ToString::to_string);
            let mut expected: Vec<Value> = self
                .model
                .blocks
                .iter()
                .filter(|(by, _)| *by == user)
                .map(|(_, other)| PEOPLE[*other].into())
                .collect();
            expected.sort_by_key(ToString::to_string);
            assert_eq!(listed, expected);
        }
    }

    async fn check_inbox(&mut self, user: usize) {
        let rows = self.actors[user].get("/api/messages/inbox").await.expect(200);
        let mut expected = Vec::new();
        for (pair, conversation) in &self.model.conversations {
            let peer = if pair.0 == user { pair.1 } else { pair.0 };
            let is_participant = pair.0 == user || pair.1 == user;
            if is_participant && conversation.sides.get(&user).is_some_and(|side| side.visible) {
                let last = conversation.messages.last().unwrap();
                let mine = last.from == user;
                expected.push((last.at, peer, last.text.clone(), mine, conversation.unread_by(user)));
            }
        }
        expected.sort_by_key(|row| std::cmp::Reverse(row.0));
        assert_eq!(rows.json["total"], expected.len());
        assert_eq!(rows.list().len(), expected.len());
        for (row, (_, peer, text, mine, unread)) in rows.list().iter().zip(&expected) {
            assert_eq!(row["other_user_id"], PEOPLE[*peer]);
            assert_eq!(
                (&row["last_message"], &row["last_message_from_me"]),
                (&text.as_str().into(), &(*mine).into())
            );
            assert_eq!(row["unread_count"], *unread, "{row}");
        }
        let total = self.actors[user].get("/api/messages/unread-count").await.expect(200);
        assert_eq!(total.data()["unread_count"], expected.iter().map(|row| row.4).sum::<usize>());
        assert_eq!(total.data()["conversations"], expected.iter().filter(|row| row.4 > 0).count());
    }

    async fn check_messages(&mut self, user: usize, peer: usize) {
        let shown = self.actors[user].history(PEOPLE[peer]).await;
        let conversation = self.model.conversation(user, peer);
        let (my_read, their_read) = (conversation.side(user).read, conversation.side(peer).public_read);
        let cleared = conversation.side(user).cleared;
        let seen = conversation.seen_by(user);
        assert_eq!(shown.len(), seen.len());
        for (place, (shown, message)) in shown.iter().zip(seen).enumerate() {
            let reader = if message.from == user { their_read } else { my_read };
            let read = cleared + place < reader;
            assert_eq!(
                (&shown["id"], &shown["message_text"]),
                (&message.id.as_str().into(), &message.text.as_str().into())
            );
            assert_eq!((&shown["read"], shown["read_at"].is_string()), (&read.into(), read), "{shown}");
        }
    }

    async fn check_search(&mut self, user: usize) {
        for (word, text) in [("apfel", "Äpfel"), ("split banana", "banana split"), ("京", "東京")] {
            let mut expected = Vec::new();
            for (pair, conversation) in &self.model.conversations {
                if pair.0 == user || pair.1 == user {
                    expected.extend(conversation.seen_by(user).iter().filter(|m| m.text.contains(text)));
                }
            }
            expected.sort_by_key(|message| std::cmp::Reverse(message.at));
            let path = format!("/api/messages/search?limit=2&q={}", word.replace(' ', "%20"));
            let found = self.actors[user].pages(&path.replace('京', "%E4%BA%AC")).await.concat();
            let ids: Vec<_> = found.iter().map(|hit| hit["id"].as_str().unwrap()).collect();
            assert_eq!(ids, expected.iter().map(|message| message.id.as_str()).collect::<Vec<_>>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_read_agrees_with_the_model(operations in proptest::collection::vec(operation(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let mut actors = Vec::new();
            for id in PEOPLE {
                actors.push(world.user(id).await);
            }
            let mut run = Run { actors, model: Model::default() };
            for (index, operation) in operations.iter().enumerate() {
                run.apply(operation).await;
                if index % 5 == 4 {
                    run.check().await;
                }
            }
            run.check().await;
        });
    }
}
