//! Consumed capacity, by DynamoDB's rules.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::json;

/// Which capacity a response reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Report {
    #[default]
    None,
    Total,
    Indexes,
}

/// Capacity units of one table.
#[derive(Debug, Default)]
pub(crate) struct Capacity {
    pub(crate) table: f64,
    pub(crate) indexes: BTreeMap<String, f64>,
}

/// The factor of a transaction for the table itself. Indexes cost the same as in single writes.
pub(crate) const TRANSACTION: f64 = 2.0;

#[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn units(size: usize, unit: usize) -> f64 {
    size.div_ceil(unit).max(1) as f64
}

/// The units for writing an item of a size in bytes.
pub(crate) fn write_units(size: usize) -> f64 {
    units(size, 1024)
}

/// The units for reading items with a total size in bytes.
pub(crate) fn read_units(size: usize, consistent: bool) -> f64 {
    units(size, 4096) * if consistent { 1.0 } else { 0.5 }
}

impl Capacity {
    pub(crate) fn of_table(units: f64) -> Self {
        Self { table: units, indexes: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.table += other.table;
        for (index, units) in &other.indexes {
            self.add_index(index, *units);
        }
    }

    pub(crate) fn add_index(&mut self, index: &str, units: f64) {
        *self.indexes.entry(index.to_owned()).or_default() += units;
    }

    /// Writes the capacity as JSON. `kind` is the name of a second member with the total, which only transactions have.
    pub(crate) fn write(&self, out: &mut Vec<u8>, table: &str, report: Report, kind: Option<&str>) {
        let total = self.table + self.indexes.values().sum::<f64>();
        out.extend_from_slice(b"{\"TableName\":");
        json::text(out, table);
        json::member(out, "CapacityUnits", total.to_string().as_bytes());
        if let Some(kind) = kind {
            json::member(out, kind, total.to_string().as_bytes());
        }
        if report == Report::Indexes {
            let detail = |units: f64| match kind {
                Some(kind) => format!("{{\"CapacityUnits\":{units},\"{kind}\":{units}}}"),
                None => format!("{{\"CapacityUnits\":{units}}}"),
            };
            json::member(out, "Table", detail(self.table).as_bytes());
            if !self.indexes.is_empty() {
                out.extend_from_slice(b",\"GlobalSecondaryIndexes\":{");
                json::list(out, &self.indexes, |out, (index, units)| {
                    json::text(out, index);
                    out.push(b':');
                    out.extend_from_slice(detail(*units).as_bytes());
                });
                out.push(b'}');
            }
        }
        out.push(b'}');
    }
}

/// Writes the capacities of several tables as a member that is not the first.
pub(crate) fn write_capacities(
    out: &mut Vec<u8>,
    capacities: &BTreeMap<&str, Capacity>,
    report: Report,
    kind: Option<&str>,
) {
    if report == Report::None {
        return;
    }
    out.extend_from_slice(b",\"ConsumedCapacity\":[");
    json::list(out, capacities, |out, (table, capacity)| capacity.write(out, table, report, kind));
    out.push(b']');
}
