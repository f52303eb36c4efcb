//! The S3 bucket that holds the files: the few calls that the functions make.
//!
//! Invariant: what a call answers is either certain or `Unavailable`. A missing object is an answer, not an error.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_recursion::async_recursion as boxed;
use aws_sdk_dynamodb::config::Credentials;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use bytes::Bytes;
use domain::error::{Error, Source};
use http_body_util::{BodyExt, Limited};

use crate::signing::{S3Signer, Upload};

/// How many of an object's first bytes are read: enough for the dimensions of a JPEG behind its metadata.
const HEAD: usize = 64 * 1024;
/// Maximum size of an answer, in bytes. Errors and the answers to copies are small.
const MAX_ANSWER: usize = HEAD + 64 * 1024;
/// The most keys that one call lists: S3 says about 350 bytes of each.
const LISTED: usize = 300;
/// The time limit of one attempt of a call.
const ATTEMPT: Duration = Duration::from_millis(1_400);
/// The time limit of one attempt of a copy, which S3 answers when it is complete.
const COPY_ATTEMPT: Duration = Duration::from_secs(5);
/// The attempts of a call. S3 closes idle connections, so after a pause the first one may fail.
const MAX_ATTEMPTS: u32 = 2;

/// The bucket's name, endpoint and credentials.
#[derive(Debug, Clone)]
pub struct BucketSettings {
    /// `TIDINGS_BUCKET`: the bucket's name.
    pub name: String,
    /// `AWS_ENDPOINT_URL_S3`: an S3-compatible service. Without it, the bucket is in S3.
    pub endpoint: Option<String>,
    /// `TIDINGS_FILES_URL`: a URL at which browsers reach the bucket instead, which passes their requests on to it.
    pub files_url: Option<String>,
    /// The region of the bucket.
    pub region: String,
    /// The credentials of the functions.
    pub credentials: Credentials,
}

impl BucketSettings {
    /// The origins of which browsers load objects, and to which they upload them.
    #[must_use]
    pub fn origins(&self) -> Vec<String> {
        let origin = |url: &str| url.split('/').take(3).collect::<Vec<_>>().join("/");
        std::iter::once(self.url()).chain(self.files_url.clone()).map(|url| origin(&url)).collect()
    }

    /// The bucket's URL, without a slash at its end.
    fn url(&self) -> String {
        let Self { name, endpoint, region, .. } = self;
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        match endpoint {
            Some(endpoint) => format!("{}/{name}", endpoint.trim_end_matches('/')),
            None => format!("https://{name}.s3.{region}.{domain}"),
        }
    }
}

/// The first bytes of an object.
pub(crate) struct ObjectHead {
    pub(crate) bytes: Bytes,
    /// The size of the whole object, in bytes.
    pub(crate) size: u64,
    /// The entity tag, which identifies the contents.
    pub(crate) etag: String,
}

/// How an object is served.
pub(crate) struct ServedAs {
    pub(crate) content_type: String,
    pub(crate) disposition: String,
    pub(crate) cache_control: &'static str,
}

/// The outcome of a copy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    Done,
    /// There is no such object.
    Missing,
    /// The object has other contents than the ones that were read.
    Replaced,
}

/// An answer to a call.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Bytes,
}

impl Answer {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn header(&self, name: &str) -> Result<&str, Error> {
        let found = self.headers.get(name).map(String::as_str);
        found.ok_or_else(|| Error::internal(format!("S3 answered without {name}")))
    }

    /// An answer that nothing but a fault explains, such as a refused signature.
    fn unexpected(&self) -> Error {
        let body = String::from_utf8_lossy(&self.body);
        Error::internal(format!(
            "S3 answered {}: {}",
            self.status,
            body.chars().take(500).collect::<String>()
        ))
    }
}

/// Returns a client for `https`, which loads the system's certificates.
pub(crate) fn connector() -> SharedHttpConnector {
    let tls = Provider::Rustls(CryptoMode::AwsLc);
    SharedHttpConnector::new(Connector::builder().tls_provider(tls).build())
}

/// Calls a bucket. A clone shares its connections.
#[derive(Clone)]
pub struct Bucket(Arc<Shared>);

struct Shared {
    name: String,
    url: String,
    files_url: Option<String>,
    signer: S3Signer,
    /// Made for the first call, because it loads certificates.
    http: OnceLock<SharedHttpConnector>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.0.url).finish()
    }
}

impl Bucket {
    /// The bucket of these settings. Connects with the first call. `http` makes the calls; without it, a client of the
    /// bucket's own.
    #[must_use]
    pub fn new(settings: BucketSettings, http: Option<SharedHttpConnector>) -> Self {
        let url = settings.url();
        let signer = S3Signer::new(settings.credentials, settings.region);
        Self(Arc::new(Shared {
            name: settings.name,
            url,
            files_url: settings.files_url,
            signer,
            http: http.map(OnceLock::from).unwrap_or_default(),
        }))
    }

    fn url_of(&self, key: &str) -> String {
        format!("{}/{key}", self.0.url)
    }

    /// The URL at which browsers reach one of the bucket's URLs. The signature of a link covers the bucket's own host, to
    /// which the other one passes requests on.
    fn for_browsers(&self, url: &str) -> String {
        match (&self.0.files_url, url.strip_prefix(&self.0.url)) {
            (Some(files_url), Some(rest)) => format!("{}{rest}", files_url.trim_end_matches('/')),
            _ => url.to_owned(),
        }
    }

    /// The address and the fields of a form that uploads an object.
    pub(crate) fn form(&self, upload: &Upload<'_>) -> (String, BTreeMap<String, String>) {
        (self.for_browsers(&self.url_of("")), self.0.signer.form(&self.0.name, upload))
    }

    /// A link to an object, whether there is one or not.
    pub(crate) fn link(&self, key: &str) -> Result<String, Error> {
        Ok(self.for_browsers(&self.0.signer.link(&self.url_of(key))?))
    }

    /// Whether there is an object.
    #[boxed]
    pub(crate) async fn has(&self, key: &str) -> Result<bool, Error> {
        let answer = self.call("HEAD", key, &[], "", ATTEMPT).await?;
        match answer.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(answer.unexpected()),
        }
    }

    /// Reads the first 64 KiB of an object; `None` if there is none.
    #[boxed]
    pub(crate) async fn head(&self, key: &str) -> Result<Option<ObjectHead>, Error> {
        let range = format!("bytes=0-{}", HEAD - 1);
        let answer = self.call("GET", key, &[("range", &range)], "", ATTEMPT).await?;
        match answer.status {
            206 => {}
            404 => return Ok(None),
            _ => return Err(answer.unexpected()),
        }
        let size = answer.header("content-range")?.rsplit('/').next().and_then(|size| size.parse().ok());
        let size = size.ok_or_else(|| Error::internal("S3 answered without a size"))?;
        let etag = answer.header("etag")?.to_owned();
        Ok(Some(ObjectHead { bytes: answer.body, size, etag }))
    }

    /// Writes a small object, unless its state is another than expected: with an `etag`, these contents; without, that
    /// there is none. Returns its new `ETag`; `None` if the state is another.
    #[boxed]
    pub(crate) async fn write_if(
        &self,
        key: &str,
        etag: Option<&str>,
        body: &str,
    ) -> Result<Option<String>, Error> {
        let condition = etag.map_or(("if-none-match", "*"), |etag| ("if-match", etag));
        let answer = self.call("PUT", key, &[condition], body, ATTEMPT).await?;
        match answer.status {
            200 => Ok(Some(answer.header("etag")?.to_owned())),
            // 409: another write of the object was under way. 404: it was deleted.
            404 | 409 | 412 => Ok(None),
            _ => Err(answer.unexpected()),
        }
    }

    /// Copies an object to another key. With an `etag`, only these contents. Without `served_as`, the copy is served as
    /// the object is.
    #[boxed]
    pub(crate) async fn copy(
        &self,
        from: &str,
        etag: Option<&str>,
        to: &str,
        served_as: Option<&ServedAs>,
    ) -> Result<Copied, Error> {
        let source = format!("/{}/{from}", self.0.name);
        let mut headers = vec![("x-amz-copy-source", source.as_str())];
        headers.extend(etag.map(|etag| ("x-amz-copy-source-if-match", etag)));
        if let Some(ServedAs { content_type, disposition, cache_control }) = served_as {
            headers.extend([
                ("x-amz-metadata-directive", "REPLACE"),
                ("content-type", content_type),
                ("content-disposition", disposition),
                ("cache-control", cache_control),
            ]);
        }
        let answer = self.call("PUT", to, &headers, "", COPY_ATTEMPT).await?;
        match answer.status {
            // S3 may begin its answer before the copy is complete, and then say in the body that it has failed.
            200 if answer.body.windows(17).any(|part| part == b"<CopyObjectResult") => Ok(Copied::Done),
            200 => Err(Error::Unavailable(answer.unexpected().into())),
            404 => Ok(Copied::Missing),
            412 => Ok(Copied::Replaced),
            _ => Err(answer.unexpected()),
        }
    }

    /// Deletes an object, if there is one.
    #[boxed]
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Error> {
        let answer = self.call("DELETE", key, &[], "", ATTEMPT).await?;
        if answer.is_success() || answer.status == 404 { Ok(()) } else { Err(answer.unexpected()) }
    }

    /// Lists up to 300 keys with a prefix, in their order, from behind a key or the beginning.
    #[boxed]
    pub(crate) async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Error> {
        let limit = LISTED.to_string();
        let all = [("list-type", "2"), ("max-keys", &limit), ("prefix", prefix)];
        let query = all.into_iter().chain(after.map(|after| ("start-after", after)));
        let query = form_urlencoded::Serializer::for_suffix("?".to_owned(), 1).extend_pairs(query).finish();
        let answer = self.call("GET", &query, &[], "", ATTEMPT).await?;
        if answer.status != 200 {
            return Err(answer.unexpected());
        }
        // No key contains a character that XML encodes.
        let body = String::from_utf8_lossy(&answer.body);
        let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        Ok(keys.map(ToOwned::to_owned).collect())
    }

    /// Makes a call, again if it fails for a reason that passes.
    async fn call(
        &self,
        method: &str,
        key: &str,
        headers: &[(&str, &str)],
        body: &str,
        limit: Duration,
    ) -> Result<Answer, Error> {
        let mut failure: Source = "not called".into();
        for _ in 0..MAX_ATTEMPTS {
            let mut request = HttpRequest::new(body.to_owned().into());
            request.set_method(method).map_err(Error::internal)?;
            request.set_uri(self.url_of(key)).map_err(Error::internal)?;
            for (name, value) in headers {
                let (name, value) = ((*name).to_owned(), (*value).to_owned());
                request.headers_mut().try_insert(name, value).map_err(Error::internal)?;
            }
            self.0.signer.sign(&mut request)?;
            match tokio::time::timeout(limit, self.send(request)).await {
                Ok(Ok(answer)) if answer.status < 500 && answer.status != 429 => return Ok(answer),
                Ok(Ok(answer)) => failure = answer.unexpected().into(),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = "S3 did not answer in time".into(),
            }
        }
        Err(Error::Unavailable(failure))
    }

    async fn send(&self, request: HttpRequest) -> Result<Answer, Source> {
        let response = self.0.http.get_or_init(connector).call(request).await?;
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?.to_bytes();
        Ok(Answer { status, headers, body })
    }
}
