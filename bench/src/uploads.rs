//! Measures files: uploads with their sends, the server's memory during large uploads, and the time until the other user
//! sees a picture.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use harness::storage::png;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::client::{Client, User};
use crate::failure::Failure;
use crate::load::Load;
use crate::report::{self, Row, mega, note, say};
use crate::rows::CLIENTS;
use crate::seed;
use crate::server::Server;
use crate::sockets::{Protocol, Socket};

/// The size of a picture, in bytes.
const PICTURE: usize = 1024 * 1024;
/// The size of a large file, in bytes.
const LARGE: usize = 10 * 1024 * 1024;
/// Clients that upload large files at once.
const UPLOADERS: usize = 32;
/// Large files that each of them uploads.
const LARGE_FILES: usize = 3;
/// How often the server's memory is read meanwhile.
const SAMPLE: Duration = Duration::from_millis(50);
/// How long the other user waits for the event of a picture.
const PATIENCE: Duration = Duration::from_secs(10);
/// The line between the parts of a form.
const BOUNDARY: &str = "the-end-of-a-part";

/// Measures and prints the table, with a server of its own: its memory must not be that of other measurements.
pub(crate) async fn measure(time: Duration) -> Result<(), Failure> {
    note("uploading files")?;
    let server = Server::start()?;
    let ids = (0..UPLOADERS.max(2)).map(|index| format!("uploader-{index}")).collect();
    let users = seed::users(&server, ids).await?;
    say(&report::uploads_head())?;
    for clients in CLIENTS {
        let load = send_pictures(&server, users.get(..clients).ok_or("too few users")?, time).await?;
        say(&Row { name: "upload and send of 1 MiB", clients, load }.to_string())?;
    }
    let [one, other, ..] = users.as_slice() else { return Err("too few users".into()) };
    let [chosen, sent] = show_pictures(&server, one, other, time).await?;
    say(&Row { name: "picture chosen to picture seen", clients: 1, load: chosen }.to_string())?;
    say(&Row { name: "picture sent to first byte", clients: 1, load: sent }.to_string())?;
    large_uploads(&users).await
}

/// The body of a request: pieces, so that many uploads share the memory of one file.
type Body = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

fn body(pieces: Vec<Bytes>) -> Body {
    let frames: Vec<_> = pieces.into_iter().map(|piece| Ok(Frame::data(piece))).collect();
    StreamBody::new(stream::iter(frames))
}

/// A connection of a browser to the storage, or to the server for a link.
struct Browser {
    requests: SendRequest<Body>,
    host: String,
}

impl Browser {
    /// Connects to the host of a URL.
    async fn connect(url: &Uri) -> Result<Self, Failure> {
        let host = url.authority().ok_or("a URL without a host")?.to_string();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { requests, host })
    }

    /// Sends a request. The answer's body has not been read yet.
    async fn request(
        &mut self,
        method: Method,
        url: &Uri,
        headers: &[(header::HeaderName, String)],
        pieces: Vec<Bytes>,
        expected: StatusCode,
    ) -> Result<(HeaderMap, Incoming), Failure> {
        let path = url.path_and_query().ok_or("a URL without a path")?.as_str();
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.host);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.requests.ready().await?;
        let (parts, body) = self.requests.send_request(request.body(body(pieces))?).await?.into_parts();
        if parts.status != expected {
            let text = body.collect().await?.to_bytes();
            return Err(format!("{url} returned {}: {}", parts.status, String::from_utf8_lossy(&text)).into());
        }
        Ok((parts.headers, body))
    }

    async fn get(&mut self, url: &Uri, expected: StatusCode) -> Result<(HeaderMap, Incoming), Failure> {
        self.request(Method::GET, url, &[], Vec::new(), expected).await
    }
}

/// A user who uploads and sends files, over one connection to the server and one to the storage.
struct Uploader {
    user: User,
    client: Client,
    storage: Option<Browser>,
}

impl Uploader {
    async fn connect(server: &Server, user: &User) -> Result<Self, Failure> {
        Ok(Self { user: user.clone(), client: Client::connect(server.address).await?, storage: None })
    }

    /// Uploads a file. Returns its attachment id.
    async fn upload(&mut self, file: &Bytes) -> Result<String, Failure> {
        let new = json!({"file_name": "photo.png", "content_type": "image/png", "size": file.len()});
        let asked = self.user.post("/api/attachments", &new, StatusCode::CREATED)?;
        let asked = self.client.call(asked).await?.json()?;
        let form = &asked["data"]["upload"];
        let url: Uri = form["url"].as_str().ok_or("a form without a URL")?.parse()?;
        let (begin, end) = around_the_file(form)?;
        let length = begin.len() + file.len() + end.len();
        let headers = [
            (header::CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}")),
            (header::CONTENT_LENGTH, length.to_string()),
        ];
        let mut storage = match self.storage.take() {
            Some(storage) => storage,
            None => Browser::connect(&url).await?,
        };
        let pieces = vec![begin, file.clone(), end];
        let answer = storage.request(Method::POST, &url, &headers, pieces, StatusCode::NO_CONTENT);
        answer.await?.1.collect().await?;
        self.storage = Some(storage);
        Ok(asked["data"]["attachment_id"].as_str().ok_or("an upload without an id")?.to_owned())
    }

    async fn send(&mut self, to: &str, attachment: &str) -> Result<(), Failure> {
        let message = json!({"recipient_id": to, "attachments": [{"attachment_id": attachment}]});
        let call = self.user.post("/api/messages/send", &message, StatusCode::CREATED)?;
        self.client.call(call).await.map(|_| ())
    }
}

/// Returns the parts of a form's body before and after the file.
fn around_the_file(form: &Value) -> Result<(Bytes, Bytes), Failure> {
    let mut begin = String::new();
    for (name, value) in form["fields"].as_object().ok_or("a form without fields")? {
        let value = value.as_str().ok_or("a field without a text")?;
        begin.push_str(&part(&format!("name=\"{name}\"")));
        begin.push_str("\r\n");
        begin.push_str(value);
        begin.push_str("\r\n");
    }
    begin.push_str(&part("name=\"file\"; filename=\"photo.png\""));
    begin.push_str("Content-Type: image/png\r\n\r\n");
    Ok((begin.into(), format!("\r\n--{BOUNDARY}--\r\n").into()))
}

/// The first lines of a part of the form.
fn part(parameters: &str) -> String {
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {parameters}\r\n")
}

/// A file of this size that begins as a picture does.
fn picture(size: usize) -> Bytes {
    let mut file = png(1_280, 960);
    file.resize(size, 7);
    file.into()
}

/// Lets each user upload and send pictures until the time is up, the first of them unmeasured.
async fn send_pictures(server: &Server, users: &[User], time: Duration) -> Result<Load, Failure> {
    let (file, start) = (picture(PICTURE), Arc::new(Barrier::new(users.len())));
    let mut tasks = JoinSet::new();
    for (index, user) in users.iter().enumerate() {
        let mut uploader = Uploader::connect(server, user).await?;
        let to = format!("uploader-{}", (index + 1) % UPLOADERS);
        let (file, start) = (file.clone(), start.clone());
        tasks.spawn(async move {
            let first = uploader.upload(&file).await?;
            uploader.send(&to, &first).await?;
            start.wait().await;
            let (began, mut times) = (Instant::now(), Vec::new());
            while began.elapsed() < time || times.is_empty() {
                let step = Instant::now();
                let attachment = uploader.upload(&file).await?;
                uploader.send(&to, &attachment).await?;
                times.push(step.elapsed());
            }
            Ok::<_, Failure>((times, began.elapsed()))
        });
    }
    let (mut all, mut longest) = (Vec::new(), Duration::ZERO);
    while let Some(done) = tasks.join_next().await {
        let (times, took) = done??;
        all.extend(times);
        longest = longest.max(took);
    }
    let per_second = f64::from(u32::try_from(all.len())?) / longest.as_secs_f64();
    Ok(Load::of(all, per_second))
}

/// Sends pictures to a user on a socket, who loads each as soon as the event is there. Returns the times from the choice
/// of a picture, before its upload, until the other has all of it; and from the send to the first byte.
async fn show_pictures(
    server: &Server,
    one: &User,
    other: &User,
    time: Duration,
) -> Result<[Load; 2], Failure> {
    let (file, mut uploader) = (picture(PICTURE), Uploader::connect(server, one).await?);
    let mut socket = Socket::open(server.address, other, Protocol::Tidings).await?;
    let mut links = Browser::connect(&format!("http://{}/", server.address).parse()?).await?;
    let mut storage = None;
    let (began, mut chosen, mut sent) = (Instant::now(), Vec::new(), Vec::new());
    while began.elapsed() < time || chosen.is_empty() {
        let choice = Instant::now();
        let attachment = uploader.upload(&file).await?;
        let stored = Instant::now();
        let (done, link) =
            tokio::join!(uploader.send(&other.id, &attachment), timeout(PATIENCE, link_in(&mut socket)));
        // The answer to the send is not what the other waits for, but it has come first.
        done?;
        let (headers, redirect) = links.get(&link??, StatusCode::FOUND).await?;
        redirect.collect().await?;
        let location: Uri =
            headers.get(header::LOCATION).ok_or("a redirect without a place")?.to_str()?.parse()?;
        let mut browser = match storage.take() {
            Some(browser) => browser,
            None => Browser::connect(&location).await?,
        };
        let (_, mut body) = browser.get(&location, StatusCode::OK).await?;
        body.frame().await.ok_or("an empty picture")??;
        sent.push(stored.elapsed());
        body.collect().await?;
        chosen.push(choice.elapsed());
        storage = Some(browser);
    }
    let per_second = f64::from(u32::try_from(chosen.len())?) / began.elapsed().as_secs_f64();
    Ok([Load::of(chosen, per_second), Load::of(sent, per_second)])
}

/// Waits for a message with a file. Returns the link to it.
async fn link_in(socket: &mut Socket) -> Result<Uri, Failure> {
    loop {
        let frame = socket.frame().await?;
        let file = frame.split_once(r#""attachments":[{"#).map(|(_, file)| file);
        let link = file.and_then(|file| file.split_once(r#""url":""#)?.1.split('"').next());
        if let Some(link) = link {
            return Ok(link.parse()?);
        }
    }
}

/// Uploads large files from all users at once to a new server, and prints its memory before and meanwhile.
async fn large_uploads(users: &[User]) -> Result<(), Failure> {
    let server = Server::start()?;
    let before = server.memory()?.resident;
    let (file, mut tasks) = (picture(LARGE), JoinSet::new());
    let began = Instant::now();
    for user in users.iter().take(UPLOADERS) {
        let mut uploader = Uploader::connect(&server, user).await?;
        let file = file.clone();
        tasks.spawn(async move {
            for _ in 0..LARGE_FILES {
                uploader.upload(&file).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    let mut most = before;
    while !tasks.is_empty() {
        sleep(SAMPLE).await;
        most = most.max(server.memory()?.resident);
        while let Some(done) = tasks.try_join_next() {
            done??;
        }
    }
    let bytes = f64::from(u32::try_from(UPLOADERS * LARGE_FILES * LARGE / (1024 * 1024))?);
    say(&format!(
        "{UPLOADERS} clients that upload 10 MiB each, {LARGE_FILES} times: {:.0} MiB/s; the server's memory is {} before, \
         and at most {} meanwhile",
        bytes / began.elapsed().as_secs_f64(),
        mega(before),
        mega(most)
    ))
}
