//! The calls of the storage: forms, lists, reads with ranges, writes on conditions, copies and deletions.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use axum::Router;
use axum::body::Body;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use time::OffsetDateTime;
use time::macros::format_description;

use super::bucket::{BUCKET, Storage};
use super::failure::Failure;
use super::form;
use super::objects::{Condition, Object, Written, is_key};
use super::signature::{Payload, hex};

/// Maximum size of the body of a write, in bytes. Larger objects come by forms.
const MAX_WRITE: usize = 8 * 1024 * 1024;
/// The most keys that one call lists.
const MAX_LISTED: usize = 1_000;
/// The bytes that are read from the disk at a time.
const PIECE: usize = 128 * 1024;
/// The headers of an object that a write or a copy sets.
const KEPT: [&str; 4] = ["content-type", "content-disposition", "cache-control", "content-encoding"];

/// Returns the routes of the storage's port.
pub fn routes(storage: &Storage) -> Router {
    Router::new()
        .route("/{bucket}", post(upload).get(list))
        .route("/{bucket}/", post(upload).get(list))
        .route("/{bucket}/{*key}", get(read).head(read).put(write).delete(delete))
        .fallback(async || Failure::NO_SUCH_BUCKET())
        .layer(DefaultBodyLimit::disable())
        .with_state(storage.clone())
}

fn is_bucket(bucket: &str) -> Result<(), Failure> {
    if bucket == BUCKET { Ok(()) } else { Err(Failure::NO_SUCH_BUCKET()) }
}

/// Takes the upload of a form: 204, as S3 answers a form that asks for nothing else.
async fn upload(
    State(storage): State<Storage>,
    Path(bucket): Path<String>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Failure> {
    is_bucket(&bucket)?;
    let form = form.map_err(|rejection| Failure::invalid(&rejection.body_text()))?;
    let (_, object) = form::take(&storage, form).await?;
    Ok((StatusCode::NO_CONTENT, [(header::ETAG, quoted(&object.version))]).into_response())
}

/// How keys are listed. The storage lists whole folders only.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Listing {
    prefix: String,
    start_after: Option<String>,
    max_keys: usize,
}

/// Lists the keys in a folder: `ListObjectsV2`.
async fn list(
    State(storage): State<Storage>,
    Path(bucket): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    is_bucket(&bucket)?;
    let (parts, _) = request.into_parts();
    storage.keys().check(&parts.method, &parts.uri, &parts.headers, storage.now())?;
    let Query(listing) = Query::<Listing>::try_from_uri(&parts.uri)
        .map_err(|rejection| Failure::invalid(&rejection.body_text()))?;
    let folder = listing.prefix.strip_suffix('/').filter(|folder| is_key(folder));
    let folder = folder.ok_or_else(|| Failure::invalid("This storage lists whole folders only."))?;
    let limit = listing.max_keys.min(MAX_LISTED);
    let keys = storage.list(folder.to_owned(), listing.start_after, limit).await?;
    let contents = keys.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>"));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         {}</ListBucketResult>",
        contents.collect::<String>()
    );
    Ok(([(header::CONTENT_TYPE, "application/xml")], body).into_response())
}

/// A request with a valid signature for an object.
struct Call {
    key: String,
    payload: Payload,
    parts: Parts,
    body: Body,
}

impl Call {
    fn read(storage: &Storage, bucket: &str, key: String, request: Request) -> Result<Self, Failure> {
        is_bucket(bucket)?;
        let (parts, body) = request.into_parts();
        let now = storage.now();
        let payload = storage.keys().check(&parts.method, &parts.uri, &parts.headers, now)?;
        if !is_key(&key) {
            return Err(Failure::invalid("This storage does not take such keys."));
        }
        Ok(Self { key, payload, parts, body })
    }
}

fn header_of<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Returns an object, or the part of it that `Range` names; to HEAD, only what is known of it.
async fn read(
    State(storage): State<Storage>,
    Path((bucket, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let call = Call::read(&storage, &bucket, key, request)?;
    let key = call.key.clone();
    let (object, mut file) = storage.with_objects(move |objects| objects.open_data(&key)).await?;
    let mut headers = described(&object)?;
    if header_of(&call.parts, "if-none-match").is_some_and(|etag| unquoted(etag) == object.version) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let (status, from, count) =
        match header_of(&call.parts, "range").and_then(|range| range_of(range, object.size)) {
            Some(Ok((from, to))) => {
                let range = format!("bytes {from}-{to}/{}", object.size);
                headers.insert(header::CONTENT_RANGE, value(&range)?);
                (StatusCode::PARTIAL_CONTENT, from, to - from + 1)
            }
            Some(Err(())) => {
                let code = StatusCode::RANGE_NOT_SATISFIABLE;
                return Err(Failure::new(code, "InvalidRange", "The requested range is not satisfiable"));
            }
            None => (StatusCode::OK, 0, object.size),
        };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    if call.parts.method == Method::HEAD {
        return Ok((status, headers, Body::empty()).into_response());
    }
    file.seek(SeekFrom::Start(from)).map_err(Failure::from)?;
    let pieces = stream::try_unfold((file, count), |(file, left)| async move {
        if left == 0 {
            return Ok::<_, std::io::Error>(None);
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut file = file;
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            file.read_exact(&mut piece).map(|()| (file, piece))
        });
        let (file, piece) = read.await.map_err(std::io::Error::other)??;
        let left = left - piece.len() as u64;
        Ok(Some((Bytes::from(piece), (file, left))))
    });
    Ok((status, headers, Body::from_stream(pieces)).into_response())
}

/// The first and last byte of a range; `None` if it is none that can be understood, an error if the object has no such
/// bytes.
fn range_of(range: &str, size: u64) -> Option<Result<(u64, u64), ()>> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let bounds = match (from.parse::<u64>().ok(), to.parse::<u64>().ok()) {
        (Some(from), to) if to.is_some() || to_is_open(range) => (from, to.unwrap_or(u64::MAX)),
        (None, Some(last)) if from.is_empty() => (size.saturating_sub(last), u64::MAX),
        _ => return None,
    };
    let (from, to) = (bounds.0, bounds.1.min(size.saturating_sub(1)));
    Some(if from < size && from <= to { Ok((from, to)) } else { Err(()) })
}

fn to_is_open(range: &str) -> bool {
    range.ends_with('-')
}

/// The headers of an object. A browser takes its type as it is.
fn described(object: &Object) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, text) in &object.headers {
        if let Ok(name) = HeaderName::try_from(name) {
            headers.insert(name, value(text)?);
        }
    }
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("binary/octet-stream"));
    headers.insert(header::ETAG, value(&quoted(&object.version))?);
    headers.insert(header::LAST_MODIFIED, value(&http_date(object.modified))?);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(headers)
}

/// Writes an object or, with `x-amz-copy-source`, copies one.
async fn write(
    State(storage): State<Storage>,
    Path((bucket, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Failure> {
    let Call { key, payload, parts, body } = Call::read(&storage, &bucket, key, request)?;
    let now = storage.now();
    if let Some(source) = header_of(&parts, "x-amz-copy-source") {
        let source = percent_encoding::percent_decode_str(source.trim_start_matches('/')).decode_utf8_lossy();
        let from = source.strip_prefix(BUCKET).and_then(|key| key.strip_prefix('/')).map(ToOwned::to_owned);
        let from = from.filter(|key| is_key(key)).ok_or_else(Failure::NO_SUCH_KEY)?;
        return copy(&storage, &parts, from, key).await;
    }
    let condition = Condition {
        is: header_of(&parts, "if-match").map(unquoted),
        is_new: header_of(&parts, "if-none-match") == Some("*"),
    };
    let too_large = |_| Failure::new(StatusCode::BAD_REQUEST, "EntityTooLarge", "The object is too large.");
    let body = axum::body::to_bytes(body, MAX_WRITE).await.map_err(too_large)?;
    if let Payload::Digest(expected) = payload {
        let digest = hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &body).as_ref());
        if digest != expected {
            let code = "XAmzContentSHA256Mismatch";
            return Err(Failure::new(StatusCode::BAD_REQUEST, code, "The body does not match its digest."));
        }
    }
    let headers = kept(&parts.headers);
    let written = storage.with_objects(move |objects| {
        let (version, mut file) = objects.new_data()?;
        std::io::Write::write_all(&mut file, &body)?;
        let object = Object { version, size: body.len() as u64, modified: now.millis(), headers };
        objects.put(&key, object, &condition)
    });
    match written.await? {
        Written::Done(object) => Ok([(header::ETAG, quoted(&object.version))].into_response()),
        Written::Refused => Err(Failure::PRECONDITION()),
    }
}

async fn copy(storage: &Storage, parts: &Parts, from: String, to: String) -> Result<Response, Failure> {
    let now = storage.now();
    let etag = header_of(parts, "x-amz-copy-source-if-match").map(unquoted);
    let replaces = header_of(parts, "x-amz-metadata-directive") == Some("REPLACE");
    let headers = replaces.then(|| kept(&parts.headers));
    let copied = storage.with_objects(move |objects| {
        objects.copy(&from, etag.as_deref(), &to, |object| {
            object.modified = now.millis();
            object.headers = headers.unwrap_or_else(|| std::mem::take(&mut object.headers));
        })
    });
    match copied.await? {
        Written::Done(object) => {
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CopyObjectResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag></CopyObjectResult>",
                now, object.version
            );
            Ok(([(header::CONTENT_TYPE, "application/xml")], body).into_response())
        }
        Written::Refused => Err(Failure::PRECONDITION()),
    }
}

/// Deletes an object: 204, whether there was one or not.
async fn delete(
    State(storage): State<Storage>,
    Path((bucket, key)): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, Failure> {
    let call = Call::read(&storage, &bucket, key, request)?;
    let deleted = storage.with_objects(move |objects| match objects.delete(&call.key) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The headers that belong to an object.
fn kept(headers: &HeaderMap) -> BTreeMap<String, String> {
    let is_kept = |name: &str| KEPT.contains(&name) || name.starts_with("x-amz-meta-");
    let named = headers.iter().filter(|(name, _)| is_kept(name.as_str()));
    named.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect()
}

fn value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|_| Failure::invalid("A header is malformed."))
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

/// A time as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(millis: i64) -> String {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let time = OffsetDateTime::from_unix_timestamp(millis / 1000).ok();
    time.and_then(|time| time.format(format).ok()).unwrap_or_default()
}
