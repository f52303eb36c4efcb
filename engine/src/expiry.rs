//! Deletes expired items, as DynamoDB does with a time to live.

use rusqlite::Connection;

use crate::error::Error;
use crate::plan::Recording;
use crate::storage;
use crate::table::Tables;
use crate::write::Write;

/// DynamoDB does not delete items that expired more than five years ago, because their time is probably a mistake.
const TOO_LONG_AGO: i64 = 5 * 365 * 24 * 3600;

/// Deletes up to `count` expired items. Returns how many it deleted.
pub(crate) fn sweep(
    connection: &Connection,
    tables: &Tables,
    recording: Recording,
    count: usize,
) -> Result<usize, Error> {
    let now = recording.now / 1000;
    let mut deleted = 0;
    for (name, table) in tables.iter().filter(|(_, table)| table.expiry.is_some()) {
        let times = (now - TOO_LONG_AGO, now);
        for json in storage::expired(connection, &table.source, times, count - deleted)? {
            let mut key = storage::parse(&json)?;
            key.retain(|name, _| table.source.keys.iter().any(|key| key == name));
            let delete = Write::delete(name.clone(), key);
            delete.plan(connection, tables)?.apply(connection, recording)?;
            deleted += 1;
        }
    }
    Ok(deleted)
}
