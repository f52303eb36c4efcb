//! Attachments: uploading, sending, looking, deleting, and the pictures of users and groups.

mod crossing;
mod pictures;
mod storage;
mod sweeping;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use domain::caller::Caller;
use domain::message::MessageKind;
use edge::socket::context_of;
use harness::World;
use harness::storage::{Fault, Files, fetch, png, post_form};
use local::gateway::socket_functions;
use serde_json::{Value, json};

/// The first attachment of a message.
fn first(message: &Value) -> &Value {
    &message["attachments"][0]
}

fn url(message: &Value) -> &str {
    first(message)["url"].as_str().expect("a URL")
}

#[tokio::test]
async fn a_picture_reaches_the_other() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let file = png(64, 48);
    let cursor = bob.get("/api/events").await.expect(200).data()["cursor"].as_str().unwrap().to_owned();
    let asked = alice.ask("photo.png", "image/png", file.len(), &json!({})).await.expect(201);
    post_form(&asked.data()["upload"], &[], &file).await.expect(204);
    let id = asked.data()["attachment_id"].as_str().unwrap();
    let body = json!({"recipient_id": "bob", "attachments": [
        {"attachment_id": id, "thumbhash": "1QcSHQRnh493V4dIh4eXh1h4kJUI", "width": 7, "is_voice": true},
    ]});
    let sent = alice.post("/api/messages/send", &body).await.expect(201);
    let seen = &bob.page("alice").await[0];
    for message in [sent.data(), seen] {
        assert_eq!(message["attachments"].as_array().unwrap().len(), 1);
        let shown = first(message);
        assert_eq!(shown["kind"], "image");
        assert_eq!(shown["content_type"], "image/png");
        assert_eq!(shown["size"], file.len());
        assert_eq!((&shown["width"], &shown["height"]), (&json!(64), &json!(48)), "as the server read them");
        assert_eq!(shown["file_name"], "photo.png");
        assert_eq!(shown["thumbhash"], "1QcSHQRnh493V4dIh4eXh1h4kJUI");
        assert_eq!((&shown["duration_ms"], &shown["preview_url"]), (&Value::Null, &Value::Null));
        assert_eq!(message["attachment_url"], shown["url"], "for clients that know only links");
        assert_eq!(message["attachment_type"], "image/png");
        assert_eq!(message["message_text"], "");
    }
    assert_eq!(url(sent.data()), url(seen), "the same for all");
    let loaded = bob.load(url(seen)).await.expect(200);
    assert_eq!(loaded.body, file);
    assert_eq!(loaded.header("content-type"), "image/png");
    assert_eq!(loaded.header("x-content-type-options"), "nosniff");
    assert_eq!(
        loaded.header("content-disposition"),
        "inline; filename=\"photo.png\"; filename*=UTF-8''photo.png"
    );
    assert_eq!(loaded.header("cache-control"), "private, max-age=31536000, immutable");
    let row = bob.row("alice").await.unwrap();
    assert_eq!((&row["last_message"], &row["unread_count"]), (&json!("photo.png"), &json!(1)));
    let events = bob.get(&format!("/api/events?cursor={cursor}")).await.expect(200);
    let events = events.data()["events"].as_array().unwrap().clone();
    let created = events.iter().find(|event| event["type"] == "message.created").unwrap();
    assert_eq!(first(&created["data"]["message"])["size"], file.len());
    assert_eq!(files.below("f/").len(), 1);
}

#[tokio::test]
async fn attachments_cost_no_call_and_no_unit_of_the_table() {
    let (world, _) = World::with_files().await;
    let (alice, _bob) = world.two().await;
    alice.send("bob", "hello").await.expect(201);
    let plain = alice.send("bob", "hello").await.expect(201);
    let ids = [alice.upload("a.png", &png(4, 4)).await, alice.upload("b.png", &png(4, 4)).await];
    let sent = alice.send_files("bob", &[&ids[0], &ids[1]]).await.expect(201);
    for figure in ["calls", "depth", "rcu", "wcu"] {
        assert_eq!(sent.cost(figure).to_string(), plain.cost(figure).to_string(), "{figure}");
    }
    let page = alice.get("/api/messages/conversation/bob?limit=1").await.expect(200);
    let link = url(&page.list()[0]).strip_prefix(harness::storage::PUBLIC_URL).unwrap().to_owned();
    assert_eq!(alice.anonymous().get(&link).await.expect(302).cost("calls").to_string(), "0");
}

#[tokio::test]
async fn what_cannot_be_shown_safely_downloads() {
    let (world, _) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let picture_and_page = [png(8, 8), b"<html><script>alert(1)</script>".to_vec()].concat();
    let cases: [(&str, &[u8]); 6] = [
        ("page.html", b"<html><script>alert(1)</script></html>"),
        ("drawing.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>"),
        ("feed.xml", b"<?xml version=\"1.0\"?><a/>"),
        ("both.png", &picture_and_page),
        ("\u{202e}gnp.\u{1f600} \"quoted\"\r\n.html", b"plain"),
        ("zip.zip", b"PK\x03\x04rest"),
    ];
    for (name, file) in cases {
        let id = alice.upload(name, file).await;
        let sent = alice.send_files("bob", &[&id]).await.expect(201);
        let shown = first(sent.data());
        assert_eq!(
            (&shown["kind"], &shown["content_type"]),
            (&json!("file"), &json!("application/octet-stream"))
        );
        assert_eq!((&shown["width"], &shown["thumbhash"]), (&Value::Null, &Value::Null));
        assert!(!shown["file_name"].as_str().unwrap().contains(['\u{202e}', '\r', '\n']), "{shown}");
        let loaded = bob.load(url(sent.data())).await.expect(200);
        assert_eq!(loaded.header("content-type"), "application/octet-stream", "{name}");
        assert!(loaded.header("content-disposition").starts_with("attachment; filename="), "{name}");
        assert_eq!(loaded.header("x-content-type-options"), "nosniff");
        assert_eq!(loaded.body, file);
    }
}

#[tokio::test]
async fn a_preview_is_a_small_picture_of_its_own() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let (file, small) = (vec![7; 300], png(3, 2));
    let ask = async |preview: &[u8]| {
        let more = json!({"preview_size": preview.len()});
        let asked = alice.ask("raw.bin", "application/octet-stream", file.len(), &more);
        let asked = asked.await.expect(201);
        post_form(&asked.data()["upload"], &[], &file).await.expect(204);
        asked
    };
    let asked = ask(&small).await;
    let id = asked.data()["attachment_id"].as_str().unwrap().to_owned();
    alice.send_files("bob", &[&id]).await.refused(409, "not_uploaded");
    post_form(&asked.data()["preview_upload"], &[], &small).await.expect(204);
    let sent = alice.send_files("bob", &[&id]).await.expect(201);
    let preview = first(sent.data())["preview_url"].as_str().unwrap();
    let loaded = bob.load(preview).await.expect(200);
    assert_eq!((loaded.body.as_ref(), loaded.header("content-type")), (small.as_slice(), "image/png"));
    assert_eq!(bob.load(url(sent.data())).await.expect(200).body, file);
    assert_eq!(files.below("f/").len(), 2);

    let page = b"<html></html>";
    let asked = ask(page).await;
    post_form(&asked.data()["preview_upload"], &[], page).await.expect(204);
    let id = asked.data()["attachment_id"].as_str().unwrap();
    alice.send_files("bob", &[id]).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_send_waits_for_all_its_files() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let mut ids = Vec::new();
    for n in 0..9 {
        ids.push(alice.upload(&format!("{n}.png"), &png(n + 1, 1)).await);
    }
    let late = png(10, 1);
    let asked = alice.ask("9.png", "image/png", late.len(), &json!({})).await.expect(201);
    ids.push(asked.data()["attachment_id"].as_str().unwrap().to_owned());
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    alice.send_files_once("bob", &ids, "once").await.refused(409, "not_uploaded");
    alice.send_files("bob", &ids).await.refused(409, "not_uploaded");
    assert!(bob.page("alice").await.is_empty());
    assert!(files.below("f/").is_empty(), "nothing was copied");
    post_form(&asked.data()["upload"], &[], &late).await.expect(204);
    let sent = alice.send_files_once("bob", &ids, "once").await.expect(201);
    let widths: Vec<u64> = sent.data()["attachments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|shown| shown["width"].as_u64().unwrap())
        .collect();
    assert_eq!(widths, (1..=10).collect::<Vec<_>>(), "in their order");
    let again = alice.send_files_once("bob", &ids, "once").await.expect(200);
    assert_eq!(again.id(), sent.id());
    assert_eq!(files.below("f/").len(), 10, "the copies of the retry are gone");
    assert_eq!(bob.page("alice").await.len(), 1);
}

#[tokio::test]
async fn a_retry_answers_the_first_message_although_its_uploads_are_gone() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    let sent = alice.send_files_once("bob", &[&id], "once").await.expect(201);
    // Two days later, by the storage's clock, the lifecycle has removed the upload.
    files.storage.sweep_at(two_days_from_now()).await;
    assert!(files.below("up/").is_empty());
    assert_eq!(files.below("f/").len(), 1);
    assert_eq!(alice.send_files_once("bob", &[&id], "once").await.expect(200).id(), sent.id());
    alice.send_files_once("bob", &[&id], "twice").await.refused(409, "not_uploaded");
    assert_eq!(bob.load(url(sent.data())).await.expect(200).body, png(4, 4));
    // Nor does it need the storage.
    files.inject(|_, _| Fault::Fails);
    assert_eq!(alice.send_files_once("bob", &[&id], "once").await.expect(200).id(), sent.id());
}

fn two_days_from_now() -> domain::time::Timestamp {
    local::secrets::days_from_now(2)
}

#[tokio::test]
async fn an_upload_belongs_to_one_message() {
    let (world, files) = World::with_files().await;
    let [alice, bob, _carol] = world.users(["alice", "bob", "carol"]).await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    alice.send_files("bob", &[&id, &id]).await.refused(400, "invalid_request");
    alice.send_files("bob", &[&id]).await.expect(201);
    for _ in 0..2 {
        alice.send_files("bob", &[&id]).await.refused(400, "invalid_request");
        alice.send_files("carol", &[&id]).await.refused(400, "invalid_request");
        alice.send_files_once("bob", &[&id], "again").await.refused(400, "invalid_request");
    }
    assert_eq!(files.below("f/").len(), 1);
    assert_eq!(bob.page("alice").await.len(), 1);
    // A send that is refused has not used it.
    let id = alice.upload("b.png", &png(4, 4)).await;
    bob.block("alice").await.expect(200);
    alice.send_files("bob", &[&id]).await.refused(403, "blocked");
    alice.send_files_once("bob", &[&id], "x").await.refused(403, "blocked");
    assert_eq!(files.below("f/").len(), 1);
    alice.send_files_once("carol", &[&id], "y").await.expect(201);
}

#[tokio::test]
async fn only_the_owner_can_use_an_upload_and_within_a_day() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    bob.send_files("alice", &[&id]).await.refused(400, "invalid_request");
    for index in 0..id.len() {
        let mut altered: Vec<char> = id.chars().collect();
        altered[index] = if altered[index] == 'A' { 'B' } else { 'A' };
        let altered: String = altered.into_iter().collect();
        alice.send_files("bob", &[&altered]).await.refused(400, "invalid_request");
    }
    for other in ["", "x", &id[1..], &format!("{id}-")] {
        alice.send_files("bob", &[other]).await.refused(400, "invalid_request");
    }
    let picture = alice.upload_for("picture", "a.png", &png(4, 4)).await;
    alice.send_files("bob", &[&picture]).await.refused(400, "invalid_request");
    let late = world.with_storage_off_by(&files, 24 * 3600 * 1000 + 1000);
    late.stranger("alice").send_files("bob", &[&id]).await.refused(400, "invalid_request");
    assert!(files.below("f/").is_empty());
    alice.send_files("bob", &[&id]).await.expect(201);
}

#[tokio::test]
async fn uploads_have_a_size_and_a_form() {
    let (world, files) = World::with_files().await;
    let small = world.with_storage(&files, |settings| settings.max_attachment_bytes = 1_000);
    let alice = small.user("alice").await;
    alice.ask("a", "image/png", 1_000, &json!({})).await.expect(201);
    alice.ask("a", "image/png", 1_001, &json!({})).await.refused(413, "too_large");
    let alice = world.user("alice").await;
    let picture = json!({"purpose": "picture"});
    alice.ask("a", "image/png", 1024 * 1024, &picture).await.expect(201);
    alice.ask("a", "image/png", 1024 * 1024 + 1, &picture).await.refused(413, "too_large");
    for (field, value) in [
        ("size", json!(0)),
        ("size", json!(-1)),
        ("size", json!(1.5)),
        ("file_name", json!("")),
        ("file_name", json!("x".repeat(256))),
        ("content_type", json!("png")),
        ("content_type", json!("a/b\r\nc: d")),
        ("preview_size", json!(0)),
        ("preview_size", json!(512 * 1024 + 1)),
        ("purpose", json!("other")),
        ("unknown", json!(1)),
    ] {
        alice.ask("a", "image/png", 10, &json!({field: value})).await.refused(400, "invalid_request");
    }
    alice.ask("a", "audio/webm;codecs=opus", 10, &json!({"preview_size": 512 * 1024})).await.expect(201);
    world.anonymous().ask("a", "image/png", 10, &json!({})).await.refused(401, "not_authenticated");
    let body = |attachments: Value| json!({"recipient_id": "bob", "attachments": attachments});
    for attachments in [
        json!([]),
        json!([{}]),
        json!(vec![json!({"attachment_id": "x"}); 11]),
        json!([{"attachment_id": "x", "width": 0}]),
        json!([{"attachment_id": "x", "thumbhash": "<script>"}]),
        json!([{"attachment_id": "x", "unknown": 1}]),
        json!("x"),
        json!(["x"]),
    ] {
        alice.post("/api/messages/send", &body(attachments)).await.refused(400, "invalid_request");
    }
}

#[tokio::test]
async fn links_are_the_same_all_day_and_nobody_can_make_one() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    let sent = alice.send_files("bob", &[&id]).await.expect(201);
    let link = url(sent.data()).to_owned();
    let path = link.strip_prefix(harness::storage::PUBLIC_URL).unwrap().to_owned();
    let (_, token) = path.split_once("?t=").unwrap();
    assert!(link.len() < 150, "{link}");
    let anonymous = world.anonymous();
    let answer = anonymous.get(&path).await.expect(302);
    assert_eq!(answer.headers["cache-control"], "private, max-age=240");
    assert!(answer.headers["location"].to_str().unwrap().contains("X-Amz-Expires=300"));
    for index in 0..path.len() {
        if path[..index].len() < "/api/attachments/".len() || path.as_bytes()[index] == b'?' {
            continue;
        }
        let mut altered = path.clone().into_bytes();
        altered[index] = if altered[index] == b'0' { b'1' } else { b'0' };
        let altered = String::from_utf8(altered).unwrap();
        let status = anonymous.get(&altered).await.status;
        assert!(status == 404 || status == 400, "{altered} {status}");
    }
    anonymous.get(path.split_once('?').unwrap().0).await.refused(404, "not_found");
    assert_eq!(token.len(), 27);
    // Two days later it is too old, and the message has another.
    let later = world.with_storage_off_by(&files, 2 * 24 * 3600 * 1000);
    later.anonymous().get(&path).await.refused(404, "not_found");
    let tomorrow = world.with_storage_off_by(&files, 24 * 3600 * 1000);
    tomorrow.anonymous().get(&path).await.expect(302);
    let new = url(&tomorrow.stranger("bob").page("alice").await[0]).to_owned();
    assert_ne!(new, link);
    assert_eq!(bob.load(&link).await.expect(200).body, png(4, 4));
}

#[tokio::test]
async fn whoever_leaves_gets_no_new_links() {
    let (world, _) = World::with_files().await;
    let [alice, bob, carol] = world.users(["alice", "bob", "carol"]).await;
    let group = alice.group("Hikers", &["bob", "carol"]).await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    let body =
        json!({"conversation_id": group, "message_text": "look", "attachments": [{"attachment_id": id}]});
    let sent = alice.post("/api/messages/send", &body).await.expect(201);
    assert_eq!(url(&carol.messages(&group).await[0]), url(sent.data()));
    let cursor = bob.get("/api/events").await.expect(200).data()["cursor"].as_str().unwrap().to_owned();
    bob.leave(&group).await.expect(200);
    bob.get(&format!("/api/conversations/{group}/messages")).await.refused(403, "not_a_participant");
    let events = bob.get(&format!("/api/events?cursor={cursor}")).await.expect(200);
    assert!(!events.json.to_string().contains("/api/attachments/"), "{events:?}");
}

#[tokio::test]
async fn edits_keep_attachments_and_may_remove_the_text() {
    let (world, _) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    let mut body =
        json!({"recipient_id": "bob", "message_text": "look", "attachments": [{"attachment_id": id}]});
    body["client_message_id"] = "x".into();
    let sent = alice.post("/api/messages/send", &body).await.expect(201);
    assert_eq!(bob.row("alice").await.unwrap()["last_message"], "look");
    let edited = alice.edit(&sent.id(), "").await.expect(200);
    assert_eq!(edited.data()["attachments"], sent.data()["attachments"]);
    assert_eq!(bob.row("alice").await.unwrap()["last_message"], "a.png");
    let edited = alice.edit(&sent.id(), "again").await.expect(200);
    assert_eq!((&edited.data()["message_text"], url(edited.data())), (&json!("again"), url(sent.data())));
    let plain = alice.send("bob", "text").await.expect(201);
    alice.edit(&plain.id(), "").await.refused(400, "invalid_request");
}

#[tokio::test]
async fn deleting_takes_the_files_away_and_a_restore_brings_them_back() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let ids = [alice.upload("a.png", &png(4, 4)).await, alice.upload("b.txt", b"text").await];
    let sent = alice.send_files("bob", &[&ids[0], &ids[1]]).await.expect(201);
    let link = url(sent.data());
    bob.load(link).await.expect(200);
    bob.hide(&sent.id()).await.expect(200);
    bob.load(link).await.expect(200);
    let deleted = alice.unsend(&sent.id()).await.expect(200);
    assert_eq!(deleted.data()["attachments"], json!([]));
    assert_eq!(deleted.data()["attachment_url"], Value::Null);
    bob.load(link).await.expect(404);
    assert_eq!((files.below("f/").len(), files.below("d/").len()), (0, 2));
    let id = sent.id().parse().unwrap();
    let moved = world.app.store.recoverable_files(&id).await.unwrap();
    world.app.files.restore(&moved).await.unwrap();
    world.app.store.restore_message(&id).await.unwrap();
    let loaded = bob.load(link).await.expect(200);
    assert_eq!((loaded.body.as_ref(), loaded.header("content-type")), (png(4, 4).as_slice(), "image/png"));
    assert_eq!((files.below("f/").len(), files.below("d/").len()), (2, 0));
    assert_eq!(alice.page("bob").await[0]["attachments"], sent.data()["attachments"]);
    // The files of a message that stays deleted are removed after 30 days.
    alice.unsend(&sent.id()).await.expect(200);
    files.storage.sweep_at(local::secrets::days_from_now(29)).await;
    assert_eq!(files.below("d/").len(), 2);
    files.storage.sweep_at(local::secrets::days_from_now(31)).await;
    assert!(files.keys().is_empty(), "{:?}", files.keys());
}

#[tokio::test]
async fn a_deletion_that_could_not_move_the_files_can_be_repeated() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    let sent = alice.send_files("bob", &[&id]).await.expect(201);
    files.inject(|_, _| Fault::Fails);
    alice.unsend(&sent.id()).await.refused(503, "unavailable");
    files.heal();
    assert_eq!(bob.page("alice").await[0]["is_deleted"], true);
    alice.unsend(&sent.id()).await.expect(200);
    bob.load(url(sent.data())).await.expect(404);
    alice.unsend(&sent.id()).await.expect(200);
    assert_eq!(files.below("d/").len(), 1);
}

#[tokio::test]
async fn attachments_can_be_switched_off() {
    let world = World::new().await;
    let (alice, _bob) = world.two().await;
    alice.ask("a", "image/png", 10, &json!({})).await.refused(404, "not_found");
    alice.send_files("bob", &["x"]).await.refused(400, "invalid_request");
    alice.patch("/api/users/me", &json!({"avatar_attachment_id": "x"})).await.refused(404, "not_found");
    alice.send("bob", "text").await.expect(201);
}

#[tokio::test]
async fn links_to_elsewhere_are_still_taken() {
    let (world, _) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    let body = json!({"recipient_id": "bob", "attachment_url": "https://elsewhere.example/x",
        "attachment_type": "thing", "attachments": [{"attachment_id": id}]});
    let sent = alice.post("/api/messages/send", &body).await.expect(201);
    assert_eq!(sent.data()["attachment_url"], "https://elsewhere.example/x");
    assert_eq!(sent.data()["attachments"].as_array().unwrap().len(), 1);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = "recipient_id=bob&attachment_url=https%3A%2F%2Felsewhere.example%2Fy";
    let sent = alice.call("POST", "/api/messages/send", &form, body).await.expect(201);
    assert_eq!((&sent.data()["attachments"], bob.page("alice").await.len()), (&json!([]), 2));
}

#[tokio::test]
async fn searches_find_what_was_uploaded_until_it_is_deleted() {
    let (world, _) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let pdf = b"%PDF-1.4\n".as_slice();
    let [one, two, three] = [
        alice.upload("plan.pdf", pdf).await,
        alice.upload("a.png", &png(4, 4)).await,
        alice.upload("b.png", &png(4, 4)).await,
    ];
    alice.send("bob", "a text").await.expect(201);
    let mixed = alice.send_files("bob", &[&one, &two]).await.expect(201).id();
    let image = alice.send_files("bob", &[&three]).await.expect(201).id();
    let found = async |filter: &str| {
        let pages = bob.pages(&format!("/api/messages/search?q={filter}")).await;
        pages.concat().iter().map(|hit| hit["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for filter in ["has:attachment", "has:image"] {
        assert_eq!(found(filter).await, [&*image, &mixed], "{filter}");
    }
    assert_eq!(found("has:file").await, [&*mixed]);
    assert!(found("has:link").await.is_empty());
    alice.unsend(&mixed).await.expect(200);
    assert_eq!(found("has:attachment").await, [&*image]);
    world.app.store.restore_message(&mixed.parse().unwrap()).await.unwrap();
    assert_eq!(found("has:file").await, [&*mixed]);
}

#[tokio::test]
async fn a_message_has_the_kind_of_its_first_attachment() {
    let (world, _) = World::with_files().await;
    let (alice, _bob) = world.two().await;
    let webm = &[b"\x1a\x45\xdf\xa3\x42\x82\x84webm\0\0A_OPUS".as_slice(), &[0; 300]].concat();
    let text = alice.send("bob", "text").await.expect(201).id();
    let [image, sound, voice] = [
        alice.upload("a.png", &png(4, 4)).await,
        alice.upload("a.webm", webm).await,
        alice.upload("b.webm", webm).await,
    ];
    let image = alice.send_files("bob", &[&image]).await.expect(201).id();
    let sound = alice.send_files("bob", &[&sound]).await.expect(201);
    assert_eq!(first(sound.data())["content_type"], "video/webm", "nobody said that it is a sound");
    let attachments = json!([{"attachment_id": voice, "is_voice": true, "duration_ms": 1_500, "width": 5}]);
    let body = json!({"recipient_id": "bob", "message_text": "listen", "attachments": attachments});
    let voice = alice.post("/api/messages/send", &body).await.expect(201);
    let shown = first(voice.data());
    assert_eq!((&shown["kind"], &shown["content_type"]), (&json!("voice"), &json!("audio/webm")));
    assert_eq!((&shown["duration_ms"], &shown["width"]), (&json!(1_500), &Value::Null));
    let deleted = alice.send("bob", "gone").await.expect(201).id();
    alice.unsend(&deleted).await.expect(200);
    for (id, kind, has_attachment) in [
        (text, MessageKind::Text, false),
        (image, MessageKind::Image, true),
        (sound.id(), MessageKind::Video, true),
        (voice.id(), MessageKind::Voice, true),
        (deleted, MessageKind::Deleted, false),
    ] {
        let message = world.app.store.message(&id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((message.kind(), message.has_attachment()), (kind, has_attachment));
    }
}

#[tokio::test]
async fn frames_send_attachments_too() {
    let (world, files) = World::with_files().await;
    let (alice, bob) = world.two().await;
    let id = alice.upload("a.png", &png(4, 4)).await;
    let caller = Caller {
        user: alice.id.parse().unwrap(),
        name: None,
        picture: None,
        expires: local::secrets::days_from_now(1),
        session: None,
    };
    let mut event = ApiGatewayWebsocketProxyRequest::default();
    event.request_context.connection_id = Some("hers".to_owned());
    event.request_context.authorizer.fields = serde_json::from_value(context_of(&caller).unwrap()).unwrap();
    let attachments = json!([{"attachment_id": id}]);
    let frame = json!({"action": "send", "recipient_id": "bob", "attachments": attachments});
    event.body = Some(frame.to_string());
    let handle = socket_functions(&world.app).message;
    bob.block("alice").await.expect(200);
    // Nobody hears the answers: the socket does not exist.
    let _ = handle(event.clone()).await;
    assert!(files.below("f/").is_empty(), "the copy of a refused send is gone");
    bob.unblock("alice").await.expect(200);
    let _ = handle(event).await;
    let page = bob.page("alice").await;
    assert_eq!(bob.load(url(&page[0])).await.expect(200).body, png(4, 4));
}

#[tokio::test]
async fn uploads_are_limited_in_number_and_in_bytes() {
    let (world, files) = World::with_files().await;
    let limited = world.with_storage(&files, |settings| settings.limited = true);
    let alice = limited.user("alice").await;
    let big = 100 * 1024 * 1024;
    for _ in 0..51 {
        alice.ask("a", "image/png", big, &json!({})).await.expect(201);
    }
    let answer = alice.ask("a", "image/png", big, &json!({})).await;
    answer.refused(429, "rate_limited");
    assert!(answer.headers.contains_key("retry-after"));
    alice.ask("a", "image/png", 1, &json!({})).await.expect(201);
    limited.user("bob").await.ask("a", "image/png", big, &json!({})).await.expect(201);
}

/// The storage of another machine whose clock is ahead refuses a form: see `storage.rs`.
#[tokio::test]
async fn a_form_is_signed_for_a_quarter_of_an_hour() {
    let files = Files::start(15 * 60 * 1000 + 5_000).await;
    let engine = local::engine::Engine::in_memory().unwrap();
    let world = World::on_files(engine, &files).await;
    let alice = world.user("alice").await;
    let asked = alice.ask("a.png", "image/png", 3, &json!({})).await.expect(201);
    let answer = post_form(&asked.data()["upload"], &[], b"abc").await.expect(403);
    assert!(String::from_utf8_lossy(&answer.body).contains("Policy expired"));
    assert!(fetch("GET", &format!("{}/tidings-files/up/x", files.url), &[], Vec::new()).await.status == 403);
}
