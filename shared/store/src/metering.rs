//! The SDK interceptor that reports every database call to the meter of the current request.

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
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
    BeforeTransmitInterceptorContextRef, Error as CallError, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use observe::meter;
use observe::metrics::Metric;

/// The state of a call: its depth in the request's chain of calls, and the attempts so far.
#[derive(Debug, Clone)]
struct CallState {
    depth: u32,
    attempts: u32,
}

impl Storable for CallState {
    type Storer = StoreReplace<Self>;
}

/// Reports calls, attempts, conflicts and consumed capacity.
#[derive(Debug)]
pub(crate) struct Metering;

/// Requests the consumed capacity, whichever of the kinds the input is.
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
        if let Some(depth) = meter::depth() {
            config.interceptor_state().store_put(CallState { depth, attempts: 0 });
        }
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        meter::attempt_began();
        if let Some(CallState { depth, attempts }) = config.load::<CallState>().cloned() {
            if attempts > 0 {
                meter::count(Metric::Retries);
            }
            config.interceptor_state().store_put(CallState { depth, attempts: attempts + 1 });
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(CallState { depth, attempts }) = config.load::<CallState>() else { return Ok(()) };
        meter::attempt_ended(depth + attempts);
        let output = match context.output_or_error() {
            Some(Ok(output)) => output,
            Some(Err(error)) => {
                if error.as_operation_error().is_some_and(is_conflict) {
                    meter::count(Metric::Conflicts);
                }
                return Ok(());
            }
            None => return Ok(()),
        };
        if let Some(output) = output.downcast_ref::<QueryOutput>() {
            meter::add_read_units(units(&output.consumed_capacity));
        } else if let Some(output) = output.downcast_ref::<GetItemOutput>() {
            meter::add_read_units(units(&output.consumed_capacity));
        } else if let Some(output) = output.downcast_ref::<BatchGetItemOutput>() {
            meter::add_read_units(units(output.consumed_capacity.iter().flatten()));
        } else if let Some(output) = output.downcast_ref::<TransactWriteItemsOutput>() {
            meter::add_write_units(units(output.consumed_capacity.iter().flatten()));
        } else if let Some(output) = output.downcast_ref::<UpdateItemOutput>() {
            meter::add_write_units(units(&output.consumed_capacity));
        } else if let Some(output) = output.downcast_ref::<PutItemOutput>() {
            meter::add_write_units(units(&output.consumed_capacity));
        } else if let Some(output) = output.downcast_ref::<DeleteItemOutput>() {
            meter::add_write_units(units(&output.consumed_capacity));
        }
        Ok(())
    }
}

fn units<'a>(capacities: impl IntoIterator<Item = &'a ConsumedCapacity>) -> f64 {
    capacities.into_iter().filter_map(|capacity| capacity.capacity_units).sum()
}

/// Whether a call failed because it conflicted with another transaction.
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
