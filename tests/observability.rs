//! Observability: a log line for each request, metrics in both formats, and the health check.

mod lines;
mod metrics;
mod secrets;

use harness::World;
use harness::printed::Printed;
use harness::wire::Faults;
use local::engine::Engine;
use serde_json::json;
use tracing::subscriber::DefaultGuard;

use crate::durability::call;

/// Prints what this thread logs, until the guard is dropped.
fn log_to(printed: &Printed) -> DefaultGuard {
    // While no thread logs, tracing switches spans off for good: a thread that begins to log at that moment misses them.
    let _ = tracing::subscriber::set_global_default(observe::log::json(std::io::sink));
    let printed = printed.clone();
    tracing::subscriber::set_default(observe::log::json(move || printed.clone()))
}

/// Returns faults that make every database call fail.
fn database_down() -> Faults {
    Faults { failed: 1.0, ..Faults::default() }
}

#[tokio::test]
async fn a_healthy_machine_lists_its_checks() {
    let world = World::new().await;
    let answer = world.anonymous().get("/health").await.expect(200);
    assert_eq!(answer.json, json!({"status": "ok", "checks": {"database": "ok", "clock": "ok"}}));
    assert_eq!((answer.cost("calls"), answer.cost("rcu")), (1.0, 0.5));
}

#[tokio::test]
async fn a_machine_without_its_database_or_clock_is_unhealthy() {
    let world = World::new().await;
    world.wire.inject(database_down(), 1);
    let answer = world.anonymous().get("/health").await;
    answer.refused(503, "unavailable");
    assert_eq!(answer.json["detail"], "The database does not answer. The clock is set.");
    assert!(answer.headers.contains_key("retry-after"));
    // The health check does not retry.
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
async fn a_machine_without_its_table_is_unhealthy() {
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
async fn only_this_machine_can_read_the_metrics() {
    let world = World::new().await;
    let anonymous = world.anonymous();
    let path = "/_local/metrics";
    let answer = anonymous.get(path).await.expect(200);
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    anonymous.calling_from("192.0.2.1").get(path).await.refused(404, "not_found");
    anonymous.calling_from("::ffff:192.0.2.1").get(path).await.refused(404, "not_found");
    anonymous.calling_from("::1").get(path).await.expect(200);
    for (host, status) in [("localhost:3000", 200), ("127.0.0.1", 200), ("rebound.example", 404)] {
        assert_eq!(anonymous.call("GET", path, &[("host", host)], "").await.status, status, "{host}");
    }
}

/// Runs all functions in the server's own process: functions in other processes report their metrics only in log lines.
#[test]
fn a_process_shows_its_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let server = harness::process::Server::start_alone(folder.path(), &["--in-memory", "--quiet"]);
    assert_eq!(call(&server.url, "", "GET", "/health", "").unwrap().0, 200);
    let metrics = metrics::fetch(&server.url);
    assert!(metrics.contains("tidings_latency_seconds_count{function=\"about\"} 1\n"), "{metrics}");
}
