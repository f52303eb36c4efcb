//! Calls to DynamoDB: through the SDK's client or, if the engine is in this process, bypassing it (`bypass.rs`).

use std::sync::LazyLock;

use async_recursion::async_recursion as boxed;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItem, BatchGetItemError, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemInputBuilder;
use aws_sdk_dynamodb::operation::delete_item::{DeleteItem, DeleteItemError, DeleteItemOutput};
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::{GetItem, GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::put_item::{PutItem, PutItemError, PutItemOutput};
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::query::{Query, QueryError, QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::scan::builders::ScanInputBuilder;
use aws_sdk_dynamodb::operation::scan::{Scan, ScanError, ScanOutput};
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::{
    TransactWriteItems, TransactWriteItemsError, TransactWriteItemsOutput,
};
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItem, UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_types::config_bag::FrozenLayer;
use observe::meter;

use crate::bypass;
use crate::item::Attribute;
use crate::item_reader::ItemReader;

/// The database, with one policy of retries.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    client: Client,
    /// The engine, if it is in this process. It is called instead of the client.
    engine: Option<SharedHttpConnector>,
}

impl Database {
    pub(crate) fn new(config: Builder, retries: RetryConfig) -> Self {
        Self { client: Client::from_conf(config.retry_config(retries).build()), engine: None }
    }

    /// Returns the database as an engine in this process. A call to it is made once, without a limit of time.
    pub(crate) fn in_process(self, engine: SharedHttpConnector) -> Self {
        Self { engine: Some(SharedHttpConnector::new(ItemReader(engine))), ..self }
    }

    /// Makes a call, and reports it to the meter of the current request.
    #[boxed]
    pub(crate) async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, SdkError<O::Error>> {
        let operation = operation.measured();
        let outcome = if let Some(engine) = &self.engine {
            let depth = meter::depth().unwrap_or_default();
            let input = operation.input().map_err(SdkError::construction_failure)?;
            meter::attempt_began();
            let outcome = bypass::call(engine, O::settings(), input).await;
            meter::attempt_ended(depth + 1);
            outcome
        } else {
            // The client's own interceptor reports its attempts. In a box because the future is large.
            Box::pin(operation.send_with(&self.client)).await
        };
        if let Ok(output) = &outcome {
            O::add_units(output);
        }
        outcome
    }
}

/// A request of an operation of the API.
pub(crate) trait Operation: Sized + Send + 'static {
    type Output: std::fmt::Debug + Send + Sync + 'static;
    type Error: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static;

    /// The SDK's settings of the operation, see [`bypass`].
    fn settings() -> &'static FrozenLayer;

    /// Returns the request, which asks for the capacity that it consumes.
    fn measured(self) -> Self;

    fn input(self) -> Result<Input, BuildError>;

    fn send_with(
        self,
        client: &Client,
    ) -> impl Future<Output = Result<Self::Output, SdkError<Self::Error>>> + Send;

    /// Adds the capacity that a call has consumed to the meter.
    fn add_units(output: &Self::Output);
}

macro_rules! operation {
    ($operation:ident, $builder:ty, $output:ty, $error:ty, $add_units:path) => {
        impl Operation for $builder {
            type Output = $output;
            type Error = $error;

            fn settings() -> &'static FrozenLayer {
                static SETTINGS: LazyLock<FrozenLayer> =
                    LazyLock::new(|| bypass::settings_of(&$operation::new()));
                &SETTINGS
            }

            fn measured(self) -> Self {
                self.return_consumed_capacity(ReturnConsumedCapacity::Total)
            }

            fn input(self) -> Result<Input, BuildError> {
                self.build().map(Input::erase)
            }

            async fn send_with(self, client: &Client) -> Result<$output, SdkError<$error>> {
                <$builder>::send_with(self, client).await
            }

            fn add_units(output: &$output) {
                $add_units(output.consumed_capacity.units());
            }
        }
    };
}

operation!(GetItem, GetItemInputBuilder, GetItemOutput, GetItemError, meter::add_read_units);
operation!(
    BatchGetItem,
    BatchGetItemInputBuilder,
    BatchGetItemOutput,
    BatchGetItemError,
    meter::add_read_units
);
operation!(Query, QueryInputBuilder, QueryOutput, QueryError, meter::add_read_units);
operation!(Scan, ScanInputBuilder, ScanOutput, ScanError, meter::add_read_units);
operation!(PutItem, PutItemInputBuilder, PutItemOutput, PutItemError, meter::add_write_units);
operation!(UpdateItem, UpdateItemInputBuilder, UpdateItemOutput, UpdateItemError, meter::add_write_units);
operation!(DeleteItem, DeleteItemInputBuilder, DeleteItemOutput, DeleteItemError, meter::add_write_units);
operation!(
    TransactWriteItems,
    TransactWriteItemsInputBuilder,
    TransactWriteItemsOutput,
    TransactWriteItemsError,
    meter::add_write_units
);

/// A query for the items of a partition with sort keys from `low` to `high`, both included.
pub(crate) fn query_between(partition: &str, low: &str, high: &str) -> QueryInputBuilder {
    QueryInput::builder()
        .key_condition_expression("pk = :pk AND sk BETWEEN :low AND :high")
        .expression_attribute_values(":pk", partition.attribute())
        .expression_attribute_values(":low", low.attribute())
        .expression_attribute_values(":high", high.attribute())
}

/// A query for the items of a partition with sort keys that begin with `prefix`.
pub(crate) fn query_prefixed(partition: &str, prefix: &str) -> QueryInputBuilder {
    QueryInput::builder()
        .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
        .expression_attribute_values(":pk", partition.attribute())
        .expression_attribute_values(":sk", prefix.attribute())
}

/// The capacity that a call has consumed.
trait Units {
    fn units(&self) -> f64;
}

impl Units for Option<ConsumedCapacity> {
    fn units(&self) -> f64 {
        self.as_ref().and_then(|capacity| capacity.capacity_units).unwrap_or_default()
    }
}

impl Units for Option<Vec<ConsumedCapacity>> {
    fn units(&self) -> f64 {
        self.iter().flatten().filter_map(|capacity| capacity.capacity_units).sum()
    }
}
