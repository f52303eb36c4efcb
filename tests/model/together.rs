//! Two groups and a room: who takes part, what they say, change and take back, against a model of its own.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Actor, Answer, World};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::WORDS;

const PEOPLE: [&str; 4] = ["ann", "ben", "cal", "dan"];
/// Two groups, and then a room.
const PLACES: usize = 3;
const ROOM: usize = 2;

/// What someone does in one of the places. `nth` is a message, counted from the oldest.
#[derive(Debug, Clone)]
struct Operation {
    who: usize,
    place: usize,
    deed: Deed,
}

#[derive(Debug, Clone)]
enum Deed {
    Make { with: Vec<usize> },
    Join,
    Add { whom: usize },
    TakeOut { whom: usize },
    SetAdmin { whom: usize, is_admin: bool },
    Send { word: usize },
    Edit { nth: usize, word: usize },
    Unsend { nth: usize },
    Hide { nth: usize },
    Mark { nth: usize },
    MarkAll,
    Forget,
}

fn operation() -> impl Strategy<Value = Operation> {
    let (whom, nth, word) = (0..PEOPLE.len(), 0usize..10, 0..WORDS.len());
    let deed = prop_oneof![
        3 => proptest::collection::vec(whom.clone(), 0..4).prop_map(|with| Deed::Make { with }),
        3 => Just(Deed::Join),
        3 => whom.clone().prop_map(|whom| Deed::Add { whom }),
        2 => whom.clone().prop_map(|whom| Deed::TakeOut { whom }),
        2 => (whom, any::<bool>()).prop_map(|(whom, is_admin)| Deed::SetAdmin { whom, is_admin }),
        12 => word.clone().prop_map(|word| Deed::Send { word }),
        4 => (nth.clone(), word).prop_map(|(nth, word)| Deed::Edit { nth, word }),
        3 => nth.clone().prop_map(|nth| Deed::Unsend { nth }),
        3 => nth.clone().prop_map(|nth| Deed::Hide { nth }),
        3 => nth.prop_map(|nth| Deed::Mark { nth }),
        1 => Just(Deed::MarkAll),
        1 => Just(Deed::Forget),
    ];
    (0..PEOPLE.len(), 0..PLACES, deed).prop_map(|(who, place, deed)| Operation { who, place, deed })
}

#[derive(Debug, Clone)]
struct Message {
    id: String,
    from: usize,
    text: String,
    version: u64,
    is_deleted: bool,
    hidden_by: BTreeSet<usize>,
    /// When it was sent: the order over all places.
    at: usize,
}

/// Someone's part in a place. Numbers of messages count from the oldest.
#[derive(Debug, Clone, Default)]
struct Part {
    is_admin: bool,
    joined_at: String,
    /// Messages that were there before, and are not shown.
    from: usize,
    read: usize,
    cleared: usize,
    /// When the row last moved up; none while it is hidden.
    activity: Option<usize>,
}

#[derive(Debug, Default)]
struct Place {
    id: String,
    creator: usize,
    messages: Vec<Message>,
    parts: BTreeMap<usize, Part>,
}

impl Place {
    fn sees(&self, who: usize, nth: usize) -> bool {
        let Some(message) = self.messages.get(nth) else { return false };
        self.parts.get(&who).is_some_and(|part| nth >= part.cleared) && !message.hidden_by.contains(&who)
    }

    fn seen_by(&self, who: usize) -> impl DoubleEndedIterator<Item = (usize, &Message)> {
        self.messages.iter().enumerate().filter(move |(nth, _)| self.sees(who, *nth))
    }

    fn unread_by(&self, who: usize) -> usize {
        let read = self.parts[&who].read;
        self.seen_by(who).filter(|(nth, m)| *nth >= read && m.from != who && !m.is_deleted).count()
    }

    /// How many others who could see a message have read it, and whether all have.
    fn readers_of(&self, nth: usize) -> (usize, bool) {
        let sender = self.messages[nth].from;
        let others = || self.parts.iter().filter(|(who, part)| **who != sender && part.from <= nth);
        let read = others().filter(|(_, part)| part.read > nth).count();
        (read, read > 0 && read == others().count())
    }

    /// Why someone may not do what only an admin may.
    fn refusal(&self, who: usize) -> Option<(u16, &'static str)> {
        match self.parts.get(&who) {
            None => Some((403, "not_a_participant")),
            Some(part) if part.is_admin => None,
            Some(_) => Some((403, "not_an_admin")),
        }
    }

    /// Why someone may not do anything with a message.
    fn out_of_sight(&self, who: usize, nth: usize) -> Option<(u16, &'static str)> {
        match self.parts.get(&who) {
            None => Some((403, "not_a_participant")),
            Some(_) if !self.sees(who, nth) => Some((404, "not_found")),
            Some(_) => None,
        }
    }

    fn leaves(&mut self, who: usize, is_room: bool) {
        self.parts.remove(&who);
        if !is_room && !self.parts.values().any(|part| part.is_admin) {
            let longest =
                self.parts.iter_mut().min_by_key(|(who, part)| (part.joined_at.clone(), PEOPLE[**who]));
            if let Some((_, part)) = longest {
                part.is_admin = true;
            }
        }
    }
}

struct Run {
    actors: Vec<Actor>,
    places: Vec<Option<Place>>,
    /// Sends, joins and makings so far.
    moves: usize,
}

#[track_caller]
fn ended(answer: &Answer, refusal: Option<(u16, &str)>) -> bool {
    match refusal {
        Some((status, code)) => answer.refused(status, code),
        None => assert!([200, 201].contains(&answer.status), "{answer:?}"),
    }
    refusal.is_none()
}

impl Run {
    async fn apply(&mut self, Operation { who, place: at, deed }: &Operation) {
        let (who, is_room, actor) = (*who, *at == ROOM, self.actors[*who].clone());
        self.moves += 1;
        let moves = self.moves;
        let Some(mut place) = self.places[*at].take() else {
            if let Deed::Make { with } = deed {
                self.places[*at] = Some(made(&actor, who, is_room, with, moves).await);
            }
            return;
        };
        let id = place.id.clone();
        match *deed {
            Deed::Make { .. } => {}
            Deed::Join if is_room => {
                actor.join(&id).await.expect(200);
                let (is_admin, read) = (place.creator == who, place.messages.len());
                let part = Part { is_admin, read, activity: Some(moves), ..Part::default() };
                place.parts.entry(who).or_insert(part);
            }
            Deed::Join => actor.join(&id).await.refused(404, "not_found"),
            Deed::Add { whom } => {
                let refusal = place.refusal(who).or(is_room.then_some((409, "conflict")));
                if ended(&actor.add(&id, &[PEOPLE[whom]]).await, refusal) && !place.parts.contains_key(&whom)
                {
                    let (joined_at, from) = (joined_at(&actor, &id, whom).await, place.messages.len());
                    let part =
                        Part { joined_at, from, cleared: from, activity: Some(moves), ..Part::default() };
                    place.parts.insert(whom, part);
                }
            }
            Deed::TakeOut { whom } => {
                let refusal =
                    place.refusal(who).filter(|refusal| who != whom || refusal.1 == "not_a_participant");
                let missing = (!place.parts.contains_key(&whom)).then_some((404, "not_found"));
                if ended(&actor.remove(&id, PEOPLE[whom]).await, refusal.or(missing)) {
                    place.leaves(whom, is_room);
                }
            }
            Deed::SetAdmin { whom, is_admin } => {
                let admins = place.parts.values().filter(|part| part.is_admin).count();
                let part = place.parts.get(&whom);
                let is_last = part.is_some_and(|part| part.is_admin) && !is_admin && admins == 1;
                let refusal = place.refusal(who).or(is_room.then_some((409, "conflict")));
                let refusal = refusal.or(part.is_none().then_some((404, "not_found")));
                let refusal = refusal.or(is_last.then_some((409, "conflict")));
                if ended(&actor.set_admin(&id, PEOPLE[whom], is_admin).await, refusal) {
                    place.parts.entry(whom).and_modify(|part| part.is_admin = is_admin);
                }
            }
            Deed::Send { word } => {
                let text = format!("{} {moves}", WORDS[word]);
                let answer = actor.say(&id, &text).await;
                let refusal = (!place.parts.contains_key(&who)).then_some((403, "not_a_participant"));
                if ended(&answer, refusal) {
                    let message = Message {
                        id: answer.id(),
                        from: who,
                        text,
                        version: 1,
                        is_deleted: false,
                        hidden_by: BTreeSet::new(),
                        at: moves,
                    };
                    place.messages.push(message);
                    place.parts.values_mut().for_each(|part| part.activity = Some(moves));
                }
            }
            _ => change(&actor, who, &mut place, deed, moves).await,
        }
        self.places[*at] = Some(place);
    }

    /// Every read of everyone against the model.
    async fn check(&self) {
        for who in 0..PEOPLE.len() {
            self.check_inbox(who).await;
            self.check_search(who).await;
            for (at, place) in self.places.iter().enumerate() {
                let Some(place) = place else { continue };
                if place.parts.contains_key(&who) {
                    check_messages(&self.actors[who], who, place).await;
                    check_people(&self.actors[who], place).await;
                } else {
                    let path = format!("/api/conversations/{}", place.id);
                    self.actors[who].get(&path).await.refused(403, "not_a_participant");
                    self.actors[who].get(&format!("{path}/messages")).await.refused(403, "not_a_participant");
                }
                if at == ROOM {
                    let rooms = self.actors[who].get("/api/rooms").await.expect(200);
                    let room = &rooms.list()[0];
                    assert_eq!(room["participant_count"], place.parts.len());
                    assert_eq!(room["is_participant"], place.parts.contains_key(&who));
                }
            }
        }
    }

    async fn check_inbox(&self, who: usize) {
        let inbox = self.actors[who].get("/api/messages/inbox").await.expect(200);
        let mut expected: Vec<(usize, Value)> = Vec::new();
        for place in self.places.iter().flatten() {
            let Some(part) = place.parts.get(&who) else { continue };
            let Some(activity) = part.activity else { continue };
            let last = place.seen_by(who).next_back().map(|(_, message)| message);
            let read = part.read.checked_sub(1).map(|nth| &place.messages[nth].id);
            let row = json!({
                "conversation_id": place.id,
                "last_message": last.map(|message| &message.text),
                "last_message_id": last.map(|message| &message.id),
                "last_message_from_me": last.is_some_and(|message| message.from == who),
                "unread_count": place.unread_by(who),
                "last_read_message_id": read,
                "participant_count": place.parts.len(),
                "is_admin": part.is_admin,
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
        let total = self.actors[who].get("/api/messages/unread-count").await.expect(200);
        assert_eq!(total.data()["unread_count"], unread.iter().sum::<u64>());
        assert_eq!(total.data()["conversations"], unread.iter().filter(|count| **count > 0).count());
    }

    async fn check_search(&self, who: usize) {
        for (word, holds) in [("apfel", "Äpfel"), ("split%20banana", "banana split")] {
            let mut expected = Vec::new();
            for place in self.places.iter().flatten() {
                expected.extend(place.seen_by(who).map(|(_, m)| m).filter(|m| m.text.contains(holds)));
            }
            expected.sort_by_key(|message| std::cmp::Reverse(message.at));
            let path = format!("/api/messages/search?limit=3&q={word}");
            let found = self.actors[who].pages(&path).await.concat();
            let ids: Vec<_> = found.iter().map(|hit| hit["id"].as_str().unwrap()).collect();
            assert_eq!(ids, expected.iter().map(|message| message.id.as_str()).collect::<Vec<_>>());
        }
    }
}

async fn made(actor: &Actor, who: usize, is_room: bool, with: &[usize], moves: usize) -> Place {
    let names: Vec<&str> = with.iter().map(|other| PEOPLE[*other]).collect();
    let id = if is_room { actor.room("Lobby").await } else { actor.group("Trip", &names).await };
    let people: BTreeSet<usize> =
        [who].into_iter().chain(with.iter().copied().filter(|_| !is_room)).collect();
    let mut place = Place { id, creator: who, ..Place::default() };
    for other in people {
        let joined_at = joined_at(actor, &place.id, other).await;
        let part = Part { is_admin: other == who, joined_at, activity: Some(moves), ..Part::default() };
        place.parts.insert(other, part);
    }
    place
}

async fn joined_at(actor: &Actor, id: &str, whom: usize) -> String {
    let found = actor.get(&format!("/api/conversations/{id}")).await.expect(200);
    let participants = found.data()["participants"].as_array().unwrap();
    let part = participants.iter().find(|part| part["user_id"] == PEOPLE[whom]).unwrap();
    part["joined_at"].as_str().unwrap().to_owned()
}

/// Something that someone does with messages that are there.
async fn change(actor: &Actor, who: usize, place: &mut Place, deed: &Deed, moves: usize) {
    let id = place.id.clone();
    match *deed {
        Deed::Edit { nth, word } => {
            let Some(message) = place.messages.get(nth) else { return };
            let text = format!("{}, edited {moves}", WORDS[word]);
            let refusal = place.out_of_sight(who, nth);
            let refusal = refusal.or((message.from != who).then_some((403, "not_the_sender")));
            let refusal = refusal.or(message.is_deleted.then_some((409, "conflict")));
            if ended(&actor.edit(&message.id, &text).await, refusal) {
                let message = &mut place.messages[nth];
                (message.text, message.version) = (text, message.version + 1);
            }
        }
        Deed::Unsend { nth } => {
            let Some(message) = place.messages.get(nth) else { return };
            let refusal = place.out_of_sight(who, nth);
            let may = message.from == who || place.parts.get(&who).is_some_and(|part| part.is_admin);
            let refusal = refusal.or((!may).then_some((403, "not_the_sender")));
            if ended(&actor.unsend(&message.id).await, refusal) {
                let message = &mut place.messages[nth];
                message.version += u64::from(!message.is_deleted);
                (message.text, message.is_deleted) = (String::new(), true);
            }
        }
        Deed::Hide { nth } => {
            let Some(message) = place.messages.get(nth) else { return };
            // Doing it again changes nothing.
            let refusal = place.out_of_sight(who, nth).filter(|_| !message.hidden_by.contains(&who));
            let refusal = refusal.or(place
                .parts
                .get(&who)
                .is_none_or(|p| nth < p.cleared)
                .then_some((404, "not_found")));
            if ended(&actor.hide(&message.id).await, refusal) {
                place.messages[nth].hidden_by.insert(who);
            }
        }
        Deed::Mark { nth } => {
            let Some(message) = place.messages.get(nth).filter(|m| !m.hidden_by.contains(&who)) else {
                return;
            };
            let answer = actor.mark(&message.id).await;
            if ended(&answer, place.out_of_sight(who, nth)) {
                place.parts.entry(who).and_modify(|part| part.read = part.read.max(nth + 1));
                assert_eq!(answer.data()["unread_count"], place.unread_by(who));
                assert_eq!(answer.data()["message_id"], place.messages[place.parts[&who].read - 1].id);
            }
        }
        Deed::MarkAll => {
            let answer = actor.read_all(&id).await;
            let end = place.messages.len();
            let Some(part) = place.parts.get_mut(&who) else {
                return answer.refused(403, "not_a_participant");
            };
            // Who has come after the last message has nothing to read.
            if end > part.from {
                part.read = end;
            }
            assert_eq!(answer.expect(200).data()["unread_count"], 0);
        }
        Deed::Forget => {
            let answer = actor.forget(&id).await;
            let end = place.messages.len();
            let Some(part) = place.parts.get_mut(&who) else {
                return answer.refused(403, "not_a_participant");
            };
            answer.expect(200);
            if part.activity.take().is_some() {
                part.cleared = end;
            }
        }
        _ => {}
    }
}

async fn check_messages(actor: &Actor, who: usize, place: &Place) {
    let path = format!("/api/conversations/{}/messages?limit=4", place.id);
    let shown: Vec<Value> = actor.pages(&path).await.into_iter().rev().flatten().collect();
    let expected: Vec<_> = place.seen_by(who).collect();
    assert_eq!(shown.len(), expected.len());
    for (shown, (nth, message)) in shown.iter().zip(expected) {
        let (read_count, read) = place.readers_of(nth);
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

async fn check_people(actor: &Actor, place: &Place) {
    let found = actor.get(&format!("/api/conversations/{}", place.id)).await.expect(200);
    let shown = found.data()["participants"].as_array().unwrap().iter();
    let shown =
        shown.map(|p| (p["user_id"].clone(), p["is_admin"].clone(), p["last_read_message_id"].clone()));
    let expected = place.parts.iter().map(|(who, part)| {
        let read = part.read.checked_sub(1).map(|nth| &place.messages[nth].id);
        (json!(PEOPLE[*who]), json!(part.is_admin), json!(read))
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
            let mut run = Run { actors, places: (0..PLACES).map(|_| None).collect(), moves: 0 };
            // Who makes what is there before all else.
            for place in 0..PLACES {
                let deed = Deed::Make { with: vec![1, 2] };
                run.apply(&Operation { who: place, place, deed }).await;
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
