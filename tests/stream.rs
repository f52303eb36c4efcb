//! The table's stream, and how it invokes the function that fans out the changes of large conversations.

use std::collections::VecDeque;

use aws_lambda_events::dynamodb::{Event, EventRecord, StreamViewType};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use domain::id::ConversationId;
use harness::live::PATIENCE;
use harness::{TABLE, World};
use local::engine::Engine;
use local::stream::Function;
use local::websocket::call;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The reaction of a test's function to a batch.
enum Answer {
    Succeeds,
    Fails,
    /// Fails at the record of one conversation.
    FailsAt(&'static str),
    /// Never answers.
    Hangs,
}

/// Returns a function that gives these answers and then always succeeds, and the batches that it gets.
fn function(answers: Vec<Answer>) -> (Function, UnboundedReceiver<Event>) {
    let (sender, batches) = unbounded_channel();
    let answers = std::sync::Mutex::new(VecDeque::from(answers));
    let function = call(move |event: Event| {
        let answer = answers.lock().unwrap().pop_front().unwrap_or(Answer::Succeeds);
        let _ = sender.send(event.clone());
        async move {
            match answer {
                Answer::Succeeds => Ok(DynamoDbEventResponse::default()),
                Answer::Fails => Err("failed".to_owned()),
                Answer::FailsAt(name) => Ok(failing_at(&event, name)),
                Answer::Hangs => std::future::pending().await,
            }
        }
    });
    (function, batches)
}

fn failing_at(event: &Event, name: &str) -> DynamoDbEventResponse {
    let mut response = DynamoDbEventResponse::default();
    for record in event.records.iter().filter(|record| text(record, "pk") == partition(name)) {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier.clone_from(&record.change.sequence_number);
        response.batch_item_failures.push(failure);
    }
    response
}

fn text(record: &EventRecord, name: &str) -> String {
    json!(record.change.keys)[name]["S"].as_str().unwrap().to_owned()
}

/// Returns the names of the conversations in the next batch.
async fn next(batches: &mut UnboundedReceiver<Event>) -> Vec<String> {
    let event = next_event(batches).await;
    let name = |record: &EventRecord| {
        let pk = text(record, "pk");
        ["one", "two", "three"].into_iter().find(|name| partition(name) == pk).unwrap().to_owned()
    };
    event.records.iter().map(name).collect()
}

async fn next_event(batches: &mut UnboundedReceiver<Event>) -> Event {
    tokio::time::timeout(PATIENCE, batches.recv())
        .await
        .expect("nothing came")
        .expect("the stream is followed")
}

/// Returns the partition key of a conversation that a test gives a name.
fn partition(name: &str) -> String {
    let id = ConversationId::direct(&"someone".parse().unwrap(), &name.parse().unwrap());
    format!("C#{id}")
}

async fn put(world: &World, name: &str, sk: &str) {
    let put = world.database().put_item().table_name(TABLE).item("pk", AttributeValue::S(partition(name)));
    put.item("sk", AttributeValue::S(sk.to_owned())).send().await.unwrap();
}

async fn log(world: &World, name: &str) {
    put(world, name, "L#000000000001").await;
}

#[tokio::test]
async fn only_new_log_items_invoke_the_function() {
    let world = World::new().await;
    let (function, mut batches) = function(Vec::new());
    let tail = world.follow_stream_with(function);
    let (alice, _bob) = world.two().await;
    let body = json!({"recipient_id": "bob", "message_text": "not logged"});
    alice.post("/api/messages/send", &body).await.expect(201);
    log(&world, "one").await;
    assert_eq!(next(&mut batches).await, ["one"]);
    // Changing or deleting a log item does not invoke it, nor does any other item.
    log(&world, "one").await;
    put(&world, "two", "META").await;
    let delete = world.database().delete_item().table_name(TABLE);
    let delete = delete.key("pk", AttributeValue::S(partition("one")));
    delete.key("sk", AttributeValue::S("L#000000000001".to_owned())).send().await.unwrap();
    log(&world, "three").await;
    assert_eq!(next(&mut batches).await, ["three"]);
    tail.stop().await;
    assert!(batches.recv().await.is_none(), "it was invoked once for each");
}

#[tokio::test]
async fn a_record_has_the_format_of_lambda() {
    let world = World::new().await;
    let (function, mut batches) = function(Vec::new());
    let _tail = world.follow_stream_with(function);
    log(&world, "one").await;
    let event = next_event(&mut batches).await;
    let record = &event.records[0];
    assert_eq!(record.event_name, "INSERT");
    assert_eq!(record.event_source.as_deref(), Some("aws:dynamodb"));
    assert!(record.event_source_arn.as_ref().unwrap().contains(":table/tidings/stream/"));
    assert!(!record.event_id.is_empty());
    assert_eq!(record.change.stream_view_type, Some(StreamViewType::KeysOnly));
    assert_eq!(
        json!(record.change.keys),
        json!({"pk": {"S": partition("one")}, "sk": {"S": "L#000000000001"}})
    );
    assert_eq!((record.change.new_image.len(), record.change.old_image.len()), (0, 0));
    let number = record.change.sequence_number.as_ref().unwrap();
    assert!((21..=40).contains(&number.len()), "{number}");
    let offset = record.change.approximate_creation_date_time.timestamp() - world.app.store.now().seconds();
    assert!(offset.abs() < 3600, "{offset}");
}

#[tokio::test]
async fn failed_records_are_retried_before_later_ones() {
    let world = World::new().await;
    log(&world, "one").await;
    log(&world, "two").await;
    let answers = vec![Answer::Fails, Answer::FailsAt("two"), Answer::FailsAt("nobody"), Answer::Fails];
    let (function, mut batches) = function(answers);
    let _tail = world.follow_stream_with(function);
    assert_eq!(next(&mut batches).await, ["one", "two"]);
    log(&world, "three").await;
    assert_eq!(next(&mut batches).await, ["one", "two"], "the whole batch failed");
    assert_eq!(next(&mut batches).await, ["two"], "it is retried from the record that failed");
    assert_eq!(next(&mut batches).await, ["three"]);
    assert_eq!(next(&mut batches).await, ["three"]);
}

#[tokio::test]
async fn a_batch_has_only_the_latest_log_item_of_each_conversation() {
    let world = World::new().await;
    for seq in 0..250 {
        put(&world, "one", &format!("L#{seq:012}")).await;
    }
    log(&world, "two").await;
    let (function, mut batches) = function(Vec::new());
    let _tail = world.follow_stream_with(function);
    let event = next_event(&mut batches).await;
    let keys: Vec<_> = event.records.iter().map(|record| text(record, "sk")).collect();
    assert_eq!(keys, ["L#000000000249", "L#000000000001"]);
}

#[tokio::test]
async fn no_record_is_lost_between_a_stop_and_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidings.db");
    {
        let world = World::on(Engine::on_disk(&file).unwrap()).await;
        let (function, mut batches) = function(Vec::new());
        let tail = world.follow_stream_with(function);
        log(&world, "one").await;
        assert_eq!(next(&mut batches).await, ["one"]);
        tail.stop().await;
        log(&world, "two").await;
    }
    let world = World::on(Engine::on_disk(&file).unwrap()).await;
    let (function, mut batches) = function(Vec::new());
    let _tail = world.follow_stream_with(function);
    assert_eq!(next(&mut batches).await, ["one", "two"], "records that were handled may be repeated");
}

#[tokio::test]
async fn a_batch_that_a_crash_interrupted_is_repeated() {
    let world = World::new().await;
    let (hanging, mut batches) = function(vec![Answer::Hangs]);
    let tail = world.follow_stream_with(hanging);
    log(&world, "one").await;
    assert_eq!(next(&mut batches).await, ["one"]);
    drop(tail);
    let (succeeding, mut batches) = function(Vec::new());
    let _tail = world.follow_stream_with(succeeding);
    assert_eq!(next(&mut batches).await, ["one"]);
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_function_that_keeps_failing() {
    let world = World::new().await;
    let (function, mut batches) = function((0..100).map(|_| Answer::Fails).collect());
    let tail = world.follow_stream_with(function);
    log(&world, "one").await;
    assert_eq!(next(&mut batches).await, ["one"]);
    tokio::time::timeout(PATIENCE, tail.stop()).await.expect("it stops");
}

#[tokio::test]
async fn a_table_without_a_stream_gets_one() {
    let engine = Engine::in_memory().unwrap();
    let table = json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    });
    let (status, answer) = engine.call("CreateTable", table.to_string().as_bytes()).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    let world = World::on(engine).await;
    let (function, mut batches) = function(Vec::new());
    let _tail = world.follow_stream_with(function);
    log(&world, "one").await;
    assert_eq!(next(&mut batches).await, ["one"]);
    assert_eq!(
        World::on(world.wire.engine()).await.stream_arns().await.len(),
        1,
        "a second start changes nothing"
    );
}

#[tokio::test]
async fn the_engine_keeps_only_records_that_invoke_a_function() {
    let world = World::new().await;
    let (alice, _bob) = world.two().await;
    for text in ["one", "two"] {
        let body = json!({"recipient_id": "bob", "message_text": text});
        alice.post("/api/messages/send", &body).await.expect(201);
    }
    log(&world, "one").await;
    log(&world, "one").await;
    let client = world.streams();
    let arns = world.stream_arns().await;
    let described = client.describe_stream().stream_arn(&arns[0]).send().await.unwrap();
    let shard = described.stream_description.unwrap().shards.unwrap()[0].shard_id.clone().unwrap();
    let iterator = client.get_shard_iterator().stream_arn(&arns[0]).shard_id(shard);
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
    let page = client.get_records().set_shard_iterator(iterator.shard_iterator).send().await.unwrap();
    // Two messages, and the first of the log's entries.
    assert_eq!(page.records.unwrap().len(), 3);
}

/// Returns an event with one record, as Lambda delivers it.
fn delivered(change: &str, pk: &str, sk: &str) -> Event {
    let record = json!({
        "eventID": "c4ca4238a0b923820dcc509a6f75849b",
        "eventName": change,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_428_537_600,
            "Keys": {"pk": {"S": pk}, "sk": {"S": sk}},
            "SequenceNumber": "4421584500000000017450439091",
            "SizeBytes": 26,
            "StreamViewType": "KEYS_ONLY",
        },
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:123456789012:table/tidings/stream/2015-06-27T00:48:05.899",
    });
    serde_json::from_value(json!({ "Records": [record] })).unwrap()
}

#[tokio::test]
async fn the_function_handles_log_items_and_ignores_the_rest() {
    let world = World::new().await;
    let handle = local::gateway::stream_function(&world.app);
    for event in [
        delivered("INSERT", &partition("one"), "L#000000000001"),
        delivered("MODIFY", &partition("one"), "L#000000000001"),
        delivered("INSERT", &partition("one"), "M#000000000001"),
        delivered("INSERT", "C#no conversation", "L#000000000001"),
        delivered("INSERT", "U#alice", "PROFILE"),
        serde_json::from_value(json!({ "Records": [] })).unwrap(),
    ] {
        let answer: Value = json!(handle(event).await.unwrap());
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
}
