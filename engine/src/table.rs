//! Tables and their indexes: what is known of them, and which keys and entries an item has.
//!
//! Invariant: each table and index has a sort key, and all keys are texts. The engine refuses other tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, invalid, refused};
use crate::value::{Item, Text, Value};

/// Maximum size of a partition key and of a sort key, in bytes.
const KEY_SIZES: [usize; 2] = [2048, 1024];

/// All tables by name.
pub(crate) type Tables = BTreeMap<String, Arc<Table>>;

/// A table. It is stored as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) source: Source,
    pub(crate) indexes: Vec<Index>,
    pub(crate) stream: Option<Stream>,
    /// The attribute for the time to live: the expiry in seconds since 1970.
    pub(crate) expiry: Option<String>,
    /// When it was created, in milliseconds since 1970.
    pub(crate) created: i64,
}

/// A table or an index, which can be queried.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The number in the name of the SQL table. No two sources have the same.
    pub(crate) id: u32,
    pub(crate) name: String,
    /// The attributes that order the entries: partition key, sort key and, in an index, those of the table's keys that
    /// are not among them.
    pub(crate) keys: Vec<String>,
}

/// An index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) source: Source,
    /// The attributes that its entries have, with the keys; `None` means all.
    pub(crate) projected: Option<BTreeSet<String>>,
}

/// The stream of a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stream {
    /// The label in its ARN, which is the time when it was enabled.
    pub(crate) label: String,
    /// Whether its records have the new item, and not only its key.
    pub(crate) images: bool,
}

/// The primary key of an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) partition: Text,
    pub(crate) sort: Text,
}

/// An item as an index has it.
pub(crate) struct Entry<'a> {
    /// The values of the index's keys, in their order.
    pub(crate) keys: Vec<&'a str>,
    pub(crate) attributes: Vec<(&'a Text, &'a Value)>,
}

/// Finds a table.
pub(crate) fn find<'a>(tables: &'a Tables, name: &str) -> Result<&'a Arc<Table>, Error> {
    tables.get(name).ok_or_else(|| refused("ResourceNotFoundException", "Requested resource not found"))
}

impl Table {
    pub(crate) fn index(&self, name: &str) -> Result<&Index, Error> {
        let found = self.indexes.iter().find(|index| index.source.name == name);
        found.ok_or_else(|| invalid(format!("The table does not have the specified index: {name}")))
    }

    /// Returns the key of an item that is to be stored.
    pub(crate) fn key_of(&self, item: &Item) -> Result<Key, Error> {
        let [partition, sort] = [0, 1].map(|at| {
            let name = &self.source.keys[at];
            match item.get(name.as_str()) {
                Some(Value::S(text)) => checked(name, text, at),
                Some(_) => Err(invalid(format!(
                    "One or more parameter values were invalid: Type mismatch for key {name}"
                ))),
                None => Err(invalid(format!(
                    "One or more parameter values were invalid: Missing the key {name} in the item"
                ))),
            }
        });
        Ok(Key { partition: partition?.clone(), sort: sort?.clone() })
    }

    /// Returns a key that a request names, which must have the key's attributes and no others.
    pub(crate) fn key(&self, attributes: &Item) -> Result<Key, Error> {
        let is_key = |name: &String| matches!(attributes.get(name.as_str()), Some(Value::S(_)));
        if attributes.len() != 2 || !self.source.keys.iter().all(is_key) {
            return Err(invalid("The provided key element does not match the schema"));
        }
        self.key_of(attributes)
    }

    /// Checks the attributes of an item that are keys of indexes.
    pub(crate) fn check_index_keys(&self, item: &Item) -> Result<(), Error> {
        for index in &self.indexes {
            for (at, name) in index.source.keys[..2].iter().enumerate() {
                match item.get(name.as_str()) {
                    None => {}
                    Some(Value::S(text)) => {
                        checked(name, text, at)?;
                    }
                    Some(other) => {
                        return Err(invalid(format!(
                            "One or more parameter values were invalid: Type mismatch for Index Key {name} \
                             Expected: S Actual: {} IndexName: {}",
                            other.kind(),
                            index.source.name
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    /// When an item expires, in seconds since 1970.
    pub(crate) fn expiry_of(&self, item: &Item) -> Option<i64> {
        match item.get(self.expiry.as_deref()?)? {
            Value::N(number) => number.whole(),
            _ => None,
        }
    }
}

fn checked<'a>(name: &str, text: &'a Text, at: usize) -> Result<&'a Text, Error> {
    if text.is_empty() {
        return Err(invalid(format!(
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an \
             empty string value. Key: {name}"
        )));
    }
    if text.len() > KEY_SIZES[at] {
        return Err(invalid(format!(
            "One or more parameter values were invalid: Size of key {name} has exceeded the limit of {} bytes",
            KEY_SIZES[at]
        )));
    }
    Ok(text)
}

impl Index {
    /// Returns the entry that an item has in the index; `None` if it lacks a key of the index.
    pub(crate) fn entry<'a>(&self, item: &'a Item) -> Option<Entry<'a>> {
        let key = |name: &String| match item.get(name.as_str()) {
            Some(Value::S(text)) => Some(text.as_str()),
            _ => None,
        };
        let keys = self.source.keys.iter().map(key).collect::<Option<_>>()?;
        let is_projected =
            |name: &Text| self.projected.as_ref().is_none_or(|projected| projected.contains(name.as_str()));
        Some(Entry { keys, attributes: item.iter().filter(|(name, _)| is_projected(name)).collect() })
    }
}
