//! The commands in the README run as printed, except for the port and the binary, which is already built. So do the
//! commands in the guides that need no AWS.

use std::process::Command;

use harness::build::root;
use harness::process::{Server, binary, token};

/// Returns the README's code blocks in a language.
fn blocks(language: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let opening = format!("```{language}\n");
    readme.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_first_message_of_the_guide_is_sent_as_printed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let guide = std::fs::read_to_string(root().join("docs/deploy.md")).unwrap();
    let blocks = guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let block = blocks.filter(|block| block.contains("/api/messages/send")).collect::<String>();
    // The steps before it read the URL from the stack's outputs; tests/cloud runs them.
    let script = format!("URL={}\n{block}", server.url);
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let answers = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<serde_json::Value>();
    let answers: Vec<_> = answers.collect::<Result<_, _>>().unwrap();
    // Two registrations, and the message.
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|answer| answer["success"] == true), "{answers:?}");
    assert_eq!(answers[2]["data"]["message_text"], "Hello, Bob.");
}

#[test]
fn the_curl_lines_run_as_printed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--demo=40"]);
    let ours = format!("{} --data-dir {}", binary().display(), folder.path().display());
    let blocks = blocks("sh");
    assert_eq!(blocks.len(), 1);
    let script = blocks[0]
        .replace("cargo run --release --quiet --", &ours)
        .replace("http://127.0.0.1:3000", &server.url);
    assert!(script.contains(&server.url) && script.contains(&ours));
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let answers = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<serde_json::Value>();
    let answers: Vec<_> = answers.collect::<Result<_, _>>().unwrap();
    assert_eq!(answers.len(), script.matches("curl ").count());
    assert!(answers.iter().all(|answer| answer["success"] == true), "{answers:?}");
    assert_eq!(answers[3]["data"][0]["message_text"], "Hello, Bob!");
}

#[test]
fn the_client_in_15_lines_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--demo=40"]);
    let client = &blocks("js")[0];
    assert!(client.lines().count() <= 15, "it has {} lines", client.lines().count());
    let file = folder.path().join("client.mjs");
    std::fs::write(&file, client.replace("http://127.0.0.1:3000", &server.url)).unwrap();
    let output =
        Command::new("node").arg(&file).env("TOKEN", token(folder.path(), "alice")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("Bob Okafor Are you there?"), "{printed}");
    assert!(printed.contains("alice Are you there? ✓\n"), "{printed}");
}
