//! Items and index entries in SQLite.
//!
//! A table and each of its indexes is an SQL table without row ids, so that items lie in the order of their keys, and an
//! index entry is a copy of what the index projects. Items are JSON, as in a response. The columns `k0`, `k1` … are the
//! keys; as bytes, they have the order of DynamoDB.

use std::ops::Bound;

use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};

use crate::error::Error;
use crate::table::{Key, Source};
use crate::value::{Item, Text};

/// A stored item.
pub(crate) struct Stored {
    pub(crate) json: Vec<u8>,
    /// Its size by DynamoDB's rules.
    pub(crate) size: usize,
}

/// The entries of a partition with a sort key in a range.
pub(crate) struct Range {
    pub(crate) partition: String,
    pub(crate) low: Bound<Vec<u8>>,
    pub(crate) high: Bound<Vec<u8>>,
}

/// Reads an item as the engine has stored it.
pub(crate) fn parse(json: &[u8]) -> Result<Item, Error> {
    serde_json::from_slice(json).map_err(|error| Error::Broken(format!("a stored item: {error}")))
}

/// Creates the SQL table of a table.
pub(crate) fn create_items(connection: &Connection, source: &Source) -> Result<(), Error> {
    let id = source.id;
    Ok(connection.execute_batch(&format!(
        "CREATE TABLE s{id} (k0 BLOB, k1 BLOB, item BLOB, size INTEGER, expires INTEGER, PRIMARY KEY (k0, k1))
             WITHOUT ROWID;
         CREATE INDEX expires{id} ON s{id} (expires) WHERE expires IS NOT NULL;"
    ))?)
}

/// Creates the SQL table of an index.
pub(crate) fn create_entries(connection: &Connection, source: &Source) -> Result<(), Error> {
    let id = source.id;
    let columns: Vec<String> = (0..source.keys.len()).map(|at| format!("k{at}")).collect();
    let (keys, columns) = (columns.join(", "), columns.join(" BLOB, "));
    let sql = format!(
        "CREATE TABLE s{id} ({columns} BLOB, item BLOB, size INTEGER, PRIMARY KEY ({keys})) WITHOUT ROWID"
    );
    Ok(connection.execute_batch(&sql)?)
}

/// Drops the SQL table of an index.
pub(crate) fn drop_entries(connection: &Connection, source: &Source) -> Result<(), Error> {
    Ok(connection.execute_batch(&format!("DROP TABLE s{}", source.id))?)
}

/// Reads an item.
pub(crate) fn get(connection: &Connection, source: &Source, key: &Key) -> Result<Option<Stored>, Error> {
    let sql = format!("SELECT item, size FROM s{} WHERE k0 = ?1 AND k1 = ?2", source.id);
    let mut statement = connection.prepare_cached(&sql)?;
    let key = params![key.partition.as_bytes(), key.sort.as_bytes()];
    let row = statement.query_row(key, |row| Ok(Stored { json: row.get(0)?, size: row.get(1)? }));
    Ok(row.optional()?)
}

/// Writes an item, with the time in seconds since 1970 at which it expires.
pub(crate) fn put(
    connection: &Connection,
    source: &Source,
    key: &Key,
    item: &Stored,
    expires: Option<i64>,
) -> Result<(), Error> {
    let sql = format!("REPLACE INTO s{} VALUES (?1, ?2, ?3, ?4, ?5)", source.id);
    let mut statement = connection.prepare_cached(&sql)?;
    let key = (key.partition.as_bytes(), key.sort.as_bytes());
    statement.execute((key.0, key.1, &item.json, item.size, expires))?;
    Ok(())
}

/// Deletes an item.
pub(crate) fn delete(connection: &Connection, source: &Source, key: &Key) -> Result<(), Error> {
    let sql = format!("DELETE FROM s{} WHERE k0 = ?1 AND k1 = ?2", source.id);
    let mut statement = connection.prepare_cached(&sql)?;
    statement.execute(params![key.partition.as_bytes(), key.sort.as_bytes()])?;
    Ok(())
}

/// Writes an index entry.
pub(crate) fn put_entry(
    connection: &Connection,
    source: &Source,
    keys: &[&str],
    item: &Stored,
) -> Result<(), Error> {
    let places = vec!["?"; keys.len() + 2].join(", ");
    let mut statement =
        connection.prepare_cached(&format!("REPLACE INTO s{} VALUES ({places})", source.id))?;
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
    let mut values: Vec<&dyn ToSql> = keys.iter().map(|key| key as &dyn ToSql).collect();
    values.extend([&item.json as &dyn ToSql, &item.size]);
    statement.execute(params_from_iter(values))?;
    Ok(())
}

/// Deletes an index entry.
pub(crate) fn delete_entry(connection: &Connection, source: &Source, keys: &[&str]) -> Result<(), Error> {
    let places: Vec<String> = (0..keys.len()).map(|at| format!("k{at} = ?")).collect();
    let sql = format!("DELETE FROM s{} WHERE {}", source.id, places.join(" AND "));
    let mut statement = connection.prepare_cached(&sql)?;
    statement.execute(params_from_iter(keys.iter().map(|key| key.as_bytes())))?;
    Ok(())
}

/// Visits the entries of a range in the order of their keys, from those after `start` on, until `visit` returns false.
/// Without a range, visits all entries.
pub(crate) fn visit(
    connection: &Connection,
    source: &Source,
    range: Option<&Range>,
    forward: bool,
    start: Option<&[Text]>,
    mut visit: impl FnMut(&[u8], usize) -> Result<bool, Error>,
) -> Result<(), Error> {
    let (sql, values) = selection(source, range, forward, start);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        let item = row.get_ref(0)?.as_blob().map_err(|error| Error::Broken(error.to_string()))?;
        if !visit(item, row.get(1)?)? {
            break;
        }
    }
    Ok(())
}

/// Builds the SQL of [`visit`]. Where the order begins, the start replaces the bound: with both, SQLite might read from
/// the bound on.
fn selection<'a>(
    source: &Source,
    range: Option<&'a Range>,
    forward: bool,
    start: Option<&'a [Text]>,
) -> (String, Vec<&'a [u8]>) {
    let (mut conditions, mut values) = (Vec::new(), Vec::<&[u8]>::new());
    // Within a range, the partition key is the same for all entries.
    let first = usize::from(range.is_some());
    if let Some(range) = range {
        conditions.push("k0 = ?".to_owned());
        values.push(range.partition.as_bytes());
        let bounds = [(&range.low, ">", forward), (&range.high, "<", !forward)];
        for (bound, operator, begins) in bounds {
            match bound {
                Bound::Included(value) if !(begins && start.is_some()) => {
                    conditions.push(format!("k1 {operator}= ?"));
                    values.push(value);
                }
                Bound::Excluded(value) if !(begins && start.is_some()) => {
                    conditions.push(format!("k1 {operator} ?"));
                    values.push(value);
                }
                _ => {}
            }
        }
    }
    let columns: Vec<String> = (first..source.keys.len()).map(|at| format!("k{at}")).collect();
    if let Some(start) = start {
        let places = vec!["?"; columns.len()].join(", ");
        let operator = if forward { ">" } else { "<" };
        conditions.push(format!("({}) {operator} ({places})", columns.join(", ")));
        values.extend(start[first..].iter().map(Text::as_bytes));
    }
    let direction = if forward { "" } else { " DESC" };
    let order: Vec<String> = columns.iter().map(|column| format!("{column}{direction}")).collect();
    let conditions =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let sql = format!("SELECT item, size FROM s{}{conditions} ORDER BY {}", source.id, order.join(", "));
    (sql, values)
}

/// Returns up to `count` items that expired at or before a time and after another, both in seconds since 1970.
pub(crate) fn expired(
    connection: &Connection,
    source: &Source,
    times: (i64, i64),
    count: usize,
) -> Result<Vec<Vec<u8>>, Error> {
    let sql = format!(
        "SELECT item FROM s{} WHERE expires > ?1 AND expires <= ?2 ORDER BY expires LIMIT ?3",
        source.id
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let items = statement.query_map((times.0, times.1, count), |row| row.get(0))?;
    Ok(items.collect::<Result<_, _>>()?)
}
