//! Mentions: who can be mentioned, and counts that stay exact.

use futures_util::future::join_all;
use harness::sync::Audience;
use harness::{Actor, Answer, World};
use serde_json::{Value, json};

use crate::direct::text;

mod listed;

async fn mention(actor: &Actor, conversation: &str, users: &[&str]) -> Answer {
    let body = json!({"conversation_id": conversation, "message_text": "look", "mentions": users});
    actor.post("/api/messages/send", &body).await
}

async fn mention_all(actor: &Actor, conversation: &str) -> Answer {
    let body = json!({"conversation_id": conversation, "message_text": "all", "mention_all": true});
    actor.post("/api/messages/send", &body).await
}

/// Returns a row's unread messages, mentions among them, and the oldest mention.
async fn counts(actor: &Actor, conversation: &str) -> (u64, u64, Value) {
    let row = actor.row_of(conversation).await.unwrap();
    let number = |field: &str| row[field].as_u64().unwrap();
    (number("unread_count"), number("mention_count"), row["first_mention_id"].clone())
}

async fn three(world: &World) -> ([Actor; 3], String) {
    let people = world.users(["ann", "ben", "cal"]).await;
    let group = people[0].group("team", &["ben", "cal"]).await;
    (people, group)
}

#[tokio::test]
async fn mentions_are_counted_through_every_change() {
    let world = World::new().await;
    let ([ann, ben, cal], group) = three(&world).await;
    let mut all = Audience::of(&[&ann, &ben, &cal], 3).await;
    let plain = all.verify(ann.say(&group, "hello")).await.expect(201).id();
    let first = all.verify(mention(&ann, &group, &["ben", "ann", "ben"])).await.expect(201);
    assert_eq!(first.data()["mentions"], json!(["ann", "ben"]), "each once, in the order of their ids");
    let second = all.verify(mention_all(&ann, &group)).await.expect(201).id();
    let third = all.verify(mention(&ann, &group, &["ben"])).await.expect(201).id();
    assert_eq!(counts(&ben, &group).await, (4, 3, json!(first.id())));
    assert_eq!(counts(&cal, &group).await, (4, 1, json!(second)));
    assert_eq!(counts(&ann, &group).await, (0, 0, Value::Null));
    let unread = ben.get("/api/messages/unread-count").await.expect(200);
    assert_eq!(unread.data()["mention_count"], 3);
    // Edited out, and in again.
    let edit = |id: String, users: Vec<&'static str>| {
        let ann = ann.clone();
        async move {
            let body = json!({"message_text": "edited", "mentions": users});
            ann.patch(&format!("/api/messages/{id}"), &body).await
        }
    };
    all.verify(edit(first.id(), vec!["cal"])).await.expect(200);
    assert_eq!(counts(&ben, &group).await, (4, 2, json!(second)));
    assert_eq!(counts(&cal, &group).await, (4, 2, json!(first.id())));
    all.verify(edit(first.id(), vec!["ben"])).await.expect(200);
    all.verify(edit(plain.clone(), vec!["ben", "cal"])).await.expect(200);
    assert_eq!(counts(&ben, &group).await, (4, 4, json!(plain)));
    assert_eq!(counts(&cal, &group).await, (4, 2, json!(plain)));
    // A text alone changes no mention.
    all.verify(ann.edit(&plain, "another text")).await.expect(200);
    assert_eq!(counts(&ben, &group).await, (4, 4, json!(plain)));
    // Marking, hiding, deleting, restoring nothing.
    all.verify(ben.mark(&plain)).await.expect(200);
    assert_eq!(counts(&ben, &group).await, (3, 3, json!(first.id())));
    all.verify(ben.hide(&first.id())).await.expect(200);
    assert_eq!(counts(&ben, &group).await, (2, 2, json!(second)));
    all.verify(ann.unsend(&second)).await.expect(200);
    assert_eq!(counts(&ben, &group).await, (1, 1, json!(third)));
    assert_eq!(counts(&cal, &group).await, (3, 1, json!(plain)));
    all.verify(ben.mark_unread(&plain)).await.expect(200);
    assert_eq!(counts(&ben, &group).await, (2, 2, json!(plain)));
    all.verify(ben.read_all(&group)).await.expect(200);
    assert_eq!(counts(&ben, &group).await, (0, 0, Value::Null));
    // An edit of what was read counts nothing.
    all.verify(edit(plain.clone(), vec!["cal"])).await.expect(200);
    all.verify(edit(plain, vec!["ben"])).await.expect(200);
    assert_eq!(counts(&ben, &group).await, (0, 0, Value::Null));
    assert_eq!(counts(&cal, &group).await, (3, 0, Value::Null));
    all.verify(cal.forget(&group)).await.expect(200);
    all.verify(mention_all(&ann, &group)).await.expect(201);
    assert_eq!(counts(&cal, &group).await.1, 1);
}

#[tokio::test]
async fn only_participants_can_be_mentioned() {
    let world = World::new().await;
    let ([ann, ben, _], group) = three(&world).await;
    world.user("eve").await;
    let sent = mention(&ann, &group, &["eve"]).await;
    sent.refused(400, "invalid_request");
    assert_eq!(sent.json["errors"][0]["field"], "mentions");
    let id = mention(&ann, &group, &["ben"]).await.expect(201).id();
    let body = json!({"mentions": ["eve"]});
    ann.patch(&format!("/api/messages/{id}"), &body).await.refused(400, "invalid_request");
    let direct = json!({"recipient_id": "ben", "message_text": "hi", "mentions": ["ben"]});
    let direct = ann.post("/api/messages/send", &direct).await.expect(201);
    assert_eq!(counts(&ben, &direct.conversation()).await.1, 1);
    let other = json!({"recipient_id": "ben", "message_text": "hi", "mentions": ["cal"]});
    ann.post("/api/messages/send", &other).await.refused(400, "invalid_request");
    let many: Vec<String> = (0..51).map(|n| format!("u{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    mention(&ann, &group, &many).await.refused(400, "invalid_request");
    for fields in [json!({"mentions": "ben"}), json!({"mentions": null, "mention_all": "yes"})] {
        let mut body = json!({"conversation_id": group, "message_text": "x"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        ann.post("/api/messages/send", &body).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn mentions_in_a_large_group_are_counted_by_the_fan_out() {
    let world = World::new().await;
    let crowd = world.crowd(30).await;
    let others: Vec<&str> = crowd[1..].iter().map(|actor| actor.id.as_str()).collect();
    let group = crowd[0].group("all of us", &others).await;
    world.fan_out(&group).await;
    let mut all = Audience::of(&[&crowd[0], &crowd[1], &crowd[2]], 3).await;
    let first =
        all.verify(fanned_out(&world, mention(&crowd[0], &group, &["p001", "p029"]))).await.expect(201).id();
    let everyone = all.verify(fanned_out(&world, mention_all(&crowd[0], &group))).await.expect(201).id();
    assert_eq!(counts(&crowd[1], &group).await, (2, 2, json!(first)));
    assert_eq!(counts(&crowd[2], &group).await, (2, 1, json!(everyone)));
    mention_all(&crowd[3], &group).await.refused(403, "not_an_admin");
    mention(&crowd[0], &group, &["stranger"]).await.refused(400, "invalid_request");
    let edit = json!({"message_text": "x", "mentions": ["p002"]});
    let path = format!("/api/messages/{first}");
    all.verify(fanned_out(&world, crowd[0].patch(&path, &edit))).await.expect(200);
    assert_eq!(counts(&crowd[1], &group).await, (2, 1, json!(everyone)));
    assert_eq!(counts(&crowd[2], &group).await, (2, 2, json!(first)));
    all.verify(fanned_out(&world, crowd[0].unsend(&everyone))).await.expect(200);
    assert_eq!(counts(&crowd[1], &group).await, (1, 0, Value::Null));
    assert_eq!(counts(&crowd[2], &group).await, (1, 1, json!(first)));
}

/// Makes a call and waits for the fan-out of its change.
async fn fanned_out(world: &World, call: impl Future<Output = Answer>) -> Answer {
    let answer = call.await;
    world.fan_out(text(answer.data(), "conversation_id")).await;
    answer
}

#[tokio::test]
async fn counts_of_mentions_agree_with_a_recount_after_races() {
    let world = World::new().await;
    let ([ann, ben, cal], group) = three(&world).await;
    let mut all = Audience::of(&[&ann, &ben, &cal], 9).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(mention(&ann, &group, &["ben"]).await.expect(201).id());
    }
    for round in 0..8 {
        let body = json!({"mentions": if round % 2 == 0 { vec!["cal"] } else { vec!["ben", "cal"] }});
        let path = format!("/api/messages/{}", ids[round % 4]);
        let race = async {
            tokio::join!(
                mention_all(&cal, &group),
                ann.patch(&path, &body),
                ben.mark(&ids[(round * 7) % 4]),
                cal.unsend(&ids[(round + 3) % ids.len()]),
                mention(&ann, &group, &["ben", "cal"]),
            )
        };
        let (sent, edited, ..) = all.verify(race).await;
        ids.push(sent.expect(201).id());
        assert!([200, 409].contains(&edited.status), "{edited:?}");
        // Marking everything as unread recounts.
        let row = ben.row_of(&group).await.unwrap();
        let before = counts(&ben, &group).await;
        let read = text(&row, "last_read_message_id").to_owned();
        let later: Vec<Value> =
            ben.history_of(&group).await.into_iter().filter(|m| text(m, "id") > read.as_str()).collect();
        let of_ben = |message: &&Value| {
            let listed = message["mentions"].as_array().unwrap().contains(&json!("ben"));
            message["sender_id"] != "ben" && (listed || message["mention_all"] == true)
        };
        let wanted: Vec<&Value> = later.iter().filter(of_ben).collect();
        assert_eq!(before.1, wanted.len() as u64);
        assert_eq!(before.2, wanted.first().map_or(Value::Null, |message| message["id"].clone()));
    }
}

#[tokio::test]
async fn a_send_with_mentions_costs_what_one_without_does() {
    let world = World::new().await;
    let crowd = world.crowd(24).await;
    let others: Vec<&str> = crowd[1..].iter().map(|actor| actor.id.as_str()).collect();
    let group = crowd[0].group("us", &others).await;
    let without = crowd[0].say(&group, "look").await.expect(201);
    let with = mention(&crowd[0], &group, &others[..3]).await.expect(201);
    let all = mention_all(&crowd[0], &group).await.expect(201);
    for figure in ["depth", "rcu", "wcu"] {
        assert!(with.cost(figure) <= without.cost(figure), "{figure}");
        assert!(all.cost(figure) <= without.cost(figure), "{figure}");
    }
    join_all(crowd[1..].iter().map(async |actor| {
        let (_, mentions, _) = counts(actor, &group).await;
        assert!(mentions >= 1);
    }))
    .await;
}
