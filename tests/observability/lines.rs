//! The log line of a request has the documented fields, and CloudWatch accepts its format.

use std::collections::BTreeSet;

use harness::World;
use harness::printed::Printed;
use observe::metrics::Metric;
use serde_json::{Value, json};

use super::{database_down, log_to};

/// The units in use, out of those that CloudWatch's `MetricDatum` lists.
const UNITS: [&str; 3] = ["Count", "Milliseconds", "Seconds"];

/// Checks a line against the specification of the embedded metric format, section by section.
pub(super) fn check(line: &Value) {
    assert!(line.to_string().len() < 256 * 1024);
    let members =
        |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
    let meta = &line["_aws"];
    assert_eq!(members(meta), ["CloudWatchMetrics", "Timestamp"].map(String::from).into());
    assert!(meta["Timestamp"].as_i64().is_some_and(|at| at > 1_700_000_000_000), "milliseconds: {meta}");
    let directives = meta["CloudWatchMetrics"].as_array().expect("a list");
    assert!(!directives.is_empty(), "{line}");
    let mut named = BTreeSet::new();
    for directive in directives {
        assert_eq!(members(directive), ["Dimensions", "Metrics", "Namespace"].map(String::from).into());
        assert!(directive["Namespace"].as_str().is_some_and(|name| (1..=1024).contains(&name.len())));
        for set in directive["Dimensions"].as_array().expect("sets") {
            let set = set.as_array().expect("a set");
            assert!(set.len() <= 30);
            for dimension in set {
                let target = &line[dimension.as_str().expect("a name")];
                assert!(
                    target.as_str().is_some_and(|value| (1..=1024).contains(&value.len())),
                    "{dimension}"
                );
            }
        }
        let metrics = directive["Metrics"].as_array().expect("definitions");
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            assert_eq!(members(metric), ["Name", "Unit"].map(String::from).into());
            assert!(UNITS.contains(&metric["Unit"].as_str().expect("a unit")), "{metric}");
            let name = metric["Name"].as_str().expect("a name");
            assert!(named.insert(name.to_owned()), "{name} twice");
            match &line[name] {
                Value::Array(values) => {
                    assert!(
                        (1..=100).contains(&values.len()) && values.iter().all(Value::is_number),
                        "{name}"
                    );
                }
                value => assert!(value.is_number(), "{name}: {value}"),
            }
        }
    }
    let known: BTreeSet<_> = Metric::ALL.into_iter().map(Metric::name).collect();
    let present: BTreeSet<_> = members(line).into_iter().filter(|name| known.contains(name)).collect();
    assert_eq!(present, named, "values without a directive, or directives without a value");
}

/// Creates a machine that knows two users. Returns what it prints, too.
async fn two() -> (World, Printed) {
    let world = World::new().await;
    world.two().await;
    world.printing()
}

#[tokio::test]
async fn a_line_has_the_user_the_action_and_its_cost() {
    let (world, printed) = two().await;
    let alice = world.stranger("alice");
    let sent = alice.send("bob", "hello").await.expect(201);
    let line = printed.last();
    check(&line);
    for (field, value) in [
        ("level", json!("INFO")),
        ("function", json!("send")),
        ("method", json!("POST")),
        ("route", json!("/api/messages/send")),
        ("status", json!(201)),
        ("user", json!("alice")),
        ("message_id", json!(sent.id())),
        ("conversation", json!(sent.conversation())),
        ("request_id", json!(sent.headers["x-request-id"].to_str().unwrap())),
        ("database_depth", json!(sent.cost("depth"))),
        ("DatabaseCalls", json!(sent.cost("calls"))),
        ("ReadUnits", json!(sent.cost("rcu"))),
        ("WriteUnits", json!(sent.cost("wcu"))),
        ("MessagesSent", json!(1.0)),
    ] {
        assert_eq!(
            line[field].as_f64().map_or(line[field].clone(), Value::from),
            number(value),
            "{field}: {line}"
        );
    }
    assert!(line["Latency"].as_f64().unwrap() >= line["DatabaseTime"].as_f64().unwrap());
    assert!(line["request_bytes"].as_u64().unwrap() > 20 && line["response_bytes"].as_u64().unwrap() > 100);
    assert!(line.get("code").is_none() && line.get("trace_id").is_none());
}

/// Makes numbers comparable: 1 and 1.0 are equal.
fn number(value: Value) -> Value {
    value.as_f64().map_or(value, Value::from)
}

#[tokio::test]
async fn a_path_is_logged_as_its_route_and_ids() {
    let (world, printed) = two().await;
    let bob = world.stranger("bob");
    let message = world.stranger("alice").send("bob", "hello").await.expect(201);
    bob.mark(&message.id()).await.expect(200);
    let line = printed.last();
    assert_eq!(line["route"], "/api/messages/mark-as-read/{message_id}");
    assert_eq!(
        (&line["message_id"], &line["conversation"]),
        (&json!(message.id()), &json!(message.conversation()))
    );
    bob.get("/api/messages/conversation/alice?before=nonsense").await.expect(400);
    let line = printed.last();
    assert_eq!(
        (&line["route"], &line["code"]),
        (&json!("/api/messages/conversation/{id}"), &json!("invalid_request"))
    );
    assert_eq!((&line["user"], &line["other_user"]), (&json!("bob"), &json!("alice")));
    // A malformed id may be any text, so it is not logged.
    bob.get("/api/conversations/something%20else/messages").await.expect(400);
    assert!(!printed.text().contains("something"));
    bob.get("/api/no/such/route").await.expect(404);
    let line = printed.last();
    assert_eq!((&line["route"], &line["function"]), (&json!("unknown"), &json!("Gateway")));
    assert!(!printed.text().contains("such"));
}

#[tokio::test]
async fn client_errors_and_server_errors_are_distinguished() {
    let (world, printed) = two().await;
    let alice = world.stranger("alice");
    world.anonymous().get("/api/messages/inbox").await.expect(401);
    let line = printed.last();
    assert_eq!((&line["code"], &line["ClientErrors"]), (&json!("not_authenticated"), &json!(1.0)));
    assert!(line.get("ServerErrors").is_none() && line.get("user").is_none());
    assert_eq!(line["function"], "inbox");
    world.wire.inject(database_down(), 1);
    alice.get("/api/messages/inbox").await.expect(503);
    let line = printed.last();
    assert_eq!((&line["code"], &line["ServerErrors"]), (&json!("unavailable"), &json!(1.0)));
    assert!(line.get("ClientErrors").is_none());
    check(&line);
}

#[tokio::test]
async fn the_line_has_the_trace_id() {
    let (world, printed) = two().await;
    let id = "1-67891233-abcdef012345678912345678";
    let header = format!("Root={id};Parent=53995c3f42cd8ad8;Sampled=1");
    world
        .stranger("alice")
        .call("GET", "/api/users/me", &[("x-amzn-trace-id", &header)], "")
        .await
        .expect(200);
    assert_eq!(printed.last()["trace_id"], id);
    world
        .stranger("alice")
        .call("GET", "/api/users/me", &[("x-amzn-trace-id", "Root=hello")], "")
        .await
        .expect(200);
    assert!(printed.last().get("trace_id").is_none());
    assert!(!printed.text().contains("hello"));
}

#[tokio::test]
async fn a_fault_is_logged_with_its_request() {
    let (world, printed) = two().await;
    let _logs = log_to(&printed);
    world.wire.inject(database_down(), 1);
    let answer = world.stranger("alice").get("/api/messages/inbox").await.expect(503);
    let text = printed.text();
    let fault = text.lines().find(|line| line.contains("request failed")).expect("a fault");
    let fault: Value = serde_json::from_str(fault).unwrap();
    assert_eq!(fault["level"], "ERROR");
    assert_eq!(fault["code"], "unavailable");
    assert_eq!(fault["span"]["request_id"], answer.headers["x-request-id"].to_str().unwrap());
    assert_eq!(fault["span"]["route"], "/api/messages/inbox");
    assert!(fault["error"].as_str().unwrap().contains("InternalServerError"), "{fault}");
    assert!(fault["timestamp"].is_string());
}
