//! What a request costs: database calls, the longest chain of calls that waited for one another, and units.
//!
//! The SDK's interceptors see every call, so no call can be forgotten. A call is attributed to the request whose
//! task makes it; calls made side by side with `join!` count one in the chain. What else is to be known of a request,
//! its ids and what became of it, is noted here as well, by whoever knows it; outside of a request that is no one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemError, DeleteItemInput, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItemsError, TransactWriteItemsInput, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::Error as CallError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use serde_json::Value;

use crate::error::Error;
use crate::id::{ConversationId, MessageId, UserId};
use crate::metrics::{Metric, Observation, Unit};
use crate::time::Timestamp;

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
    pub(crate) fn add_to(&self, seen: &mut Observation) {
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
pub(crate) fn millis(duration: Duration) -> f64 {
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

/// A call's place in the chain, kept from its start to its end.
#[derive(Debug, Clone)]
struct Place {
    depth: u32,
    attempts: u32,
}

impl Storable for Place {
    type Storer = StoreReplace<Self>;
}

/// The interceptor that feeds the current request's meter.
#[derive(Debug)]
pub(crate) struct Metering;

/// Asks for the consumed capacity in whichever of the inputs it is.
macro_rules! ask_for_capacity {
    ($input:expr, $($kind:ty),+) => {$(
        if let Some(input) = $input.downcast_mut::<$kind>() {
            input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
        }
    )+};
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Metering {
    fn name(&self) -> &'static str {
        "Metering"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        ask_for_capacity!(
            input,
            QueryInput,
            GetItemInput,
            BatchGetItemInput,
            TransactWriteItemsInput,
            UpdateItemInput,
            PutItemInput,
            DeleteItemInput
        );
        Ok(())
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Here and not at the attempt: of two calls made side by side, one may end before the other is sent.
        let _ = CURRENT.try_with(|Meter(counts)| {
            let depth = counts.depth.load(Ordering::Relaxed);
            config.interceptor_state().store_put(Place { depth, attempts: 0 });
        });
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let _ = CURRENT.try_with(|Meter(counts)| {
            counts.calls.fetch_add(1, Ordering::Relaxed);
            counts.waiting.lock().unwrap_or_else(PoisonError::into_inner).begin();
            if let Some(Place { depth, attempts }) = config.load::<Place>().cloned() {
                if attempts > 0 {
                    count(Metric::Retries);
                }
                config.interceptor_state().store_put(Place { depth, attempts: attempts + 1 });
            }
        });
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let _ = CURRENT.try_with(|Meter(counts)| {
            if let Some(Place { depth, attempts }) = config.load::<Place>() {
                counts.depth.fetch_max(depth + attempts, Ordering::Relaxed);
                counts.waiting.lock().unwrap_or_else(PoisonError::into_inner).end();
            }
            let output = match context.output_or_error() {
                Some(Ok(output)) => output,
                Some(Err(error)) => {
                    if error.as_operation_error().is_some_and(is_conflict) {
                        count(Metric::Conflicts);
                    }
                    return;
                }
                None => return,
            };
            if let Some(output) = output.downcast_ref::<QueryOutput>() {
                add(&counts.read, output.consumed_capacity.iter());
            } else if let Some(output) = output.downcast_ref::<GetItemOutput>() {
                add(&counts.read, output.consumed_capacity.iter());
            } else if let Some(output) = output.downcast_ref::<BatchGetItemOutput>() {
                add(&counts.read, output.consumed_capacity.iter().flatten());
            } else if let Some(output) = output.downcast_ref::<TransactWriteItemsOutput>() {
                add(&counts.written, output.consumed_capacity.iter().flatten());
            } else if let Some(output) = output.downcast_ref::<UpdateItemOutput>() {
                add(&counts.written, output.consumed_capacity.iter());
            } else if let Some(output) = output.downcast_ref::<PutItemOutput>() {
                add(&counts.written, output.consumed_capacity.iter());
            } else if let Some(output) = output.downcast_ref::<DeleteItemOutput>() {
                add(&counts.written, output.consumed_capacity.iter());
            }
        });
        Ok(())
    }
}

/// Whether another transaction was in a call's way.
fn is_conflict(error: &CallError) -> bool {
    if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.downcast_ref() {
        let reasons = cancelled.cancellation_reasons.as_deref().unwrap_or_default();
        return reasons.iter().any(|reason| reason.code.as_deref() == Some("TransactionConflict"));
    }
    let codes = [
        error.downcast_ref::<UpdateItemError>().and_then(ProvideErrorMetadata::code),
        error.downcast_ref::<PutItemError>().and_then(ProvideErrorMetadata::code),
        error.downcast_ref::<DeleteItemError>().and_then(ProvideErrorMetadata::code),
    ];
    codes.contains(&Some("TransactionConflictException"))
}

fn add<'a>(count: &AtomicU64, capacities: impl Iterator<Item = &'a ConsumedCapacity>) {
    let units: f64 = capacities.filter_map(|capacity| capacity.capacity_units).sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "units are small and positive"
    )]
    count.fetch_add((units * 100.0).round() as u64, Ordering::Relaxed);
}
