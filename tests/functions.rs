//! The functions as Lambda runs them: processes of the deployed binary that receive the events of API Gateway and of
//! the table's stream. Also functions behind a Lambda Invoke API.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use futures_util::future::join_all;
use harness::binaries::{self, start};
use harness::live::{Live, Reader};
use harness::process::{Server, token};
use harness::wire::Faults;
use harness::{Actor, World, settings};
use local::lambda::{Lambda, Processes, Setup};
use serde_json::{Value, json};
use sweep::Swept;

mod invoke_api;
mod memory;

/// Lists the ids of all processes.
fn running() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Lists the ids of a function's processes in whose environment a variable ends with `text`.
fn processes(function: &str, text: &str) -> Vec<u32> {
    running()
        .filter(|id| {
            // Most processes are not ours, and any may end at any time.
            let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            let variables: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
            let handler = format!("_HANDLER={function}");
            variables.contains(&handler.as_bytes())
                && variables.iter().any(|set| set.ends_with(text.as_bytes()))
        })
        .collect()
}

fn signal(signal: &str, process: u32) {
    let sent = std::process::Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Returns a mark that no other run of the tests on this machine uses.
fn own(mark: &str) -> String {
    format!("{mark} of {}", std::process::id())
}

/// Creates a world whose functions run as processes with this mark in their environment, so that a test finds its own.
async fn marked(mark: &str) -> World {
    let world = World::new().await;
    let lambda = start(&world.wire, &settings(), &[("TIDINGS_TEST_MARK", &own(mark))]);
    world.with_lambda(lambda)
}

#[tokio::test]
async fn every_route_is_answered_by_its_function() {
    let world = World::new().await.with_processes();
    for (method, path) in crate::structure::routes_of_the_template() {
        let answer = world.anonymous().call(&method, &path, &[], "").await;
        if crate::structure::ABOUT.contains(&path.as_str()) {
            answer.expect(200);
            continue;
        }
        // A link to a file needs no token, and this is none.
        let is_link = ["/api/attachments/", "/api/pictures/"].iter().any(|of| path.starts_with(of));
        let wanted: &[u16] = if is_link { &[400] } else { &[401, 415] };
        assert!(wanted.contains(&answer.status), "{method} {path}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{method} {path}");
        assert_eq!(answer.headers.get_all("x-request-id").iter().count(), 1, "{method} {path}");
        assert!(answer.headers.contains_key("server-timing"), "{method} {path}");
    }
    world.anonymous().get("/api/nothing").await.refused(404, "not_found");
    assert_eq!(world.user("alice").await.call("HEAD", "/api/users/me", &[], "").await.status, 404);
    world.anonymous().put("/api/messages/inbox").await.refused(404, "not_found");
}

#[tokio::test]
async fn requests_and_answers_are_the_same_as_in_one_process() {
    let world = World::new().await.with_processes();
    let (alice, bob) = (world.user("alice").await, world.user("a|b@c:d.e").await);
    // Every kind of body: JSON with non-ASCII text, a URL-encoded form, and a multipart form with a file.
    let text = "Grüße 👋 \"quoted\" \u{202e}";
    let first = alice.send(&bob.id, text).await.expect(201);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = "recipient_id=a%7Cb%40c%3Ad.e&message_text=a+b%26c&client_message_id=one";
    alice.call("POST", "/api/messages/send", &form, body).await.expect(201);
    alice.call("POST", "/api/messages/send", &form, body).await.expect(200);
    let parts = [("content-type", "multipart/form-data; boundary=x")];
    let mut body =
        b"--x\r\ncontent-disposition: form-data; name=\"recipient_id\"\r\n\r\na|b@c:d.e\r\n".to_vec();
    body.extend(
        b"--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n\x00\xff\xfe\r\n",
    );
    body.extend(
        "--x\r\ncontent-disposition: form-data; name=\"message_text\"\r\n\r\nñ\r\n--x--\r\n".as_bytes(),
    );
    alice.call("POST", "/api/messages/send", &parts, body).await.expect(201);
    let texts: Vec<_> = bob.history("alice").await.into_iter().map(|m| m["message_text"].clone()).collect();
    assert_eq!(texts, [text, "a b&c", "ñ"]);
    // Path parameters with and without escapes; queries with escapes and repeated parameters.
    for path in ["a|b@c:d.e", "a%7Cb%40c%3Ad.e", "%61%7Cb@c:d.e"] {
        let page = alice.get(&format!("/api/messages/conversation/{path}?limit=1")).await.expect(200);
        assert_eq!(page.list()[0]["message_text"], "ñ", "{path}");
    }
    for path in ["a%3Fb", "a%20b", "%25", "%2541", "..", "%2e%2e"] {
        let in_process = World::new().await.user("alice").await.get(&format!("/api/users/{path}")).await;
        let in_binary = alice.get(&format!("/api/users/{path}")).await;
        let expected = (in_process.status, &in_process.json["code"]);
        assert_eq!((in_binary.status, &in_binary.json["code"]), expected, "{path}");
    }
    let found = alice.get("/api/messages/search?q=Gr%C3%BC%C3%9Fe&x=1&x=2").await.expect(200);
    assert_eq!(found.list()[0]["id"], first.data()["id"]);
    alice.get("/api/messages/inbox?limit=1&limit=2").await.refused(400, "invalid_request");
    // The first is too large for the API, the second also for Lambda.
    for size in [300 * 1024, 7 * 1024 * 1024] {
        let json = [("content-type", "application/json")];
        let body = format!("{{\"message_text\": \"{}\"}}", "x".repeat(size));
        alice.call("POST", "/api/messages/send", &json, body).await.refused(413, "too_large");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_serve_sockets() {
    let live = Live::start_from(Some(binaries::folder().to_owned())).await;
    let (alice, bob) = live.two().await;
    assert_eq!(live.refusal("?token=wrong", None).await, 401);
    let (mut a, mut b) = (live.open(&alice).await, live.open(&bob).await);
    let sent = a.ask(&json!({"action": "send", "ref": 7, "recipient_id": "bob", "message_text": "ü"})).await;
    assert_eq!((&sent["type"], &sent["ref"]), (&json!("ack"), &json!(7)), "{sent}");
    let received = b.event("message.created").await;
    assert_eq!(received["data"]["message"]["message_text"], "ü", "{received}");
    bob.send("alice", "over HTTP").await.expect(201);
    // The sender's own sockets get the message, too.
    assert_eq!(a.event("message.created").await["data"]["message"]["message_text"], "ü");
    assert_eq!(a.event("message.created").await["data"]["message"]["message_text"], "over HTTP");
    let (_, response) = live.dial("", Some(&format!("tidings, {}", live.token("alice")))).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "tidings");
    a.close().await;
    b.close().await;
    live.stack.stop().await;
}

#[tokio::test]
async fn the_stream_invokes_a_process() {
    let world = marked("stream").await;
    let tail = world.follow_stream();
    let (crowd, group) = world.group_of(30).await;
    let mut last = Reader::new(&crowd[29]).await;
    crowd[0].say(&group, "to all").await.expect(201);
    while last.poll().await.iter().all(|event| event["type"] != "message.created") {}
    assert!(!processes("fan-out", &own("stream")).is_empty());
    tail.stop().await;
}

#[tokio::test]
async fn the_clock_invokes_a_process() {
    let world = marked("clock").await;
    let sweep = world.lambda.as_ref().unwrap().sweep_function();
    assert_eq!(sweep(Value::Null).await, Ok(Swept { claims: 0, removed: 0 }));
    assert!(!processes("sweep", &own("clock")).is_empty());
}

#[tokio::test]
async fn killing_a_busy_process_fails_its_request_and_no_other() {
    let world = marked("killed").await;
    let (alice, _) = world.two().await;
    alice.send("bob", "before").await.expect(201);
    let [idle] = processes("send", &own("killed"))[..] else { panic!("not one process") };
    // The process is busy: its call has reached the database and gets no answer.
    world.wire.inject(Faults { slow: Duration::from_hours(10), ..Faults::default() }, 7);
    let calls = world.wire.calls().len();
    let sending = tokio::spawn({
        let alice = alice.clone();
        async move { alice.send("bob", "lost").await }
    });
    while world.wire.calls().len() == calls {
        tokio::task::yield_now().await;
    }
    signal("-KILL", idle);
    sending.await.unwrap().refused(500, "internal");
    world.wire.heal();
    alice.send("bob", "after").await.expect(201);
    let [other] = processes("send", &own("killed"))[..] else { panic!("not one process") };
    assert_ne!(other, idle);
    // An idle process that dies is replaced, and no request fails.
    signal("-KILL", other);
    while fs::exists(format!("/proc/{other}")).unwrap() {
        tokio::task::yield_now().await;
    }
    alice.send("bob", "later").await.expect(201);
    assert_eq!(alice.page("bob").await.len(), 3);
}

#[tokio::test]
async fn concurrent_requests_share_a_few_processes() {
    let world = marked("parallel").await;
    let (alice, bob) = world.two().await;
    let texts: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let sent = join_all(texts.iter().map(|text| alice.send("bob", text))).await;
    assert!(sent.iter().all(|answer| answer.status == 201), "{sent:?}");
    assert_eq!(bob.history("alice").await.len(), 50);
    assert_eq!(bob.unread().await, 50);
    let running = processes("send", &own("parallel")).len();
    assert!((1..=8).contains(&running), "{running}");
}

#[tokio::test]
async fn a_function_that_cannot_start_answers_500() {
    let world = World::new().await;
    let lambda = start(&world.wire, &settings(), &[("TIDINGS_JWT_SECRET", "short")]);
    let alice = world.with_lambda(lambda).stranger("alice");
    for _ in 0..2 {
        let answer = alice.get("/api/messages/inbox").await;
        answer.refused(500, "internal");
        assert!(answer.headers.contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn a_function_that_never_asks_for_an_invocation_answers_500() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("bootstrap");
    fs::write(&script, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let setup =
        Setup { folder: folder.path().to_owned(), variables: Vec::new(), max_processes: 1, quiet: true };
    let alice = with(Lambda::Processes(Processes::new(setup).unwrap())).await;
    // A process may take 10 s to start.
    alice.get("/api/messages/inbox").await.refused(500, "internal");
    while !processes("inbox", &format!("={}", folder.path().display())).is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_that_times_out_ends_its_process() {
    let world = marked("slow").await;
    let (alice, _) = world.two().await;
    alice.inbox().await;
    let [before] = processes("inbox", &own("slow"))[..] else { panic!("not one process") };
    // The function's own calls would time out sooner, so the test stops the whole process.
    signal("-STOP", before);
    // The function times out after 15 s.
    alice.get("/api/messages/inbox").await.refused(503, "unavailable");
    while processes("inbox", &own("slow")).contains(&before) {
        tokio::task::yield_now().await;
    }
    alice.inbox().await;
}

#[test]
fn a_folder_without_the_binary_is_an_error_at_startup() {
    let folder = tempfile::tempdir().unwrap();
    let setup =
        Setup { folder: folder.path().to_owned(), variables: Vec::new(), max_processes: 1, quiet: true };
    let error = Processes::new(setup).err().unwrap().to_string();
    assert!(error.contains("bootstrap"), "{error}");
}

/// Lists the ids of a server's child processes, which run its functions.
fn children(server: &Server) -> Vec<u32> {
    let parent = server.id().to_string();
    running()
        .filter(|id| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(parent.as_str())
        })
        .collect()
}

fn runs(process: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_process_outlives_the_stack() {
    for gracefully in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let from = binaries::folder().to_str().unwrap();
        let server = Server::start(folder.path(), &["--quiet", "--functions-from", from]);
        let address = server.url.replace("http://", "");
        let token = token(folder.path(), "alice");
        let headers = format!("host: {address}\r\nauthorization: Bearer {token}\r\nconnection: close");
        let request = format!("GET /api/users/me HTTP/1.1\r\n{headers}\r\n\r\n");
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let answer = std::io::read_to_string(&mut stream).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let children = children(&server);
        assert_eq!(children.len(), 1);
        if gracefully {
            assert_eq!(server.terminate(), Some(0));
            assert!(!children.iter().any(|child| runs(*child)));
        } else {
            // The processes end once they cannot ask for the next invocation.
            server.kill();
            while children.iter().any(|child| runs(*child)) {
                std::thread::yield_now();
            }
        }
    }
}

/// Creates a user of a machine whose functions run in `lambda`.
async fn with(lambda: Lambda) -> Actor {
    World::new().await.with_lambda(lambda).stranger("alice")
}
