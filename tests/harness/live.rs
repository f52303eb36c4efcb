//! A whole stack in this process: users call its functions directly and open sockets on its port. Also worlds that push
//! to an endpoint of the test.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use axum::Router;
use domain::id::Clock;
use domain::time::Timestamp;
use edge::app::App;
use edge::auth;
use edge::push::Push;
use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use local::options::Options;
use local::secrets::days_from_now;
use local::stack::Stack;
use local::websocket::{Api, Gateway, Limits};
use serde_json::{Value, json};
use store::Store;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::{Actor, PASSWORD, Registered, TABLE, World, binaries, config, documents, roles};

/// Time limit of all waits in tests: longer than any of them takes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running stack.
pub struct Live {
    /// The stack.
    pub stack: Stack,
    service: Router,
}

impl Live {
    /// Starts a stack in memory, on any free port.
    pub async fn start() -> Self {
        Self::start_from(binaries::wanted().then(|| binaries::folder().to_owned())).await
    }

    /// Starts a stack in memory; if a folder is given, its functions are processes of the binary there.
    pub async fn start_from(functions_from: Option<PathBuf>) -> Self {
        Self::start_with(functions_from, Some(roles::call_recorder())).await
    }

    /// Starts a stack in memory as `tidings` does: its functions bypass the SDK's clients.
    pub async fn start_bypassing_clients() -> Self {
        Self::start_with(None, None).await
    }

    async fn start_with(functions_from: Option<PathBuf>, interceptor: Option<SharedInterceptor>) -> Self {
        let options = Options {
            port: 0,
            storage_port: 0,
            host: Ipv4Addr::LOCALHOST.into(),
            data_dir: "unused".into(),
            in_memory: true,
            functions_from,
            invoke_url: None,
            web_dir: "unused".into(),
            demo: None,
            cors_origins: Vec::new(),
            quiet: true,
        };
        let stack = Stack::start(&options, None, interceptor).await.expect("a stack");
        warm_up(&stack.app).await;
        // The router needs a gateway, but no test opens sockets on it: sockets are opened on the stack's port.
        let api =
            Api { id: String::new(), stage: String::new(), domain_name: String::new(), routes: Vec::new() };
        let unused = Gateway::new(api, local::gateway::socket_functions(&stack.app), Limits::default());
        let service = local::gateway::service(stack.app.clone(), stack.lambda.as_ref(), &unused, &[], None);
        Self { stack, service }
    }

    /// Returns the time `millis` milliseconds from now.
    pub fn from_now(&self, millis: i64) -> Timestamp {
        Timestamp::from_millis(self.stack.app.store.now().millis() + millis)
    }

    /// Signs a token for a user that expires at a time.
    pub fn token_until(&self, user: &str, expires: Timestamp) -> String {
        let id = user.parse().expect("a user id");
        auth::sign(self.stack.jwt_secret.as_bytes(), &id, Some(user), expires).expect("a token")
    }

    /// Signs a token for a user that expires in a day.
    pub fn token(&self, user: &str) -> String {
        self.token_until(user, days_from_now(1))
    }

    /// Returns a user with a profile.
    pub async fn user(&self, id: &str) -> Actor {
        let actor = Actor::new(self.service.clone(), id).with_token(Some(&self.token(id)));
        actor.get("/api/users/me").await.expect(200);
        actor
    }

    /// Returns two users with profiles: `alice` and `bob`.
    pub async fn two(&self) -> (Actor, Actor) {
        (self.user("alice").await, self.user("bob").await)
    }

    /// Opens a socket for a user.
    pub async fn open(&self, user: &Actor) -> Socket {
        self.open_with(&self.token(&user.id)).await
    }

    /// Registers a user and logs in.
    pub async fn registered(&self, username: &str) -> Registered {
        self.anonymous().register(username).await
    }

    /// Logs in a user whom [`Live::registered`] registered.
    pub async fn login(&self, username: &str) -> Registered {
        self.anonymous().login(username, PASSWORD).await
    }

    fn anonymous(&self) -> Actor {
        Actor::new(self.service.clone(), "nobody").with_token(None)
    }

    /// Opens a socket with the access token of a session.
    pub async fn open_as(&self, session: &Registered) -> Socket {
        self.open_with(session.actor.token().expect("a token")).await
    }

    /// Opens a socket with a token.
    pub async fn open_with(&self, token: &str) -> Socket {
        self.dial(&format!("?token={token}"), None).await.expect("a socket").0
    }

    /// Opens a socket with a query string and subprotocols. The socket fails on frames larger than 32 KB.
    pub async fn dial(&self, query: &str, protocols: Option<&str>) -> Result<(Socket, Response), Error> {
        let mut request = format!("ws://{}/ws{query}", self.stack.address).into_client_request()?;
        if let Some(protocols) = protocols {
            let protocols = HeaderValue::from_str(protocols).expect("a header");
            request.headers_mut().insert("sec-websocket-protocol", protocols);
        }
        let config = WebSocketConfig::default().max_frame_size(Some(local::websocket::limits::FRAME));
        let opened = connect_async_with_config(request, Some(config), true);
        let (stream, response) = timeout(PATIENCE, opened).await.expect("no answer to the handshake")?;
        Ok((Socket { stream, buffered: VecDeque::new() }, response))
    }

    /// Returns the status with which a handshake is refused.
    pub async fn refusal(&self, query: &str, protocols: Option<&str>) -> u16 {
        match self.dial(query, protocols).await {
            Err(Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{query}: {error}"),
            Ok(_) => panic!("{query}: the handshake was accepted"),
        }
    }
}

/// A client's end of a socket. Dropping it disconnects without a close frame.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Frames that arrived while a test waited for another one.
    buffered: VecDeque<Value>,
}

impl Socket {
    /// Sends a text.
    pub async fn say(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.expect("the socket is open");
    }

    /// Reads the next frame from the network; `None` once the socket is closed.
    async fn read(&mut self) -> Option<Value> {
        loop {
            let message = timeout(PATIENCE, self.stream.next()).await.expect("nothing came");
            match message.expect("closed twice").expect("the socket broke") {
                Message::Text(text) => return Some(frame(&text)),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(_) => return None,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads texts from the network, as they came, up to the first one that contains another text.
    pub async fn text_with(&mut self, wanted: &str) -> String {
        loop {
            let message = timeout(PATIENCE, self.stream.next()).await.expect("nothing came");
            match message.expect("the socket was closed").expect("the socket broke") {
                Message::Text(text) if text.contains(wanted) => return text.as_str().to_owned(),
                Message::Close(_) => panic!("the socket was closed"),
                _ => {}
            }
        }
    }

    /// Returns the first frame that meets a condition; buffers the frames before it.
    async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.buffered.iter().position(&wanted) {
            return self.buffered.remove(at).expect("it is there");
        }
        loop {
            let frame = self.read().await.expect("the socket was closed");
            if wanted(&frame) {
                return frame;
            }
            self.buffered.push_back(frame);
        }
    }

    /// Returns the next event of a type.
    pub async fn event(&mut self, kind: &str) -> Value {
        self.find(|frame| frame["type"] == kind).await
    }

    /// Returns the next answer to a frame: an ack, a pong or an error.
    pub async fn answer(&mut self) -> Value {
        self.find(|frame| ["ack", "pong", "error"].contains(&frame["type"].as_str().unwrap_or_default()))
            .await
    }

    /// Sends a frame and returns its answer.
    pub async fn ask(&mut self, frame: &Value) -> Value {
        self.say(&frame.to_string()).await;
        let answer = self.answer().await;
        if answer["type"] != "error"
            && let Some(fault) = documents::fault_of_request_frame(frame)
        {
            panic!("{fault}");
        }
        answer
    }

    /// Returns all frames that were pushed up to now: sends a ping, and reads up to its pong.
    pub async fn all(&mut self) -> Vec<Value> {
        self.say(&json!({"action": "ping", "ref": "all"}).to_string()).await;
        let pong = json!({"type": "pong", "ref": "all"});
        self.find(|frame| *frame == pong).await;
        self.buffered.drain(..).collect()
    }

    /// Returns all frames that were pushed up to now, except presence.
    pub async fn news(&mut self) -> Vec<Value> {
        let mut all = self.all().await;
        all.retain(|frame| frame["type"] != "presence");
        all
    }

    /// Waits until the server closes the socket. Returns the remaining frames and the close code.
    pub async fn closed(mut self) -> (Vec<Value>, u16) {
        let mut frames: Vec<Value> = self.buffered.drain(..).collect();
        loop {
            let message = timeout(PATIENCE, self.stream.next()).await.expect("nothing came");
            match message.expect("closed without a close frame").expect("the socket broke") {
                Message::Text(text) => frames.push(frame(&text)),
                Message::Close(close) => return (frames, close.map_or(1005, |close| close.code.into())),
                _ => {}
            }
        }
    }

    /// Closes the socket, and waits until the server has closed it, too.
    pub async fn close(mut self) {
        self.stream.close(None).await.expect("the socket is open");
        while let Some(Ok(_)) =
            timeout(PATIENCE, self.stream.next()).await.expect("the server does not close")
        {}
    }
}

/// Parses a frame. Panics if it does not match the published socket document.
fn frame(text: &str) -> Value {
    let frame = serde_json::from_str(text).expect("JSON");
    if let Some(fault) = documents::fault_of_frame(&frame) {
        panic!("{fault}");
    }
    frame
}

/// A reader that follows a user's event queue.
pub struct Reader {
    actor: Actor,
    cursor: String,
}

impl Reader {
    /// Starts at a new cursor.
    pub async fn new(actor: &Actor) -> Self {
        let answer = actor.get("/api/events").await.expect(200);
        Self { actor: actor.clone(), cursor: cursor(answer.data()) }
    }

    /// Returns all new events.
    pub async fn poll(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let path = format!("/api/events?limit=100&cursor={}", self.cursor);
            let answer = self.actor.get(&path).await.expect(200);
            let data = answer.data();
            self.cursor = cursor(data);
            events.extend(data["events"].as_array().expect("a list").iter().cloned());
            if data["has_more"] == false {
                return events;
            }
        }
    }
}

fn cursor(data: &Value) -> String {
    data["cursor"].as_str().expect("a cursor").to_owned()
}

/// Makes a first push, because it loads certificates, which on a busy machine takes longer than a push's time limit.
async fn warm_up(app: &App) {
    let _ = app.push.answer("nobody", "null".to_owned()).await;
}

impl World {
    /// Returns the same machine, which pushes to an endpoint of the test.
    pub async fn pushing_to(&self, endpoint: &str) -> Self {
        let pushes = aws_sdk_apigatewaymanagement::config::Builder::new()
            .behavior_version(aws_sdk_apigatewaymanagement::config::BehaviorVersion::latest())
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .interceptor(roles::call_recorder());
        let store = {
            let links = self.app.store.links().clone();
            Store::new(
                config(&self.wire),
                self.wire.http_client(),
                TABLE.to_owned(),
                Clock::default(),
                links,
                true,
            )
        };
        let app = self.app.with(|app| (app.store, app.push) = (store, Push::new(Some(pushes))));
        warm_up(&app).await;
        Self::with(app, self.wire.clone(), None)
    }

    /// Returns the same machine, whose pushes are all answered with 410 Gone.
    #[must_use]
    pub fn with_gone_sockets(&self) -> Self {
        let pushes = aws_sdk_apigatewaymanagement::config::Builder::new()
            .behavior_version(aws_sdk_apigatewaymanagement::config::BehaviorVersion::latest())
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .region(Region::new("us-east-1"))
            .endpoint_url("http://sockets.invalid")
            .http_client(http_client_fn(|_, _| SharedHttpConnector::new(Gone)))
            .interceptor(roles::call_recorder());
        self.with_app(|app| app.push = Push::new(Some(pushes)))
    }

    /// Returns the same machine, whose pushes bypass the SDK's client and are all answered with 410 Gone.
    #[must_use]
    pub fn with_gone_sockets_in_process(&self) -> Self {
        self.with_app(|app| app.push = app.push.clone().in_process(SharedHttpConnector::new(Gone)))
    }
}

/// A fake management API without sockets.
#[derive(Debug)]
struct Gone;

impl HttpConnector for Gone {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let mut answer = HttpResponse::new(http::StatusCode::GONE.into(), SdkBody::from("{}"));
        answer.headers_mut().insert("x-amzn-errortype", "GoneException");
        HttpConnectorFuture::ready(Ok(answer))
    }
}
