//! `PutItem`, `UpdateItem`, `DeleteItem` and `BatchWriteItem`: writes that do not depend on each other.

use std::collections::{BTreeMap, HashSet};

use rusqlite::Connection;
use serde::Deserialize;

use crate::capacity::{Capacity, Report, write_capacities};
use crate::error::{Error, invalid};
use crate::plan::Recording;
use crate::table::Tables;
use crate::value::Item;
use crate::write::{Kind, Returned, Write, WriteInput};

/// Maximum number of writes in a `BatchWriteItem`.
const BATCH: usize = 25;

/// A write of a single item.
pub(crate) struct Single {
    write: Write,
    returned: Returned,
    report: Report,
}

impl Single {
    pub(crate) fn new(input: WriteInput, kind: Kind) -> Result<Self, Error> {
        let (write, returned, report) = input.into_write(kind)?;
        let returned = returned.unwrap_or_default();
        let is_known = match returned {
            Returned::None => true,
            Returned::AllOld => kind != Kind::Update,
            Returned::AllNew => kind == Kind::Update,
        };
        if !is_known {
            return Err(invalid(
                "the local engine returns the old item of a put or deletion, or the new one of an update",
            ));
        }
        Ok(Self { write, returned, report: report.unwrap_or_default() })
    }

    pub(crate) fn run(
        self,
        connection: &Connection,
        tables: &Tables,
        recording: Recording,
    ) -> Result<Vec<u8>, Error> {
        let plan = self.write.plan(connection, tables)?;
        let capacity = plan.apply(connection, recording)?;
        let item = match self.returned {
            Returned::None => None,
            Returned::AllOld => plan.old.as_ref().map(|(_, stored)| stored),
            Returned::AllNew => plan.new.as_ref().map(|(_, stored)| stored),
        };
        let mut out = b"{".to_vec();
        if let Some(item) = item {
            out.extend_from_slice(b"\"Attributes\":");
            out.extend_from_slice(&item.json);
        }
        if self.report != Report::None {
            if item.is_some() {
                out.push(b',');
            }
            out.extend_from_slice(b"\"ConsumedCapacity\":");
            capacity.write(&mut out, &self.write.table, self.report, None);
        }
        out.push(b'}');
        Ok(out)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct BatchInput {
    request_items: BTreeMap<String, Vec<BatchEntry>>,
    #[serde(default)]
    return_consumed_capacity: Report,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
enum BatchEntry {
    PutRequest {
        #[serde(rename = "Item")]
        item: Item,
    },
    DeleteRequest {
        #[serde(rename = "Key")]
        key: Item,
    },
}

/// Up to 25 puts and deletions.
pub(crate) struct Batch {
    writes: Vec<Write>,
    report: Report,
}

impl Batch {
    pub(crate) fn new(input: BatchInput) -> Result<Self, Error> {
        let mut writes = Vec::new();
        for (table, entries) in input.request_items {
            writes.extend(entries.into_iter().map(|entry| match entry {
                BatchEntry::PutRequest { item } => Write::put(table.clone(), item),
                BatchEntry::DeleteRequest { key } => Write::delete(table.clone(), key),
            }));
        }
        if writes.is_empty() || writes.len() > BATCH {
            return Err(invalid(format!("BatchWriteItem must have between 1 and {BATCH} writes")));
        }
        Ok(Self { writes, report: input.return_consumed_capacity })
    }

    pub(crate) fn run(
        self,
        connection: &Connection,
        tables: &Tables,
        recording: Recording,
    ) -> Result<Vec<u8>, Error> {
        let keys = self.writes.iter().map(|write| write.key(tables)).collect::<Result<Vec<_>, _>>()?;
        let mut seen = HashSet::new();
        if !self.writes.iter().zip(&keys).all(|(write, key)| seen.insert((&write.table, key))) {
            return Err(invalid("Provided list of item keys contains duplicates"));
        }
        let plans = self.writes.iter().map(|write| write.plan(connection, tables));
        let plans = plans.collect::<Result<Vec<_>, _>>()?;
        let mut capacities = BTreeMap::<&str, Capacity>::new();
        for (write, plan) in self.writes.iter().zip(&plans) {
            capacities.entry(&write.table).or_default().add(&plan.apply(connection, recording)?);
        }
        let mut out = b"{\"UnprocessedItems\":{}".to_vec();
        write_capacities(&mut out, &capacities, self.report, None);
        out.push(b'}');
        Ok(out)
    }
}
