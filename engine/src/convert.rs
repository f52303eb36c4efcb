//! Converts the file of the engine that Tidings used before.
//!
//! Invariant: at every moment the file is either the old one, complete, or the new one, complete. The new one is written
//! beside it and replaces it at the end; the old one keeps a second name.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use crate::definition::CreateTable;
use crate::error::{Error, OpenError};
use crate::plan::Recording;
use crate::schema::{self, UpdateTimeToLive};
use crate::storage::{self, Stored};
use crate::stream::{self, Change};
use crate::table::{Tables, find};
use crate::value::{item_json, item_size};
use crate::write::Write;

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused { message, .. } | Error::Broken(message) => message.into(),
            other => format!("{other:?}").into(),
        }
    }
}

/// Converts a file if it is an old one. Returns the name under which the old file is kept.
///
/// # Errors
/// If the old file has what this engine does not support, or a file cannot be read or written. The old file is then
/// complete and in its place.
pub(crate) fn convert(file: &Path, recording: Recording) -> Result<Option<PathBuf>, OpenError> {
    if !file.exists() {
        return Ok(None);
    }
    let old = Connection::open(file)?;
    if !old.table_exists(None, "_tables")? {
        return Ok(None);
    }
    // Moves the log into the file and removes it. It would otherwise be taken for the log of the new file.
    let mode: String = old.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))?;
    if mode != "delete" {
        return Err(format!("{}: another process uses the database", file.display()).into());
    }
    let new_file = with_ending(file, ".converting");
    // The file is left over from a conversion that was interrupted.
    if new_file.exists() {
        fs::remove_file(&new_file)?;
    }
    let new = Connection::open(&new_file)?;
    // The new file needs no journal: if the conversion fails, it starts from the beginning.
    new.pragma_update(None, "journal_mode", "OFF")?;
    new.pragma_update(None, "synchronous", "FULL")?;
    let mut tables = schema::prepare(&new)?;
    new.execute_batch("BEGIN")?;
    copy(&old, &new, &mut tables, recording).map_err(|error| {
        format!("{}: cannot convert the database to the format of this version: {error}", file.display())
    })?;
    new.execute_batch("COMMIT")?;
    new.close().map_err(|(_, error)| error)?;
    old.close().map_err(|(_, error)| error)?;
    let kept = keep(file)?;
    fs::rename(&new_file, file)?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(Some(kept))
}

fn with_ending(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Gives the old file a second name, which is not in use.
fn keep(file: &Path) -> std::io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let kept = with_ending(file, &format!(".old{number}"));
        match fs::hard_link(file, &kept) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            done => return done.map(|()| kept),
        }
    }
}

fn copy(
    old: &Connection,
    new: &Connection,
    tables: &mut Tables,
    recording: Recording,
) -> Result<(), OpenError> {
    let mut definitions = old.prepare(
        "SELECT table_name, key_schema, attribute_definitions, coalesce(gsi_definitions, '[]'), stream_view_type,
         ttl_attribute, created_at FROM _tables WHERE lsi_definitions IS NULL AND vector_index_definitions IS NULL",
    )?;
    let count: i64 = old.query_row("SELECT count(*) FROM _tables", (), |row| row.get(0))?;
    let mut rows = definitions.query(())?;
    let mut copied = 0;
    while let Some(row) = rows.next()? {
        let [name, keys, attributes, indexes]: [String; 4] =
            [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
        let view: Option<String> = row.get(4)?;
        let mut input = json!({
            "TableName": name,
            "KeySchema": json(&keys)?,
            "AttributeDefinitions": json(&attributes)?,
            "GlobalSecondaryIndexes": indexes_input(&json(&indexes)?),
            "BillingMode": "PAY_PER_REQUEST",
        });
        if let Some(view) = view {
            input["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": view});
        }
        let created = row.get::<_, i64>(6)? * 1000;
        request::<CreateTable>(input)?.run(new, tables, created)?;
        if let Some(attribute) = row.get::<_, Option<String>>(5)? {
            let specification = json!({"AttributeName": attribute, "Enabled": true});
            let input = json!({"TableName": name, "TimeToLiveSpecification": specification});
            request::<UpdateTimeToLive>(input)?.run(new, tables)?;
        }
        copy_items(old, new, tables, &name)?;
        copy_records(old, new, tables, &name, recording)?;
        copied += 1;
    }
    if copied < count { Err("it has kinds of indexes that are not supported".into()) } else { Ok(()) }
}

fn json(text: &str) -> Result<Json, OpenError> {
    Ok(serde_json::from_str(text)?)
}

fn request<T: DeserializeOwned>(input: Json) -> Result<T, OpenError> {
    Ok(serde_json::from_value(input)?)
}

/// Returns index definitions with the members that `CreateTable` knows.
fn indexes_input(definitions: &Json) -> Json {
    let definitions = definitions.as_array().into_iter().flatten();
    let input = definitions.map(|definition| {
        let mut projection = definition["Projection"].clone();
        if let Some(projection) = projection.as_object_mut() {
            projection.retain(|_, value| !value.is_null());
        }
        json!({
            "IndexName": definition["IndexName"],
            "KeySchema": definition["KeySchema"],
            "Projection": projection,
        })
    });
    input.collect()
}

fn copy_items(old: &Connection, new: &Connection, tables: &Tables, name: &str) -> Result<(), OpenError> {
    // A record is not written for any of them.
    let recording = Recording { is_recorded: |_, _| false, now: 0 };
    let table = name.replace('"', "\"\"");
    let mut items = old.prepare(&format!("SELECT item_json FROM \"{table}\" ORDER BY pk, sk"))?;
    let mut rows = items.query(())?;
    while let Some(row) = rows.next()? {
        let item = storage::parse(row.get_ref(0)?.as_bytes()?)?;
        let put = Write::put(name.to_owned(), item);
        put.plan(new, tables).map_err(Error::from)?.apply(new, recording)?;
    }
    Ok(())
}

fn copy_records(
    old: &Connection,
    new: &Connection,
    tables: &Tables,
    name: &str,
    recording: Recording,
) -> Result<(), OpenError> {
    let table = find(tables, name)?;
    let Some(stream) = &table.stream else { return Ok(()) };
    let mut records = old.prepare(
        "SELECT event_name, keys_json, new_image, created_at FROM _stream_records WHERE table_name = ?1 ORDER BY id",
    )?;
    let mut rows = records.query([name])?;
    while let Some(row) = rows.next()? {
        let event: String = row.get(0)?;
        let names = ["INSERT", "MODIFY", "REMOVE"];
        let change = names.into_iter().find(|name| *name == event).ok_or("a record of an unknown kind")?;
        let item = storage::parse(row.get_ref(1)?.as_bytes()?)?;
        if !(recording.is_recorded)(change, &table.key_of(&item)?.sort) {
            continue;
        }
        let image = row.get::<_, Option<String>>(2)?.map(|image| storage::parse(image.as_bytes()));
        let image = image.transpose()?.map(|item| Stored { json: item_json(&item), size: item_size(&item) });
        let at = row.get::<_, i64>(3)? * 1000;
        let change = Change { name: change, item: &item, new: image.as_ref(), at };
        stream::record(new, table, stream, &change)?;
    }
    Ok(())
}
