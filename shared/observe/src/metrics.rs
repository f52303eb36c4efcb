//! Metrics: what is measured, and how it is published to CloudWatch and Prometheus.
//!
//! Each request makes one observation when it ends. The observation becomes one line of JSON, which is both the
//! request's log entry and its metrics (Amazon CloudWatch, "Embedded metric format"), and is added to the totals that
//! Prometheus reads.
//!
//! Invariant: neither contains a text, a token or an address, because both leave the process. Values are numbers;
//! fields are ids, numbers, times, and names from our code.

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
/// Maximum number of values of one metric in a line (the embedded metric format's limit). Further values are left out.
const VALUES: usize = 100;
/// The function name of requests that no function serves.
const GATEWAY: &str = "Gateway";

/// A metric. Its name in CloudWatch is the name of the variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// The time from a request's arrival at the function to its response.
    Latency,
    /// Requests and frames that were refused (4xx).
    ClientErrors,
    /// Requests and frames that failed because of the server or the database (5xx).
    ServerErrors,
    /// Database calls, including retries.
    DatabaseCalls,
    /// The time during which a request waited for the database.
    DatabaseTime,
    /// Read capacity units.
    ReadUnits,
    /// Write capacity units.
    WriteUnits,
    /// Database calls that conflicted with another transaction.
    Conflicts,
    /// Retries of database calls.
    Retries,
    /// Messages sent. Retries of a send are not counted.
    MessagesSent,
    /// Sockets opened.
    SocketsOpened,
    /// Sockets closed.
    SocketsClosed,
    /// The lifetime of a closed socket.
    SocketLife,
    /// Sockets opened soon after the user's last socket had closed.
    Reconnections,
    /// Events pushed to a socket.
    PushesSent,
    /// Pushes to a socket that was gone.
    PushesGone,
    /// Pushes that failed, and sockets whose pushes took too long.
    PushesFailed,
    /// Notifications that a push service took.
    NotificationsSent,
    /// Notifications that a push service refused, or did not take in time.
    NotificationsFailed,
    /// The age of a large conversation's oldest change when its fan-out was complete.
    FanOutLag,
    /// The delay before the next poll, as requested from the client.
    PollAfter,
}

/// The unit of a metric's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things. The values of a request are added up.
    Count,
    /// Milliseconds. Each value of a request is kept.
    Milliseconds,
    /// Seconds. Each value of a request is kept.
    Seconds,
}

impl Unit {
    /// The name in CloudWatch.
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

    /// The factor that converts a value to the base unit of Prometheus.
    fn base_factor(self) -> f64 {
        if self == Self::Milliseconds { 0.001 } else { 1.0 }
    }
}

impl Metric {
    /// All metrics, in order.
    pub const ALL: [Self; 21] = [
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
        Self::NotificationsSent,
        Self::NotificationsFailed,
        Self::FanOutLag,
        Self::PollAfter,
    ];

    /// The name in CloudWatch.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// The unit of the values.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::Latency | Self::DatabaseTime | Self::FanOutLag | Self::PollAfter => Unit::Milliseconds,
            Self::SocketLife => Unit::Seconds,
            _ => Unit::Count,
        }
    }

    /// Whether CloudWatch has the metric per function. It has the other metrics per table only, because each metric of
    /// each function costs money; the log lines contain them per function.
    #[must_use]
    pub fn is_by_function(self) -> bool {
        matches!(self, Self::Latency | Self::ClientErrors | Self::ServerErrors)
    }

    /// Whether CloudWatch has the metric also where it has only the most important ones: what AWS's own metrics do not
    /// show, and an alarm needs or an operator asks for every day.
    #[must_use]
    pub fn is_basic(self) -> bool {
        matches!(self, Self::MessagesSent | Self::PushesFailed | Self::FanOutLag)
    }

    /// The description, in one sentence.
    fn help(self) -> &'static str {
        match self {
            Self::Latency => "The time from a request's arrival at the function to its response.",
            Self::ClientErrors => "Requests and frames that were refused (4xx).",
            Self::ServerErrors => "Requests and frames that failed (5xx).",
            Self::DatabaseCalls => "Database calls, including retries.",
            Self::DatabaseTime => "The time during which a request waited for the database.",
            Self::ReadUnits => "Read capacity units.",
            Self::WriteUnits => "Write capacity units.",
            Self::Conflicts => "Database calls that conflicted with another transaction.",
            Self::Retries => "Retries of database calls.",
            Self::MessagesSent => "Messages sent.",
            Self::SocketsOpened => "Sockets opened.",
            Self::SocketsClosed => "Sockets closed.",
            Self::SocketLife => "The lifetime of a closed socket.",
            Self::Reconnections => "Sockets opened soon after the user's last socket had closed.",
            Self::PushesSent => "Events pushed to a socket.",
            Self::PushesGone => "Pushes to a socket that was gone.",
            Self::PushesFailed => "Pushes that failed, and sockets whose pushes took too long.",
            Self::NotificationsSent => "Notifications that a push service took.",
            Self::NotificationsFailed => {
                "Notifications that a push service refused, or did not take in time."
            }
            Self::FanOutLag => {
                "The age of a large conversation's oldest change when its fan-out was complete."
            }
            Self::PollAfter => "The delay before the next poll, as requested from the client.",
        }
    }

    /// The name in Prometheus, such as `tidings_messages_sent_total` or `tidings_latency_seconds`.
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

/// The values and log fields of one request.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// The function that served it, in a process with several functions.
    pub function: Option<&'static str>,
    /// The values of each metric. A count has a single value, the sum.
    pub values: BTreeMap<Metric, Vec<f64>>,
    /// The other fields of its log entry.
    pub fields: Map<String, Value>,
}

impl Observation {
    /// Adds a value to a metric: to the sum of a count, else as one more value.
    pub fn add(&mut self, metric: Metric, value: f64) {
        let values = self.values.entry(metric).or_default();
        match values.first_mut() {
            Some(sum) if metric.unit() == Unit::Count => *sum += value,
            _ => values.push(value),
        }
    }
}

/// The sum of all observations of a metric and a function so far.
#[derive(Debug, Default)]
struct Total {
    count: u64,
    sum: f64,
    /// The number of values in each bucket, without those of lower buckets.
    buckets: Vec<u64>,
}

type Totals = BTreeMap<(Metric, Cow<'static, str>), Total>;

/// The output for lines, and the name of the table, which distinguishes deployments.
struct LineOutput {
    table: String,
    writer: Box<dyn Write + Send>,
}

#[derive(Default)]
struct State {
    totals: Totals,
    lines: Option<LineOutput>,
    /// Whether the lines define only the basic metrics.
    only_basic: bool,
}

/// Collects the observations of a process. Clones share their state.
#[derive(Clone)]
pub struct Observer {
    function: Cow<'static, str>,
    state: Arc<Mutex<State>>,
}

impl Default for Observer {
    fn default() -> Self {
        Self { function: GATEWAY.into(), state: Arc::default() }
    }
}

impl Observer {
    /// An observer for a process that runs a single function, as in Lambda.
    #[must_use]
    pub fn of(function: String) -> Self {
        Self { function: function.into(), ..Self::default() }
    }

    /// From now on, writes a line for each observation, as in Lambda.
    pub fn print_to(&self, table: &str, writer: impl Write + Send + 'static) {
        self.state().lines = Some(LineOutput { table: table.to_owned(), writer: Box::new(writer) });
    }

    /// From now on, the lines define only the most important metrics for CloudWatch, which bills each metric. They still
    /// contain the values of all.
    pub fn define_only_basic(&self) {
        self.state().only_basic = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the observation of a request that ended at `now`. A line that cannot be written is lost, because no
    /// request should fail for it.
    pub fn record(&self, observation: &Observation, now: Timestamp) {
        let function = observation.function.map_or_else(|| self.function.clone(), Cow::Borrowed);
        let mut state = self.state();
        let only_basic = state.only_basic;
        if let Some(LineOutput { table, writer }) = &mut state.lines {
            let mut line = line(observation, &function, table, now, only_basic).to_string();
            line.push('\n');
            // Flushed before the response is sent, because Lambda freezes the function afterwards.
            let _ = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
        }
        for (metric, values) in &observation.values {
            let total = state.totals.entry((*metric, function.clone())).or_default();
            let bounds = metric.unit().buckets();
            total.buckets.resize(bounds.len(), 0);
            for value in values {
                total.count += 1;
                total.sum += value;
                if let Some(index) = bounds.iter().position(|bound| value <= bound) {
                    total.buckets[index] += 1;
                }
            }
        }
    }

    /// Formats the totals for Prometheus (text format 0.0.4): counts as counters, durations as histograms in seconds.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let state = self.state();
        let totals = &state.totals;
        let mut text = String::new();
        for metric in Metric::ALL {
            let (name, unit) = (metric.prometheus(), metric.unit());
            let kind = if unit == Unit::Count { "counter" } else { "histogram" };
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help());
            for ((_, function), total) in
                totals.range((metric, "".into())..).take_while(|((other, _), _)| *other == metric)
            {
                let label = function.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
                let label = format!("function=\"{label}\"");
                let sum = total.sum * unit.base_factor();
                if unit == Unit::Count {
                    let _ = writeln!(text, "{name}{{{label}}} {sum}");
                    continue;
                }
                let mut cumulative = 0;
                for (bound, count) in unit.buckets().iter().zip(&total.buckets) {
                    cumulative += count;
                    let bound = bound * unit.base_factor();
                    let _ = writeln!(text, "{name}_bucket{{{label},le=\"{bound}\"}} {cumulative}");
                }
                let count = total.count;
                let _ = writeln!(text, "{name}_bucket{{{label},le=\"+Inf\"}} {count}");
                let _ = writeln!(text, "{name}_sum{{{label}}} {sum}\n{name}_count{{{label}}} {count}");
            }
        }
        text
    }
}

/// The line of an observation: its fields, its values, and the definitions of the metrics for CloudWatch, if it has any.
fn line(observation: &Observation, function: &str, table: &str, now: Timestamp, only_basic: bool) -> Value {
    let mut line = observation.fields.clone();
    // Lambda reads the level of a line on standard output from these two fields.
    line.insert("timestamp".to_owned(), json!(now));
    line.insert("level".to_owned(), json!("INFO"));
    line.insert("function".to_owned(), json!(function));
    line.insert("table".to_owned(), json!(table));
    let (mut by_function, mut by_table) = (Vec::new(), Vec::new());
    for (metric, values) in &observation.values {
        if metric.is_basic() || !only_basic {
            let definitions = if metric.is_by_function() { &mut by_function } else { &mut by_table };
            definitions.push(json!({"Name": metric.name(), "Unit": metric.unit().name()}));
        }
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
    if !directives.is_empty() {
        line.insert("_aws".to_owned(), json!({"Timestamp": now.millis(), "CloudWatchMetrics": directives}));
    }
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_860_800_123);

    #[test]
    fn a_line_defines_its_metrics_for_cloudwatch() {
        let mut observation = Observation::default();
        observation.fields.insert("status".to_owned(), json!(201));
        observation.add(Metric::Latency, 8.25);
        observation.add(Metric::DatabaseCalls, 1.0);
        observation.add(Metric::DatabaseCalls, 2.0);
        observation.add(Metric::FanOutLag, 5.0);
        observation.add(Metric::FanOutLag, 7.0);
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
        assert_eq!(line(&observation, "dev-Send", "dev-Table", NOW, false), expected);
    }

    #[test]
    fn a_line_may_define_only_the_basic_metrics() {
        let mut observation = Observation::default();
        observation.add(Metric::Latency, 8.25);
        observation.add(Metric::DatabaseCalls, 1.0);
        let without = line(&observation, "Send", "tidings", NOW, true);
        assert_eq!((&without["Latency"], &without["DatabaseCalls"]), (&json!(8.25), &json!(1.0)));
        assert!(without.get("_aws").is_none(), "{without}");
        observation.add(Metric::MessagesSent, 1.0);
        let with = line(&observation, "Send", "tidings", NOW, true);
        let defined = json!([
            {"Namespace": "Tidings", "Dimensions": [["table"]], "Metrics": [{"Name": "MessagesSent", "Unit": "Count"}]},
        ]);
        assert_eq!(with["_aws"]["CloudWatchMetrics"], defined);
    }

    #[test]
    fn a_line_has_at_most_100_values_of_a_metric() {
        let mut observation = Observation::default();
        (0..150).for_each(|lag| observation.add(Metric::FanOutLag, f64::from(lag)));
        let line = line(&observation, "FanOut", "tidings", NOW, false);
        assert_eq!(line["FanOutLag"].as_array().unwrap().len(), 100);
    }

    #[test]
    fn the_buckets_of_a_histogram_are_cumulative() {
        let observer = Observer::default();
        for latency in [0.4, 1.0, 3.0, 40_000.0] {
            let mut observation = Observation { function: Some("Send"), ..Observation::default() };
            observation.add(Metric::Latency, latency);
            observer.record(&observation, NOW);
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
    fn the_names_of_metrics_are_unique() {
        let mut names: Vec<_> = Metric::ALL.into_iter().map(Metric::prometheus).collect();
        assert!(Metric::ALL.is_sorted());
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Metric::ALL.len());
        assert_eq!(Metric::PollAfter.prometheus(), "tidings_poll_after_seconds");
    }
}
