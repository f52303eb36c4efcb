//! `GetItem` and `BatchGetItem`.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde::Deserialize;

use crate::capacity::{Capacity, Report, read_units, write_capacities};
use crate::error::{Error, invalid};
use crate::json;
use crate::storage;
use crate::table::{Tables, find};
use crate::value::{Item, write_item};

/// Maximum number of keys in a `BatchGetItem`.
const KEYS: usize = 100;
/// Maximum size of the items in a response of `BatchGetItem`, in bytes.
const BATCH_SIZE: usize = 16 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct GetItem {
    table_name: String,
    key: Item,
    #[serde(default)]
    consistent_read: bool,
    #[serde(default)]
    return_consumed_capacity: Report,
}

impl GetItem {
    pub(crate) fn run(&self, connection: &Connection, tables: &Tables) -> Result<Vec<u8>, Error> {
        let table = find(tables, &self.table_name)?;
        let found = storage::get(connection, &table.source, &table.key(&self.key)?)?;
        let mut out = Vec::with_capacity(found.as_ref().map_or(0, |item| item.json.len()) + 128);
        out.push(b'{');
        if let Some(item) = &found {
            out.extend_from_slice(b"\"Item\":");
            out.extend_from_slice(&item.json);
        }
        if self.return_consumed_capacity != Report::None {
            if found.is_some() {
                out.push(b',');
            }
            out.extend_from_slice(b"\"ConsumedCapacity\":");
            let units = read_units(found.map_or(0, |item| item.size), self.consistent_read);
            Capacity::of_table(units).write(&mut out, &self.table_name, self.return_consumed_capacity, None);
        }
        out.push(b'}');
        Ok(out)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct BatchGetItem {
    request_items: BTreeMap<String, KeysOfTable>,
    #[serde(default)]
    return_consumed_capacity: Report,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct KeysOfTable {
    keys: Vec<Item>,
    #[serde(default)]
    consistent_read: bool,
}

impl BatchGetItem {
    pub(crate) fn run(&self, connection: &Connection, tables: &Tables) -> Result<Vec<u8>, Error> {
        let count: usize = self.request_items.values().map(|keys| keys.keys.len()).sum();
        if count == 0 || count > KEYS {
            return Err(invalid(format!("BatchGetItem must have between 1 and {KEYS} keys")));
        }
        let mut out = b"{\"Responses\":{".to_vec();
        let mut capacities = BTreeMap::<&str, Capacity>::new();
        let (mut size, mut unprocessed) = (0, BTreeMap::new());
        for (at, (name, keys)) in self.request_items.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::text(&mut out, name);
            out.extend_from_slice(b":[");
            let rest = keys.read(connection, tables, name, &mut size, &mut out, &mut capacities)?;
            out.push(b']');
            if !rest.is_empty() {
                unprocessed.insert(name, (rest, keys.consistent_read));
            }
        }
        out.extend_from_slice(b"},\"UnprocessedKeys\":{");
        json::list(&mut out, unprocessed, |out, (name, (keys, consistent))| {
            json::text(out, name);
            out.extend_from_slice(format!(":{{\"ConsistentRead\":{consistent},\"Keys\":[").as_bytes());
            json::list(out, keys, write_item);
            out.extend_from_slice(b"]}");
        });
        out.push(b'}');
        write_capacities(&mut out, &capacities, self.return_consumed_capacity, None);
        out.push(b'}');
        Ok(out)
    }
}

impl KeysOfTable {
    /// Writes the items of the keys. Returns the keys whose items no longer fit into the response.
    fn read<'a>(
        &'a self,
        connection: &Connection,
        tables: &Tables,
        name: &'a str,
        size: &mut usize,
        out: &mut Vec<u8>,
        capacities: &mut BTreeMap<&'a str, Capacity>,
    ) -> Result<&'a [Item], Error> {
        let table = find(tables, name)?;
        let keys = self.keys.iter().map(|key| table.key(key)).collect::<Result<Vec<_>, _>>()?;
        if keys.iter().collect::<BTreeSet<_>>().len() < keys.len() {
            return Err(invalid("Provided list of item keys contains duplicates"));
        }
        let capacity = capacities.entry(name).or_default();
        let mut is_first = true;
        for (at, key) in keys.iter().enumerate() {
            let found = storage::get(connection, &table.source, key)?;
            *size += found.as_ref().map_or(0, |item| item.size);
            if *size > BATCH_SIZE {
                return Ok(&self.keys[at..]);
            }
            capacity.table += read_units(found.as_ref().map_or(0, |item| item.size), self.consistent_read);
            if let Some(item) = found {
                if !std::mem::take(&mut is_first) {
                    out.push(b',');
                }
                out.extend_from_slice(&item.json);
            }
        }
        Ok(&[])
    }
}
