//! The engine and dynoxide, which judges it, behind the same call.

use dynoxide::{Database, DynoxideError};
use engine::{Engine, Options};
use serde_json::{Value, json};

pub(crate) const TABLE: &str = "tidings";
/// The time at which everything happens, in milliseconds since 1970.
pub(crate) const NOW: i64 = 1_800_000_000_000;

/// Records everything.
pub(crate) const OPTIONS: Options = Options { is_recorded: |_, _| true, now: || NOW };

pub(crate) fn in_memory() -> Engine {
    Engine::in_memory(OPTIONS).unwrap()
}

/// Calls the engine. Returns the status and the body.
pub(crate) fn call(engine: &Engine, operation: &str, request: &Value) -> (u16, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (status, body) = runtime.block_on(engine.call(operation, request.to_string().as_bytes()));
    (status, serde_json::from_slice(&body).expect("JSON"))
}

/// Calls the engine, which must succeed.
pub(crate) fn succeed(engine: &Engine, operation: &str, request: &Value) -> Value {
    let (status, body) = call(engine, operation, request);
    assert_eq!(status, 200, "{operation} {request}: {body}");
    body
}

/// Calls the engine, which must refuse. Returns the exception's name and the body.
pub(crate) fn refuse(engine: &Engine, operation: &str, request: &Value) -> (String, Value) {
    let (status, body) = call(engine, operation, request);
    assert_eq!(status, 400, "{operation} {request}: {body}");
    let kind = body["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
    (kind, body)
}

fn answer<T: serde::Serialize>(outcome: Result<T, DynoxideError>) -> (u16, Value) {
    match outcome {
        Ok(response) => (200, serde_json::to_value(response).unwrap()),
        Err(error) => (error.status_code(), serde_json::from_str(&error.to_json()).unwrap()),
    }
}

/// Calls dynoxide.
pub(crate) fn judge(database: &Database, operation: &str, request: &Value) -> (u16, Value) {
    macro_rules! operations {
        ($($name:literal => $method:ident),+) => {
            match operation {
                $($name => match serde_json::from_value(request.clone()) {
                    Ok(request) => answer(database.$method(request)),
                    Err(error) => answer::<()>(Err(DynoxideError::ValidationException(error.to_string()))),
                },)+
                other => panic!("{other}"),
            }
        };
    }
    operations! {
        "GetItem" => get_item, "Query" => query, "BatchGetItem" => batch_get_item, "Scan" => scan,
        "PutItem" => put_item, "UpdateItem" => update_item, "DeleteItem" => delete_item,
        "BatchWriteItem" => batch_write_item, "TransactWriteItems" => transact_write_items,
        "CreateTable" => create_table, "UpdateTable" => update_table, "DescribeTable" => describe_table,
        "UpdateTimeToLive" => update_time_to_live, "ListStreams" => list_streams,
        "DescribeStream" => describe_stream, "GetShardIterator" => get_shard_iterator, "GetRecords" => get_records
    }
}

/// The definition of a table like that of Tidings.
pub(crate) fn definition() -> Value {
    let key = |sort: &str| json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]);
    let index = |name: &str, shown: &[&str]| {
        let projection = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": shown});
        json!({"IndexName": name, "KeySchema": key(name), "Projection": projection})
    };
    let attributes = ["pk", "sk", "activity", "unread"];
    let attributes = attributes.map(|name| json!({"AttributeName": name, "AttributeType": "S"}));
    json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes,
        "KeySchema": key("sk"),
        "GlobalSecondaryIndexes": [index("activity", &["head", "n", "content", "big"]), index("unread", &["n"])],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
    })
}

/// Returns all records of the table's stream.
pub(crate) fn records(mut call: impl FnMut(&str, &Value) -> (u16, Value)) -> Vec<Value> {
    let mut call = |operation: &str, request: Value| {
        let (status, body) = call(operation, &request);
        assert_eq!(status, 200, "{operation} {request}: {body}");
        body
    };
    let streams = call("ListStreams", json!({"TableName": TABLE}));
    let arn = streams["Streams"][0]["StreamArn"].clone();
    let stream = call("DescribeStream", json!({"StreamArn": arn}));
    let shard = stream["StreamDescription"]["Shards"][0]["ShardId"].clone();
    let start = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let mut iterator = call("GetShardIterator", start)["ShardIterator"].clone();
    let mut records = Vec::new();
    loop {
        let page = call("GetRecords", json!({"ShardIterator": iterator}));
        let found = page["Records"].as_array().unwrap();
        if found.is_empty() {
            return records;
        }
        records.extend(found.iter().cloned());
        iterator = page["NextShardIterator"].clone();
    }
}
