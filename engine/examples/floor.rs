//! Measures what the engine's calls cost, beside those of dynoxide: `cargo run --release -p engine --example floor`.
//!
//! A send is a transaction of five items: two rows that move in both indexes, a message and two events.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "it is run by hand")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use engine::{Engine, Options};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const SENDS: usize = 8000;
const READS: usize = 20_000;

fn engine(file: Option<&std::path::Path>) -> Engine {
    let options = Options { is_recorded: |change, _| change == "never", now: || 1_800_000_000_000 };
    match file {
        Some(file) => Engine::on_disk(file, options).unwrap(),
        None => Engine::in_memory(options).unwrap(),
    }
}

fn table() -> Value {
    let key = |sort: &str| json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]);
    let index = |name: &str, shown: &[&str]| {
        let projection = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": shown});
        json!({"IndexName": name, "KeySchema": key(name), "Projection": projection})
    };
    let attributes: Vec<Value> = ["pk", "sk", "activity", "unread"]
        .map(|name| json!({"AttributeName": name, "AttributeType": "S"}))
        .into();
    json!({
        "TableName": "tidings",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes,
        "KeySchema": key("sk"),
        "GlobalSecondaryIndexes": [
            index("activity", &["peer", "name", "head", "last_id", "last_text", "n", "read"]),
            index("unread", &["n"]),
        ],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"},
    })
}

fn row(user: usize, send: usize) -> Value {
    let (stamp, old) = (format!("{send:022}"), "000000000000000000000".to_owned());
    json!({"Update": {
        "TableName": "tidings",
        "Key": {"pk": {"S": format!("U#{user}")}, "sk": {"S": format!("C#conversation-{}", send % 100)}},
        "UpdateExpression": "SET #activity = :0, #unread = :1, #head = :2, #last_id = :3, #last_text = :4, #name = \
                             if_not_exists(#name, :5) ADD #n :6",
        "ConditionExpression": "attribute_not_exists(#blocked) AND (attribute_not_exists(#head) OR #head < :7) AND \
                                attribute_not_exists(#cleared)",
        "ExpressionAttributeNames": {
            "#activity": "activity", "#unread": "unread", "#head": "head", "#last_id": "last_id", "#n": "n",
            "#last_text": "last_text", "#name": "name", "#blocked": "blocked", "#cleared": "cleared",
        },
        "ExpressionAttributeValues": {
            ":0": {"S": stamp}, ":1": {"S": stamp}, ":2": {"S": old}, ":3": {"S": format!("message-{send}")},
            ":4": {"S": format!("hello number {send}: the quick brown fox jumps over the lazy dog")},
            ":5": {"S": "Someone"}, ":6": {"N": "1"}, ":7": {"S": stamp},
        },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }})
}

fn put(pk: &str, sk: &str, send: usize) -> Value {
    json!({"Put": {
        "TableName": "tidings",
        "Item": {
            "pk": {"S": pk}, "sk": {"S": sk}, "sender": {"S": "0"}, "expires": {"N": "1900000000"},
            "content": {"M": {
                "text": {"S": format!("hello number {send}: the quick brown fox jumps over the lazy dog")},
                "client_message_id": {"S": "abcdefabcdef"},
            }},
        },
        "ConditionExpression": "attribute_not_exists(#pk)",
        "ExpressionAttributeNames": {"#pk": "pk"},
    }})
}

fn send(number: usize) -> String {
    let from = number % 7;
    json!({
        "TransactItems": [
            row(from, number),
            row(from + 10, number),
            put(&format!("C#conversation-{}", number % 100), &format!("M#{number:022}"), number),
            put(&format!("Q#{from}"), &format!("E#{number:022}"), number),
            put(&format!("Q#{}", from + 10), &format!("E#{number:022}"), number),
        ],
        "ClientRequestToken": format!("token-{number}"),
        "ReturnConsumedCapacity": "TOTAL",
    })
    .to_string()
}

fn get(number: usize) -> String {
    let key = json!({"pk": {"S": format!("U#{}", number % 7)}, "sk": {"S": format!("C#conversation-{}", number % 100)}});
    json!({"TableName": "tidings", "Key": key, "ConsistentRead": true}).to_string()
}

fn query(number: usize) -> String {
    json!({
        "TableName": "tidings",
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :low AND :high",
        "ExpressionAttributeValues": {
            ":pk": {"S": format!("C#conversation-{}", number % 100)}, ":low": {"S": "M#"}, ":high": {"S": "M#~"},
        },
        "ScanIndexForward": false,
        "Limit": 50,
        "ReturnConsumedCapacity": "TOTAL",
    })
    .to_string()
}

fn report(name: &str, calls: usize, began: Instant) {
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let micros = began.elapsed().as_secs_f64() * 1e6 / calls as f64;
    println!("{name:<50} {micros:8.1} µs");
}

/// Runs calls from several tasks at once.
fn run(
    runtime: &Runtime,
    engine: &Engine,
    name: &str,
    tasks: usize,
    operation: &'static str,
    bodies: Vec<String>,
) {
    let count = bodies.len();
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
    let began = Instant::now();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..tasks)
            .map(|_| {
                let (engine, bodies, next) = (engine.clone(), bodies.clone(), next.clone());
                tokio::spawn(async move {
                    while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let (status, answer) = engine.call(operation, body.as_bytes()).await;
                        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    report(&format!("{name}, {tasks} at once: {operation}"), count, began);
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir_in(".").unwrap();
    let file = folder.path().join("engine.db");
    for (name, engine) in [("engine in memory", engine(None)), ("engine on disk", engine(Some(&file)))] {
        let (status, answer) = runtime.block_on(engine.call("CreateTable", table().to_string().as_bytes()));
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
        for (at, tasks) in [1, 16, 64].into_iter().enumerate() {
            let bodies = (at * SENDS..(at + 1) * SENDS).map(send).collect();
            run(&runtime, &engine, name, tasks, "TransactWriteItems", bodies);
        }
        for tasks in [1, 16] {
            run(&runtime, &engine, name, tasks, "GetItem", (0..READS).map(get).collect());
            run(&runtime, &engine, name, tasks, "Query", (0..READS / 4).map(query).collect());
        }
    }
    dynoxide();
}

fn dynoxide() {
    let database = dynoxide::Database::memory().unwrap();
    database.create_table(serde_json::from_value(table()).unwrap()).unwrap();
    let bodies: Vec<String> = (0..SENDS / 8).map(send).collect();
    let began = Instant::now();
    for body in &bodies {
        let mut request: dynoxide::actions::transact_write_items::TransactWriteItemsRequest =
            serde_json::from_str(body).unwrap();
        request.client_request_token = None;
        serde_json::to_vec(&database.transact_write_items(request).unwrap()).unwrap();
    }
    report("dynoxide in memory, 1 at once: TransactWriteItems", bodies.len(), began);
    let began = Instant::now();
    for number in 0..READS / 10 {
        let response = database.get_item(serde_json::from_str(&get(number)).unwrap()).unwrap();
        serde_json::to_vec(&response).unwrap();
    }
    report("dynoxide in memory, 1 at once: GetItem", READS / 10, began);
    let began = Instant::now();
    for number in 0..READS / 40 {
        let response = database.query(serde_json::from_str(&query(number)).unwrap()).unwrap();
        serde_json::to_vec(&response).unwrap();
    }
    report("dynoxide in memory, 1 at once: Query", READS / 40, began);
}
