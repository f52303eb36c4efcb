//! A client on one keep-alive HTTP/1.1 connection, without a pool: the benchmark shares its cores with the server.

use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::failure::Failure;

/// A user and the token to authenticate with.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// The user's id.
    pub id: String,
    bearer: HeaderValue,
}

impl User {
    /// Creates a user from an id and an access token.
    pub(crate) fn new(id: String, token: &str) -> Result<Self, Failure> {
        Ok(Self { id, bearer: HeaderValue::from_str(&format!("Bearer {token}"))? })
    }

    /// Returns the access token.
    pub(crate) fn token(&self) -> Result<&str, Failure> {
        Ok(self.bearer.to_str()?.trim_start_matches("Bearer "))
    }

    /// Creates a call without a body. Expects 200.
    pub(crate) fn call(&self, method: Method, path: &str) -> Result<Call, Failure> {
        let uri = path.parse()?;
        Ok(Call { method, uri, bearer: self.bearer.clone(), body: Bytes::new(), expected: StatusCode::OK })
    }

    /// Creates a call that sends a message to a user. Expects 201.
    pub(crate) fn send(&self, to: &str, text: &str) -> Call {
        Call {
            method: Method::POST,
            uri: Uri::from_static("/api/messages/send"),
            bearer: self.bearer.clone(),
            body: json!({"recipient_id": to, "message_text": text}).to_string().into(),
            expected: StatusCode::CREATED,
        }
    }
}

impl User {
    /// Creates a call that sends a message to a conversation. Expects 201.
    pub(crate) fn send_to(&self, conversation: &str, text: &str) -> Call {
        let body = json!({"conversation_id": conversation, "message_text": text}).to_string().into();
        Call { body, ..self.send("", "") }
    }

    /// Creates a `POST` call with a JSON body.
    pub(crate) fn post(&self, path: &str, body: &Value, expected: StatusCode) -> Result<Call, Failure> {
        let call = self.call(Method::POST, path)?;
        Ok(Call { body: body.to_string().into(), expected, ..call })
    }

    /// Creates a `PATCH` call with a JSON body. Expects 200.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<Call, Failure> {
        let call = self.call(Method::PATCH, path)?;
        Ok(Call { body: body.to_string().into(), ..call })
    }
}

/// A request and the status that its response must have.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    uri: Uri,
    bearer: HeaderValue,
    body: Bytes,
    expected: StatusCode,
}

/// A response with its latency and cost.
pub(crate) struct Answer {
    /// Time from the call to the last byte of the body.
    pub took: Duration,
    /// Cost according to the server.
    pub cost: Cost,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// Parses the body as JSON.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// The cost of a call according to the server's `Server-Timing` header.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Length of the longest chain of sequential database calls.
    pub depth: f64,
    /// Number of database calls.
    pub calls: f64,
    /// Read capacity units.
    pub rcu: f64,
    /// Write capacity units.
    pub wcu: f64,
}

impl Cost {
    /// Parses `db;dur=MS;desc="calls=N depth=D rcu=R wcu=W"`. The peer sends no such header.
    fn parse(headers: &HeaderMap) -> Result<Self, Failure> {
        let Some(text) = headers.get("server-timing") else { return Ok(Self::default()) };
        let text = text.to_str()?;
        let (_, fields) = text.split_once("desc=\"").ok_or("the Server-Timing header has no desc")?;
        let mut cost = Self::default();
        for (name, value) in fields.trim_end_matches('"').split(' ').filter_map(|field| field.split_once('='))
        {
            match name {
                "calls" => cost.calls = value.parse()?,
                "depth" => cost.depth = value.parse()?,
                "rcu" => cost.rcu = value.parse()?,
                "wcu" => cost.wcu = value.parse()?,
                _ => {}
            }
        }
        Ok(cost)
    }

    /// Returns the mean cost of a call, where `self` is the sum over `count` calls.
    pub(crate) fn mean(self, count: f64) -> Self {
        let Self { depth, calls, rcu, wcu } = self;
        Self { depth: depth / count, calls: calls / count, rcu: rcu / count, wcu: wcu / count }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.depth += other.depth;
        self.calls += other.calls;
        self.rcu += other.rcu;
        self.wcu += other.wcu;
    }
}

/// An HTTP client on one connection.
pub(crate) struct Client {
    requests: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

impl Client {
    /// Connects to the server.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // If the connection fails, the pending request fails as well.
        tokio::spawn(connection);
        Ok(Self { requests, host: HeaderValue::from_str(&address.to_string())? })
    }

    /// Sends a request and reads the whole response. Fails on any status but the expected one.
    pub(crate) async fn call(&mut self, call: Call) -> Result<Answer, Failure> {
        let mut request = Request::new(Full::new(call.body));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        headers.insert(header::AUTHORIZATION, call.bearer);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let began = Instant::now();
        self.requests.ready().await?;
        let response = self.requests.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        let took = began.elapsed();
        if parts.status != call.expected {
            let (method, uri, body) = (call.method, call.uri, String::from_utf8_lossy(&body));
            return Err(format!("{method} {uri} returned {}: {body}", parts.status).into());
        }
        Ok(Answer { took, cost: Cost::parse(&parts.headers)?, body })
    }
}
