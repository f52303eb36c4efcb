//! Attachments when something goes wrong: the storage is away, answers are lost, sends race, processes die.

use std::time::Duration;

use futures_util::future::join_all;
use harness::World;
use harness::process::{Server, token};
use harness::storage::{Fault, Files, KEYS, fetch, png, post_form, try_fetch};
use local::engine::Engine;
use local::secrets::days_from_now;
use local::storage::BUCKET;
use serde_json::{Value, json};

use super::sweeping::sweep;
use super::url;

#[tokio::test]
async fn a_storage_that_is_away_sends_nothing() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    // Away from the beginning, for claims, for copies.
    let steps: [fn(&str, &str) -> bool; 3] =
        [|_, _| true, |method, key| method == "PUT" && key.starts_with("c/"), |_, key| key.starts_with("f/")];
    for (step, is_away) in steps.into_iter().enumerate() {
        files.inject(move |method, key| if is_away(method, key) { Fault::Fails } else { Fault::None });
        alice.send_files_once("bob", &[&id], "once").await.refused(503, "unavailable");
        alice.send_files("bob", &[&id]).await.refused(503, "unavailable");
        files.heal();
        assert!(files.below("f/").is_empty(), "{step}");
    }
    assert!(bob.page("alice").await.is_empty());
    // Both sends can be repeated.
    alice.send_files_once("bob", &[&id], "once").await.expect(201);
    let id = alice.upload("b.png", &png(4, 4)).await;
    files.inject(|_, key| if key.starts_with("f/") { Fault::Fails } else { Fault::None });
    alice.send_files("bob", &[&id]).await.refused(503, "unavailable");
    files.heal();
    let sent = alice.send_files("bob", &[&id]).await.expect(201);
    files.inject(|_, _| Fault::Fails);
    let link = url(sent.data()).strip_prefix(harness::storage::PUBLIC_URL).unwrap();
    world.anonymous().get(link).await.refused(503, "unavailable");
    alice.send("bob", "a text needs no storage").await.expect(201);
}

#[tokio::test]
async fn lost_answers_of_the_storage_lose_nothing() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    for round in 0..4 {
        let id = alice.upload("a.png", &png(4, 4)).await;
        // The first answer of each kind is lost.
        let mut seen = Vec::new();
        files.inject(move |method, key| {
            let kind = (method.to_owned(), key.split('/').next().unwrap().to_owned());
            if seen.contains(&kind) {
                return Fault::None;
            }
            seen.push(kind);
            Fault::Lost
        });
        let sent = alice.send_files("bob", &[&id]).await.expect(201);
        files.heal();
        assert_eq!(bob.load(url(sent.data())).await.expect(200).body, png(4, 4));
        assert_eq!(files.below("f/").len(), round + 1);
    }
}

#[tokio::test]
async fn a_slow_storage_delays_a_send_only_so_long() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    let after = |millis| {
        move |_: &str, _: &str| Fault::After(Box::pin(tokio::time::sleep(Duration::from_millis(millis))))
    };
    files.inject(after(300));
    alice.send_files_once("bob", &[&id], "x").await.expect(201);
    files.inject(after(60_000));
    let id = alice.upload("b.png", &png(4, 4)).await;
    let began = std::time::Instant::now();
    alice.send_files_once("bob", &[&id], "y").await.refused(503, "unavailable");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    files.heal();
    alice.send_files_once("bob", &[&id], "y").await.expect(201);
    assert_eq!(bob.page("alice").await.len(), 2);
}

#[tokio::test]
async fn what_was_checked_is_what_the_receiver_gets() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let (checked, other) = (png(4, 4), [b"<html>".as_slice(), &vec![b' '; png(4, 4).len() - 6]].concat());
    let asked = alice.ask("a.png", "image/png", checked.len(), &json!({})).await.expect(201);
    let upload = asked.data()["upload"].clone();
    post_form(&upload, &[], &checked).await.expect(204);
    let id = asked.data()["attachment_id"].as_str().unwrap().to_owned();
    // The form can be posted again while it is valid: here between the check and the copy.
    let (form, page) = (upload.clone(), other.clone());
    files.inject(move |_, key| {
        let (form, page) = (form.clone(), page.clone());
        if !key.starts_with("c/") {
            return Fault::None;
        }
        Fault::After(Box::pin(async move {
            post_form(&form, &[], &page).await.expect(204);
        }))
    });
    alice.send_files_once("bob", &[&id], "x").await.refused(409, "conflict");
    files.heal();
    assert!(files.below("f/").is_empty());
    // The other contents are checked in their turn.
    let sent = alice.send_files_once("bob", &[&id], "x").await.expect(201);
    assert_eq!(sent.data()["attachments"][0]["content_type"], "application/octet-stream");
    // Once it is sent, the form replaces nothing that anybody sees.
    post_form(&upload, &[], &checked).await.expect(204);
    let loaded = bob.load(url(sent.data())).await.expect(200);
    assert_eq!(
        (loaded.body.as_ref(), loaded.header("content-type")),
        (other.as_slice(), "application/octet-stream")
    );
    alice.send_files("bob", &[&id]).await.refused(400, "invalid_request");
}

async fn statuses(sends: impl IntoIterator<Item = impl Future<Output = harness::Answer>>) -> Vec<u16> {
    let mut statuses: Vec<u16> = join_all(sends).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

#[tokio::test]
async fn of_racing_sends_one_gets_the_upload() {
    let (world, files) = World::with_files().await;
    let people = world.users(["alice", "bob", "carol", "dave", "erin"]).await;
    let alice = &people[0];
    for round in 0..5 {
        let id = alice.upload("a.png", &png(4, 4)).await;
        let ids = &[id.as_str()];
        let found = match round % 2 {
            0 => statuses(["bob", "carol", "dave", "erin"].map(|to| alice.send_files(to, ids))).await,
            _ => statuses(["bob"; 4].map(|to| alice.send_files(to, ids))).await,
        };
        assert_eq!(found, [201, 400, 400, 400]);
        assert_eq!(files.below("f/").len(), round + 1);
    }
    // Sends with the same client id are one send.
    let id = alice.upload("a.png", &png(4, 4)).await;
    let ids = &[id.as_str()];
    let found = statuses([(); 5].map(|()| alice.send_files_once("bob", ids, "once"))).await;
    assert_eq!(found, [200, 200, 200, 200, 201]);
    assert_eq!(files.below("f/").len(), 6);
    let history = people[1].page("alice").await;
    let last = history.last().unwrap();
    assert_eq!(people[1].load(url(last)).await.expect(200).body, png(4, 4));
}

#[tokio::test]
async fn a_send_that_is_refused_does_not_take_the_files_of_its_twin() {
    let (world, files) = World::with_files().await;
    let [alice, bob, _carol] = world.users(["alice", "bob", "carol"]).await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    bob.block("alice").await.expect(200);
    // The block ends while the first of two equal sends is being refused.
    let refused = alice.send_files_once("bob", &[&id], "once").await;
    refused.refused(403, "blocked");
    bob.unblock("alice").await.expect(200);
    let sent = alice.send_files_once("bob", &[&id], "once").await.expect(201);
    bob.load(url(sent.data())).await.expect(200);
    alice.send_files_once("carol", &[&id], "other").await.refused(400, "invalid_request");
    assert_eq!(files.below("f/").len(), 1);
}

#[tokio::test]
async fn a_database_that_is_away_after_the_copy_loses_no_file() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    let id = alice.upload("a.png", &png(4, 4)).await;
    // The answer to the commit is lost, and the database is away when it is asked again.
    world.wire.away_after(1);
    let answer = alice.send_files_once("bob", &[&id], "once").await;
    world.wire.heal();
    assert!([201, 503].contains(&answer.status), "{answer:?}");
    let again = alice.send_files_once("bob", &[&id], "once").await;
    assert!([200, 201].contains(&again.status), "{again:?}");
    let page = bob.page("alice").await;
    let with_files: Vec<&Value> = page.iter().filter(|message| message["attachments"] != json!([])).collect();
    assert_eq!(with_files.len(), 1);
    assert_eq!(bob.load(url(with_files[0])).await.expect(200).body, png(4, 4));
    assert!(files.below("f/").len() <= 2, "at most a copy that no message names");
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_at_most_a_copy_that_is_removed() {
    // The calls of a send: check, claim, copy. It is killed before each of them, and after the last.
    for calls in 0..=3 {
        let files = Files::start(0).await;
        let folder = tempfile::tempdir().unwrap();
        let [id, secret] = KEYS;
        let environment = [
            ("AWS_ENDPOINT_URL_S3", files.url.as_str()),
            ("TIDINGS_BUCKET", BUCKET),
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_SESSION_TOKEN", ""),
        ];
        let start = || Server::start_with(folder.path(), &["--quiet"], &environment);
        let server = start();
        let tokens = ["alice", "bob"].map(|user| token(folder.path(), user));
        call("GET", &server, "/api/users/me", &tokens[1], &Value::Null).await;
        let file = png(4, 4);
        let new = json!({"file_name": "a.png", "content_type": "image/png", "size": file.len()});
        let (_, asked) = call("POST", &server, "/api/attachments", &tokens[0], &new).await;
        post_form(&asked["data"]["upload"], &[], &file).await.expect(204);
        let send = json!({"recipient_id": "bob", "client_message_id": "once",
            "attachments": [{"attachment_id": asked["data"]["attachment_id"]}]});

        let (reached, mut reaches) = tokio::sync::mpsc::unbounded_channel();
        let mut seen = 0;
        files.inject(move |_, _| {
            seen += 1;
            if seen <= calls && calls < 3 {
                return Fault::None;
            }
            let reached = reached.clone();
            let is_killed = calls < 3 || seen >= 3;
            Fault::After(Box::pin(async move {
                if is_killed {
                    let _ = reached.send(());
                }
                if calls < 3 {
                    std::future::pending::<()>().await;
                }
            }))
        });
        let url = server.url.clone();
        let sending = tokio::spawn({
            let (token, send) = (tokens[0].clone(), send.clone());
            async move { try_call("POST", &format!("{url}/api/messages/send"), &token, &send).await }
        });
        reaches.recv().await;
        server.kill();
        drop(sending.await);
        files.heal();

        let server = start();
        let page = async || {
            let path = "/api/messages/conversation/alice?mark_read=false";
            call("GET", &server, path, &tokens[1], &Value::Null).await.1["data"].as_array().unwrap().clone()
        };
        let loads = async |message: &Value| {
            let link = fetch("GET", super::url(message), &[], Vec::new()).await.expect(302);
            fetch("GET", link.header("location"), &[], Vec::new()).await.expect(200).body
        };
        for message in page().await {
            assert_eq!(loads(&message).await, file, "killed after {calls} calls");
        }
        assert!(files.below("f/").len() <= 1);
        let (status, _) = call("POST", &server, "/api/messages/send", &tokens[0], &send).await;
        assert!([200, 201].contains(&status), "the same send can be repeated: {status}");
        let page = page().await;
        assert_eq!(page.len(), 1);
        assert_eq!(loads(&page[0]).await, file);
        assert!(files.below("f/").len() <= 2, "at most a copy that no message names");
        assert_eq!([files.below("up/").len(), files.below("c/").len()], [1, 1], "the upload and its claim");
        files.storage.sweep_at(days_from_now(2)).await;
        assert!(files.below("up/").is_empty());
        // A day later, the copy that no message names is removed.
        server.kill();
        let engine = Engine::on_disk(&folder.path().join("tidings.db")).unwrap();
        sweep(&World::on_files(engine, &files).await, &files).await.unwrap();
        assert_eq!([files.below("f/").len(), files.below("c/").len()], [1, 0]);
        let server = start();
        let path = "/api/messages/conversation/alice?mark_read=false";
        let page = call("GET", &server, path, &tokens[1], &Value::Null).await.1["data"].clone();
        assert_eq!(loads(&page[0]).await, file);
    }
}

/// Calls a server. Returns the status and the body.
async fn call(method: &str, server: &Server, path: &str, token: &str, body: &Value) -> (u16, Value) {
    try_call(method, &format!("{}{path}", server.url), token, body).await.expect("an answer")
}

async fn try_call(method: &str, url: &str, token: &str, body: &Value) -> Option<(u16, Value)> {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = try_fetch(method, url, &headers, body.to_string().into_bytes()).await?;
    Some((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
}
