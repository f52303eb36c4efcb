//! The server as a process that is killed, restarted and stopped.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use harness::live::PATIENCE;
use harness::process::{Server, command, token};
use serde_json::{Value, json};

/// Makes a call over its own connection. Returns the status and the body, or `None` if the server went away.
pub(crate) fn call(url: &str, token: &str, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
    let host = url.strip_prefix("http://")?;
    let mut stream = TcpStream::connect(host).ok()?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).ok()?))
}

pub(crate) fn history(url: &str, token: &str, other: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/messages/conversation/{other}?mark_read=false&limit=100{cursor}");
        let (status, page) = call(url, token, "GET", &path, "").unwrap();
        assert_eq!(status, 200, "{page}");
        let page_texts = page["data"].as_array().unwrap().iter().rev();
        texts.extend(page_texts.map(|message| message["message_text"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return texts,
        }
    }
}

#[test]
fn only_the_owner_may_open_the_data_folder() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new");
    let server = Server::start_alone(&folder, &["--quiet"]);
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_misspelt_switch_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["RATE_LIMITS", "REGISTRATION", "DIRECTORY", "METER", "ATTACHMENTS"]
        .map(|name| format!("TIDINGS_{name}"))
    {
        let mut command = command(folder.path(), &["--quiet"]);
        let output = command.env(&name, "OFF").output().unwrap();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && printed.contains(&format!("{name} is neither on nor off")),
            "{printed}"
        );
    }
}

/// The messages of a round that are acknowledged before the server is killed.
const MESSAGES: usize = 20;

#[test]
fn an_acknowledged_message_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let (alice, bob) = (token(folder.path(), "alice"), token(folder.path(), "bob"));
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..3 {
        let server = Server::start_with(folder.path(), &["--quiet"], &[("TIDINGS_RATE_LIMITS", "off")]);
        for token in [&alice, &bob] {
            call(&server.url, token, "GET", "/api/users/me", "").unwrap();
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (acknowledges, acknowledgements) = mpsc::channel();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (url, alice, stop) = (server.url.clone(), alice.clone(), stop.clone());
                let acknowledges = acknowledges.clone();
                std::thread::spawn(move || {
                    let mut sent = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let text = format!("{round}-{writer}-{}", sent.len());
                        let body = json!({"recipient_id": "bob", "message_text": text}).to_string();
                        match call(&url, &alice, "POST", "/api/messages/send", &body) {
                            Some((201, _)) => {
                                sent.push(text);
                                let _ = acknowledges.send(());
                            }
                            _ => break,
                        }
                    }
                    sent
                })
            })
            .collect();
        // The server is killed once it is under load, however long that takes.
        for _ in 0..MESSAGES {
            acknowledgements.recv_timeout(PATIENCE).expect("messages are acknowledged");
        }
        std::thread::sleep(Duration::from_millis(200));
        server.kill();
        stop.store(true, Ordering::Relaxed);
        acknowledged.extend(writers.into_iter().flat_map(|writer| writer.join().unwrap()));

        let server = Server::start(folder.path(), &["--quiet"]);
        let stored = history(&server.url, &alice, "bob");
        for text in &acknowledged {
            assert_eq!(stored.iter().filter(|found| *found == text).count(), 1, "{text}");
        }
        // Each writer may have had one message in flight, which may be stored without an acknowledgement.
        assert!(stored.len() <= acknowledged.len() + 4 * (round + 1));
        let (_, unread) = call(&server.url, &bob, "GET", "/api/messages/unread-count", "").unwrap();
        assert_eq!(unread["data"]["unread_count"], stored.len());
        assert_eq!(server.terminate(), Some(0));
    }
    assert!(acknowledged.len() >= 3 * MESSAGES);
}

#[test]
fn a_folder_belongs_to_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    let refused = |folder: &std::path::Path, port: &str| {
        let mut command = std::process::Command::new(harness::process::binary());
        let output = command.args(["--port", port, "--data-dir"]).arg(folder).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let same_folder = refused(folder.path(), "0");
    assert!(same_folder.contains("in use") && same_folder.contains("--data-dir"), "{same_folder}");
    let same_port = refused(tempfile::tempdir().unwrap().path(), &port);
    assert!(same_port.contains(&port) && same_port.contains("--port"), "{same_port}");
}

#[test]
fn the_demo_prints_its_users_and_a_curl_line_that_works() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let server = Server::start(folder.path(), &["--demo=40"]);
        let line = server.welcome.iter().find_map(|line| line.strip_prefix("  curl")).expect("a curl line");
        let output =
            std::process::Command::new("sh").arg("-c").arg(format!("curl -sS{line}")).output().unwrap();
        let inbox: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&inbox["success"], &inbox["total"]),
            (&true.into(), &10.into()),
            "the demo was filled once"
        );
        let columns: Vec<_> = ["  API ", "  alice ", "  bob "]
            .iter()
            .map(|name| server.welcome.iter().filter(|line| line.starts_with(name)).count())
            .collect();
        assert_eq!(columns, [1, 1, 1], "{:?}", server.welcome);
        let (health, _) = call(&server.url, "", "GET", "/health", "").unwrap();
        assert_eq!(health, 200);
    }
}

#[test]
fn another_process_can_use_the_same_database() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--demo=40"]);
    let database =
        server.welcome.iter().find_map(|line| line.trim().strip_prefix("DynamoDB")).unwrap().trim();
    let alice = token(folder.path(), "alice");
    // A second stack stores its data in the first one's database, over its socket.
    let secrets = tempfile::tempdir().unwrap();
    for name in ["tidings_jwt_secret", "tidings_secret"] {
        std::fs::copy(folder.path().join(name), secrets.path().join(name)).unwrap();
    }
    let second = Server::start_with(secrets.path(), &[], &[("AWS_ENDPOINT_URL_DYNAMODB", database)]);
    let body = json!({"recipient_id": "bob", "message_text": "from the second"}).to_string();
    let (status, _) = call(&second.url, &alice, "POST", "/api/messages/send", &body).unwrap();
    assert_eq!(status, 201);
    assert!(history(&server.url, &alice, "bob").contains(&"from the second".to_owned()));
}
