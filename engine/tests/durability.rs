//! Answered writes are on disk: a copy of the files at any moment, as a power cut leaves them, has all of them.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use engine::Engine;
use serde_json::{Value, json};

use crate::engines::{OPTIONS, TABLE, call, definition, refuse, succeed};

const WRITERS: usize = 4;

/// A transaction that moves a writer's counter and puts an item for its new value.
fn step(writer: usize, number: usize) -> Value {
    let counter = json!({
        "TableName": TABLE, "Key": {"pk": {"S": format!("W#{writer}")}, "sk": {"S": "COUNTER"}},
        "UpdateExpression": "SET activity = :activity ADD n :one",
        "ExpressionAttributeValues": {":activity": {"S": format!("{number:06}")}, ":one": {"N": "1"}},
    });
    let item = json!({
        "pk": {"S": format!("W#{writer}")}, "sk": {"S": format!("S#{number:06}")}, "big": {"S": "x".repeat(700)},
    });
    let put = json!({"TableName": TABLE, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"});
    json!({"TransactItems": [{"Update": counter}, {"Put": put}]})
}

/// Returns how many steps of a writer a database has, which must be whole.
fn steps(engine: &Engine, writer: usize) -> usize {
    let query = |condition: &str, index: Option<&str>| {
        let mut query = json!({
            "TableName": TABLE, "KeyConditionExpression": format!("pk = :pk{condition}"),
            "ExpressionAttributeValues": {":pk": {"S": format!("W#{writer}")}},
        });
        if let Some(index) = index {
            query["IndexName"] = index.into();
        } else {
            query["ExpressionAttributeValues"][":s"] = json!({"S": "S#"});
        }
        let mut items = Vec::new();
        loop {
            let page = succeed(engine, "Query", &query);
            items.extend(page["Items"].as_array().unwrap().iter().cloned());
            if page["LastEvaluatedKey"].is_null() {
                return items;
            }
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        }
    };
    let items = query(" AND begins_with(sk, :s)", None);
    let entries = query("", Some("activity"));
    let counted = entries.first().map_or(0, |entry| entry["n"]["N"].as_str().unwrap().parse().unwrap());
    assert_eq!((items.len(), entries.len()), (counted, usize::from(counted > 0)), "a step is whole");
    counted
}

/// Copies the database and then its log, from which `cut` bytes are missing: its end may be torn where it has not been
/// flushed. The index of the log does not survive a power cut, so it is not copied.
///
/// If SQLite begins the log anew in between, the two do not belong together, and the copy is repeated.
fn copy(from: &Path, to: &Path, cut: u64) {
    let (log, copied) = (from.with_extension("db-wal"), to.with_extension("db-wal"));
    let header = |log: &Path| {
        let mut header = [0; 32];
        fs::File::open(log).unwrap().read_exact(&mut header).unwrap();
        header
    };
    loop {
        let before = header(&log);
        fs::copy(from, to).unwrap();
        let length = fs::copy(&log, &copied).unwrap();
        if header(&log) == before && header(&copied) == before {
            let file = fs::File::options().write(true).open(copied).unwrap();
            return file.set_len(length - cut.min(length)).unwrap();
        }
    }
}

/// Stops the writers when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_copy_at_any_moment_has_every_answered_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.db");
    let engine = Engine::on_disk(&file, OPTIONS).unwrap();
    succeed(&engine, "CreateTable", &definition());
    let answered = [const { AtomicUsize::new(0) }; WRITERS];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also if an assertion fails.
        let _stop = Stop(&stop);
        for (writer, answered) in answered.iter().enumerate() {
            let (engine, stop) = (engine.clone(), &stop);
            scope.spawn(move || {
                for number in 1.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    succeed(&engine, "TransactWriteItems", &step(writer, number));
                    answered.store(number, Ordering::SeqCst);
                }
            });
        }
        for round in 0..8 {
            std::thread::sleep(Duration::from_millis(60));
            let before: Vec<usize> = answered.iter().map(|count| count.load(Ordering::SeqCst)).collect();
            let target = folder.path().join(format!("copy{round}.db"));
            copy(&file, &target, 0);
            let copied = Engine::on_disk(&target, OPTIONS).unwrap();
            for (writer, before) in before.into_iter().enumerate() {
                let stored = steps(&copied, writer);
                assert!(stored >= before, "round {round}: {stored} of {before}");
            }
        }
    });
    assert!(answered.iter().all(|count| count.load(Ordering::SeqCst) > 10), "there was some load");
}

#[test]
fn a_torn_log_loses_only_whole_transactions_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.db");
    let engine = Engine::on_disk(&file, OPTIONS).unwrap();
    succeed(&engine, "CreateTable", &definition());
    for number in 1..=40 {
        succeed(&engine, "TransactWriteItems", &step(0, number));
    }
    let mut last = 40;
    for cut in [0, 1, 4096, 10_000, 50_000, 200_000] {
        let target = folder.path().join(format!("cut{cut}.db"));
        copy(&file, &target, cut);
        let stored = steps(&Engine::on_disk(&target, OPTIONS).unwrap(), 0);
        assert!(stored <= last && (cut > 0 || stored == 40), "{cut}: {stored}");
        last = stored;
    }
    assert!(last > 0 && last < 40, "the cuts were of transactions: {last}");
}

#[test]
fn reads_see_what_was_answered_before_them() {
    let folder = tempfile::tempdir().unwrap();
    for engine in
        [Engine::in_memory(OPTIONS).unwrap(), Engine::on_disk(&folder.path().join("a.db"), OPTIONS).unwrap()]
    {
        succeed(&engine, "CreateTable", &definition());
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let engine = engine.clone();
                scope.spawn(move || {
                    for number in 1..40 {
                        succeed(&engine, "TransactWriteItems", &step(writer, number));
                        assert_eq!(steps(&engine, writer), number);
                    }
                });
            }
        });
    }
}

#[test]
fn a_token_works_once() {
    let engine = Engine::in_memory(OPTIONS).unwrap();
    succeed(&engine, "CreateTable", &definition());
    let mut first = step(0, 1);
    first["ClientRequestToken"] = "token".into();
    for _ in 0..3 {
        succeed(&engine, "TransactWriteItems", &first);
    }
    assert_eq!(steps(&engine, 0), 1);
    let mut other = step(0, 2);
    other["ClientRequestToken"] = "token".into();
    let (kind, _) = refuse(&engine, "TransactWriteItems", &other);
    assert_eq!(kind, "IdempotentParameterMismatchException");
    // A refusal is not remembered: the same transaction may succeed later.
    let mut third = step(0, 1);
    third["ClientRequestToken"] = "another".into();
    assert_eq!(refuse(&engine, "TransactWriteItems", &third).0, "TransactionCanceledException");
    let delete = json!({"TableName": TABLE, "Key": {"pk": {"S": "W#0"}, "sk": {"S": "S#000001"}}});
    succeed(&engine, "DeleteItem", &delete);
    assert_eq!(call(&engine, "TransactWriteItems", &third).0, 200);
}

#[test]
fn nothing_in_memory_is_left_on_disk() {
    let engine = Engine::in_memory(OPTIONS).unwrap();
    succeed(&engine, "CreateTable", &definition());
    succeed(&engine, "TransactWriteItems", &step(0, 1));
    let other = Engine::in_memory(OPTIONS).unwrap();
    assert_eq!(refuse(&other, "DescribeTable", &json!({"TableName": TABLE})).0, "ResourceNotFoundException");
}
