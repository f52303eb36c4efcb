//! The functions in the memory that the template gives them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use futures_util::future::join_all;
use harness::{World, binaries, settings};
use serde_json::Value;

/// KiB of memory of a function in the template.
const MEMORY: u32 = 256 * 1024;
/// A text of the greatest size: 40,000 bytes.
const TEXT: &str = "\u{1F600}";

/// Returns a world whose functions can have no more data than this many KiB.
fn limited_to(world: &World, kib: u32) -> (tempfile::TempDir, World) {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("bootstrap");
    let script = format!(
        "#!/bin/sh\nulimit -d {kib}\nexec {} \"$@\"\n",
        binaries::folder().join("bootstrap").display()
    );
    fs::write(&binary, script).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let lambda = binaries::start_from(folder.path(), &world.wire, &settings(), &[]);
    let limited = world.with_lambda(lambda);
    (folder, limited)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_largest_answers_fit_into_the_memory_of_a_function() {
    let world = World::new().await;
    let hub = world.user("hub").await;
    let text = TEXT.repeat(10_000);
    let senders = world.crowd(8).await;
    let cursor = hub.get("/api/events").await.expect(200).data()["cursor"].as_str().unwrap().to_owned();
    join_all(senders.iter().map(async |sender| {
        for _ in 0..90 {
            sender.send("hub", &text).await.expect(201);
        }
    }))
    .await;
    let (_folder, limited) = limited_to(&world, MEMORY);
    let hub = limited.stranger("hub");
    let first = senders[0].id.as_str();
    let mut paths = vec![
        format!("/api/messages/conversation/{first}?limit=100&mark_read=false"),
        format!("/api/messages/conversation/{first}?limit=100&offset=60&mark_read=false"),
        format!("/api/events?cursor={cursor}&limit=100"),
        "/api/messages/inbox?limit=100".to_owned(),
    ];
    // The search for a word that is nowhere reads all 28 MB of text, and archives it.
    let mut search = Some("/api/messages/search?q=zebra".to_owned());
    while let Some(path) = search.take() {
        let answer = hub.get(&path).await.expect(200);
        assert!(answer.list().is_empty());
        let next = answer.json["next_cursor"].as_str();
        search = next.map(|next| format!("/api/messages/search?q=zebra&cursor={next}"));
    }
    // One for what is not often there reads the archives. Its cursor fits into a URL.
    let mut sent = Vec::new();
    for _ in 0..60 {
        sent.insert(0, senders[0].send("hub", "a needle").await.expect(201).id());
    }
    let mut found = Vec::new();
    let mut search = Some("/api/messages/search?q=needle&limit=100".to_owned());
    while let Some(path) = search.take() {
        let answer = hub.get(&path).await.expect(200);
        found.extend(answer.list().iter().map(|hit| hit["id"].as_str().unwrap().to_owned()));
        let next = answer.json["next_cursor"].as_str();
        assert!(next.is_none_or(|next| next.len() < 4_000), "{next:?}");
        search = next.map(|next| format!("/api/messages/search?q=needle&limit=100&cursor={next}"));
    }
    assert!(found == sent, "{} hits", found.len());
    paths.push("/api/messages/search?q=%F0%9F%98%80&limit=100".to_owned());
    for path in &paths {
        hub.get(path).await.expect(200);
    }
    let oldest = hub.get(&paths[1]).await.expect(200).list()[0]["id"].clone();
    hub.mark(oldest.as_str().unwrap()).await.expect(200);
    assert_eq!(
        hub.get("/api/messages/unread-count").await.expect(200).data()["conversations"],
        Value::from(8)
    );
}

/// The limit of the test above takes effect.
#[tokio::test]
async fn a_function_with_too_little_memory_fails() {
    let world = World::new().await;
    world.user("hub").await;
    let (_folder, limited) = limited_to(&world, 1_024);
    limited.stranger("hub").get("/api/messages/inbox").await.refused(500, "internal");
}
