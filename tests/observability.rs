//! What operators see: a line for each request, its metrics in both forms, and the health of a machine.

mod lines;
mod metrics;
mod secrets;

use harness::World;
use harness::wire::Faults;
use local::engine::Engine;
use serde_json::json;

use crate::durability::call;

/// Every call of the database fails.
fn away() -> Faults {
    Faults { failed: 1.0, ..Faults::default() }
}

#[tokio::test]
async fn a_healthy_machine_says_what_was_checked() {
    let world = World::new().await;
    let answer = world.anonymous().get("/health").await.expect(200);
    assert_eq!(answer.json, json!({"status": "ok", "checks": {"database": "ok", "clock": "ok"}}));
    assert_eq!((answer.cost("calls"), answer.cost("rcu")), (1.0, 0.5));
}

#[tokio::test]
async fn without_its_database_or_its_clock_a_machine_is_not_healthy() {
    let world = World::new().await;
    world.wire.suffer(away(), 1);
    let answer = world.anonymous().get("/health").await;
    answer.refused(503, "unavailable");
    assert_eq!(answer.json["detail"], "The database does not answer. The clock is set.");
    assert!(answer.headers.contains_key("retry-after"));
    // It does not try again and again.
    assert_eq!((answer.cost("calls"), answer.cost("wcu")), (1.0, 0.0));
    let late = world.with_clock_at(0);
    let answer = late.anonymous().get("/health").await;
    answer.refused(503, "unavailable");
    assert_eq!(answer.json["detail"], "The database does not answer. The clock is not set.");
    world.wire.heal();
    let answer = late.anonymous().get("/health").await;
    assert_eq!(answer.json["detail"], "The clock is not set. The database answers.");
    world.anonymous().get("/health").await.expect(200);
}

#[tokio::test]
async fn a_table_that_is_gone_is_not_healthy() {
    let world = World::new().await;
    let (alice, _) = world.two().await;
    world.anonymous().get("/health").await.expect(200);
    world.wire.restart_after_a_loss(Engine::in_memory().unwrap());
    assert!(alice.send("bob", "the last one").await.status >= 500);
    let answer = world.anonymous().get("/health").await;
    answer.refused(503, "unavailable");
    assert_eq!(answer.json["detail"], "The database does not answer. The clock is set.");
}

#[tokio::test]
async fn metrics_are_shown_to_this_machine_alone() {
    let world = World::new().await;
    let nobody = world.anonymous();
    let path = "/_local/metrics";
    let here = nobody.get(path).await.expect(200);
    assert_eq!(here.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    nobody.calling_from("192.0.2.1").get(path).await.refused(404, "not_found");
    nobody.calling_from("::ffff:192.0.2.1").get(path).await.refused(404, "not_found");
    nobody.calling_from("::1").get(path).await.expect(200);
    for (host, status) in [("localhost:3000", 200), ("127.0.0.1", 200), ("rebound.example", 404)] {
        assert_eq!(nobody.call("GET", path, &[("host", host)], "").await.status, status, "{host}");
    }
}

/// As over the network: one server, one port. What other processes do, only their own lines say.
#[test]
fn a_process_shows_its_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let server = harness::process::Server::start_alone(folder.path(), &["--in-memory", "--quiet"]);
    assert_eq!(call(&server.url, "", "GET", "/health", "").unwrap().0, 200);
    let metrics = metrics::fetched(&server.url);
    assert!(metrics.contains("tidings_latency_seconds_count{function=\"about\"} 1\n"), "{metrics}");
}
