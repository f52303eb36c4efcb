//! What a request costs: database calls, the longest chain of calls that waited for one another, and units.
//!
//! The store's interceptor reports every call, so no call can be forgotten. A call is attributed to the request whose
//! task makes it; calls made side by side with `join!` count one in the chain. A request's ids and outcome are noted here
//! as well. Outside of a request all of this does nothing.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::error::Error;
use domain::id::{ConversationId, MessageId, UserId};
use domain::time::Timestamp;
use serde_json::Value;

use crate::metrics::{Metric, Observation, Unit};

tokio::task_local! {
    static CURRENT: Meter;
}

/// Counts the database calls of one request.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU32,
    /// The longest chain among the calls that have ended.
    depth: AtomicU32,
    /// Units in hundredths: the engine counts halves, and atomics count whole numbers.
    read: AtomicU64,
    written: AtomicU64,
    waiting: Mutex<Waiting>,
    noted: Mutex<Observation>,
}

/// The time during which at least one call was under way.
#[derive(Debug, Default)]
struct Waiting {
    under_way: u32,
    since: Option<Instant>,
    total: Duration,
}

impl Waiting {
    fn begin(&mut self) {
        self.under_way += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        if self.under_way == 0
            && let Some(since) = self.since.take()
        {
            self.total += since.elapsed();
        }
    }
}

/// What a request took so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Reading {
    /// The time that it waited for the database.
    pub waited: Duration,
    /// Database calls, repeated ones included.
    pub calls: u32,
    /// The longest chain of calls that waited for one another.
    pub depth: u32,
    /// Read capacity units.
    pub rcu: f64,
    /// Write capacity units.
    pub wcu: f64,
}

impl Reading {
    /// The value of a `Server-Timing` header (W3C Server Timing).
    #[must_use]
    pub fn server_timing(&self) -> String {
        let Self { waited, calls, depth, rcu, wcu } = self;
        let millis = waited.as_secs_f64() * 1000.0;
        format!("db;dur={millis:.2};desc=\"calls={calls} depth={depth} rcu={rcu} wcu={wcu}\"")
    }
}

impl Meter {
    /// Runs a request with its calls counted here.
    pub async fn watch<F: Future>(&self, request: F) -> F::Output {
        CURRENT.scope(self.clone(), request).await
    }

    /// What was noted, and what the database took.
    #[must_use]
    pub fn observation(&self) -> Observation {
        let mut seen = self.0.noted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.read().add_to(&mut seen);
        seen
    }

    /// What has been counted.
    #[must_use]
    pub fn read(&self) -> Reading {
        let units = |hundredths: &AtomicU64| {
            f64::from(u32::try_from(hundredths.load(Ordering::Relaxed)).unwrap_or(u32::MAX)) / 100.0
        };
        Reading {
            waited: self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).total,
            calls: self.0.calls.load(Ordering::Relaxed),
            depth: self.0.depth.load(Ordering::Relaxed),
            rcu: units(&self.0.read),
            wcu: units(&self.0.written),
        }
    }
}

impl Reading {
    /// Adds what the database took to what a request was seen to do.
    fn add_to(&self, seen: &mut Observation) {
        if self.calls == 0 {
            return;
        }
        seen.fields.insert("database_depth".to_owned(), self.depth.into());
        seen.add(Metric::DatabaseCalls, self.calls.into());
        seen.add(Metric::DatabaseTime, millis(self.waited));
        for (metric, units) in [(Metric::ReadUnits, self.rcu), (Metric::WriteUnits, self.wcu)] {
            if units > 0.0 {
                seen.add(metric, units);
            }
        }
    }
}

/// A duration in milliseconds, to the microsecond.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// An id that the log may show.
pub trait Noted {
    /// The fields of the log that it fills.
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

impl Noted for MessageId {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("message_id", self.to_string()), ("conversation", self.conversation.to_string())]
    }
}

/// Notes what the current request is about.
pub fn note(id: &impl Noted) {
    with(|seen| id.fields().into_iter().for_each(|(name, value)| add_field(seen, name, value)));
}

/// Notes who makes the current request.
pub fn note_caller(user: &UserId) {
    with(|seen| add_field(seen, "user", user.to_string()));
}

/// Notes something else of the current request that comes from us, or from AWS.
pub fn note_field(name: &'static str, value: impl Into<Value>) {
    with(|seen| drop(seen.fields.insert(name.to_owned(), value.into())));
}

/// Names the function that serves the current request, where the process has several.
pub fn serve_as(function: &'static str) {
    with(|seen| seen.function = Some(function));
}

/// The function that serves the current request, where the process has several.
#[must_use]
pub fn serving() -> Option<&'static str> {
    let function =
        |Meter(counts): &Meter| counts.noted.lock().unwrap_or_else(PoisonError::into_inner).function;
    CURRENT.try_with(function).ok().flatten()
}

/// Counts one of a metric in the current request.
pub fn count(metric: Metric) {
    measure(metric, 1.0);
}

/// Adds a value, in the metric's unit, to the current request.
pub fn measure(metric: Metric, value: f64) {
    with(|seen| seen.add(metric, value));
}

/// Adds the time between two moments to the current request; none where clocks differ so much that it were negative.
pub fn measure_between(metric: Metric, since: Timestamp, until: Timestamp) {
    let between = u64::try_from(until.millis().saturating_sub(since.millis())).unwrap_or_default();
    let between = Duration::from_millis(between);
    measure(metric, if metric.unit() == Unit::Seconds { between.as_secs_f64() } else { millis(between) });
}

/// Counts the failure of the current request, or of a frame in it.
pub fn failed(error: &Error) {
    with(|seen| {
        let is_ours = error.status().is_server_error();
        seen.add(if is_ours { Metric::ServerErrors } else { Metric::ClientErrors }, 1.0);
        seen.fields.insert("code".to_owned(), error.code().into());
    });
}

fn with(change: impl FnOnce(&mut Observation)) {
    let _ = CURRENT
        .try_with(|Meter(counts)| change(&mut counts.noted.lock().unwrap_or_else(PoisonError::into_inner)));
}

/// Sets a field, or makes it a list where the request is about several.
fn add_field(seen: &mut Observation, name: &str, value: String) {
    let field = seen.fields.entry(name).or_insert_with(|| value.as_str().into());
    match field {
        Value::Array(values) if values.iter().all(|known| *known != value) => values.push(value.into()),
        Value::String(known) if *known != value => *field = vec![field.take(), value.into()].into(),
        _ => {}
    }
}

/// The length of the longest chain of calls that have ended in the current request; `None` outside of a request.
///
/// To be asked when a call starts and not when it is sent: of two calls made side by side, one may end before the
/// other is sent.
#[must_use]
pub fn depth() -> Option<u32> {
    CURRENT.try_with(|Meter(counts)| counts.depth.load(Ordering::Relaxed)).ok()
}

/// Counts a database call that is sent now.
pub fn attempt_began() {
    let _ = CURRENT.try_with(|Meter(counts)| {
        counts.calls.fetch_add(1, Ordering::Relaxed);
        counts.waiting.lock().unwrap_or_else(PoisonError::into_inner).begin();
    });
}

/// Counts the end of a database call, which made a chain of `depth` calls.
pub fn attempt_ended(depth: u32) {
    let _ = CURRENT.try_with(|Meter(counts)| {
        counts.depth.fetch_max(depth, Ordering::Relaxed);
        counts.waiting.lock().unwrap_or_else(PoisonError::into_inner).end();
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
