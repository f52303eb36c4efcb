//! The definition of the table: its keys, indexes, stream and time to live, for the local stack and the tests.
//! `infra/template.yaml` defines the same for AWS, and a test compares the two.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::create_table::CreateTableInput;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use domain::error::{Error, Source};

use crate::change_log::LOG;
use crate::inbox::{ACTIVITY, UNREAD};

/// The non-key attributes of index "activity": everything that the inbox shows.
pub const ACTIVITY_PROJECTION: [&str; 12] = [
    "peer",
    "name",
    "picture",
    "admin",
    "people",
    "head",
    "last_id",
    "last_text",
    "last_mine",
    "n",
    "read",
    "cleared",
];
/// The attribute for DynamoDB's time to live: the expiry in seconds since 1970.
pub const EXPIRES: &str = "expires";

/// Seconds for which DynamoDB keeps the records of a stream: 24 hours.
pub const STREAM_LIFE: u64 = 24 * 3600;

/// Whether a record of the stream wakes `fan-out`: only new log entries and handed-over renames do. The Lambda filter is
/// the same.
///
/// `change` is the record's `eventName`, `sk` its item's sort key.
#[must_use]
pub fn wakes(change: &str, sk: &str) -> bool {
    change == "INSERT" && sk.starts_with(LOG)
}

/// Returns the table's definition.
///
/// # Errors
/// None in practice: every required part is set.
pub fn definition(table: &str) -> Result<CreateTableInput, Source> {
    let attribute = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
    };
    let key =
        |name: &str, kind: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let index = |name: &str, projected: &[&str]| {
        let projection = Projection::builder()
            .projection_type(ProjectionType::Include)
            .set_non_key_attributes(Some(projected.iter().map(ToString::to_string).collect()))
            .build();
        GlobalSecondaryIndex::builder()
            .index_name(name)
            .key_schema(key("pk", KeyType::Hash)?)
            .key_schema(key(name, KeyType::Range)?)
            .projection(projection)
            .build()
    };
    Ok(CreateTableInput::builder()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk")?)
        .attribute_definitions(attribute("sk")?)
        .attribute_definitions(attribute(ACTIVITY)?)
        .attribute_definitions(attribute(UNREAD)?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .global_secondary_indexes(index(ACTIVITY, &ACTIVITY_PROJECTION)?)
        .global_secondary_indexes(index(UNREAD, &["n"])?)
        .stream_specification(stream()?)
        .build()?)
}

/// One record per change, with only the item's key: `fan-out` reads the rest.
fn stream() -> Result<StreamSpecification, Source> {
    let keys = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::KeysOnly);
    Ok(keys.build()?)
}

/// Creates the table if it does not exist. If an existing table has no stream, enables it: such a table has no log
/// entries yet.
///
/// # Errors
/// `Unavailable` if the table cannot be created, `Internal` if its stream or time to live cannot be enabled.
pub async fn create_if_missing(client: &Client, table: &str) -> Result<(), Error> {
    let wanted = definition(table).map_err(Error::Internal)?;
    let created = client
        .create_table()
        .table_name(table)
        .set_billing_mode(wanted.billing_mode)
        .set_attribute_definitions(wanted.attribute_definitions)
        .set_key_schema(wanted.key_schema)
        .set_global_secondary_indexes(wanted.global_secondary_indexes)
        .set_stream_specification(wanted.stream_specification)
        .send()
        .await;
    match created {
        Ok(_) => enable_time_to_live(client, table).await,
        Err(SdkError::ServiceError(error)) if error.err().code() == Some("ResourceInUseException") => {
            enable_stream(client, table).await
        }
        Err(error) => Err(Error::Unavailable(error.into())),
    }
}

/// Enables the stream of a table that has none.
async fn enable_stream(client: &Client, table: &str) -> Result<(), Error> {
    let found = client.describe_table().table_name(table).send().await.map_err(Error::internal)?;
    if found.table.and_then(|table| table.stream_specification).is_some_and(|stream| stream.stream_enabled) {
        return Ok(());
    }
    let stream = stream().map_err(Error::Internal)?;
    let update = client.update_table().table_name(table).stream_specification(stream);
    update.send().await.map(|_| ()).map_err(Error::internal)
}

async fn enable_time_to_live(client: &Client, table: &str) -> Result<(), Error> {
    let time_to_live = TimeToLiveSpecification::builder().attribute_name(EXPIRES).enabled(true).build();
    let time_to_live = time_to_live.map_err(Error::internal)?;
    client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(time_to_live)
        .send()
        .await
        .map(|_| ())
        .map_err(Error::internal)
}
