//! The storage of files behind a world, and the wire to it, which can inject faults; how a browser uploads and loads.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::Credentials;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::id::Clock;
use edge::app::Settings;
use edge::bucket::BucketSettings;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use local::engine::Engine;
use local::storage::{BUCKET, Keys, Storage, routes};
use observe::meter;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::actor::{Actor, Answer};
use crate::{World, roles};

/// The fault of a call from the functions to the storage.
pub enum Fault {
    /// Nothing: it is served.
    None,
    /// It is answered with 500 and has no effect.
    Fails,
    /// It takes effect, but is answered with 500.
    Lost,
    /// It is served after this is done.
    After(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// Decides what happens to a call, by its method and key.
type Decision = Box<dyn FnMut(&str, &str) -> Fault + Send>;

/// The storage behind a world, on a loopback port.
#[derive(Clone)]
pub struct Files {
    /// The storage itself.
    pub storage: Storage,
    /// Its address.
    pub url: String,
    decision: Arc<Mutex<Decision>>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}

/// The keys of every world's storage.
pub const KEYS: [&str; 2] = ["test", "a secret of the storage"];

impl Files {
    /// Starts a storage in memory whose clock is off by `millis` milliseconds.
    pub async fn start(millis: i64) -> Self {
        let [id, secret] = KEYS.map(ToOwned::to_owned);
        let storage = Storage::new(None, Keys { id, secret }, Clock::off_by(millis));
        let port = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", port.local_addr().expect("an address"));
        let decision: Arc<Mutex<Decision>> = Arc::new(Mutex::new(Box::new(|_, _| Fault::None)));
        let files = Self { storage, url, decision, calls: Arc::default() };
        let layered = files.clone();
        let faults = from_fn(move |request: Request, next: Next| layered.clone().serve(request, next));
        let routes = routes(&files.storage).layer(faults);
        tokio::spawn(async move { axum::serve(port, routes).await });
        files
    }

    /// Serves a call, with the fault that the test has decided on. Browsers see no faults.
    async fn serve(self, request: Request, next: Next) -> Response {
        if !request.headers().contains_key(header::AUTHORIZATION) {
            return next.run(request).await;
        }
        let key = request.uri().path().trim_start_matches(&format!("/{BUCKET}/")).to_owned();
        let method = request.method().as_str().to_owned();
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{method} {key}"));
        let fault = (self.decision.lock().unwrap_or_else(PoisonError::into_inner))(&method, &key);
        let failed = || StatusCode::INTERNAL_SERVER_ERROR.into_response();
        match fault {
            Fault::None => next.run(request).await,
            Fault::Fails => failed(),
            Fault::Lost => {
                next.run(request).await;
                failed()
            }
            // Also if the caller does not wait for it, as in S3.
            Fault::After(work) => {
                let served = tokio::spawn(async move {
                    work.await;
                    next.run(request).await
                });
                served.await.unwrap_or_else(|_| failed())
            }
        }
    }

    /// Decides what happens to later calls of the functions.
    pub fn inject(&self, decision: impl FnMut(&str, &str) -> Fault + Send + 'static) {
        *self.decision.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(decision);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.inject(|_, _| Fault::None);
    }

    /// Returns the calls of the functions so far, such as `GET up/…`, and forgets them.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns all keys, in order.
    pub fn keys(&self) -> Vec<String> {
        let root = self.storage.folder().expect("a folder").join("objects");
        let (mut keys, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let key = path.strip_prefix(&root).expect("a key").to_str().expect("a text");
                    keys.push(key.trim_end_matches(".json").to_owned());
                }
            }
        }
        keys.sort();
        keys
    }

    /// Returns the keys below a prefix, such as `f/`.
    pub fn below(&self, prefix: &str) -> Vec<String> {
        self.keys().into_iter().filter(|key| key.starts_with(prefix)).collect()
    }

    pub(crate) fn settings(&self, settings: Settings) -> Settings {
        let [id, secret] = KEYS;
        let bucket = BucketSettings {
            name: BUCKET.to_owned(),
            endpoint: Some(self.url.clone()),
            files_url: None,
            region: "us-east-1".to_owned(),
            credentials: Credentials::new(id, secret, None, None, "tests"),
        };
        Settings { bucket: Some(bucket), ..settings }
    }

    pub(crate) fn connector() -> SharedHttpConnector {
        SharedHttpConnector::new(Recorder)
    }
}

/// Calls the storage, and compares each call with the role of the function that makes it.
#[derive(Debug)]
struct Recorder;

impl HttpConnector for Recorder {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let key = request.uri().split_once(&format!("/{BUCKET}/")).map_or("", |(_, key)| key).to_owned();
        let from = request.headers().get("x-amz-copy-source").map(ToOwned::to_owned);
        let from =
            from.as_deref().and_then(|from| from.split_once(&format!("/{BUCKET}/"))).map(|(_, key)| key);
        if let Some(function) = meter::serving() {
            roles::record_call_to_files(function, request.method(), &key, from);
        }
        let call = async move {
            let method = request.method().parse::<Method>()?;
            let mut call = http::Request::builder().method(method).uri(request.uri());
            for (name, value) in request.headers() {
                call = call.header(name, value);
            }
            let body = request.body().bytes().unwrap_or_default().to_vec();
            let (status, headers, body) = send(call.body(Full::from(body))?).await?;
            let mut answer = HttpResponse::new(status.into(), SdkBody::from(body));
            for (name, value) in &headers {
                answer.headers_mut().append(name.as_str().to_owned(), value.to_str()?.to_owned());
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer)
        };
        HttpConnectorFuture::new(async move { call.await.map_err(ConnectorError::io) })
    }
}

/// Sends a request to the host of its URL.
async fn send(
    request: http::Request<Full<Bytes>>,
) -> Result<(StatusCode, HeaderMap, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let host = request.uri().authority().ok_or("no host")?.to_string();
    let (mut parts, body) = request.into_parts();
    parts.headers.insert(header::HOST, host.parse()?);
    parts.uri = parts.uri.path_and_query().ok_or("no path")?.as_str().parse()?;
    let stream = TcpStream::connect(&host).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = sender.send_request(http::Request::from_parts(parts, body)).await?;
    let (parts, body) = response.into_parts();
    Ok((parts.status, parts.headers, body.collect().await?.to_bytes()))
}

/// An answer of the storage to a browser.
#[derive(Debug)]
pub struct Loaded {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Loaded {
    /// Returns a header's value.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts the status and returns the answer.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// Makes a request, as a browser does for a picture.
pub async fn fetch(method: &str, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Loaded {
    try_fetch(method, url, headers, body).await.expect("an answer")
}

/// Makes a request; `None` if there is no answer, because the server has died.
pub async fn try_fetch(method: &str, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Option<Loaded> {
    let mut request = http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::from(body)).expect("a request");
    let (status, headers, body) = send(request).await.ok()?;
    Some(Loaded { status: status.as_u16(), headers, body })
}

/// Posts a form as a browser does: the fields first, the file last.
pub async fn post_form(upload: &Value, change: &[(&str, &str)], file: &[u8]) -> Loaded {
    const BOUNDARY: &str = "the-end-of-a-part";
    let mut fields: Vec<(String, String)> = Vec::new();
    for (name, value) in upload["fields"].as_object().expect("fields") {
        fields.push((name.clone(), value.as_str().expect("a text").to_owned()));
    }
    for (name, value) in change {
        fields.retain(|(known, _)| known != name);
        fields.push(((*name).to_owned(), (*value).to_owned()));
    }
    let mut body = Vec::new();
    for (name, value) in fields {
        let part =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let part = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\
         Content-Type: text/html\r\n\r\n"
    );
    body.extend_from_slice(part.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    // The form is signed with the role of this function.
    roles::record_call_to_files("attachments", "PUT", "up/", None);
    fetch("POST", upload["url"].as_str().expect("a URL"), &[("content-type", &kind)], body).await
}

/// A PNG of one colour with these dimensions, as far as its first bytes tell.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend_from_slice(&width.to_be_bytes());
    bytes.extend_from_slice(&height.to_be_bytes());
    bytes.extend_from_slice(&[8, 2, 0, 0, 0, 1, 2, 3, 4]);
    bytes.extend_from_slice(&[0; 100]);
    bytes
}

impl World {
    /// Creates a world with a storage for files.
    pub async fn with_files() -> (Self, Files) {
        let files = Files::start(0).await;
        (Self::on_files(Engine::in_memory().expect("an engine in memory"), &files).await, files)
    }
}

impl Actor {
    /// Asks for an upload.
    pub async fn ask(&self, name: &str, kind: &str, size: usize, more: &Value) -> Answer {
        let mut body = json!({"file_name": name, "content_type": kind, "size": size});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        self.post("/api/attachments", &body).await
    }

    /// Uploads a file. Returns its attachment id.
    pub async fn upload(&self, name: &str, file: &[u8]) -> String {
        self.upload_for("message", name, file).await
    }

    /// Uploads a file for a purpose. Returns its attachment id.
    pub async fn upload_for(&self, purpose: &str, name: &str, file: &[u8]) -> String {
        let kind = "application/octet-stream";
        let asked = self.ask(name, kind, file.len(), &json!({"purpose": purpose})).await.expect(201);
        post_form(&asked.data()["upload"], &[], file).await.expect(204);
        asked.data()["attachment_id"].as_str().expect("an id").to_owned()
    }

    /// Sends files to a user.
    pub async fn send_files(&self, to: &str, ids: &[&str]) -> Answer {
        self.post("/api/messages/send", &files_to(to, ids)).await
    }

    /// Sends files to a user, with a client message id.
    pub async fn send_files_once(&self, to: &str, ids: &[&str], key: &str) -> Answer {
        let mut body = files_to(to, ids);
        body["client_message_id"] = key.into();
        self.post("/api/messages/send", &body).await
    }

    /// Follows a link, as a browser does.
    pub async fn load(&self, link: &str) -> Loaded {
        let path = link.strip_prefix(PUBLIC_URL).expect("a link below the public URL");
        let answer = self.anonymous().get(path).await;
        if answer.status != 302 {
            return Loaded { status: answer.status, headers: answer.headers, body: Bytes::new() };
        }
        let location = answer.headers["location"].to_str().expect("a URL").to_owned();
        let key = location.split_once(&format!("/{BUCKET}/")).expect("a key").1;
        // The link to the storage is signed with the role of this function.
        roles::record_call_to_files("attachments", "GET", key, None);
        fetch("GET", &location, &[], Vec::new()).await
    }
}

/// The public URL of every world.
pub const PUBLIC_URL: &str = "http://tidings.example";

fn files_to(to: &str, ids: &[&str]) -> Value {
    let attachments: Vec<Value> = ids.iter().map(|id| json!({"attachment_id": id})).collect();
    json!({"recipient_id": to, "attachments": attachments})
}
