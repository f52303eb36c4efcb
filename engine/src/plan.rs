//! Applies the write of an item: to the table, its indexes and its stream.
//!
//! Invariant: only SQLite can make this fail.

use std::borrow::Cow;
use std::collections::HashSet;

use rusqlite::Connection;

use crate::capacity::{Capacity, write_units};
use crate::error::Error;
use crate::storage::{self, Stored};
use crate::stream::{self, Change};
use crate::table::{Entry, Index, Key, Table};
use crate::value::{Item, item_json, item_size};

/// A write that can be applied.
pub(crate) struct Plan<'a> {
    pub(crate) table: &'a Table,
    pub(crate) key: Key,
    pub(crate) old: Option<(Item, Stored)>,
    pub(crate) new: Option<(Cow<'a, Item>, Stored)>,
    /// Whether the item stays as it is whatever `new` says.
    pub(crate) is_check: bool,
}

/// The options with which an engine starts.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether the stream has a record of a change (`INSERT`, `MODIFY` or `REMOVE`) of the item with a sort key.
    pub is_recorded: fn(change: &str, sort_key: &str) -> bool,
    /// Returns the time in milliseconds since 1970.
    pub now: fn() -> i64,
}

impl Options {
    /// Returns the streams' rules, for writes that happen now.
    pub(crate) fn recording(&self) -> Recording {
        Recording { is_recorded: self.is_recorded, now: (self.now)() }
    }
}

/// Which changes a stream records, and the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recording {
    /// Whether a change (`INSERT`, `MODIFY` or `REMOVE`) of the item with a sort key is recorded.
    pub(crate) is_recorded: fn(change: &str, sort_key: &str) -> bool,
    /// The time of the write, in milliseconds since 1970.
    pub(crate) now: i64,
}

/// The keys of the items that the earlier writes of a batch have changed, whatever their table.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    keys: HashSet<Key>,
    /// Whether there may be others: only transactions name them.
    pub(crate) has_others: bool,
}

impl Changed {
    pub(crate) fn extend(&mut self, keys: impl Iterator<Item = Key>) {
        self.keys.extend(keys);
    }

    pub(crate) fn contains_any(&self, mut keys: impl Iterator<Item = Key>) -> bool {
        self.has_others || keys.any(|key| self.keys.contains(&key))
    }
}

impl Plan<'_> {
    /// The size of the item after the write, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.new.as_ref().map_or(0, |(_, stored)| stored.size)
    }

    /// Writes the item, its index entries and its record. Returns the consumed capacity, without the factor of
    /// transactions.
    pub(crate) fn apply(&self, connection: &Connection, recording: Recording) -> Result<Capacity, Error> {
        let old_size = self.old.as_ref().map_or(0, |(_, stored)| stored.size);
        let mut capacity = Capacity::of_table(write_units(old_size.max(self.size())));
        let is_same = match (&self.old, &self.new) {
            (Some((_, old)), Some((_, new))) => old.json == new.json,
            (None, None) => true,
            _ => false,
        };
        if self.is_check || is_same {
            return Ok(capacity);
        }
        let source = &self.table.source;
        match &self.new {
            Some((item, stored)) => {
                storage::put(connection, source, &self.key, stored, self.table.expiry_of(item))?;
            }
            None => storage::delete(connection, source, &self.key)?,
        }
        for index in &self.table.indexes {
            if let Some(units) = self.apply_to(connection, index)? {
                capacity.add_index(&index.source.name, units);
            }
        }
        self.record(connection, recording)?;
        Ok(capacity)
    }

    /// Moves the item's entry of an index. Returns the consumed units; `None` if the entry stays as it is.
    fn apply_to(&self, connection: &Connection, index: &Index) -> Result<Option<f64>, Error> {
        let old = self.old.as_ref().and_then(|(item, _)| index.entry(item));
        let new = self.new.as_ref().and_then(|(item, _)| index.entry(item));
        let units = |entry: &Entry<'_>| write_units(item_size(entry.attributes.iter().copied()));
        let put = |entry: &Entry<'_>| {
            let attributes = || entry.attributes.iter().copied();
            let stored = Stored { json: item_json(attributes()), size: item_size(attributes()) };
            storage::put_entry(connection, &index.source, &entry.keys, &stored)
        };
        let delete = |entry: &Entry<'_>| storage::delete_entry(connection, &index.source, &entry.keys);
        Ok(match (old, new) {
            (None, Some(new)) => {
                put(&new)?;
                Some(units(&new))
            }
            (Some(old), None) => {
                delete(&old)?;
                Some(units(&old))
            }
            (Some(old), Some(new)) if old.keys != new.keys => {
                delete(&old)?;
                put(&new)?;
                Some(units(&old) + units(&new))
            }
            (Some(old), Some(new)) if old.attributes != new.attributes => {
                put(&new)?;
                Some(units(&old).max(units(&new)))
            }
            _ => None,
        })
    }

    fn record(&self, connection: &Connection, recording: Recording) -> Result<(), Error> {
        let Some(stream) = &self.table.stream else { return Ok(()) };
        let (name, item) = match (&self.old, &self.new) {
            (None, Some((new, _))) => ("INSERT", &**new),
            (Some(_), Some((new, _))) => ("MODIFY", &**new),
            (Some((old, _)), None) => ("REMOVE", old),
            (None, None) => return Ok(()),
        };
        if !(recording.is_recorded)(name, &self.key.sort) {
            return Ok(());
        }
        let new = self.new.as_ref().map(|(_, stored)| stored);
        stream::record(connection, self.table, stream, &Change { name, item, new, at: recording.now })
    }
}
