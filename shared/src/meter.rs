//! What a request costs: database calls, the longest chain of calls that waited for one another, and units.
//!
//! The SDK's interceptors see every call, so no call can be forgotten. A call is attributed to the request whose
//! task makes it; calls made side by side with `join!` count one in the chain.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemInput, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

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
            let Some(Ok(output)) = context.output_or_error() else { return };
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

fn add<'a>(count: &AtomicU64, capacities: impl Iterator<Item = &'a ConsumedCapacity>) {
    let units: f64 = capacities.filter_map(|capacity| capacity.capacity_units).sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "units are small and positive"
    )]
    count.fetch_add((units * 100.0).round() as u64, Ordering::Relaxed);
}
