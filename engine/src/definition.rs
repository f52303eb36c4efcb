//! The definitions of tables and indexes in requests and responses.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::error::{Error, invalid};
use crate::stream;
use crate::table::{Index, Source, Stream, Table};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CreateTable {
    pub(crate) table_name: String,
    pub(crate) attribute_definitions: Vec<AttributeDefinition>,
    pub(crate) key_schema: Vec<KeyElement>,
    #[serde(default)]
    pub(crate) global_secondary_indexes: Vec<IndexInput>,
    pub(crate) billing_mode: BillingMode,
    pub(crate) stream_specification: Option<StreamInput>,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum BillingMode {
    PayPerRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct AttributeDefinition {
    pub(crate) attribute_name: String,
    #[serde(rename = "AttributeType")]
    pub(crate) _attribute_type: AttributeType,
}

#[derive(Deserialize)]
pub(crate) enum AttributeType {
    S,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct KeyElement {
    pub(crate) attribute_name: String,
    pub(crate) key_type: KeyType,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum KeyType {
    Hash,
    Range,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct IndexInput {
    pub(crate) index_name: String,
    pub(crate) key_schema: Vec<KeyElement>,
    pub(crate) projection: ProjectionInput,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct ProjectionInput {
    pub(crate) projection_type: ProjectionType,
    #[serde(default)]
    pub(crate) non_key_attributes: Vec<String>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ProjectionType {
    All,
    KeysOnly,
    Include,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct StreamInput {
    pub(crate) stream_enabled: bool,
    pub(crate) stream_view_type: Option<ViewType>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ViewType {
    KeysOnly,
    NewImage,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct UpdateTable {
    pub(crate) table_name: String,
    #[serde(default)]
    pub(crate) attribute_definitions: Vec<AttributeDefinition>,
    #[serde(default)]
    pub(crate) global_secondary_index_updates: Vec<IndexUpdate>,
    pub(crate) stream_specification: Option<StreamInput>,
}

#[derive(Deserialize)]
pub(crate) enum IndexUpdate {
    Create(IndexInput),
    Delete {
        #[serde(rename = "IndexName")]
        index_name: String,
    },
}

/// Checks a key schema. Returns the names of the partition key and the sort key.
pub(crate) fn keys(schema: &[KeyElement], defined: &[AttributeDefinition]) -> Result<Vec<String>, Error> {
    let [partition, sort] = schema else {
        return Err(invalid("the local engine supports only keys of a partition key and a sort key"));
    };
    if partition.key_type != KeyType::Hash || sort.key_type != KeyType::Range {
        return Err(invalid("Invalid KeySchema: the first element must be HASH and the second RANGE"));
    }
    for element in schema {
        if !defined.iter().any(|attribute| attribute.attribute_name == element.attribute_name) {
            return Err(invalid(format!(
                "Some index key attributes are not defined in AttributeDefinitions: {}",
                element.attribute_name
            )));
        }
    }
    Ok(schema.iter().map(|element| element.attribute_name.clone()).collect())
}

impl IndexInput {
    pub(crate) fn into_index(
        self,
        id: u32,
        table_keys: &[String],
        defined: &[AttributeDefinition],
    ) -> Result<Index, Error> {
        let mut keys = keys(&self.key_schema, defined)?;
        let rest: Vec<String> = table_keys.iter().filter(|key| !keys.contains(key)).cloned().collect();
        keys.extend(rest);
        let ProjectionInput { projection_type, non_key_attributes } = self.projection;
        if (projection_type == ProjectionType::Include) == non_key_attributes.is_empty() {
            return Err(invalid("NonKeyAttributes must be given for the projection type INCLUDE only"));
        }
        let included = keys.iter().cloned().chain(non_key_attributes).collect();
        let projected = (projection_type != ProjectionType::All).then_some(included);
        Ok(Index { source: Source { id, name: self.index_name, keys }, projected })
    }
}

impl StreamInput {
    pub(crate) fn into_stream(self, now: i64) -> Result<Option<Stream>, Error> {
        match (self.stream_enabled, self.stream_view_type) {
            (true, Some(view)) => Ok(Some(Stream { label: label(now), images: view == ViewType::NewImage })),
            (false, None) => Ok(None),
            _ => Err(invalid("StreamViewType must be given if the stream is enabled, and only then")),
        }
    }
}

/// The label of a stream that is enabled at a time: labels must be ordered by time, as in DynamoDB.
pub(crate) fn label(now: i64) -> String {
    format!("{now:015}")
}

fn key_schema(source: &Source) -> Json {
    json!([
        {"AttributeName": source.keys[0], "KeyType": "HASH"},
        {"AttributeName": source.keys[1], "KeyType": "RANGE"},
    ])
}

/// Describes a table, as in the response of `DescribeTable`.
pub(crate) fn description(table: &Table) -> Json {
    let sources = table.indexes.iter().map(|index| &index.source).chain([&table.source]);
    let names: BTreeSet<&String> = sources.flat_map(|source| &source.keys).collect();
    let attributes: Vec<Json> =
        names.into_iter().map(|name| json!({"AttributeName": name, "AttributeType": "S"})).collect();
    let name = &table.source.name;
    let mut description = json!({
        "TableName": name,
        "TableStatus": "ACTIVE",
        "TableArn": format!("{}{name}", stream::ARN),
        "CreationDateTime": table.created / 1000,
        "AttributeDefinitions": attributes,
        "KeySchema": key_schema(&table.source),
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
    });
    if !table.indexes.is_empty() {
        description["GlobalSecondaryIndexes"] = table.indexes.iter().map(index_description).collect();
    }
    if let Some(stream) = &table.stream {
        let view = stream::view(stream);
        description["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": view});
        description["LatestStreamArn"] = stream::arn(table, stream).into();
        description["LatestStreamLabel"] = stream.label.clone().into();
    }
    description
}

fn index_description(index: &Index) -> Json {
    let others: Option<Vec<&String>> = index
        .projected
        .as_ref()
        .map(|projected| projected.iter().filter(|name| !index.source.keys.contains(name)).collect());
    let projection = match others {
        None => json!({"ProjectionType": "ALL"}),
        Some(others) if others.is_empty() => json!({"ProjectionType": "KEYS_ONLY"}),
        Some(others) => json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": others}),
    };
    json!({
        "IndexName": index.source.name,
        "IndexStatus": "ACTIVE",
        "KeySchema": key_schema(&index.source),
        "Projection": projection,
    })
}
