//! The SDK interceptor that reports every attempt of a database call to the meter of the current request.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
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

/// Reports attempts and retries.
#[derive(Debug)]
pub(crate) struct Metering;

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Metering {
    fn name(&self) -> &'static str {
        "Metering"
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
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(CallState { depth, attempts }) = config.load::<CallState>() {
            meter::attempt_ended(depth + attempts);
        }
        Ok(())
    }
}
