//! Databases of the engine that Tidings used before are converted when they are opened.

use std::fs;
use std::path::Path;

use dynoxide::Database;
use engine::Engine;
use serde_json::{Value, json};

use crate::engines::{OPTIONS, TABLE, call, definition, judge, records, succeed};

fn write(database: &Database, operation: &str, request: &Value) {
    let (status, body) = judge(database, operation, request);
    assert_eq!(status, 200, "{body}");
}

/// Fills an old database. Returns its items.
fn old_database(file: &Path) -> Vec<Value> {
    let database = Database::new(file.to_str().unwrap()).unwrap();
    write(&database, "CreateTable", &definition());
    let specification = json!({"AttributeName": "expires", "Enabled": true});
    write(
        &database,
        "UpdateTimeToLive",
        &json!({"TableName": TABLE, "TimeToLiveSpecification": specification}),
    );
    for n in 0..300 {
        let item = json!({
            "pk": {"S": format!("U#{}", n % 7)}, "sk": {"S": format!("C#{n:03}")}, "n": {"N": n.to_string()},
            "activity": {"S": format!("{:03}", 999 - n)}, "content": {"M": {"text": {"S": "a \"quoted\" text"}}},
            "expires": {"N": (1_900_000_000 + n).to_string()}, "any": {"L": [{"BOOL": true}, {"NULL": true}]},
        });
        write(&database, "PutItem", &json!({"TableName": TABLE, "Item": item}));
    }
    all_items(|request| judge(&database, "Scan", request))
}

fn all_items(scan: impl Fn(&Value) -> (u16, Value)) -> Vec<Value> {
    let mut items = scan(&json!({"TableName": TABLE})).1["Items"].as_array().unwrap().clone();
    items.sort_by_key(Value::to_string);
    items
}

/// Returns the items of an engine on a file.
fn items(file: &Path) -> Vec<Value> {
    let engine = Engine::on_disk(file, OPTIONS).unwrap();
    all_items(|request| call(&engine, "Scan", request))
}

#[test]
fn an_old_database_is_converted_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidings.db");
    let expected = old_database(&file);
    let engine = Engine::on_disk(&file, OPTIONS).unwrap();
    assert_eq!(all_items(|request| call(&engine, "Scan", request)), expected);
    let query = json!({
        "TableName": TABLE, "IndexName": "activity", "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "U#3"}},
    });
    let found = succeed(&engine, "Query", &query);
    let newest = json!({
        "pk": {"S": "U#3"}, "sk": {"S": "C#297"}, "activity": {"S": "702"}, "n": {"N": "297"},
        "content": {"M": {"text": {"S": "a \"quoted\" text"}}},
    });
    assert_eq!((&found["Count"], &found["Items"][0]), (&json!(43), &newest));
    let table = succeed(&engine, "DescribeTable", &json!({"TableName": TABLE}));
    assert_eq!(table["Table"]["StreamSpecification"]["StreamViewType"], "NEW_IMAGE");
    let time_to_live = succeed(&engine, "DescribeTimeToLive", &json!({"TableName": TABLE}));
    assert_eq!(time_to_live["TimeToLiveDescription"]["AttributeName"], "expires");
    let records = records(|operation, request| call(&engine, operation, request));
    assert_eq!((records.len(), &records[7]["dynamodb"]["Keys"]["sk"]["S"]), (300, &json!("C#007")));
    assert_eq!(records[7]["dynamodb"]["NewImage"]["n"]["N"], "7");
    drop(engine);

    // A second start converts nothing, and the old file can still be read.
    assert_eq!(items(&file), expected);
    let old: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let old: Vec<_> = old.iter().filter(|path| path.to_str().unwrap().contains(".old")).collect();
    assert_eq!(old.len(), 1, "{old:?}");
    let database = Database::new(old[0].to_str().unwrap()).unwrap();
    assert_eq!(all_items(|request| judge(&database, "Scan", request)), expected);
}

#[test]
fn a_conversion_that_was_interrupted_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidings.db");
    let expected = old_database(&file);
    // Of two conversions, one ended while it wrote, and one before it replaced the file.
    fs::write(folder.path().join("tidings.db.converting"), "half a database").unwrap();
    fs::hard_link(&file, folder.path().join("tidings.db.old1")).unwrap();
    assert_eq!(items(&file), expected);
    assert!(!folder.path().join("tidings.db.converting").exists());
    assert!(folder.path().join("tidings.db.old2").exists());
}

#[test]
fn a_database_that_cannot_be_converted_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidings.db");
    {
        let database = Database::new(file.to_str().unwrap()).unwrap();
        write(&database, "CreateTable", &definition());
        let item = json!({"pk": {"S": "a"}, "sk": {"S": "b"}, "set": {"SS": ["x"]}});
        write(&database, "PutItem", &json!({"TableName": TABLE, "Item": item}));
    }
    let error = Engine::on_disk(&file, OPTIONS).unwrap_err().to_string();
    assert!(error.contains("cannot convert") && error.contains("SS"), "{error}");
    let database = Database::new(file.to_str().unwrap()).unwrap();
    let get = json!({"TableName": TABLE, "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}});
    assert_eq!(judge(&database, "GetItem", &get).1["Item"]["set"]["SS"][0], "x");
}
