//! The engine's refusals, limits, tables, indexes, time to live and stream.

use std::time::Instant;

use engine::{Engine, Options};
use serde_json::{Value, json};

use crate::engines::{NOW, OPTIONS, TABLE, call, definition, in_memory, records, refuse, succeed};

fn engine() -> Engine {
    let engine = in_memory();
    succeed(&engine, "CreateTable", &definition());
    engine
}

fn key(sk: &str) -> Value {
    json!({"pk": {"S": "p"}, "sk": {"S": sk}})
}

fn put(engine: &Engine, sk: &str, attributes: &[(&str, Value)]) {
    let mut item = key(sk);
    for (name, value) in attributes {
        item[name] = value.clone();
    }
    succeed(engine, "PutItem", &json!({"TableName": TABLE, "Item": item}));
}

fn assert_refused(engine: &Engine, operation: &str, request: &Value) {
    let (kind, body) = refuse(engine, operation, request);
    assert_eq!(kind, "ValidationException", "{operation} {request}: {body}");
}

#[test]
fn operations_and_members_that_are_not_supported_are_refused() {
    let engine = engine();
    let with = |name: &str, value: Value| {
        let mut item = key("s");
        item[name] = value;
        ("PutItem", json!({"TableName": TABLE, "Item": item}))
    };
    for (operation, request) in [
        ("TransactGetItems", json!({"TransactItems": []})),
        ("ExecuteStatement", json!({"Statement": "SELECT * FROM tidings"})),
        ("", json!({})),
        ("GetItem", json!({"TableName": TABLE, "Key": key("s"), "Unknown": 1})),
        ("GetItem", json!({"TableName": TABLE, "Key": key("s"), "ProjectionExpression": "n"})),
        with("set", json!({"SS": ["a"]})),
        with("n", json!({"N": "x"})),
        with("n", json!({})),
        with("n", json!({"S": "", "N": "1"})),
        with("n", json!({"NULL": false})),
        ("PutItem", json!({"TableName": TABLE, "Key": key("s")})),
        ("PutItem", json!({"TableName": TABLE, "Item": key("s"), "UpdateExpression": "REMOVE n"})),
        ("PutItem", json!({"TableName": TABLE, "Item": key("s"), "ReturnValues": "ALL_NEW"})),
        ("UpdateItem", json!({"TableName": TABLE, "Key": key("s"), "ReturnValues": "UPDATED_NEW"})),
        ("Scan", json!({"TableName": TABLE, "Segment": 0, "TotalSegments": 2})),
        ("Scan", json!({"TableName": TABLE, "IndexName": "activity"})),
        ("TransactWriteItems", json!({"TransactItems": []})),
        (
            "TransactWriteItems",
            json!({"TransactItems": [{"ConditionCheck": {"TableName": TABLE, "Key": key("s")}}]}),
        ),
        ("TransactWriteItems", json!({"TransactItems": [{"Get": {"TableName": TABLE, "Key": key("s")}}]})),
    ] {
        assert_refused(&engine, operation, &request);
    }
    assert_eq!(succeed(&engine, "Scan", &json!({"TableName": TABLE}))["Count"], 0, "nothing was written");
}

#[test]
fn invalid_queries_are_refused() {
    let engine = engine();
    for (name, value) in [
        ("Select", json!("COUNT")),
        ("KeyConditions", json!({})),
        ("Limit", json!(0)),
        ("IndexName", json!("none")),
        ("KeyConditionExpression", json!("pk > :v")),
        ("KeyConditionExpression", json!("pk BETWEEN :v AND :v")),
        ("KeyConditionExpression", json!("sk = :v")),
        ("KeyConditionExpression", json!("pk = :v AND n = :v")),
        ("KeyConditionExpression", json!("pk = :v AND pk = :v")),
        ("KeyConditionExpression", json!("pk = :v OR sk = :v")),
        ("FilterExpression", json!("sk = :v")),
        ("ExclusiveStartKey", key("")),
        ("ExclusiveStartKey", json!({"pk": {"S": "other"}, "sk": {"S": "s"}})),
        ("ExclusiveStartKey", json!({"pk": {"S": "p"}})),
        ("ProjectionExpression", json!("a, a.b")),
        ("ProjectionExpression", json!("a[0]")),
    ] {
        let mut query = json!({
            "TableName": TABLE, "KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": {":v": {"S": "p"}},
        });
        query[name] = value;
        assert_refused(&engine, "Query", &query);
    }
    let query = json!({
        "TableName": TABLE, "IndexName": "unread", "KeyConditionExpression": "pk = :v",
        "ExpressionAttributeValues": {":v": {"S": "p"}}, "ProjectionExpression": "head",
    });
    assert!(
        refuse(&engine, "Query", &query).1["message"].as_str().unwrap().contains("does not project [head]")
    );
}

#[test]
fn expressions_that_are_not_supported_are_refused() {
    let engine = engine();
    let request = |name: &str, expression: &str| {
        let mut request =
            json!({"TableName": TABLE, "Key": key("s"), "ExpressionAttributeValues": {":v": {"N": "1"}}});
        request[name] = expression.into();
        request
    };
    for update in [
        "SET n = n + :v",
        "SET n = list_append(n, :v)",
        "SET a.b = :v",
        "SET n = :v SET m = :v",
        "SET n = :v, n = :v",
        "SET n = :v REMOVE n",
        "SET sk = :v",
        "DELETE n :v",
        "ADD n :missing",
        "SET names = :v",
        "SET #n = :v",
        "",
    ] {
        assert_refused(&engine, "UpdateItem", &request("UpdateExpression", update));
    }
    for condition in [
        "size(n) = :v",
        "contains(n, :v)",
        "NOT n = :v",
        "n <> :v",
        "n IN (:v)",
        "begins_with(n, :v)",
        "n = :v AND",
        "((n = :v))",
        "n = :v AND attribute_exists(#m)",
        "attribute_exists(n)",
        &format!("{}n = :v", "(".repeat(40)),
        &format!("n = :v{}", " ".repeat(5000)),
    ] {
        assert_refused(&engine, "DeleteItem", &request("ConditionExpression", condition));
    }
    assert_eq!(succeed(&engine, "Scan", &json!({"TableName": TABLE}))["Count"], 0, "nothing was written");
}

/// AWS refuses these ranges and comparisons everywhere, dynoxide only in places.
#[test]
fn values_without_an_order_are_not_compared() {
    let engine = engine();
    for condition in ["n BETWEEN :b AND :a", "n < :flag", "begins_with(n, :flag)"] {
        let mut delete = json!({"TableName": TABLE, "Key": key("s"), "ConditionExpression": condition});
        let values = [(":a", json!({"S": "a"})), (":b", json!({"S": "b"})), (":flag", json!({"BOOL": true}))];
        let used: Vec<_> = values.into_iter().filter(|(name, _)| condition.contains(name)).collect();
        delete["ExpressionAttributeValues"] =
            used.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(refuse(&engine, "DeleteItem", &delete).0, "ValidationException", "{condition}");
        let transaction = json!({"TransactItems": [{"Delete": delete}]});
        assert_eq!(
            refuse(&engine, "TransactWriteItems", &transaction).0,
            "ValidationException",
            "{condition}"
        );
    }
}

#[test]
fn a_transaction_tells_which_write_is_invalid() {
    let engine = engine();
    let delete = |key: Value| json!({"Delete": {"TableName": TABLE, "Key": key}});
    let items = [delete(key("s")), delete(json!({"pk": {"S": "p"}})), delete(key("t"))];
    let (kind, body) = refuse(&engine, "TransactWriteItems", &json!({"TransactItems": items}));
    assert_eq!(kind, "TransactionCanceledException");
    let codes =
        body["CancellationReasons"].as_array().unwrap().iter().map(|reason| reason["Code"].as_str().unwrap());
    assert_eq!(codes.collect::<Vec<_>>(), ["None", "ValidationError", "None"]);
    let twice = json!({"TransactItems": [delete(key("s")), delete(key("s"))]});
    assert_refused(&engine, "TransactWriteItems", &twice);
}

#[test]
fn bodies_that_are_not_json_are_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let engine = engine();
    for body in ["", "{", "[1]", "null", "\u{0}"] {
        let (status, answer) = runtime.block_on(engine.call("GetItem", body.as_bytes()));
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(status, 400, "{answer}");
    }
    let deep = format!("{}{}", r#"{"TableName":"t","Key":{"a":"#, r#"{"M":{"a":"#.repeat(100_000));
    assert_eq!(runtime.block_on(engine.call("GetItem", deep.as_bytes())).0, 400);
}

#[test]
fn sizes_are_limited() {
    let engine = engine();
    let item = |sk: &str, size: usize| {
        let mut item = key(sk);
        item["x"] = json!({"S": "x".repeat(size)});
        item
    };
    // The names and the key have 9 bytes.
    let limit = 400 * 1024 - 7;
    succeed(&engine, "PutItem", &json!({"TableName": TABLE, "Item": item("s", limit)}));
    let too_large = json!({"TableName": TABLE, "Item": item("s", limit + 1)});
    assert_eq!(refuse(&engine, "PutItem", &too_large).0, "ValidationException");
    let update = json!({
        "TableName": TABLE, "Key": key("s"), "UpdateExpression": "SET y = :y",
        "ExpressionAttributeValues": {":y": {"S": "y"}},
    });
    assert_eq!(refuse(&engine, "UpdateItem", &update).0, "ValidationException");
    let (kind, body) = refuse(&engine, "TransactWriteItems", &json!({"TransactItems": [{"Update": update}]}));
    assert_eq!(
        (kind.as_str(), &body["CancellationReasons"][0]["Code"]),
        ("TransactionCanceledException", &json!("ValidationError"))
    );
    let puts = |count: usize, size: usize| {
        let puts =
            (0..count).map(|n| json!({"Put": {"TableName": TABLE, "Item": item(&format!("t{n}"), size)}}));
        json!({"TransactItems": puts.collect::<Vec<_>>()})
    };
    succeed(&engine, "TransactWriteItems", &puts(100, 10));
    assert_eq!(refuse(&engine, "TransactWriteItems", &puts(101, 10)).0, "ValidationException");
    assert_eq!(refuse(&engine, "TransactWriteItems", &puts(11, 399_000)).0, "ValidationException");
    // A page has up to 1 MB, a batch up to 16 MB.
    for n in 0..50 {
        succeed(&engine, "PutItem", &json!({"TableName": TABLE, "Item": item(&format!("u{n:02}"), 399_000)}));
    }
    let query = json!({
        "TableName": TABLE, "KeyConditionExpression": "pk = :p AND begins_with(sk, :u)",
        "ExpressionAttributeValues": {":p": {"S": "p"}, ":u": {"S": "u"}}, "ReturnConsumedCapacity": "TOTAL",
    });
    let page = succeed(&engine, "Query", &query);
    assert_eq!(
        (&page["Count"], &page["ScannedCount"], &page["LastEvaluatedKey"]),
        (&json!(2), &json!(2), &key("u01"))
    );
    assert_eq!(page["ConsumedCapacity"]["CapacityUnits"], 97.5);
    let keys: Vec<Value> = (0..50).map(|n| key(&format!("u{n:02}"))).collect();
    let batch = json!({"RequestItems": {TABLE: {"Keys": keys, "ConsistentRead": true}}});
    let page = succeed(&engine, "BatchGetItem", &batch);
    let rest = &page["UnprocessedKeys"][TABLE];
    assert_eq!(
        (page["Responses"][TABLE].as_array().unwrap().len(), rest["Keys"].as_array().unwrap().len()),
        (42, 8)
    );
    assert_eq!(rest["ConsistentRead"], true);
}

#[test]
fn an_index_that_is_added_has_all_items() {
    let engine = engine();
    for n in 0..50 {
        let peer = if n == 7 { json!({"N": "7"}) } else { json!({"S": format!("{:02}", 50 - n)}) };
        put(&engine, &format!("s{n:02}"), &[("peer", peer), ("n", json!({"N": n.to_string()}))]);
    }
    let index = |name: &str, shown: Value| {
        json!({"Create": {
            "IndexName": name,
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "peer", "KeyType": "RANGE"}],
            "Projection": shown,
        }})
    };
    let attributes = json!([{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "peer", "AttributeType": "S"}]);
    let update = |updates: Value| json!({"TableName": TABLE, "AttributeDefinitions": attributes, "GlobalSecondaryIndexUpdates": updates});
    let both = json!([
        index("peers", json!({"ProjectionType": "KEYS_ONLY"})),
        index("all", json!({"ProjectionType": "ALL"}))
    ]);
    succeed(&engine, "UpdateTable", &update(both));
    let query = |index: &str| {
        json!({
            "TableName": TABLE, "IndexName": index, "KeyConditionExpression": "pk = :p", "Limit": 1,
            "ExpressionAttributeValues": {":p": {"S": "p"}},
        })
    };
    let entry = json!({"pk": {"S": "p"}, "sk": {"S": "s49"}, "peer": {"S": "01"}});
    let page = succeed(&engine, "Query", &query("peers"));
    assert_eq!((&page["Items"][0], &page["LastEvaluatedKey"]), (&entry, &entry));
    assert_eq!(succeed(&engine, "Query", &query("all"))["Items"][0]["n"]["N"], "49");
    // Later writes change it, and it can be deleted.
    put(&engine, "s49", &[("peer", json!({"S": "99"}))]);
    assert_eq!(succeed(&engine, "Query", &query("peers"))["Items"][0]["sk"]["S"], "s48");
    let described = succeed(&engine, "DescribeTable", &json!({"TableName": TABLE}));
    assert_eq!(described["Table"]["GlobalSecondaryIndexes"].as_array().unwrap().len(), 4);
    let again = update(json!([index("peers", json!({"ProjectionType": "ALL"}))]));
    assert_eq!(refuse(&engine, "UpdateTable", &again).0, "ValidationException");
    succeed(&engine, "UpdateTable", &update(json!([{"Delete": {"IndexName": "peers"}}])));
    assert_eq!(refuse(&engine, "Query", &query("peers")).0, "ValidationException");
    assert_eq!(refuse(&engine, "CreateTable", &definition()).0, "ResourceInUseException");
}

#[test]
fn only_chosen_changes_are_recorded() {
    let options =
        Options { is_recorded: |change, sort| change == "INSERT" && sort.starts_with("L#"), ..OPTIONS };
    let engine = Engine::in_memory(options).unwrap();
    let mut table = definition();
    table["StreamSpecification"]["StreamViewType"] = "KEYS_ONLY".into();
    succeed(&engine, "CreateTable", &table);
    for sk in ["L#1", "M#1", "L#1", "L#2"] {
        put(&engine, sk, &[("n", json!({"N": sk.len().to_string()}))]);
    }
    put(&engine, "L#1", &[]);
    succeed(&engine, "DeleteItem", &json!({"TableName": TABLE, "Key": key("L#1")}));
    let records = records(|operation, request| call(&engine, operation, request));
    let keys: Vec<&Value> = records.iter().map(|record| &record["dynamodb"]["Keys"]["sk"]["S"]).collect();
    assert_eq!(keys, ["L#1", "L#2"]);
    let change = &records[0]["dynamodb"];
    assert_eq!((&change["SizeBytes"], change.get("NewImage")), (&json!(8), None));
    assert_eq!(change["ApproximateCreationDateTime"], NOW / 1000);
    assert_ne!(records[0]["eventID"], records[1]["eventID"]);
}

#[test]
fn an_engine_in_memory_starts_at_once() {
    let began = Instant::now();
    let engines: Vec<Engine> = (0..100).map(|_| engine()).collect();
    assert!(began.elapsed().as_millis() < 5000, "{:?}", began.elapsed());
    drop(engines);
}
