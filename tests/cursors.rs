//! Cursors: each is valid only unaltered, and only for the user and the list that it was issued for.

use harness::{Actor, World};
use serde_json::json;

use crate::direct::text;
use crate::inputs::refused_for;

/// Returns Alice, Bob, and paths of lists of each kind, which have two or more pages for Alice.
async fn lists(world: &World) -> (Actor, Actor, Vec<String>) {
    let (alice, bob) = world.two().await;
    for id in ["carol", "dave"] {
        world.user(id).await;
        alice.send(id, "hello").await.expect(201);
        alice.send(id, "hello").await.expect(201);
        alice.block(id).await.expect(200);
        bob.send(id, "hello").await.expect(201);
        bob.block(id).await.expect(200);
    }
    alice.send("bob", "hello").await.expect(201);
    bob.send("alice", "hello").await.expect(201);
    for _ in 0..2 {
        let mention = json!({"recipient_id": "alice", "message_text": "look", "mentions": ["alice"]});
        bob.post("/api/messages/send", &mention).await.expect(201);
    }
    let lists = [
        "/api/messages/inbox?limit=1",
        "/api/mentions?limit=1",
        "/api/messages/conversation/bob?limit=1",
        "/api/messages/conversation/carol?limit=1",
        "/api/messages/search?q=hello&limit=1",
        "/api/messages/search?q=hell&limit=1",
        "/api/messages/search?q=hello&from=alice&limit=1",
        "/api/messages/blocked-users?limit=1",
    ];
    (alice, bob, lists.map(ToOwned::to_owned).into())
}

async fn cursor(actor: &Actor, list: &str) -> String {
    text(&actor.get(list).await.expect(200).json, "next_cursor").to_owned()
}

#[tokio::test]
async fn a_cursor_is_valid_only_for_its_list() {
    let world = World::new().await;
    let (alice, _, lists) = lists(&world).await;
    for source in &lists {
        let cursor = cursor(&alice, source).await;
        for list in &lists {
            let answer = alice.get(&format!("{list}&cursor={cursor}")).await;
            if list == source {
                answer.expect(200);
            } else {
                refused_for(&answer, "cursor");
            }
        }
    }
}

#[tokio::test]
async fn a_cursor_is_valid_only_for_its_user() {
    let world = World::new().await;
    let (alice, bob, lists) = lists(&world).await;
    for list in lists {
        let cursor = cursor(&alice, &list).await;
        let theirs = list.replace("/bob", "/alice");
        bob.get(&theirs).await.expect(200);
        refused_for(&bob.get(&format!("{theirs}&cursor={cursor}")).await, "cursor");
    }
}

#[tokio::test]
async fn an_altered_cursor_is_refused() {
    let world = World::new().await;
    let (alice, _, lists) = lists(&world).await;
    for list in lists {
        let cursor = cursor(&alice, &list).await;
        let altered = (0..cursor.len()).map(|at| {
            let other = if &cursor[at..=at] == "x" { "y" } else { "x" };
            format!("{}{other}{}", &cursor[..at], &cursor[at + 1..])
        });
        let others = ["x".into(), "%00".into(), "%C3%A9".into(), format!("{cursor}x"), cursor[1..].into()];
        for bad in altered.chain(others).chain([cursor.repeat(50), cursor[..cursor.len() - 1].into()]) {
            refused_for(&alice.get(&format!("{list}&cursor={bad}")).await, "cursor");
        }
    }
}
