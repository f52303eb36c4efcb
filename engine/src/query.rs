//! `Query` and `Scan`.
//!
//! Invariant: a page ends after `Limit` items, or before the item with which it would exceed 1 MB; filters and
//! projections do not count.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use serde::Deserialize;

use crate::capacity::{Capacity, Report, read_units};
use crate::error::{Error, invalid};
use crate::expression::condition::Condition;
use crate::expression::placeholders::{Bindings, Uses};
use crate::expression::projection::{Projection, write_selected};
use crate::expression::{self, Parsed};
use crate::json;
use crate::key_range::range;
use crate::storage::{self, Range};
use crate::table::{Index, Source, Table, Tables, find};
use crate::value::{Item, Text, Value, item_json};

/// The most items for which the memory of an answer is reserved at once.
const EXPECTED_ITEMS: usize = 64;
/// Maximum size of the items that a page reads, in bytes.
const PAGE_SIZE: usize = 1 << 20;

/// The members of a `Query` or a `Scan`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct QueryInput {
    table_name: String,
    index_name: Option<String>,
    key_condition_expression: Option<String>,
    filter_expression: Option<String>,
    projection_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<Text, Text>>,
    expression_attribute_values: Option<Item>,
    limit: Option<usize>,
    scan_index_forward: Option<bool>,
    exclusive_start_key: Option<Item>,
    #[serde(default)]
    consistent_read: bool,
    #[serde(default)]
    return_consumed_capacity: Report,
}

/// A query or a scan.
pub(crate) struct Query {
    table: String,
    index: Option<String>,
    /// `None` for a scan.
    keys: Option<Arc<Parsed<Condition>>>,
    filter: Option<Arc<Parsed<Condition>>>,
    projection: Option<Arc<Parsed<Projection>>>,
    bindings: Bindings,
    limit: usize,
    forward: bool,
    start: Option<Item>,
    consistent: bool,
    report: Report,
}

impl Query {
    pub(crate) fn of_keys(input: QueryInput) -> Result<Self, Error> {
        if input.key_condition_expression.is_none() {
            return Err(invalid("a Query must have a KeyConditionExpression"));
        }
        Self::new(input)
    }

    pub(crate) fn scan(input: QueryInput) -> Result<Self, Error> {
        if input.key_condition_expression.is_some()
            || input.index_name.is_some()
            || input.scan_index_forward.is_some()
        {
            return Err(invalid(
                "the local engine scans only tables, in their order, without a key condition",
            ));
        }
        Self::new(input)
    }

    fn new(input: QueryInput) -> Result<Self, Error> {
        if input.limit == Some(0) {
            return Err(invalid("Limit must be at least 1"));
        }
        let keys = input.key_condition_expression.as_deref().map(expression::condition).transpose()?;
        let filter = input.filter_expression.as_deref().map(expression::condition).transpose()?;
        let projection = input.projection_expression.as_deref().map(expression::projection).transpose()?;
        let bindings = Bindings {
            names: input.expression_attribute_names.unwrap_or_default(),
            values: input.expression_attribute_values.unwrap_or_default(),
        };
        let uses = [
            keys.as_ref().map(|one| &**one as &dyn Uses),
            filter.as_ref().map(|one| &**one as _),
            projection.as_ref().map(|one| &**one as _),
        ];
        bindings.check(&uses.into_iter().flatten().collect::<Vec<_>>())?;
        for condition in keys.iter().chain(&filter) {
            condition.tree.check(&bindings)?;
        }
        Ok(Self {
            table: input.table_name,
            index: input.index_name,
            keys,
            filter,
            projection,
            bindings,
            limit: input.limit.unwrap_or(usize::MAX),
            forward: input.scan_index_forward.unwrap_or(true),
            start: input.exclusive_start_key,
            consistent: input.consistent_read,
            report: input.return_consumed_capacity,
        })
    }

    pub(crate) fn run(&self, connection: &Connection, tables: &Tables) -> Result<Vec<u8>, Error> {
        let table = find(tables, &self.table)?;
        let index = self.index.as_ref().map(|name| table.index(name)).transpose()?;
        let source = index.map_or(&table.source, |index| &index.source);
        let range = match &self.keys {
            Some(keys) => Some(range(&keys.tree, &self.bindings, source)?),
            None => None,
        };
        let start = match &self.start {
            Some(start) => Some(position(source, start, range.as_ref())?),
            None => None,
        };
        let projected = match &self.projection {
            Some(projection) => Some(projection.tree.names(&self.bindings)?),
            None => None,
        };
        self.check(table, index, projected.as_deref())?;
        let mut page = Page { answer: b"{\"Items\":[".to_vec(), ..Page::default() };
        storage::visit(connection, source, range.as_ref(), self.forward, start.as_deref(), |item, size| {
            if page.scanned > 0 && page.size + size > PAGE_SIZE {
                page.is_cut = true;
                return Ok(false);
            }
            page.size += size;
            page.scanned += 1;
            self.add(&mut page, item, projected.as_deref())?;
            if page.scanned == self.limit {
                page.is_cut = true;
            }
            // No item is larger than 400 KB, so the next one can exceed the size only from here on.
            if page.is_cut || page.size >= PAGE_SIZE / 2 {
                page.last = item.to_vec();
            }
            Ok(!page.is_cut)
        })?;
        self.answer(page, source)
    }

    /// Checks what depends on the table or index.
    fn check(
        &self,
        table: &Table,
        index: Option<&Index>,
        projected: Option<&[Vec<&str>]>,
    ) -> Result<(), Error> {
        if let Some(index) = index {
            if self.consistent {
                return Err(invalid("Consistent reads are not supported on global secondary indexes"));
            }
            let has = |path: &&Vec<&str>| index.projected.as_ref().is_none_or(|all| all.contains(path[0]));
            if let Some(missing) = projected.into_iter().flatten().find(|path| !has(path)) {
                return Err(invalid(format!(
                    "One or more parameter values were invalid: Global secondary index {} does not project [{}]",
                    index.source.name,
                    missing.join(".")
                )));
            }
        }
        let Some(filter) = self.filter.as_ref().filter(|_| self.keys.is_some()) else { return Ok(()) };
        let keys = &index.map_or(&table.source, |index| &index.source).keys[..2];
        match keys.iter().find(|key| filter.tree.reads(key, &self.bindings)) {
            Some(key) => Err(invalid(format!(
                "Filter Expression can only contain non-primary key attributes: Primary key attribute: {key}"
            ))),
            None => Ok(()),
        }
    }

    /// Adds an item to a page, unless the filter excludes it.
    fn add(&self, page: &mut Page, json: &[u8], projected: Option<&[Vec<&str>]>) -> Result<(), Error> {
        if let Some(filter) = &self.filter
            && !filter.tree.holds(&storage::parse(json)?, &self.bindings)?
        {
            return Ok(());
        }
        if page.count > 0 {
            page.answer.push(b',');
        } else {
            // Items are often about as large as the first one.
            page.answer.reserve((json.len() * self.limit.min(EXPECTED_ITEMS)).min(PAGE_SIZE));
        }
        page.count += 1;
        match projected {
            Some(paths) => write_selected(&mut page.answer, json, paths)?,
            None => page.answer.extend_from_slice(json),
        }
        Ok(())
    }

    fn answer(&self, page: Page, source: &Source) -> Result<Vec<u8>, Error> {
        let mut out = page.answer;
        let counts = format!("],\"Count\":{},\"ScannedCount\":{}", page.count, page.scanned);
        out.extend_from_slice(counts.as_bytes());
        if page.is_cut {
            let last = storage::parse(&page.last)?;
            let keys = source.keys.iter().filter_map(|name| last.get_key_value(name.as_str()));
            json::member(&mut out, "LastEvaluatedKey", &item_json(keys));
        }
        if self.report != Report::None {
            let units = read_units(page.size, self.consistent);
            let mut capacity = Capacity::default();
            match &self.index {
                Some(index) => capacity.add_index(index, units),
                None => capacity.table = units,
            }
            out.extend_from_slice(b",\"ConsumedCapacity\":");
            capacity.write(&mut out, &self.table, self.report, None);
        }
        out.push(b'}');
        Ok(out)
    }
}

/// The items and the size of a page, as far as it has been read.
#[derive(Default)]
struct Page {
    /// The beginning of the answer, up to the last item.
    answer: Vec<u8>,
    count: usize,
    scanned: usize,
    size: usize,
    /// The last item that was read, if the page may end after it.
    last: Vec<u8>,
    is_cut: bool,
}

/// Returns the values of a source's keys in an `ExclusiveStartKey`.
fn position(source: &Source, start: &Item, range: Option<&Range>) -> Result<Vec<Text>, Error> {
    let key = |name: &String| match start.get(name.as_str()) {
        Some(Value::S(text)) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let keys: Option<Vec<Text>> = source.keys.iter().map(key).collect();
    let keys = keys.filter(|keys| keys.len() == start.len());
    let keys = keys.ok_or_else(|| invalid("The provided starting key is invalid"))?;
    let is_inside = range.is_none_or(|range| {
        let low = range.low.as_ref().map(Vec::as_slice);
        let high = range.high.as_ref().map(Vec::as_slice);
        let sort = keys[1].as_bytes();
        range.partition == keys[0] && std::ops::RangeBounds::<[u8]>::contains(&(low, high), sort)
    });
    if !is_inside {
        return Err(invalid(
            "The provided starting key is outside query boundaries based on provided conditions",
        ));
    }
    Ok(keys)
}
