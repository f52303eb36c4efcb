//! The engine and dynoxide answer random requests in the same way: items, refusals, reasons, capacity, order, pages and
//! stream records.
//!
//! Set `TIDINGS_DIFFERENTIAL` to a number of episodes for a longer run.

use std::collections::BTreeMap;

use dynoxide::Database;
use engine::Engine;
use serde_json::{Value, json};

use crate::engines::{call, definition, in_memory, judge, records};
use crate::random::Random;

/// Number of sequences of requests.
const EPISODES: u64 = 48;
/// Number of requests in a sequence. Dynoxide becomes slower with each write.
const REQUESTS: usize = 400;

/// Both engines.
struct Pair {
    engine: Engine,
    judge: Database,
}

impl Pair {
    fn new() -> Self {
        let pair = Self { engine: in_memory(), judge: Database::memory().unwrap() };
        assert_eq!(call(&pair.engine, "CreateTable", &definition()).0, 200);
        assert_eq!(judge(&pair.judge, "CreateTable", &definition()).0, 200);
        pair
    }

    /// Calls both and compares their answers. Returns the answer.
    fn call(&self, operation: &str, request: &Value, seed: u64) -> Value {
        let (status, body) = call(&self.engine, operation, request);
        let (expected_status, expected) = judge(&self.judge, operation, request);
        let (ours, theirs) = (comparable(operation, &body), comparable(operation, &expected));
        assert_eq!(
            (status, &ours),
            (expected_status, &theirs),
            "\nseed {seed}: {operation} {request}\nengine: {body}\ndynoxide: {expected}"
        );
        body
    }

    /// Reads all pages of a query.
    fn read_all(&self, operation: &str, mut request: Value, seed: u64) {
        loop {
            let page = self.call(operation, &request, seed);
            match page.get("LastEvaluatedKey") {
                Some(last) => request["ExclusiveStartKey"] = last.clone(),
                None => return,
            }
        }
    }

    fn compare_records(&self, seed: u64) {
        let ours = changes(&records(|operation, request| call(&self.engine, operation, request)));
        let theirs = changes(&records(|operation, request| judge(&self.judge, operation, request)));
        let differing = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
        assert_eq!((differing, ours.len()), (None, theirs.len()), "seed {seed}");
    }
}

/// Returns what records say, without those of writes that changed nothing: AWS has none, but dynoxide has. The size of a
/// record is not compared, because dynoxide counts the bytes of its JSON.
fn changes(records: &[Value]) -> Vec<Value> {
    let mut images = BTreeMap::new();
    let mut changes = Vec::new();
    for record in records {
        let change = &record["dynamodb"];
        let image = normal(&change["NewImage"]);
        let earlier = images.insert(change["Keys"].to_string(), image.clone());
        if record["eventName"] != "MODIFY" || earlier.as_ref() != Some(&image) {
            changes.push(json!([record["eventName"], change["Keys"], image, change["StreamViewType"]]));
        }
    }
    changes
}

/// Returns an answer without what may differ: the words of messages, the order of what has no order, and the way in which
/// numbers are written in JSON.
fn comparable(operation: &str, body: &Value) -> Value {
    let mut body = normal(body);
    if let Some(kind) = body.get("__type").cloned() {
        let kind = kind.as_str().unwrap().rsplit('#').next().unwrap().to_owned();
        let reasons = body["CancellationReasons"].as_array().cloned().unwrap_or_default();
        let reasons: Vec<Value> =
            reasons.iter().map(|reason| json!([reason["Code"], reason["Item"]])).collect();
        return json!([kind, body["Item"], reasons]);
    }
    let items = match operation {
        "BatchGetItem" => Some(&mut body["Responses"]["tidings"]),
        "Scan" => Some(&mut body["Items"]),
        _ => None,
    };
    if let Some(items) = items.and_then(Value::as_array_mut) {
        items.sort_by_key(Value::to_string);
    }
    body
}

/// Returns JSON with all numbers as floating-point numbers, and no members that are `null` or empty.
fn normal(json: &Value) -> Value {
    match json {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(values) => values.iter().map(normal).collect(),
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            members.map(|(name, value)| (name.clone(), normal(value))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn both_engines_answer_alike() {
    let episodes = std::env::var("TIDINGS_DIFFERENTIAL").ok();
    let episodes = episodes.map_or(EPISODES, |episodes| episodes.parse().expect("a number"));
    let halves = [0, 1].map(|half| {
        std::thread::spawn(move || {
            for seed in (half..episodes).step_by(2) {
                episode(seed);
            }
        })
    });
    for half in halves {
        half.join().unwrap();
    }
}

fn episode(seed: u64) {
    let (pair, mut random) = (Pair::new(), Random::new(seed));
    for _ in 0..REQUESTS {
        let (operation, request) = random.request();
        if operation == "Query" {
            pair.read_all(operation, request, seed);
        } else {
            pair.call(operation, &request, seed);
        }
    }
    pair.compare_records(seed);
}
