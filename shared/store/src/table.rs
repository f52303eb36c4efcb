//! The table itself: its keys, indexes, stream and time to live, in one place for the local stack and the tests.
//! `infra/template.yaml` says the same for AWS, and a test compares the two.

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

/// What index "activity" holds beside the keys: all that the inbox shows.
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
/// The attribute that DynamoDB's time to live looks at, in seconds since 1970.
pub const EXPIRES: &str = "expires";

/// Seconds for which DynamoDB keeps the records of a stream.
pub const STREAM_LIFE: u64 = 24 * 3600;

/// Whether a record of the stream wakes `fan-out`: only new log items do. Lambda's filter says the same.
///
/// `change` is the record's `eventName`, `sk` the sort key of its item.
#[must_use]
pub fn wakes(change: &str, sk: &str) -> bool {
    change == "INSERT" && sk.starts_with(LOG)
}

/// The table's definition.
///
/// # Errors
/// None in practice: every required part is there.
pub fn definition(table: &str) -> Result<CreateTableInput, Source> {
    let attribute = |name: &str| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
    };
    let key =
        |name: &str, kind: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let index = |name: &str, shown: &[&str]| {
        let projection = Projection::builder()
            .projection_type(ProjectionType::Include)
            .set_non_key_attributes(Some(shown.iter().map(ToString::to_string).collect()))
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

/// A record per change, with nothing but the item's key: `fan-out` reads what it needs.
fn stream() -> Result<StreamSpecification, Source> {
    let keys = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::KeysOnly);
    Ok(keys.build()?)
}

/// Creates the table where it is missing. Where it was made without its stream, switches that on: nothing was logged
/// before.
///
/// # Errors
/// `Unavailable` where the database does not answer, `Internal` where it refuses.
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
        Ok(_) => expire_items(client, table).await,
        Err(SdkError::ServiceError(error)) if error.err().code() == Some("ResourceInUseException") => {
            stream_changes(client, table).await
        }
        Err(error) => Err(Error::Unavailable(error.into())),
    }
}

/// Switches the stream of a table on that has none.
async fn stream_changes(client: &Client, table: &str) -> Result<(), Error> {
    let found = client.describe_table().table_name(table).send().await.map_err(Error::internal)?;
    if found.table.and_then(|table| table.stream_specification).is_some_and(|stream| stream.stream_enabled) {
        return Ok(());
    }
    let stream = stream().map_err(Error::Internal)?;
    let update = client.update_table().table_name(table).stream_specification(stream);
    update.send().await.map(|_| ()).map_err(Error::internal)
}

async fn expire_items(client: &Client, table: &str) -> Result<(), Error> {
    let on = TimeToLiveSpecification::builder().attribute_name(EXPIRES).enabled(true).build();
    let on = on.map_err(Error::internal)?;
    client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(on)
        .send()
        .await
        .map(|_| ())
        .map_err(Error::internal)
}
