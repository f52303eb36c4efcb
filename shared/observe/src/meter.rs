//! The meter of a request: its database calls, the longest chain of sequential calls, and capacity units.
//!
//! The store makes every call in one place, which reports it, so no call can be forgotten. A call counts for the request whose task
//! makes it. Concurrent calls (`join!`) count as one in the chain. The meter also collects the ids and the outcome of
//! the request. Outside of a request, all functions do nothing.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::error::Error;
use domain::id::{ConversationId, FileId, MessageId, SubscriptionId, UserId};
use domain::reactions::Emoji;
use domain::time::Timestamp;
use serde_json::Value;

use crate::metrics::{Metric, Observation, Unit};

tokio::task_local! {
    static CURRENT: Meter;
}

/// The meter of one request. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU32,
    /// The longest chain of sequential calls that have ended.
    depth: AtomicU32,
    /// Capacity units in hundredths: the engine counts in halves, and atomics are integers.
    read: AtomicU64,
    written: AtomicU64,
    wait_time: Mutex<WaitTime>,
    observation: Mutex<Observation>,
}

/// The time during which at least one call was in flight.
#[derive(Debug, Default)]
struct WaitTime {
    in_flight: u32,
    since: Option<Instant>,
    total: Duration,
}

impl WaitTime {
    fn begin(&mut self) {
        self.in_flight += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0
            && let Some(since) = self.since.take()
        {
            self.total += since.elapsed();
        }
    }
}

/// The database costs of a request so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Reading {
    /// The time during which the request waited for the database.
    pub waited: Duration,
    /// Database calls, including retries.
    pub calls: u32,
    /// The length of the longest chain of sequential calls.
    pub depth: u32,
    /// Read capacity units.
    pub rcu: f64,
    /// Write capacity units.
    pub wcu: f64,
}

impl Reading {
    /// Formats the costs as a `Server-Timing` header (W3C Server Timing).
    #[must_use]
    pub fn server_timing(&self) -> String {
        let Self { waited, calls, depth, rcu, wcu } = self;
        let millis = waited.as_secs_f64() * 1000.0;
        format!("db;dur={millis:.2};desc=\"calls={calls} depth={depth} rcu={rcu} wcu={wcu}\"")
    }
}

impl Meter {
    /// Runs a request, and measures it with this meter.
    pub async fn watch<F: Future>(&self, request: F) -> F::Output {
        CURRENT.scope(self.clone(), request).await
    }

    /// Returns what was observed of the request, including its database costs.
    #[must_use]
    pub fn observation(&self) -> Observation {
        let mut observation = self.0.observation.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.read().add_to(&mut observation);
        observation
    }

    /// Returns the database costs so far.
    #[must_use]
    pub fn read(&self) -> Reading {
        let units = |hundredths: &AtomicU64| {
            f64::from(u32::try_from(hundredths.load(Ordering::Relaxed)).unwrap_or(u32::MAX)) / 100.0
        };
        Reading {
            waited: self.0.wait_time.lock().unwrap_or_else(PoisonError::into_inner).total,
            calls: self.0.calls.load(Ordering::Relaxed),
            depth: self.0.depth.load(Ordering::Relaxed),
            rcu: units(&self.0.read),
            wcu: units(&self.0.written),
        }
    }
}

impl Reading {
    /// Adds the database costs to the observation of a request.
    fn add_to(&self, observation: &mut Observation) {
        if self.calls == 0 {
            return;
        }
        observation.fields.insert("database_depth".to_owned(), self.depth.into());
        observation.add(Metric::DatabaseCalls, self.calls.into());
        observation.add(Metric::DatabaseTime, millis(self.waited));
        for (metric, units) in [(Metric::ReadUnits, self.rcu), (Metric::WriteUnits, self.wcu)] {
            if units > 0.0 {
                observation.add(metric, units);
            }
        }
    }
}

/// Converts a duration to milliseconds, rounded to microseconds.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// An id that may appear in the log.
pub trait Noted {
    /// The log fields that contain the id.
    fn fields(&self) -> Vec<(&'static str, String)>;
}

impl Noted for UserId {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("other_user", self.to_string())]
    }
}

impl Noted for ConversationId {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("conversation", self.to_string())]
    }
}

impl Noted for SubscriptionId {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("subscription", self.to_string())]
    }
}

impl Noted for FileId {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("file", self.to_string())]
    }
}

impl Noted for Emoji {
    fn fields(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

impl Noted for MessageId {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("message_id", self.to_string()), ("conversation", self.conversation.to_string())]
    }
}

/// Notes an id that the current request is about.
pub fn note(id: &impl Noted) {
    update(|observation| {
        id.fields().into_iter().for_each(|(name, value)| add_field(observation, name, value));
    });
}

/// Notes the caller of the current request.
pub fn note_caller(user: &UserId) {
    update(|observation| add_field(observation, "user", user.to_string()));
}

/// Notes another field of the current request. The value must come from our code or from AWS, not from a client.
pub fn note_field(name: &'static str, value: impl Into<Value>) {
    update(|observation| drop(observation.fields.insert(name.to_owned(), value.into())));
}

/// Sets the function that serves the current request, in a process with several functions.
pub fn serve_as(function: &'static str) {
    update(|observation| observation.function = Some(function));
}

/// Returns the function that serves the current request, in a process with several functions.
#[must_use]
pub fn serving() -> Option<&'static str> {
    let function =
        |Meter(counts): &Meter| counts.observation.lock().unwrap_or_else(PoisonError::into_inner).function;
    CURRENT.try_with(function).ok().flatten()
}

/// Adds one to a metric of the current request.
pub fn count(metric: Metric) {
    measure(metric, 1.0);
}

/// Adds a value, in the metric's unit, to a metric of the current request.
pub fn measure(metric: Metric, value: f64) {
    update(|observation| observation.add(metric, value));
}

/// Adds the time between two moments to a metric of the current request. A negative time counts as zero: the clocks of
/// two machines may differ.
pub fn measure_between(metric: Metric, since: Timestamp, until: Timestamp) {
    let between = u64::try_from(until.millis().saturating_sub(since.millis())).unwrap_or_default();
    let between = Duration::from_millis(between);
    measure(metric, if metric.unit() == Unit::Seconds { between.as_secs_f64() } else { millis(between) });
}

/// Counts the failure of the current request or of a frame, and notes its code.
pub fn failed(error: &Error) {
    update(|observation| {
        let is_ours = error.status().is_server_error();
        observation.add(if is_ours { Metric::ServerErrors } else { Metric::ClientErrors }, 1.0);
        observation.fields.insert("code".to_owned(), error.code().into());
    });
}

fn update(change: impl FnOnce(&mut Observation)) {
    let _ = CURRENT.try_with(|Meter(counts)| {
        change(&mut counts.observation.lock().unwrap_or_else(PoisonError::into_inner));
    });
}

/// Sets a field. If the field has another value already, it becomes a list of the different values.
fn add_field(observation: &mut Observation, name: &str, value: String) {
    let field = observation.fields.entry(name).or_insert_with(|| value.as_str().into());
    match field {
        Value::Array(values) if values.iter().all(|known| *known != value) => values.push(value.into()),
        Value::String(known) if *known != value => *field = vec![field.take(), value.into()].into(),
        _ => {}
    }
}

/// Returns the length of the longest chain of sequential calls that have ended in the current request; `None` outside
/// of a request.
///
/// Read it when a call starts, not when it is sent: of two concurrent calls, one may end before the other is sent.
#[must_use]
pub fn depth() -> Option<u32> {
    CURRENT.try_with(|Meter(counts)| counts.depth.load(Ordering::Relaxed)).ok()
}

/// Counts a database call that is being sent.
pub fn attempt_began() {
    let _ = CURRENT.try_with(|Meter(counts)| {
        counts.calls.fetch_add(1, Ordering::Relaxed);
        counts.wait_time.lock().unwrap_or_else(PoisonError::into_inner).begin();
    });
}

/// Records the end of a database call, which is the last of a chain of `depth` calls.
pub fn attempt_ended(depth: u32) {
    let _ = CURRENT.try_with(|Meter(counts)| {
        counts.depth.fetch_max(depth, Ordering::Relaxed);
        counts.wait_time.lock().unwrap_or_else(PoisonError::into_inner).end();
    });
}

/// Adds read capacity units to the current request.
pub fn add_read_units(units: f64) {
    let _ = CURRENT.try_with(|Meter(counts)| add_units(&counts.read, units));
}

/// Adds write capacity units to the current request.
pub fn add_write_units(units: f64) {
    let _ = CURRENT.try_with(|Meter(counts)| add_units(&counts.written, units));
}

fn add_units(count: &AtomicU64, units: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "units are small and positive"
    )]
    count.fetch_add((units * 100.0).round() as u64, Ordering::Relaxed);
}
