//! Random operations by a few people, against a model that a reader can check by eye: every read agrees with it.

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
    Mark { who: usize, with: usize, nth: usize },
    MarkAll { who: usize, with: usize },
    Open { who: usize, with: usize, limit: usize, before: Option<usize> },
    Delete { who: usize, with: usize },
    Block { who: usize, other: usize },
    Unblock { who: usize, other: usize },
}

fn operation() -> impl Strategy<Value = Operation> {
    let pair = (0..PEOPLE.len(), 1..PEOPLE.len()).prop_map(|(who, step)| (who, (who + step) % PEOPLE.len()));
    let key = prop_oneof![3 => Just(None), 1 => (0u8..3).prop_map(Some)];
    prop_oneof![
        8 => (pair.clone(), 0..WORDS.len(), key).prop_map(|((from, to), word, key)| Operation::Send { from, to, word, key }),
        3 => (pair.clone(), 0usize..12).prop_map(|((who, with), nth)| Operation::Mark { who, with, nth }),
        1 => pair.clone().prop_map(|(who, with)| Operation::MarkAll { who, with }),
        2 => (pair.clone(), 1usize..6, proptest::option::of(0usize..12))
            .prop_map(|((who, with), limit, before)| Operation::Open { who, with, limit, before }),
        1 => pair.clone().prop_map(|(who, with)| Operation::Delete { who, with }),
        1 => pair.clone().prop_map(|(who, other)| Operation::Block { who, other }),
        1 => pair.prop_map(|(who, other)| Operation::Unblock { who, other }),
    ]
}

/// A message of the model; its place in the conversation is its place in the list.
#[derive(Debug, Clone)]
struct Message {
    id: String,
    from: usize,
    text: String,
    /// The count of all sends when it was sent: the order over all conversations.
    at: usize,
}

/// One participant's side of a conversation. Numbers count messages from the oldest.
#[derive(Debug, Clone, Default)]
struct Side {
    read: usize,
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
    /// Sender, recipient and key of what was sent under a key.
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
    fn side(&mut self, who: usize) -> &mut Side {
        self.sides.entry(who).or_default()
    }

    fn seen_by(&self, who: usize) -> &[Message] {
        let cleared = self.sides.get(&who).map_or(0, |side| side.cleared);
        &self.messages[cleared..]
    }

    fn unread_by(&self, who: usize) -> usize {
        let Some(side) = self.sides.get(&who) else { return 0 };
        let unread = &self.messages[side.read.max(side.cleared)..];
        unread.iter().filter(|message| message.from != who).count()
    }

    fn read_by(&mut self, who: usize, upto: usize) {
        let side = self.side(who);
        side.read = side.read.max(upto);
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
            Operation::Mark { who, with, nth } => self.mark(who, with, nth).await,
            Operation::MarkAll { who, with } => self.mark_all(who, with).await,
            Operation::Open { who, with, limit, before } => self.open(who, with, limit, before).await,
            Operation::Delete { who, with } => self.delete(who, with).await,
            Operation::Block { who, other } => {
                self.actors[who].block(PEOPLE[other]).await.expect(200);
                self.model.blocks.retain(|block| *block != (who, other));
                self.model.blocks.push((who, other));
            }
            Operation::Unblock { who, other } => {
                self.actors[who].unblock(PEOPLE[other]).await.expect(200);
                self.model.blocks.retain(|block| *block != (who, other));
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
            assert_eq!(answer.expect(200).id(), *id, "a retry gives the first message");
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

    async fn mark(&mut self, who: usize, with: usize, nth: usize) {
        let conversation = self.model.conversation(who, with);
        let Some(message) = conversation.messages.get(nth) else { return };
        let answer = self.actors[who].mark(&message.id).await;
        if nth < conversation.side(who).cleared {
            return answer.refused(404, "not_found");
        }
        conversation.read_by(who, nth + 1);
        let answer = answer.expect(200);
        assert_eq!(answer.data()["unread_count"], conversation.unread_by(who));
        let stands = conversation.side(who).read;
        assert_eq!(answer.data()["message_id"], conversation.messages[stands - 1].id);
    }

    async fn mark_all(&mut self, who: usize, with: usize) {
        let conversation = self.model.conversation(who, with);
        let Some(last) = conversation.messages.last() else { return };
        let path = format!("/api/conversations/{}/read", &last.id[..25]);
        let answer = self.actors[who].put(&path).await.expect(200);
        conversation.read_by(who, conversation.messages.len());
        assert_eq!(answer.data()["unread_count"], 0);
    }

    async fn open(&mut self, who: usize, with: usize, limit: usize, before: Option<usize>) {
        let conversation = self.model.conversation(who, with);
        let seen = conversation.seen_by(who).to_vec();
        let end = before.filter(|nth| *nth < seen.len());
        let bound = end.map(|nth| format!("&before={}", seen[nth].id)).unwrap_or_default();
        let path = format!("/api/messages/conversation/{}?limit={limit}{bound}", PEOPLE[with]);
        let answer = self.actors[who].get(&path).await.expect(200);
        let upto = end.unwrap_or(seen.len());
        let expected = &seen[upto.saturating_sub(limit)..upto];
        let ids = answer.list().iter().map(|message| message["id"].as_str().unwrap());
        assert!(ids.eq(expected.iter().map(|message| message.id.as_str())));
        // Opening moves the watermark only where something is unread.
        let newest =
            conversation.messages.iter().position(|m| expected.last().is_some_and(|last| last.id == m.id));
        if let Some(newest) = newest
            && conversation.unread_by(who) > 0
        {
            conversation.read_by(who, newest + 1);
        }
    }

    async fn delete(&mut self, who: usize, with: usize) {
        let conversation = self.model.conversation(who, with);
        let Some(last) = conversation.messages.last() else { return };
        let path = format!("/api/messages/conversation/{}", &last.id[..25]);
        self.actors[who].delete(&path).await.expect(200);
        let end = conversation.messages.len();
        let side = conversation.side(who);
        if side.visible {
            (side.visible, side.cleared) = (false, end);
        }
    }

    /// Every read of everyone against the model.
    async fn check(&mut self) {
        for who in 0..PEOPLE.len() {
            self.check_inbox(who).await;
            self.check_search(who).await;
            for with in (0..PEOPLE.len()).filter(|with| *with != who) {
                self.check_messages(who, with).await;
            }
            let blocked = self.actors[who].get("/api/messages/blocked-users").await.expect(200);
            let mut listed: Vec<_> = blocked.list().iter().map(|entry| entry["user_id"].clone()).collect();
            listed.sort_by_key(ToString::to_string);
            let mut expected: Vec<Value> = self
                .model
                .blocks
                .iter()
                .filter(|(by, _)| *by == who)
                .map(|(_, other)| PEOPLE[*other].into())
                .collect();
            expected.sort_by_key(ToString::to_string);
            assert_eq!(listed, expected);
        }
    }

    async fn check_inbox(&mut self, who: usize) {
        let rows = self.actors[who].get("/api/messages/inbox").await.expect(200);
        let mut expected = Vec::new();
        for (pair, conversation) in &self.model.conversations {
            let with = if pair.0 == who { pair.1 } else { pair.0 };
            let takes_part = pair.0 == who || pair.1 == who;
            if takes_part && conversation.sides.get(&who).is_some_and(|side| side.visible) {
                let last = conversation.messages.last().unwrap();
                let mine = last.from == who;
                expected.push((last.at, with, last.text.clone(), mine, conversation.unread_by(who)));
            }
        }
        expected.sort_by_key(|row| std::cmp::Reverse(row.0));
        assert_eq!(rows.json["total"], expected.len());
        assert_eq!(rows.list().len(), expected.len());
        for (row, (_, with, text, mine, unread)) in rows.list().iter().zip(&expected) {
            assert_eq!(row["other_user_id"], PEOPLE[*with]);
            assert_eq!(
                (&row["last_message"], &row["last_message_from_me"]),
                (&text.as_str().into(), &(*mine).into())
            );
            assert_eq!(row["unread_count"], *unread, "{row}");
        }
        let total = self.actors[who].get("/api/messages/unread-count").await.expect(200);
        assert_eq!(total.data()["unread_count"], expected.iter().map(|row| row.4).sum::<usize>());
        assert_eq!(total.data()["conversations"], expected.iter().filter(|row| row.4 > 0).count());
    }

    async fn check_messages(&mut self, who: usize, with: usize) {
        let shown = self.actors[who].history(PEOPLE[with]).await;
        let conversation = self.model.conversation(who, with);
        let (my_read, their_read) = (conversation.side(who).read, conversation.side(with).read);
        let cleared = conversation.side(who).cleared;
        let seen = conversation.seen_by(who);
        assert_eq!(shown.len(), seen.len());
        for (place, (shown, message)) in shown.iter().zip(seen).enumerate() {
            let reader = if message.from == who { their_read } else { my_read };
            let read = cleared + place < reader;
            assert_eq!(
                (&shown["id"], &shown["message_text"]),
                (&message.id.as_str().into(), &message.text.as_str().into())
            );
            assert_eq!((&shown["read"], shown["read_at"].is_string()), (&read.into(), read), "{shown}");
        }
    }

    async fn check_search(&mut self, who: usize) {
        for (word, holds) in [("apfel", "Äpfel"), ("split banana", "banana split"), ("京", "東京")] {
            let mut expected = Vec::new();
            for (pair, conversation) in &self.model.conversations {
                if pair.0 == who || pair.1 == who {
                    expected.extend(conversation.seen_by(who).iter().filter(|m| m.text.contains(holds)));
                }
            }
            expected.sort_by_key(|message| std::cmp::Reverse(message.at));
            let path = format!("/api/messages/search?limit=2&q={}", word.replace(' ', "%20"));
            let found = self.actors[who].pages(&path.replace('京', "%E4%BA%AC")).await.concat();
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
