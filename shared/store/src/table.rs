//! The definition of the table: its keys, indexes, stream and time to live, for the local stack and the tests.
//! `infra/template.yaml` defines the same for AWS, and a test compares the two.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::create_table::CreateTableInput;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, DeleteGlobalSecondaryIndexAction,
    GlobalSecondaryIndex, GlobalSecondaryIndexDescription, GlobalSecondaryIndexUpdate, IndexStatus,
    KeySchemaElement, KeyType, Projection, ProjectionType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TimeToLiveSpecification,
};
use domain::error::{Error, Source};

use crate::change_log::{LOG, REACTION};
use crate::inbox::{COUNTS, INBOX};
pub use crate::messages::MESSAGE;
pub use crate::notifying::WAITING_USER;

/// The attributes that an index holds beside its keys.
pub const INBOX_PROJECTION: [&str; 20] = [
    "peer",
    "peer_deleted",
    "name",
    "picture",
    "admin",
    "people",
    "head",
    "last_id",
    "last_text",
    "last_kind",
    "last_mine",
    "n",
    "mn",
    "first_mention",
    "read",
    "unread_from",
    "cleared",
    "mute",
    "level",
    "place_before",
];
const COUNTS_PROJECTION: [&str; 3] = ["n", "mn", "mute"];

/// The attribute for DynamoDB's time to live: the expiry in seconds since 1970.
pub const EXPIRES: &str = "expires";

/// Interval at which the state of a new index is asked for.
const INDEX_INTERVAL: Duration = Duration::from_millis(500);

/// Whether a record of the stream wakes `fan-out`: new log entries, handed-over renames, and users' reactions do. The
/// Lambda filter is the same.
///
/// `change` is the record's `eventName`, `sk` its item's sort key.
#[must_use]
pub fn wakes(change: &str, sk: &str) -> bool {
    (change == "INSERT" && sk.starts_with(LOG)) || sk.starts_with(REACTION)
}

/// Whether a record of the stream wakes `notify`: a new message, or a user who waits no more. The Lambda filter is the same.
///
/// `change` is the record's `eventName`, `sk` its item's sort key.
#[must_use]
pub fn notifies(change: &str, sk: &str) -> bool {
    (change == "INSERT" && sk.starts_with(MESSAGE)) || (change == "REMOVE" && sk.starts_with(WAITING_USER))
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
    let index = |name: &str, range: &str, projected: &[&str]| {
        let projection = Projection::builder()
            .projection_type(ProjectionType::Include)
            .set_non_key_attributes(Some(projected.iter().map(ToString::to_string).collect()))
            .build();
        GlobalSecondaryIndex::builder()
            .index_name(name)
            .key_schema(key("pk", KeyType::Hash)?)
            .key_schema(key(range, KeyType::Range)?)
            .projection(projection)
            .build()
    };
    Ok(CreateTableInput::builder()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk")?)
        .attribute_definitions(attribute("sk")?)
        .attribute_definitions(attribute("activity")?)
        .attribute_definitions(attribute("unread")?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .global_secondary_indexes(index(INBOX, "activity", &INBOX_PROJECTION)?)
        .global_secondary_indexes(index(COUNTS, "unread", &COUNTS_PROJECTION)?)
        .stream_specification(stream()?)
        .build()?)
}

/// One record per change, with only the item's key: `fan-out` reads the rest.
fn stream() -> Result<StreamSpecification, Source> {
    let keys = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::KeysOnly);
    Ok(keys.build()?)
}

/// Creates the table if it does not exist. Enables the stream of an existing table that has none: such a table has no log
/// entries yet. Replaces the indexes of a table that was made with other ones.
///
/// # Errors
/// `Unavailable` if the table cannot be created, `Internal` if its stream or time to live cannot be enabled, or its
/// indexes cannot be replaced.
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
            enable_stream(client, table).await?;
            replace_indexes(client, table).await
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

/// Adds the indexes that an older table lacks, and then deletes those that nothing reads any more. DynamoDB changes one index
/// at a time, and fills a new one from the table.
async fn replace_indexes(client: &Client, table: &str) -> Result<(), Error> {
    let wanted = definition(table).map_err(Error::Internal)?;
    let names = |indexes: &[GlobalSecondaryIndexDescription]| -> Vec<String> {
        indexes.iter().filter_map(|index| index.index_name.clone()).collect()
    };
    let found = names(&indexes_when_active(client, table).await?);
    let (attributes, wanted) =
        (wanted.attribute_definitions, wanted.global_secondary_indexes.unwrap_or_default());
    for index in wanted.iter().filter(|index| !found.contains(&index.index_name)) {
        tracing::info!(index = index.index_name, "adds an index to the table");
        let create = CreateGlobalSecondaryIndexAction::builder()
            .index_name(&index.index_name)
            .set_key_schema(Some(index.key_schema.clone()))
            .set_projection(index.projection.clone())
            .build()
            .map_err(Error::internal)?;
        let update = GlobalSecondaryIndexUpdate::builder().create(create).build();
        let call = client.update_table().table_name(table).set_attribute_definitions(attributes.clone());
        call.global_secondary_index_updates(update).send().await.map_err(Error::internal)?;
        indexes_when_active(client, table).await?;
    }
    for name in found.into_iter().filter(|name| wanted.iter().all(|index| index.index_name != *name)) {
        let delete = DeleteGlobalSecondaryIndexAction::builder().index_name(&name).build();
        let update = GlobalSecondaryIndexUpdate::builder().delete(delete.map_err(Error::internal)?).build();
        let call = client.update_table().table_name(table).global_secondary_index_updates(update);
        call.send().await.map_err(Error::internal)?;
        indexes_when_active(client, table).await?;
    }
    Ok(())
}

/// Waits until no index is being created or deleted. Returns the indexes.
async fn indexes_when_active(
    client: &Client,
    table: &str,
) -> Result<Vec<GlobalSecondaryIndexDescription>, Error> {
    loop {
        let found = client.describe_table().table_name(table).send().await.map_err(Error::internal)?;
        let indexes = found.table.and_then(|table| table.global_secondary_indexes).unwrap_or_default();
        let is_active = |index: &GlobalSecondaryIndexDescription| {
            index.index_status.as_ref().is_none_or(|status| *status == IndexStatus::Active)
        };
        if indexes.iter().all(is_active) {
            return Ok(indexes);
        }
        tokio::time::sleep(INDEX_INTERVAL).await;
    }
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
