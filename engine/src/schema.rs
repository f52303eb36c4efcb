//! The operations on tables: `CreateTable`, `UpdateTable`, `DescribeTable` and those of the time to live.
//!
//! Tables are active at once. An index that is added has all entries when the call returns.

use std::sync::Arc;

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::definition::{BillingMode, CreateTable, IndexUpdate, UpdateTable, description, keys};
use crate::error::{Error, OpenError, invalid, refused};
use crate::storage::{self, Stored};
use crate::stream;
use crate::table::{Index, Source, Table, Tables, find};
use crate::value::{item_json, item_size};

/// The version of the database's format.
const VERSION: i64 = 1;

/// Creates the SQL tables of a new database. Returns the definitions of the tables in it.
pub(crate) fn prepare(connection: &Connection) -> Result<Tables, OpenError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > VERSION {
        return Err("the database was written by a newer version of tidings".into());
    }
    if version == 0 {
        connection
            .execute_batch("CREATE TABLE IF NOT EXISTS tables (name TEXT PRIMARY KEY, definition TEXT)")?;
        stream::create(connection)?;
        connection.pragma_update(None, "user_version", VERSION)?;
    }
    load(connection).map_err(|error| format!("{error:?}").into())
}

/// Reads all definitions.
fn load(connection: &Connection) -> Result<Tables, Error> {
    let mut statement = connection.prepare("SELECT definition FROM tables")?;
    let mut rows = statement.query(())?;
    let mut tables = Tables::new();
    while let Some(row) = rows.next()? {
        let definition: String = row.get(0)?;
        let table = serde_json::from_str(&definition);
        let table: Table = table.map_err(|error| Error::Broken(format!("a stored definition: {error}")))?;
        tables.insert(table.source.name.clone(), Arc::new(table));
    }
    Ok(tables)
}

/// Stores a table's definition.
pub(crate) fn store(connection: &Connection, tables: &mut Tables, table: Table) -> Result<(), Error> {
    let definition = serde_json::to_string(&table).map_err(|error| Error::Broken(error.to_string()))?;
    connection.execute("REPLACE INTO tables VALUES (?1, ?2)", (&table.source.name, definition))?;
    tables.insert(table.source.name.clone(), Arc::new(table));
    Ok(())
}

/// The highest number of a source.
fn highest_id(tables: &Tables) -> u32 {
    let indexes = tables.values().flat_map(|table| &table.indexes).map(|index| index.source.id);
    tables.values().map(|table| table.source.id).chain(indexes).max().unwrap_or(0)
}

impl CreateTable {
    pub(crate) fn run(self, connection: &Connection, tables: &mut Tables, now: i64) -> Result<Json, Error> {
        let BillingMode::PayPerRequest = self.billing_mode;
        if tables.contains_key(&self.table_name) {
            let message = format!("Table already exists: {}", self.table_name);
            return Err(refused("ResourceInUseException", message));
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if !(3..=255).contains(&self.table_name.len()) || !self.table_name.bytes().all(is_name) {
            return Err(invalid("Invalid table name"));
        }
        let keys = keys(&self.key_schema, &self.attribute_definitions)?;
        let id = highest_id(tables) + 1;
        let mut indexes: Vec<Index> = Vec::new();
        for (input, id) in self.global_secondary_indexes.into_iter().zip(id + 1..) {
            let index = input.into_index(id, &keys, &self.attribute_definitions)?;
            if indexes.iter().any(|other| other.source.name == index.source.name) {
                return Err(invalid(format!("Duplicate index name: {}", index.source.name)));
            }
            indexes.push(index);
        }
        let stream = match self.stream_specification {
            Some(specification) => specification.into_stream(now)?,
            None => None,
        };
        let source = Source { id, name: self.table_name, keys };
        let table = Table { source, indexes, stream, expiry: None, created: now };
        create_sources(connection, &table)?;
        let described = description(&table);
        store(connection, tables, table)?;
        Ok(json!({ "TableDescription": described }))
    }
}

/// Creates the SQL tables of a table and its indexes.
pub(crate) fn create_sources(connection: &Connection, table: &Table) -> Result<(), Error> {
    storage::create_items(connection, &table.source)?;
    table.indexes.iter().try_for_each(|index| storage::create_entries(connection, &index.source))
}

impl UpdateTable {
    pub(crate) fn run(self, connection: &Connection, tables: &mut Tables, now: i64) -> Result<Json, Error> {
        let mut table = Table::clone(find(tables, &self.table_name)?);
        let mut id = highest_id(tables);
        for update in self.global_secondary_index_updates {
            match update {
                IndexUpdate::Create(input) => {
                    id += 1;
                    if table.index(&input.index_name).is_ok() {
                        return Err(invalid(format!("Duplicate index name: {}", input.index_name)));
                    }
                    let index = input.into_index(id, &table.source.keys, &self.attribute_definitions)?;
                    storage::create_entries(connection, &index.source)?;
                    fill(connection, &table, &index)?;
                    table.indexes.push(index);
                }
                IndexUpdate::Delete { index_name } => {
                    let index = table.index(&index_name);
                    let index = index.map_err(|_| refused("ResourceNotFoundException", "no such index"))?;
                    storage::drop_entries(connection, &index.source)?;
                    table.indexes.retain(|index| index.source.name != index_name);
                }
            }
        }
        if let Some(specification) = self.stream_specification {
            if table.stream.is_some() {
                return Err(invalid("the local engine cannot change a stream that is enabled"));
            }
            table.stream = specification.into_stream(now)?;
        }
        let described = description(&table);
        store(connection, tables, table)?;
        Ok(json!({ "TableDescription": described }))
    }
}

/// Adds the entries of all items to a new index. Leaves out items that have a key of the index which it cannot hold.
pub(crate) fn fill(connection: &Connection, table: &Table, index: &Index) -> Result<(), Error> {
    storage::visit(connection, &table.source, None, true, None, |json, _| {
        let item = storage::parse(json)?;
        if table.check_index_keys(&item).is_ok()
            && let Some(entry) = index.entry(&item)
        {
            let attributes = || entry.attributes.iter().copied();
            let stored = Stored { json: item_json(attributes()), size: item_size(attributes()) };
            storage::put_entry(connection, &index.source, &entry.keys, &stored)?;
        }
        Ok(true)
    })
}

/// `DescribeTable` and `DescribeTimeToLive`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Describe {
    table_name: String,
}

impl Describe {
    pub(crate) fn table(self, tables: &Tables) -> Result<Json, Error> {
        Ok(json!({ "Table": description(find(tables, &self.table_name)?) }))
    }

    pub(crate) fn time_to_live(self, tables: &Tables) -> Result<Json, Error> {
        let description = match &find(tables, &self.table_name)?.expiry {
            Some(name) => json!({"TimeToLiveStatus": "ENABLED", "AttributeName": name}),
            None => json!({"TimeToLiveStatus": "DISABLED"}),
        };
        Ok(json!({ "TimeToLiveDescription": description }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct UpdateTimeToLive {
    table_name: String,
    time_to_live_specification: TimeToLive,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

impl UpdateTimeToLive {
    pub(crate) fn run(self, connection: &Connection, tables: &mut Tables) -> Result<Json, Error> {
        let mut table = Table::clone(find(tables, &self.table_name)?);
        let TimeToLive { attribute_name, enabled } = self.time_to_live_specification;
        if !enabled || table.expiry.is_some() {
            return Err(invalid("the local engine can enable the time to live once, and not disable it"));
        }
        table.expiry = Some(attribute_name.clone());
        let mut expiring = Vec::new();
        storage::visit(connection, &table.source, None, true, None, |json, _| {
            let item = storage::parse(json)?;
            if let Some(expires) = table.expiry_of(&item) {
                expiring.push((
                    table.key_of(&item)?,
                    Stored { json: json.to_vec(), size: item_size(&item) },
                    expires,
                ));
            }
            Ok(true)
        })?;
        for (key, stored, expires) in expiring {
            storage::put(connection, &table.source, &key, &stored, Some(expires))?;
        }
        store(connection, tables, table)?;
        let specification = json!({"AttributeName": attribute_name, "Enabled": true});
        Ok(json!({ "TimeToLiveSpecification": specification }))
    }
}
