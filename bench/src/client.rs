//! One kept-open HTTP/1.1 connection, without a pool around it: the benchmark shares its cores with the server.

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

use crate::Failure;

/// Someone who calls.
#[derive(Debug, Clone)]
pub(crate) struct User {
    /// The user's id.
    pub id: String,
    bearer: HeaderValue,
}

impl User {
    /// A user with a token.
    pub(crate) fn new(id: String, token: &str) -> Result<Self, Failure> {
        Ok(Self { id, bearer: HeaderValue::from_str(&format!("Bearer {token}"))? })
    }

    /// Their token.
    pub(crate) fn token(&self) -> Result<&str, Failure> {
        Ok(self.bearer.to_str()?.trim_start_matches("Bearer "))
    }

    /// A call without a body, which is to be answered with 200.
    pub(crate) fn call(&self, method: Method, path: &str) -> Result<Call, Failure> {
        let uri = path.parse()?;
        Ok(Call { method, uri, bearer: self.bearer.clone(), body: Bytes::new(), expected: StatusCode::OK })
    }

    /// Sends a message, which is to be answered with 201.
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
    /// Sends a message into a conversation, which is to be answered with 201.
    pub(crate) fn send_to(&self, conversation: &str, text: &str) -> Call {
        let body = json!({"conversation_id": conversation, "message_text": text}).to_string().into();
        Call { body, ..self.send("", "") }
    }

    /// Posts a body.
    pub(crate) fn post(&self, path: &str, body: &Value, expected: StatusCode) -> Result<Call, Failure> {
        let call = self.call(Method::POST, path)?;
        Ok(Call { body: body.to_string().into(), expected, ..call })
    }

    /// Changes something, which is to be answered with 200.
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<Call, Failure> {
        let call = self.call(Method::PATCH, path)?;
        Ok(Call { body: body.to_string().into(), ..call })
    }
}

/// A request, and the status that it must have.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    uri: Uri,
    bearer: HeaderValue,
    body: Bytes,
    expected: StatusCode,
}

/// What came back.
pub(crate) struct Answer {
    /// From the call to the last byte of the body.
    pub took: Duration,
    /// What it cost.
    pub cost: Cost,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body, parsed.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// What the server says that a call cost, in its `Server-Timing` header.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// The longest chain of database calls.
    pub depth: f64,
    /// Database calls.
    pub calls: f64,
    /// Read capacity units.
    pub rcu: f64,
    /// Write capacity units.
    pub wcu: f64,
}

impl Cost {
    /// Reads `db;dur=MS;desc="calls=N depth=D rcu=R wcu=W"`.
    fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let text = headers.get("server-timing").ok_or("an answer without Server-Timing")?.to_str()?;
        let (_, fields) = text.split_once("desc=\"").ok_or("a Server-Timing header without desc")?;
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

    /// The share of one of so many calls.
    pub(crate) fn over(self, calls: f64) -> Self {
        let Self { depth, calls: inner, rcu, wcu } = self;
        Self { depth: depth / calls, calls: inner / calls, rcu: rcu / calls, wcu: wcu / calls }
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

/// A connection.
pub(crate) struct Client {
    requests: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Where the connection fails, so does the request that waits on it.
        tokio::spawn(connection);
        Ok(Self { requests, host: HeaderValue::from_str(&address.to_string())? })
    }

    /// Calls and reads the whole answer. Any status but the expected one is a failure.
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
            return Err(format!("{method} {uri} answered {}: {body}", parts.status).into());
        }
        Ok(Answer { took, cost: Cost::of(&parts.headers)?, body })
    }
}
