//! A client on one keep-alive HTTP/1.1 connection, which does as little as possible: it shares its cores with the server.

use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode, Uri};
use httparse::{EMPTY_HEADER, Response, Status};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::failure::Failure;

/// Most header fields of a response.
const MAX_FIELDS: usize = 32;
/// Bytes by which the buffer of a connection grows.
const READ: usize = 16 * 1024;

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
    pub(crate) fn call(&self, method: &Method, path: &str) -> Result<Call, Failure> {
        self.request(method, path, "", StatusCode::OK)
    }

    /// Creates a call that sends a message to a user. Expects 201.
    pub(crate) fn send(&self, to: &str, text: &str) -> Result<Call, Failure> {
        let body = json!({"recipient_id": to, "message_text": text});
        self.post("/api/messages/send", &body, StatusCode::CREATED)
    }

    /// Creates a call that sends a message to a conversation. Expects 201.
    pub(crate) fn send_to(&self, conversation: &str, text: &str) -> Result<Call, Failure> {
        let body = json!({"conversation_id": conversation, "message_text": text});
        self.post("/api/messages/send", &body, StatusCode::CREATED)
    }

    /// Creates a `POST` call with a JSON body.
    pub(crate) fn post(&self, path: &str, body: &Value, expected: StatusCode) -> Result<Call, Failure> {
        self.request(&Method::POST, path, &body.to_string(), expected)
    }

    /// Creates a `PATCH` call with a JSON body. Expects 200.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<Call, Failure> {
        self.request(&Method::PATCH, path, &body.to_string(), StatusCode::OK)
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: &str,
        expected: StatusCode,
    ) -> Result<Call, Failure> {
        let (uri, bearer, length) = (path.parse::<Uri>()?, self.bearer.to_str()?, body.len());
        let content = match (method, body) {
            (&Method::GET, _) => String::new(),
            (_, "") => "content-length: 0\r\n".to_owned(),
            _ => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
        };
        let head = format!("{method} {uri} HTTP/1.1\r\nhost: localhost\r\nauthorization: {bearer}\r\n");
        Ok(Call { request: format!("{head}{content}\r\n{body}").into(), expected })
    }
}

/// A request as it is sent, and the status that its response must have.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    request: Bytes,
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
    /// Parses `db;dur=MS;desc="calls=N depth=D rcu=R wcu=W"`.
    fn parse(text: &str) -> Result<Self, Failure> {
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

/// The part of a response before its body.
struct Head {
    status: StatusCode,
    /// Zero if the server, as the peer, does not say it.
    cost: Cost,
    /// Its own length in bytes.
    length: usize,
    /// The length of the body in bytes.
    body: usize,
}

impl Head {
    /// Parses the head if it has arrived completely.
    fn parse(received: &[u8]) -> Result<Option<Self>, Failure> {
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
        let mut response = Response::new(&mut fields);
        let Status::Complete(length) = response.parse(received)? else { return Ok(None) };
        let status = StatusCode::from_u16(response.code.ok_or("a response without a status")?)?;
        let (mut cost, mut body) = (Cost::default(), None);
        for field in &*response.headers {
            if field.name.eq_ignore_ascii_case("server-timing") {
                cost = Cost::parse(std::str::from_utf8(field.value)?)?;
            } else if field.name.eq_ignore_ascii_case("content-length") {
                body = Some(std::str::from_utf8(field.value)?.parse()?);
            }
        }
        let body = body.ok_or_else(|| format!("a response with {status} and without a content-length"))?;
        Ok(Some(Self { status, cost, length, body }))
    }
}

/// An HTTP client on one connection.
pub(crate) struct Client {
    stream: TcpStream,
    received: BytesMut,
}

impl Client {
    /// Connects to the server.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: BytesMut::new() })
    }

    /// Sends a request and reads the whole response. Fails on any status but the expected one.
    pub(crate) async fn call(&mut self, call: Call) -> Result<Answer, Failure> {
        let began = Instant::now();
        self.stream.write_all(&call.request).await?;
        let head = loop {
            self.receive().await?;
            if let Some(head) = Head::parse(&self.received)? {
                break head;
            }
        };
        while self.received.len() < head.length + head.body {
            self.receive().await?;
        }
        let took = began.elapsed();
        self.received.advance(head.length);
        let body = self.received.split_to(head.body).freeze();
        if head.status != call.expected {
            let (request, body) = (String::from_utf8_lossy(&call.request), String::from_utf8_lossy(&body));
            let line = request.lines().next().unwrap_or_default();
            return Err(format!("{line} returned {}: {body}", head.status).into());
        }
        Ok(Answer { took, cost: head.cost, body })
    }

    async fn receive(&mut self) -> Result<(), Failure> {
        self.received.reserve(READ);
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}
