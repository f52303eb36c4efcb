//! Captures the log lines that the functions of a machine would print in Lambda.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use observe::metrics::{Metric, Observer, Unit};
use serde_json::Value;

use crate::{TABLE, World};

/// The captured output so far; clones share it.
#[derive(Clone, Default)]
pub struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics with the lock").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Printed {
    /// Returns the whole output.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().expect("no test panics with the lock").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// Returns the lines of requests and events, each a JSON object; leaves out errors and warnings.
    pub fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        lines.filter(|line| line.get("_aws").is_some()).collect()
    }

    /// Returns the line of the last request.
    pub fn last(&self) -> Value {
        self.lines().pop().expect("a request")
    }

    /// Returns the sum of all values of a metric.
    pub fn sum(&self, metric: Metric) -> f64 {
        self.lines().iter().flat_map(|line| values(line, metric)).sum()
    }

    /// Returns for each metric and function the sum of the values if the metric is a count, or else their number.
    pub fn totals(&self) -> BTreeMap<(Metric, String), f64> {
        let mut totals = BTreeMap::new();
        for line in self.lines() {
            let function = line["function"].as_str().expect("a function");
            for metric in Metric::ALL {
                for value in values(&line, metric) {
                    let total = totals.entry((metric, function.to_owned())).or_default();
                    *total += if metric.unit() == Unit::Count { value } else { 1.0 };
                }
            }
        }
        totals
    }
}

/// Returns the values of a metric in a line.
pub fn values(line: &Value, metric: Metric) -> Vec<f64> {
    let number = |value: &Value| value.as_f64().expect("a number");
    match line.get(metric.name()) {
        None => Vec::new(),
        Some(Value::Array(values)) => values.iter().map(number).collect(),
        Some(value) => vec![number(value)],
    }
}

impl World {
    /// Returns the same machine, and the output that it prints from now on.
    pub fn printing(&self) -> (Self, Printed) {
        let printed = Printed::default();
        let observer = Observer::default();
        observer.print_to(TABLE, printed.clone());
        (self.with_app(|app| app.observer = observer), printed)
    }
}
