//! Random operations in two groups and a room: every read must agree with a model of participants and messages.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Actor, Answer, World};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::WORDS;

const PEOPLE: [&str; 4] = ["ann", "ben", "cal", "dan"];
/// Two groups and one room, which comes last.
const CONVERSATIONS: usize = 3;
const ROOM: usize = 2;

/// An action of a user in one of the conversations. `nth` is the index of a message, counted from the oldest.
#[derive(Debug, Clone)]
struct Operation {
    user: usize,
    conversation: usize,
    action: Action,
}

#[derive(Debug, Clone)]
enum Action {
    Create { participants: Vec<usize> },
    Join,
    Add { target: usize },
    Remove { target: usize },
    SetAdmin { target: usize, is_admin: bool },
    Send { word: usize },
    Edit { nth: usize, word: usize },
    Unsend { nth: usize },
    Hide { nth: usize },
    Mark { nth: usize },
    MarkAll,
    DeleteConversation,
}

fn operation() -> impl Strategy<Value = Operation> {
    let (target, nth, word) = (0..PEOPLE.len(), 0usize..10, 0..WORDS.len());
    let action = prop_oneof![
        3 => proptest::collection::vec(target.clone(), 0..4).prop_map(|participants| Action::Create { participants }),
        3 => Just(Action::Join),
        3 => target.clone().prop_map(|target| Action::Add { target }),
        2 => target.clone().prop_map(|target| Action::Remove { target }),
        2 => (target, any::<bool>()).prop_map(|(target, is_admin)| Action::SetAdmin { target, is_admin }),
        12 => word.clone().prop_map(|word| Action::Send { word }),
        4 => (nth.clone(), word).prop_map(|(nth, word)| Action::Edit { nth, word }),
        3 => nth.clone().prop_map(|nth| Action::Unsend { nth }),
        3 => nth.clone().prop_map(|nth| Action::Hide { nth }),
        3 => nth.prop_map(|nth| Action::Mark { nth }),
        1 => Just(Action::MarkAll),
        1 => Just(Action::DeleteConversation),
    ];
    (0..PEOPLE.len(), 0..CONVERSATIONS, action).prop_map(|(user, conversation, action)| Operation {
        user,
        conversation,
        action,
    })
}

#[derive(Debug, Clone)]
struct Message {
    id: String,
    from: usize,
    text: String,
    version: u64,
    is_deleted: bool,
    hidden_by: BTreeSet<usize>,
    /// The step in which it was sent: the order across all conversations.
    at: usize,
}

/// A user's participation in a conversation. Numbers count messages from the oldest.
#[derive(Debug, Clone, Default)]
struct Participant {
    is_admin: bool,
    joined_at: String,
    /// How many messages were sent before the user was added to a group; they are not shown.
    from: usize,
    read: usize,
    cleared: usize,
    /// The step in which the row last moved up; `None` while it is hidden.
    activity: Option<usize>,
}

#[derive(Debug, Default)]
struct Conversation {
    id: String,
    messages: Vec<Message>,
    participants: BTreeMap<usize, Participant>,
}

impl Conversation {
    fn can_see(&self, user: usize, nth: usize) -> bool {
        let Some(message) = self.messages.get(nth) else { return false };
        self.participants.get(&user).is_some_and(|participant| nth >= participant.cleared)
            && !message.hidden_by.contains(&user)
    }

    fn seen_by(&self, user: usize) -> impl DoubleEndedIterator<Item = (usize, &Message)> {
        self.messages.iter().enumerate().filter(move |(nth, _)| self.can_see(user, *nth))
    }

    fn unread_by(&self, user: usize) -> usize {
        let read = self.participants[&user].read;
        self.seen_by(user).filter(|(nth, m)| *nth >= read && m.from != user && !m.is_deleted).count()
    }

    /// Returns how many of the others who could see a message have read it, and whether all have.
    fn readers_of(&self, nth: usize) -> (usize, bool) {
        let sender = self.messages[nth].from;
        let others = || {
            self.participants.iter().filter(|(user, participant)| **user != sender && participant.from <= nth)
        };
        let read = others().filter(|(_, participant)| participant.read > nth).count();
        (read, read > 0 && read == others().count())
    }

    /// Returns why a user may not do what only admins may.
    fn admin_refusal(&self, user: usize) -> Option<(u16, &'static str)> {
        match self.participants.get(&user) {
            None => Some((403, "not_a_participant")),
            Some(participant) if participant.is_admin => None,
            Some(_) => Some((403, "not_an_admin")),
        }
    }

    /// Returns why a user may not act on a message.
    fn message_refusal(&self, user: usize, nth: usize) -> Option<(u16, &'static str)> {
        match self.participants.get(&user) {
            None => Some((403, "not_a_participant")),
            Some(_) if !self.can_see(user, nth) => Some((404, "not_found")),
            Some(_) => None,
        }
    }

    fn remove(&mut self, user: usize) {
        self.participants.remove(&user);
        if !self.participants.values().any(|participant| participant.is_admin) {
            let longest = self
                .participants
                .iter_mut()
                .min_by_key(|(user, participant)| (participant.joined_at.clone(), PEOPLE[**user]));
            if let Some((_, participant)) = longest {
                participant.is_admin = true;
            }
        }
    }
}

struct Run {
    actors: Vec<Actor>,
    conversations: Vec<Option<Conversation>>,
    /// The number of actions so far.
    step: usize,
}

#[track_caller]
fn succeeded(answer: &Answer, refusal: Option<(u16, &str)>) -> bool {
    match refusal {
        Some((status, code)) => answer.refused(status, code),
        None => assert!([200, 201].contains(&answer.status), "{answer:?}"),
    }
    refusal.is_none()
}

impl Run {
    async fn apply(&mut self, Operation { user, conversation: at, action }: &Operation) {
        let (user, is_room, actor) = (*user, *at == ROOM, self.actors[*user].clone());
        self.step += 1;
        let step = self.step;
        let Some(mut conversation) = self.conversations[*at].take() else {
            if let Action::Create { participants } = action {
                self.conversations[*at] = Some(create(&actor, user, is_room, participants, step).await);
            }
            return;
        };
        let id = conversation.id.clone();
        match *action {
            Action::Create { .. } => {}
            Action::Join if is_room => {
                actor.join(&id).await.expect(200);
                // The first in an empty room owns it.
                let (is_admin, read) = (conversation.participants.is_empty(), conversation.messages.len());
                let (joined_at, activity) = (joined_at(&actor, &id, user).await, Some(step));
                let participant =
                    Participant { is_admin, joined_at, read, activity, ..Participant::default() };
                conversation.participants.entry(user).or_insert(participant);
            }
            Action::Join => actor.join(&id).await.refused(404, "not_found"),
            Action::Add { target } => {
                let refusal = conversation.admin_refusal(user).or(is_room.then_some((409, "conflict")));
                if succeeded(&actor.add(&id, &[PEOPLE[target]]).await, refusal)
                    && !conversation.participants.contains_key(&target)
                {
                    let (joined_at, from) =
                        (joined_at(&actor, &id, target).await, conversation.messages.len());
                    let participant = Participant {
                        joined_at,
                        from,
                        cleared: from,
                        activity: Some(step),
                        ..Participant::default()
                    };
                    conversation.participants.insert(target, participant);
                }
            }
            Action::Remove { target } => {
                let refusal = conversation
                    .admin_refusal(user)
                    .filter(|refusal| user != target || refusal.1 == "not_a_participant");
                let missing =
                    (!conversation.participants.contains_key(&target)).then_some((404, "not_found"));
                if succeeded(&actor.remove(&id, PEOPLE[target]).await, refusal.or(missing)) {
                    conversation.remove(target);
                }
            }
            Action::SetAdmin { target, is_admin } => {
                let admins =
                    conversation.participants.values().filter(|participant| participant.is_admin).count();
                let participant = conversation.participants.get(&target);
                let is_last =
                    participant.is_some_and(|participant| participant.is_admin) && !is_admin && admins == 1;
                let refusal = conversation.admin_refusal(user).or(is_room.then_some((409, "conflict")));
                let refusal = refusal.or(participant.is_none().then_some((404, "not_found")));
                let refusal = refusal.or(is_last.then_some((409, "conflict")));
                if succeeded(&actor.set_admin(&id, PEOPLE[target], is_admin).await, refusal) {
                    conversation
                        .participants
                        .entry(target)
                        .and_modify(|participant| participant.is_admin = is_admin);
                }
            }
            Action::Send { word } => {
                let text = format!("{} {step}", WORDS[word]);
                let answer = actor.say(&id, &text).await;
                let refusal =
                    (!conversation.participants.contains_key(&user)).then_some((403, "not_a_participant"));
                if succeeded(&answer, refusal) {
                    let message = Message {
                        id: answer.id(),
                        from: user,
                        text,
                        version: 1,
                        is_deleted: false,
                        hidden_by: BTreeSet::new(),
                        at: step,
                    };
                    conversation.messages.push(message);
                    conversation
                        .participants
                        .values_mut()
                        .for_each(|participant| participant.activity = Some(step));
                }
            }
            _ => change(&actor, user, &mut conversation, action, step).await,
        }
        self.conversations[*at] = Some(conversation);
    }

    /// Compares every read of every user with the model.
    async fn check(&self) {
        for user in 0..PEOPLE.len() {
            self.check_inbox(user).await;
            self.check_search(user).await;
            for (at, conversation) in self.conversations.iter().enumerate() {
                let Some(conversation) = conversation else { continue };
                if conversation.participants.contains_key(&user) {
                    check_messages(&self.actors[user], user, conversation).await;
                    check_people(&self.actors[user], conversation).await;
                } else {
                    let path = format!("/api/conversations/{}", conversation.id);
                    self.actors[user].get(&path).await.refused(403, "not_a_participant");
                    self.actors[user]
                        .get(&format!("{path}/messages"))
                        .await
                        .refused(403, "not_a_participant");
                }
                if at == ROOM {
                    let rooms = self.actors[user].get("/api/rooms").await.expect(200);
                    let room = &rooms.list()[0];
                    assert_eq!(room["participant_count"], conversation.participants.len());
                    assert_eq!(room["is_participant"], conversation.participants.contains_key(&user));
                }
            }
        }
    }

    async fn check_inbox(&self, user: usize) {
        let inbox = self.actors[user].get("/api/messages/inbox").await.expect(200);
        let mut expected: Vec<(usize, Value)> = Vec::new();
        for conversation in self.conversations.iter().flatten() {
            let Some(participant) = conversation.participants.get(&user) else { continue };
            let Some(activity) = participant.activity else { continue };
            let last = conversation.seen_by(user).next_back().map(|(_, message)| message);
            let read = participant.read.checked_sub(1).map(|nth| &conversation.messages[nth].id);
            let row = json!({
                "conversation_id": conversation.id,
                "last_message": last.map(|message| &message.text),
                "last_message_id": last.map(|message| &message.id),
                "last_message_from_me": last.is_some_and(|message| message.from == user),
                "unread_count": conversation.unread_by(user),
                "last_read_message_id": read,
                "participant_count": conversation.participants.len(),
                "is_admin": participant.is_admin,
            });
            expected.push((activity, row));
        }
        expected.sort_by_key(|(activity, _)| std::cmp::Reverse(*activity));
        assert_eq!(inbox.json["total"], expected.len());
        assert_eq!(inbox.list().len(), expected.len());
        for (row, (_, expected)) in inbox.list().iter().zip(&expected) {
            for (field, value) in expected.as_object().unwrap() {
                assert_eq!(row[field], *value, "{field} of {row}");
            }
        }
        let unread: Vec<u64> = expected.iter().filter_map(|(_, row)| row["unread_count"].as_u64()).collect();
        let total = self.actors[user].get("/api/messages/unread-count").await.expect(200);
        assert_eq!(total.data()["unread_count"], unread.iter().sum::<u64>());
        assert_eq!(total.data()["conversations"], unread.iter().filter(|count| **count > 0).count());
    }

    async fn check_search(&self, user: usize) {
        for (word, text) in [("apfel", "Äpfel"), ("split%20banana", "banana split")] {
            let mut expected = Vec::new();
            for conversation in self.conversations.iter().flatten() {
                expected.extend(conversation.seen_by(user).map(|(_, m)| m).filter(|m| m.text.contains(text)));
            }
            expected.sort_by_key(|message| std::cmp::Reverse(message.at));
            let path = format!("/api/messages/search?limit=3&q={word}");
            let found = self.actors[user].pages(&path).await.concat();
            let ids: Vec<_> = found.iter().map(|hit| hit["id"].as_str().unwrap()).collect();
            assert_eq!(ids, expected.iter().map(|message| message.id.as_str()).collect::<Vec<_>>());
        }
    }
}

async fn create(
    actor: &Actor,
    user: usize,
    is_room: bool,
    participants: &[usize],
    step: usize,
) -> Conversation {
    let names: Vec<&str> = participants.iter().map(|other| PEOPLE[*other]).collect();
    let id = if is_room { actor.room("Lobby").await } else { actor.group("Trip", &names).await };
    let people: BTreeSet<usize> =
        [user].into_iter().chain(participants.iter().copied().filter(|_| !is_room)).collect();
    let mut conversation = Conversation { id, ..Conversation::default() };
    for other in people {
        let joined_at = joined_at(actor, &conversation.id, other).await;
        let participant = Participant {
            is_admin: other == user,
            joined_at,
            activity: Some(step),
            ..Participant::default()
        };
        conversation.participants.insert(other, participant);
    }
    conversation
}

async fn joined_at(actor: &Actor, id: &str, target: usize) -> String {
    let found = actor.get(&format!("/api/conversations/{id}")).await.expect(200);
    let participants = found.data()["participants"].as_array().unwrap();
    let participant =
        participants.iter().find(|participant| participant["user_id"] == PEOPLE[target]).unwrap();
    participant["joined_at"].as_str().unwrap().to_owned()
}

/// Applies an action on existing messages.
async fn change(actor: &Actor, user: usize, conversation: &mut Conversation, action: &Action, step: usize) {
    let id = conversation.id.clone();
    match *action {
        Action::Edit { nth, word } => {
            let Some(message) = conversation.messages.get(nth) else { return };
            let text = format!("{}, edited {step}", WORDS[word]);
            let refusal = conversation.message_refusal(user, nth);
            let refusal = refusal.or((message.from != user).then_some((403, "not_the_sender")));
            let refusal = refusal.or(message.is_deleted.then_some((409, "conflict")));
            if succeeded(&actor.edit(&message.id, &text).await, refusal) {
                let message = &mut conversation.messages[nth];
                (message.text, message.version) = (text, message.version + 1);
            }
        }
        Action::Unsend { nth } => {
            let Some(message) = conversation.messages.get(nth) else { return };
            let refusal = conversation.message_refusal(user, nth);
            let may = message.from == user
                || conversation.participants.get(&user).is_some_and(|participant| participant.is_admin);
            let refusal = refusal.or((!may).then_some((403, "not_the_sender")));
            if succeeded(&actor.unsend(&message.id).await, refusal) {
                let message = &mut conversation.messages[nth];
                message.version += u64::from(!message.is_deleted);
                (message.text, message.is_deleted) = (String::new(), true);
            }
        }
        Action::Hide { nth } => {
            let Some(message) = conversation.messages.get(nth) else { return };
            // Hiding a message again changes nothing.
            let refusal =
                conversation.message_refusal(user, nth).filter(|_| !message.hidden_by.contains(&user));
            let refusal = refusal.or(conversation
                .participants
                .get(&user)
                .is_none_or(|p| nth < p.cleared)
                .then_some((404, "not_found")));
            if succeeded(&actor.hide(&message.id).await, refusal) {
                conversation.messages[nth].hidden_by.insert(user);
            }
        }
        Action::Mark { nth } => {
            let Some(message) = conversation.messages.get(nth).filter(|m| !m.hidden_by.contains(&user))
            else {
                return;
            };
            let answer = actor.mark(&message.id).await;
            if succeeded(&answer, conversation.message_refusal(user, nth)) {
                conversation
                    .participants
                    .entry(user)
                    .and_modify(|participant| participant.read = participant.read.max(nth + 1));
                assert_eq!(answer.data()["unread_count"], conversation.unread_by(user));
                assert_eq!(
                    answer.data()["message_id"],
                    conversation.messages[conversation.participants[&user].read - 1].id
                );
            }
        }
        Action::MarkAll => {
            let answer = actor.read_all(&id).await;
            let end = conversation.messages.len();
            let Some(participant) = conversation.participants.get_mut(&user) else {
                return answer.refused(403, "not_a_participant");
            };
            // A user who was added after the last message has nothing to read.
            if end > participant.from {
                participant.read = end;
            }
            assert_eq!(answer.expect(200).data()["unread_count"], 0);
        }
        Action::DeleteConversation => {
            let answer = actor.forget(&id).await;
            let end = conversation.messages.len();
            let Some(participant) = conversation.participants.get_mut(&user) else {
                return answer.refused(403, "not_a_participant");
            };
            answer.expect(200);
            if participant.activity.take().is_some() {
                participant.cleared = end;
            }
        }
        _ => {}
    }
}

async fn check_messages(actor: &Actor, user: usize, conversation: &Conversation) {
    let path = format!("/api/conversations/{}/messages?limit=4", conversation.id);
    let shown: Vec<Value> = actor.pages(&path).await.into_iter().rev().flatten().collect();
    let expected: Vec<_> = conversation.seen_by(user).collect();
    assert_eq!(shown.len(), expected.len());
    for (shown, (nth, message)) in shown.iter().zip(expected) {
        let (read_count, read) = conversation.readers_of(nth);
        let expected = json!({
            "id": message.id,
            "sender_id": PEOPLE[message.from],
            "message_text": message.text,
            "version": message.version,
            "is_deleted": message.is_deleted,
            "read": read,
            "read_count": read_count,
        });
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(shown[field], *value, "{field} of {shown}");
        }
    }
}

async fn check_people(actor: &Actor, conversation: &Conversation) {
    let found = actor.get(&format!("/api/conversations/{}", conversation.id)).await.expect(200);
    let shown = found.data()["participants"].as_array().unwrap().iter();
    let shown =
        shown.map(|p| (p["user_id"].clone(), p["is_admin"].clone(), p["last_read_message_id"].clone()));
    let expected = conversation.participants.iter().map(|(user, participant)| {
        let read = participant.read.checked_sub(1).map(|nth| &conversation.messages[nth].id);
        (json!(PEOPLE[*user]), json!(participant.is_admin), json!(read))
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn groups_and_rooms_agree_with_the_model(operations in proptest::collection::vec(operation(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let actors = world.users(PEOPLE).await.to_vec();
            let mut run = Run { actors, conversations: (0..CONVERSATIONS).map(|_| None).collect(), step: 0 };
            // Create all conversations first.
            for conversation in 0..CONVERSATIONS {
                let action = Action::Create { participants: vec![1, 2] };
                run.apply(&Operation { user: conversation, conversation, action }).await;
            }
            for (index, operation) in operations.iter().enumerate() {
                run.apply(operation).await;
                if index % 10 == 9 {
                    run.check().await;
                }
            }
            run.check().await;
        });
    }
}
