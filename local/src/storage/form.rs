//! Uploads by forms: the fields first, the file last.
//!
//! Invariant: an upload needs the same memory whatever its size, because its bytes go to the disk as they come.

use std::collections::BTreeMap;
use std::io::{self, Write};

use axum::extract::Multipart;
use axum::extract::multipart::Field;
use axum::http::StatusCode;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::bucket::{BUCKET, Storage};
use super::failure::Failure;
use super::objects::{Condition, Object, is_key};
use super::policy;

/// Maximum size of a field other than the file, in bytes.
const MAX_FIELD: usize = 16 * 1024;
/// Maximum number of such fields.
const MAX_FIELDS: usize = 30;
/// The pieces of a file that wait for the disk.
const WAITING: usize = 4;
/// How many bytes of a file that is too large are read and dropped, so that its sender gets to read the response.
const MAX_DRAINED: u64 = 10 * 1024 * 1024;

/// Takes the upload of a form. Returns the key and the object.
pub(super) async fn take(storage: &Storage, mut form: Multipart) -> Result<(String, Object), Failure> {
    let mut fields = BTreeMap::new();
    while let Some(field) = next(&mut form).await? {
        let name = field.name().unwrap_or_default().to_ascii_lowercase();
        if name == "file" {
            return take_file(storage, &fields, field).await;
        }
        let text = short_text(field).await?;
        if fields.len() == MAX_FIELDS || fields.insert(name, text).is_some() {
            return Err(Failure::invalid("The form has too many fields, or one twice."));
        }
    }
    Err(Failure::invalid("POST requires exactly one file upload per request."))
}

async fn next(form: &mut Multipart) -> Result<Option<Field<'_>>, Failure> {
    form.next_field().await.map_err(|error| Failure::invalid(&error.body_text()))
}

async fn chunk(field: &mut Field<'_>) -> Result<Option<Bytes>, Failure> {
    field.chunk().await.map_err(|error| Failure::invalid(&error.body_text()))
}

async fn short_text(mut field: Field<'_>) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while let Some(part) = chunk(&mut field).await? {
        bytes.extend_from_slice(&part);
        if bytes.len() > MAX_FIELD {
            return Err(Failure::new(
                StatusCode::BAD_REQUEST,
                "MaxPostPreDataLengthExceeded",
                "A field is too long.",
            ));
        }
    }
    String::from_utf8(bytes).map_err(|_| Failure::invalid("A field is not UTF-8."))
}

async fn take_file(
    storage: &Storage,
    fields: &BTreeMap<String, String>,
    field: Field<'_>,
) -> Result<(String, Object), Failure> {
    let now = storage.now();
    let sizes = policy::check(storage.keys(), BUCKET, fields, now)?;
    let key = fields.get("key").filter(|key| is_key(key)).cloned();
    let key = key.ok_or_else(|| Failure::invalid("The key is missing or malformed."))?;
    let (version, size) = receive(storage, field, *sizes.end()).await?;
    if !sizes.contains(&size) {
        storage
            .with_objects(move |objects| {
                objects.discard(&version);
                Ok(())
            })
            .await?;
        let code = if size > *sizes.end() { "EntityTooLarge" } else { "EntityTooSmall" };
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            code,
            "The file does not have the size of the policy.",
        ));
    }
    let is_kept = |name: &str| name == "content-type" || name.starts_with("x-amz-meta-");
    let headers = fields.iter().filter(|(name, _)| is_kept(name));
    let headers = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
    let object = Object { version, size, modified: now.millis(), headers };
    let (at, new) = (key.clone(), object.clone());
    storage.with_objects(move |objects| objects.put(&at, new, &Condition::default())).await?;
    Ok((key, object))
}

/// Writes the bytes of a file, up to a limit, to the disk. Returns the version and the size, which is above the limit if
/// there were more.
async fn receive(storage: &Storage, mut field: Field<'_>, limit: u64) -> Result<(String, u64), Failure> {
    let (send, mut pieces) = mpsc::channel::<Bytes>(WAITING);
    let writing = storage.with_objects(move |objects| {
        let (version, mut file) = objects.new_data()?;
        let mut written = || -> io::Result<()> {
            while let Some(piece) = pieces.blocking_recv() {
                file.write_all(&piece)?;
            }
            Ok(())
        };
        let outcome = written();
        if outcome.is_err() {
            objects.discard(&version);
        }
        outcome.map(|()| version)
    });
    let reading = async move {
        let mut size = 0;
        while let Some(piece) = chunk(&mut field).await? {
            size += piece.len() as u64;
            if size > limit.saturating_add(MAX_DRAINED) {
                break;
            }
            // If the disk fails, its error says why.
            if size <= limit && send.send(piece).await.is_err() {
                break;
            }
        }
        Ok::<_, Failure>(size)
    };
    let (version, size) = tokio::join!(writing, reading);
    let version = version?;
    match size {
        Ok(size) => Ok((version, size)),
        Err(failure) => {
            storage
                .with_objects(move |objects| {
                    objects.discard(&version);
                    Ok(())
                })
                .await?;
            Err(failure)
        }
    }
}
