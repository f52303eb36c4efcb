//! The metrics: what is counted, and how it is shown to CloudWatch and to Prometheus.
//!
//! Invariant: both show the same observations. A request gives one when it ends; it becomes one line of JSON, which is
//! the request's log entry and its metrics at once (Amazon CloudWatch, "Embedded metric format"), and it is added to the
//! totals that Prometheus reads. Neither holds a text, a token or an address: values are numbers, fields are ids.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::time::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of all metrics in CloudWatch.
pub const NAMESPACE: &str = "Tidings";
/// The content type of [`Observer::prometheus`] (Prometheus, "Exposition formats").
pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Values of one metric in a line at most (the embedded metric format's limit).
const VALUES: usize = 100;
/// What a request is counted under that no function serves.
const GATEWAY: &str = "Gateway";

/// What is counted or measured. Its name in CloudWatch is that of the variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// From the request's arrival at the function to its answer.
    Latency,
    /// Requests and frames that were refused: 4xx.
    ClientErrors,
    /// Requests and frames that failed by a fault of ours or of the database: 5xx.
    ServerErrors,
    /// Calls of the database, repeated ones included.
    DatabaseCalls,
    /// How long a request waited for the database.
    DatabaseTime,
    /// Read capacity units.
    ReadUnits,
    /// Write capacity units.
    WriteUnits,
    /// Calls of the database that another transaction was in the way of.
    Conflicts,
    /// Calls of the database that repeated another.
    Retries,
    /// Messages that were sent; retries of one count once.
    MessagesSent,
    /// Sockets that opened.
    SocketsOpened,
    /// Sockets that closed.
    SocketsClosed,
    /// How long a socket lived that closed.
    SocketLife,
    /// Sockets that opened soon after their user's last one had closed.
    Reconnections,
    /// Events that reached a socket.
    PushesSent,
    /// Events whose socket was gone.
    PushesGone,
    /// Events that failed to reach a socket, or took too long.
    PushesFailed,
    /// The age of the oldest change of a large conversation when it had been brought to everyone.
    FanOutLag,
    /// How long a poll was asked to wait before the next one.
    PollAfter,
}

/// What a metric's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things; a request's values add up.
    Count,
    /// Milliseconds; each value counts by itself.
    Milliseconds,
    /// Seconds; each value counts by itself.
    Seconds,
}

impl Unit {
    /// Its name in CloudWatch.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
        }
    }

    /// The upper bounds of a histogram's buckets, in this unit.
    fn buckets(self) -> &'static [f64] {
        match self {
            Self::Count => &[],
            Self::Milliseconds => &[
                1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0,
                30_000.0,
            ],
            Self::Seconds => &[1.0, 10.0, 60.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0],
        }
    }

    /// What one of it is in the base unit of Prometheus.
    fn in_base(self) -> f64 {
        if self == Self::Milliseconds { 0.001 } else { 1.0 }
    }
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Latency,
        Self::ClientErrors,
        Self::ServerErrors,
        Self::DatabaseCalls,
        Self::DatabaseTime,
        Self::ReadUnits,
        Self::WriteUnits,
        Self::Conflicts,
        Self::Retries,
        Self::MessagesSent,
        Self::SocketsOpened,
        Self::SocketsClosed,
        Self::SocketLife,
        Self::Reconnections,
        Self::PushesSent,
        Self::PushesGone,
        Self::PushesFailed,
        Self::FanOutLag,
        Self::PollAfter,
    ];

    /// Its name in CloudWatch.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// What its values are.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::Latency | Self::DatabaseTime | Self::FanOutLag | Self::PollAfter => Unit::Milliseconds,
            Self::SocketLife => Unit::Seconds,
            _ => Unit::Count,
        }
    }

    /// Whether CloudWatch has it for each function by itself. The others it has for the table alone, for each metric of
    /// each function has its price; by function they can be had from the lines.
    #[must_use]
    pub fn is_by_function(self) -> bool {
        matches!(self, Self::Latency | Self::ClientErrors | Self::ServerErrors)
    }

    /// What it says, in a sentence.
    fn help(self) -> &'static str {
        match self {
            Self::Latency => "From a request's arrival at the function to its answer.",
            Self::ClientErrors => "Requests and frames that were refused (4xx).",
            Self::ServerErrors => "Requests and frames that failed (5xx).",
            Self::DatabaseCalls => "Calls of the database, repeated ones included.",
            Self::DatabaseTime => "How long a request waited for the database.",
            Self::ReadUnits => "Read capacity units.",
            Self::WriteUnits => "Write capacity units.",
            Self::Conflicts => "Calls of the database that another transaction was in the way of.",
            Self::Retries => "Calls of the database that repeated another.",
            Self::MessagesSent => "Messages that were sent.",
            Self::SocketsOpened => "Sockets that opened.",
            Self::SocketsClosed => "Sockets that closed.",
            Self::SocketLife => "How long a socket lived that closed.",
            Self::Reconnections => "Sockets that opened soon after their user's last one had closed.",
            Self::PushesSent => "Events that reached a socket.",
            Self::PushesGone => "Events whose socket was gone.",
            Self::PushesFailed => "Events that failed to reach a socket, or took too long.",
            Self::FanOutLag => {
                "Age of a large conversation's oldest change when it had been brought to everyone."
            }
            Self::PollAfter => "How long a poll was asked to wait before the next one.",
        }
    }

    /// Its name in Prometheus: `tidings_messages_sent_total`, `tidings_latency_seconds`.
    #[must_use]
    pub fn prometheus(self) -> String {
        let mut name = "tidings".to_owned();
        for letter in self.name().chars() {
            if letter.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name + if self.unit() == Unit::Count { "_total" } else { "_seconds" }
    }
}

/// What one request was seen to do.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// The function that served it, where the process has several.
    pub function: Option<&'static str>,
    /// Its values: of a count one, their sum.
    pub values: BTreeMap<Metric, Vec<f64>>,
    /// What its log entry says beside them.
    pub fields: Map<String, Value>,
}

impl Observation {
    /// Adds to a metric: to its sum where it is a count, else one more value.
    pub fn add(&mut self, metric: Metric, value: f64) {
        let values = self.values.entry(metric).or_default();
        match values.first_mut() {
            Some(sum) if metric.unit() == Unit::Count => *sum += value,
            _ => values.push(value),
        }
    }
}

/// All the observations of a metric and a function so far.
#[derive(Debug, Default)]
struct Total {
    count: u64,
    sum: f64,
    /// How many were in each bucket, and in none before it.
    buckets: Vec<u64>,
}

type Totals = BTreeMap<(Metric, Cow<'static, str>), Total>;

/// Where lines are written to, and the table that tells one deployment's from another's.
struct Lines {
    table: String,
    to: Box<dyn Write + Send>,
}

#[derive(Default)]
struct Seen {
    totals: Totals,
    lines: Option<Lines>,
}

/// What takes the observations of a process; clones are the same one.
#[derive(Clone)]
pub struct Observer {
    function: Cow<'static, str>,
    seen: Arc<Mutex<Seen>>,
}

impl Default for Observer {
    fn default() -> Self {
        Self { function: GATEWAY.into(), seen: Arc::default() }
    }
}

impl Observer {
    /// An observer of one function, as the processes in Lambda are.
    #[must_use]
    pub fn of(function: String) -> Self {
        Self { function: function.into(), ..Self::default() }
    }

    /// From now on writes a line for each observation, as the functions do in Lambda.
    pub fn print_to(&self, table: &str, to: impl Write + Send + 'static) {
        self.seen().lines = Some(Lines { table: table.to_owned(), to: Box::new(to) });
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the observation of a request that ended now. What cannot be written is lost: no request fails for that.
    pub fn record(&self, observation: &Observation, now: Timestamp) {
        let function = observation.function.map_or_else(|| self.function.clone(), Cow::Borrowed);
        let mut seen = self.seen();
        if let Some(Lines { table, to }) = &mut seen.lines {
            let mut line = line(observation, &function, table, now).to_string();
            line.push('\n');
            // Before the answer: a function is frozen after it.
            let _ = to.write_all(line.as_bytes()).and_then(|()| to.flush());
        }
        for (metric, values) in &observation.values {
            let total = seen.totals.entry((*metric, function.clone())).or_default();
            let bounds = metric.unit().buckets();
            total.buckets.resize(bounds.len(), 0);
            for value in values {
                total.count += 1;
                total.sum += value;
                if let Some(at) = bounds.iter().position(|bound| value <= bound) {
                    total.buckets[at] += 1;
                }
            }
        }
    }

    /// The totals as Prometheus reads them (text format 0.0.4). Counts are counters, durations histograms in seconds.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let seen = self.seen();
        let totals = &seen.totals;
        let mut text = String::new();
        for metric in Metric::ALL {
            let (name, unit) = (metric.prometheus(), metric.unit());
            let kind = if unit == Unit::Count { "counter" } else { "histogram" };
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help());
            for ((_, function), total) in
                totals.range((metric, "".into())..).take_while(|((of, _), _)| *of == metric)
            {
                let label = function.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
                let label = format!("function=\"{label}\"");
                let sum = total.sum * unit.in_base();
                if unit == Unit::Count {
                    let _ = writeln!(text, "{name}{{{label}}} {sum}");
                    continue;
                }
                let mut below = 0;
                for (bound, count) in unit.buckets().iter().zip(&total.buckets) {
                    below += count;
                    let bound = bound * unit.in_base();
                    let _ = writeln!(text, "{name}_bucket{{{label},le=\"{bound}\"}} {below}");
                }
                let count = total.count;
                let _ = writeln!(text, "{name}_bucket{{{label},le=\"+Inf\"}} {count}");
                let _ = writeln!(text, "{name}_sum{{{label}}} {sum}\n{name}_count{{{label}}} {count}");
            }
        }
        text
    }
}

/// The line of an observation: its fields, its values, and what CloudWatch is to make of these.
fn line(observation: &Observation, function: &str, table: &str, now: Timestamp) -> Value {
    let mut line = observation.fields.clone();
    // By these two Lambda tells the level of a line from standard output.
    line.insert("timestamp".to_owned(), json!(now));
    line.insert("level".to_owned(), json!("INFO"));
    line.insert("function".to_owned(), json!(function));
    line.insert("table".to_owned(), json!(table));
    let (mut by_function, mut by_table) = (Vec::new(), Vec::new());
    for (metric, values) in &observation.values {
        let definitions = if metric.is_by_function() { &mut by_function } else { &mut by_table };
        definitions.push(json!({"Name": metric.name(), "Unit": metric.unit().name()}));
        let value = match values[..] {
            [value] => json!(value),
            _ => json!(&values[..values.len().min(VALUES)]),
        };
        line.insert(metric.name(), value);
    }
    let directives = [("function", by_function), ("table", by_table)].into_iter();
    let directives: Vec<Value> = directives
        .filter(|(_, metrics)| !metrics.is_empty())
        .map(|(name, metrics)| json!({"Namespace": NAMESPACE, "Dimensions": [[name]], "Metrics": metrics}))
        .collect();
    line.insert("_aws".to_owned(), json!({"Timestamp": now.millis(), "CloudWatchMetrics": directives}));
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_860_800_123);

    #[test]
    fn a_line_says_what_cloudwatch_is_to_make_of_it() {
        let mut seen = Observation::default();
        seen.fields.insert("status".to_owned(), json!(201));
        seen.add(Metric::Latency, 8.25);
        seen.add(Metric::DatabaseCalls, 1.0);
        seen.add(Metric::DatabaseCalls, 2.0);
        seen.add(Metric::FanOutLag, 5.0);
        seen.add(Metric::FanOutLag, 7.0);
        let expected = json!({
            "timestamp": "2026-01-31T12:00:00.123Z", "level": "INFO", "function": "dev-Send", "table": "dev-Table",
            "status": 201, "Latency": 8.25, "DatabaseCalls": 3.0, "FanOutLag": [5.0, 7.0],
            "_aws": {"Timestamp": 1_769_860_800_123_i64, "CloudWatchMetrics": [
                {"Namespace": "Tidings", "Dimensions": [["function"]],
                 "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}]},
                {"Namespace": "Tidings", "Dimensions": [["table"]], "Metrics": [
                    {"Name": "DatabaseCalls", "Unit": "Count"}, {"Name": "FanOutLag", "Unit": "Milliseconds"}]},
            ]},
        });
        assert_eq!(line(&seen, "dev-Send", "dev-Table", NOW), expected);
    }

    #[test]
    fn a_line_holds_no_more_values_than_cloudwatch_takes() {
        let mut seen = Observation::default();
        (0..150).for_each(|lag| seen.add(Metric::FanOutLag, f64::from(lag)));
        let line = line(&seen, "FanOut", "tidings", NOW);
        assert_eq!(line["FanOutLag"].as_array().unwrap().len(), 100);
    }

    #[test]
    fn a_histogram_counts_what_is_up_to_each_bound() {
        let observer = Observer::default();
        for latency in [0.4, 1.0, 3.0, 40_000.0] {
            let mut seen = Observation { function: Some("Send"), ..Observation::default() };
            seen.add(Metric::Latency, latency);
            observer.record(&seen, NOW);
        }
        let text = observer.prometheus();
        for line in [
            "# TYPE tidings_latency_seconds histogram",
            "tidings_latency_seconds_bucket{function=\"Send\",le=\"0.001\"} 2",
            "tidings_latency_seconds_bucket{function=\"Send\",le=\"0.0025\"} 2",
            "tidings_latency_seconds_bucket{function=\"Send\",le=\"0.005\"} 3",
            "tidings_latency_seconds_bucket{function=\"Send\",le=\"30\"} 3",
            "tidings_latency_seconds_bucket{function=\"Send\",le=\"+Inf\"} 4",
            "tidings_latency_seconds_count{function=\"Send\"} 4",
            "# TYPE tidings_messages_sent_total counter",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn every_metric_has_a_name_of_its_own() {
        let mut names: Vec<_> = Metric::ALL.into_iter().map(Metric::prometheus).collect();
        assert!(Metric::ALL.is_sorted());
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Metric::ALL.len());
        assert_eq!(Metric::PollAfter.prometheus(), "tidings_poll_after_seconds");
    }
}
