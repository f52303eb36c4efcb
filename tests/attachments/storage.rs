//! The local storage refuses what S3 refuses, and needs little memory.

use harness::World;
use harness::process::{Server, token};
use harness::storage::{Loaded, fetch, png, post_form};
use serde_json::{Value, json};

use super::url;

/// Asserts that the storage has refused a request, with this code.
#[track_caller]
fn refused(answer: &Loaded, status: u16, code: &str) {
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, status, "{body}");
    assert!(body.contains(&format!("<Code>{code}</Code>")), "{body}");
}

#[tokio::test]
async fn a_form_uploads_exactly_what_was_asked_for() {
    let (world, files) = World::with_files().await;
    let alice = world.user("alice").await;
    let file = png(4, 4);
    let asked = alice.ask("a.png", "image/png", file.len(), &json!({})).await.expect(201);
    let upload = &asked.data()["upload"];
    let longer = [file.clone(), vec![0]].concat();
    refused(&post_form(upload, &[], &longer).await, 400, "EntityTooLarge");
    refused(&post_form(upload, &[], &vec![0; 3 * 1024 * 1024]).await, 400, "EntityTooLarge");
    refused(&post_form(upload, &[], &file[1..]).await, 400, "EntityTooSmall");
    refused(&post_form(upload, &[], b"").await, 400, "EntityTooSmall");
    let fields = upload["fields"].as_object().unwrap();
    let text = |name: &str| fields[name].as_str().unwrap();
    let other = text("key").replace("up/", "f/");
    for change in [
        [("key", other.as_str())],
        [("key", "up/../x")],
        [("Content-Type", "text/html")],
        [("x-amz-meta-owner", "bob")],
        [("x-amz-meta-more", "1")],
        [("acl", "public-read")],
        [("success_action_redirect", "https://elsewhere.example")],
    ] {
        refused(&post_form(upload, &change, &file).await, 403, "AccessDenied");
    }
    let (policy, signature, credential) = (text("policy"), text("x-amz-signature"), text("x-amz-credential"));
    let altered = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(bytes).unwrap()
    };
    for at in 0..signature.len() {
        let change = [("x-amz-signature", altered(signature, at))];
        let change = [(change[0].0, change[0].1.as_str())];
        refused(&post_form(upload, &change, &file).await, 403, "SignatureDoesNotMatch");
    }
    for at in (0..policy.len()).step_by(29) {
        let change = altered(policy, at);
        refused(&post_form(upload, &[("policy", &change)], &file).await, 403, "SignatureDoesNotMatch");
    }
    for (name, value) in [
        ("x-amz-credential", altered(credential, 0)),
        ("x-amz-credential", credential.replace("us-east-1", "eu-west-1")),
        ("x-amz-date", altered(text("x-amz-date"), 3)),
        ("x-amz-algorithm", "none".to_owned()),
        ("x-amz-signature", String::new()),
    ] {
        refused(&post_form(upload, &[(name, &value)], &file).await, 403, "SignatureDoesNotMatch");
    }
    refused(&post_form(upload, &[("policy", "")], &file).await, 403, "AccessDenied");
    assert!(files.keys().is_empty(), "nothing was kept");
    post_form(upload, &[], &file).await.expect(204);
    assert_eq!(files.keys(), [text("key")]);
}

#[tokio::test]
async fn a_link_to_the_storage_loads_one_object_for_some_minutes() {
    let (world, files) = World::with_files().await;
    let (alice, _bob) = world.two().await;
    let file: Vec<u8> = png(4, 4).into_iter().chain((0..200_000).map(|n: u32| n.to_be_bytes()[3])).collect();
    let id = alice.upload("a.png", &file).await;
    let sent = alice.send_files("bob", &[&id]).await.expect(201);
    let path = url(sent.data()).strip_prefix(harness::storage::PUBLIC_URL).unwrap();
    let answer = world.anonymous().get(path).await.expect(302);
    let link = answer.headers["location"].to_str().unwrap();
    assert_eq!(fetch("GET", link, &[], Vec::new()).await.expect(200).body, file);
    let part = fetch("GET", link, &[("range", "bytes=150000-150003")], Vec::new()).await.expect(206);
    assert_eq!(part.body, file[150_000..150_004]);
    assert_eq!(part.header("content-range"), format!("bytes 150000-150003/{}", file.len()));
    let end = fetch("GET", link, &[("range", "bytes=-5")], Vec::new()).await.expect(206);
    assert_eq!(end.body, file[file.len() - 5..]);
    refused(&fetch("GET", link, &[("range", "bytes=900000-")], Vec::new()).await, 416, "InvalidRange");
    let whole = fetch("GET", link, &[], Vec::new()).await;
    let unchanged = fetch("GET", link, &[("if-none-match", whole.header("etag"))], Vec::new()).await;
    assert_eq!(unchanged.status, 304);

    refused(&fetch("PUT", link, &[], b"other".to_vec()).await, 403, "SignatureDoesNotMatch");
    refused(&fetch("DELETE", link, &[], Vec::new()).await, 403, "SignatureDoesNotMatch");
    let another = link.replace("/f/", "/up/");
    refused(&fetch("GET", &another, &[], Vec::new()).await, 403, "SignatureDoesNotMatch");
    let longer = link.replace("X-Amz-Expires=300", "X-Amz-Expires=3000");
    refused(&fetch("GET", &longer, &[], Vec::new()).await, 403, "SignatureDoesNotMatch");
    let bare = link.split_once('?').unwrap().0;
    refused(&fetch("GET", bare, &[], Vec::new()).await, 403, "AccessDenied");
    refused(&fetch("GET", &format!("{}/other/key", files.url), &[], Vec::new()).await, 404, "NoSuchBucket");
}

/// The most memory that a process has used, in MiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn a_large_upload_needs_little_memory_and_survives_a_kill() {
    const SIZE: usize = 100 * 1024 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_alone(folder.path(), &["--quiet"]);
    let alice = token(folder.path(), "alice");
    let call = async |server: &Server, method: &str, path: &str, body: &Value| {
        let bearer = format!("Bearer {alice}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let url = format!("{}{path}", server.url);
        let answer = fetch(method, &url, &headers, body.to_string().into_bytes()).await;
        serde_json::from_slice::<Value>(&answer.body).unwrap()["data"].clone()
    };
    let room = call(&server, "POST", "/api/rooms", &json!({"name": "Large"})).await;
    let send = async |size: usize| {
        let new = json!({"file_name": "a.bin", "content_type": "application/octet-stream", "size": size});
        let asked = call(&server, "POST", "/api/attachments", &new).await;
        post_form(&asked["upload"], &[], &vec![1; size]).await.expect(204);
        let attachments = json!([{"attachment_id": asked["attachment_id"]}]);
        let body = json!({"conversation_id": room["conversation_id"], "attachments": attachments});
        call(&server, "POST", "/api/messages/send", &body).await
    };
    let load = async |link: &Value| {
        let link = fetch("GET", link.as_str().unwrap(), &[], Vec::new()).await.expect(302);
        fetch("GET", link.header("location"), &[], Vec::new()).await.expect(200)
    };
    // A smaller file takes what any file takes.
    let smaller = send(SIZE / 4).await;
    load(&smaller["attachments"][0]["url"]).await;
    let before = peak(server.id());
    let sent = send(SIZE).await;
    assert_eq!(sent["attachments"][0]["size"], SIZE);
    assert_eq!(load(&sent["attachments"][0]["url"]).await.body.len(), SIZE);
    let more = peak(server.id()) - before;
    assert!(more < 40, "{more} MiB more for a file of 100 MiB than for one of 25");
    server.kill();

    let server = Server::start_alone(folder.path(), &["--quiet"]);
    let path = format!("/api/conversations/{}/messages", room["conversation_id"].as_str().unwrap());
    let page = call(&server, "GET", &path, &Value::Null).await;
    assert_eq!(load(&page[1]["attachments"][0]["url"]).await.body.len(), SIZE);
}

#[tokio::test]
async fn browsers_may_upload_from_a_page_on_this_machine() {
    let live = harness::live::Live::start().await;
    let alice = live.user("alice").await;
    let asked = alice.ask("a.png", "image/png", 3, &json!({})).await.expect(201);
    let upload = &asked.data()["upload"];
    let url = upload["url"].as_str().unwrap();
    let headers = [("origin", "http://localhost:5173"), ("access-control-request-method", "POST")];
    let preflight = fetch("OPTIONS", url, &headers, Vec::new()).await;
    assert_eq!(preflight.header("access-control-allow-origin"), "http://localhost:5173");
    assert!(preflight.header("access-control-allow-methods").contains("POST"));
    let other = [("origin", "https://elsewhere.example"), ("access-control-request-method", "POST")];
    let preflight = fetch("OPTIONS", url, &other, Vec::new()).await;
    assert_eq!(preflight.header("access-control-allow-origin"), "");
    post_form(upload, &[], b"abc").await.expect(204);
}
