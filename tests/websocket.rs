//! The local stand-in for API Gateway's WebSocket API. The tests use a plain client, the unmodified SDK, and functions
//! that only record their events.

mod handshakes;
mod limits;
mod management;
mod messages;

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayCustomAuthorizerResponse,
    ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest as Event,
};
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::retry::RetryConfig;
use aws_sdk_apigatewaymanagement::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_apigatewaymanagement::primitives::Blob;
use axum::Router;
use domain::id::Clock;
use futures_util::{SinkExt, StreamExt};
use local::websocket::{Api, Functions, Gateway, Limits, call};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// How long the tests wait for anything before they fail.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a test waits before it asserts that nothing happened.
const QUIET: Duration = Duration::from_millis(150);

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// A running gateway, and the events that its functions got.
struct Served {
    gateway: Gateway,
    /// `host:port` of the sockets.
    address: String,
    /// `host:port` of the management API.
    management: String,
    client: Client,
    events: mpsc::UnboundedReceiver<Event>,
    authorizations: mpsc::UnboundedReceiver<ApiGatewayCustomAuthorizerRequestTypeRequest>,
    /// A function that is asked to wait takes a permit from here.
    gate: Arc<Semaphore>,
}

async fn serve(limits: Limits) -> Served {
    let (sockets, management) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = sockets.local_addr().unwrap().to_string();
    let domain_name = management.local_addr().unwrap().to_string();
    let api = Api {
        id: "local".to_owned(),
        stage: "test".to_owned(),
        domain_name: domain_name.clone(),
        routes: vec!["send".to_owned(), "ping".to_owned()],
    };
    let gate = Arc::new(Semaphore::new(0));
    let (record, events) = mpsc::unbounded_channel();
    let (record_authorization, authorizations) = mpsc::unbounded_channel();
    let functions = Functions {
        authorize: call(move |event| authorize(event, record_authorization.clone())),
        connect: recorded(&record, &gate, connect),
        disconnect: recorded(&record, &gate, async |_, _| Ok(answer(200))),
        message: recorded(&record, &gate, message),
    };
    let gateway = Gateway::new(api, functions, limits);
    let routes = Router::new().route("/ws", gateway.upgrade());
    tokio::spawn(axum::serve(sockets, routes).into_future());
    tokio::spawn(axum::serve(management, gateway.management()).into_future());
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(format!("http://{domain_name}/test"));
    let client = Client::from_conf(config.build());
    Served { gateway, address, management: domain_name, client, events, authorizations, gate }
}

type Function = local::websocket::Call<Event, ApiGatewayProxyResponse>;

/// Wraps a function so that it records each event before it handles it.
fn recorded<F, A>(record: &mpsc::UnboundedSender<Event>, gate: &Arc<Semaphore>, function: F) -> Function
where
    F: Fn(Event, Arc<Semaphore>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<ApiGatewayProxyResponse, String>> + Send + 'static,
{
    let (record, gate) = (record.clone(), Arc::clone(gate));
    call(move |event: Event| {
        let _ = record.send(event.clone());
        function(event, Arc::clone(&gate))
    })
}

fn answer(status: i64) -> ApiGatewayProxyResponse {
    let mut answer = ApiGatewayProxyResponse::default();
    answer.status_code = status;
    answer
}

/// An authorizer that does what the token says.
async fn authorize(
    event: ApiGatewayCustomAuthorizerRequestTypeRequest,
    record_authorization: mpsc::UnboundedSender<ApiGatewayCustomAuthorizerRequestTypeRequest>,
) -> Result<ApiGatewayCustomAuthorizerResponse, String> {
    let token = event.query_string_parameters.first("token").unwrap_or("alice").to_owned();
    let arn = event.method_arn.clone();
    let _ = record_authorization.send(event);
    let effect = match token.as_str() {
        "bad" => return Err("Unauthorized".to_owned()),
        "broken" => return Err("the key is missing".to_owned()),
        "slow" => pending().await,
        "denied" => "Deny",
        _ => "Allow",
    };
    let statement = json!({ "Effect": effect, "Action": ["execute-api:Invoke"], "Resource": [arn] });
    // The format of the context is free, except that `expires` has a meaning for the gateway.
    let now = Clock::default().now().millis();
    let expires = if token == "expiring" { Some(now + 300) } else { None };
    let answer = json!({
        "principalId": token,
        "policyDocument": { "Version": "2012-10-17", "Statement": [statement] },
        "context": { "name": "Alice", "exp": 1_900_000_000, "none": null, "expires": expires },
    });
    Ok(serde_json::from_value(answer).unwrap())
}

/// A connect function that does what the query string says.
async fn connect(event: Event, gate: Arc<Semaphore>) -> Result<ApiGatewayProxyResponse, String> {
    let query = |name: &str| event.query_string_parameters.first(name);
    match query("connect") {
        Some("fails") => return Err("no table".to_owned()),
        Some("panics") => panic!("as requested"),
        Some("hangs") => pending().await,
        Some("waits") => gate.acquire().await.unwrap().forget(),
        _ => {}
    }
    let mut answer = answer(query("status").map_or(200, |status| status.parse().unwrap()));
    if let Some(protocol) = query("protocol") {
        answer.headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
        answer.headers.insert("x-other", "nobody sees this".parse().unwrap());
    }
    answer.body = Some("nobody sees this".into());
    Ok(answer)
}

/// A message function that does what the body says.
async fn message(event: Event, gate: Arc<Semaphore>) -> Result<ApiGatewayProxyResponse, String> {
    match event.body.as_deref() {
        Some("fails") => return Err("no table".to_owned()),
        Some("panics") => panic!("as requested"),
        Some("hangs") => pending().await,
        Some("waits") => gate.acquire().await.unwrap().forget(),
        _ => {}
    }
    let mut answer = answer(500);
    answer.body = Some("nobody sees this".into());
    Ok(answer)
}

impl Served {
    async fn try_open(
        &self,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(Socket, Response), Error> {
        dial(&self.address, query, headers).await
    }

    /// Opens a socket, and returns its connection's id, too.
    async fn open(&mut self) -> (Socket, String) {
        self.open_with("alice").await
    }

    async fn open_with(&mut self, token: &str) -> (Socket, String) {
        let (socket, _) = self.try_open(&format!("?token={token}"), &[]).await.unwrap();
        let event = self.next("CONNECT").await;
        (socket, event.request_context.connection_id.unwrap())
    }

    /// Waits for the next call of a function, whose event must be of this type.
    async fn next(&mut self, kind: &str) -> Event {
        let event = timeout(PATIENCE, self.events.recv()).await.expect("no function was called").unwrap();
        assert_eq!(event.request_context.event_type.as_deref(), Some(kind));
        event
    }

    /// Asserts that no function is called.
    async fn assert_quiet(&mut self) {
        if let Ok(event) = timeout(QUIET, self.events.recv()).await {
            panic!("called: {event:?}");
        }
    }

    /// Waits for the next call, which must disconnect this connection. Returns its close code and reason.
    async fn disconnected(&mut self, id: &str) -> (i64, String) {
        let context = self.next("DISCONNECT").await.request_context;
        assert_eq!(context.connection_id.as_deref(), Some(id));
        assert_eq!(context.route_key.as_deref(), Some("$disconnect"));
        (context.disconnect_status_code.unwrap(), context.disconnect_reason.unwrap())
    }

    /// Posts to a connection. Returns `posted`, or the name of the error.
    async fn post(&self, id: &str, data: impl Into<Vec<u8>>) -> String {
        let posted = self.client.post_to_connection().connection_id(id).data(Blob::new(data)).send();
        match timeout(PATIENCE, posted).await.expect("no answer to the post") {
            Ok(_) => "posted".to_owned(),
            Err(error) => error.into_service_error().meta().code().unwrap_or("?").to_owned(),
        }
    }
}

/// Opens a socket that fails on frames above 32 KB.
async fn dial(
    address: &str,
    query: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Socket, Response), Error> {
    let mut request = format!("ws://{address}/ws{query}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let config = WebSocketConfig::default().max_frame_size(Some(local::websocket::limits::FRAME));
    let opened = connect_async_with_config(request, Some(config), true);
    timeout(PATIENCE, opened).await.expect("no answer to the handshake")
}

/// Returns the next text.
async fn text(socket: &mut Socket) -> String {
    loop {
        match frame(socket).await {
            Some(Message::Text(text)) => return text.as_str().to_owned(),
            Some(Message::Ping(_) | Message::Pong(_)) => {}
            other => panic!("not a text: {other:?}"),
        }
    }
}

async fn frame(socket: &mut Socket) -> Option<Message> {
    let next = timeout(PATIENCE, socket.next()).await.expect("nothing came");
    next.map(|next| next.expect("the socket broke"))
}

/// Waits until the gateway has closed the socket and hung up. Returns the close code and reason.
async fn closed(socket: &mut Socket) -> (u16, String) {
    let mut found = None;
    while let Some(message) = frame(socket).await {
        if let Message::Close(Some(close)) = message {
            found = Some((close.code.into(), close.reason.as_str().to_owned()));
        }
    }
    found.expect("closed without a close frame")
}

async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

/// Sends plain HTTP, so that no client encodes, signs or checks anything.
async fn plain(address: &str, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (line, body) = request.split_once('\n').unwrap_or((request, ""));
    let head =
        format!("{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}", body.len());
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("no answer").unwrap();
    answer
}

fn query(pairs: &[(&str, &str)]) -> HashMap<String, Vec<String>> {
    let mut map = HashMap::<String, Vec<String>>::new();
    for (name, value) in pairs {
        map.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    map
}
