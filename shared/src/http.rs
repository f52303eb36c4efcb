//! The HTTP edge: extractors whose rejections are ours, the envelope of an answer, and the boundary around
//! every route.
//!
//! Checks come in the contract's order: route, token, size, type, form. A handler keeps it by the order of its
//! arguments: `Caller` first, the body last.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Instant;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use lambda_http::request::RequestContext;
use lambda_http::{Context, RequestExt};
use percent_encoding::AsciiSet;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_urlencoded::Deserializer as Pairs;
use tracing::{Instrument as _, Span};

use crate::app::App;
use crate::error::{Cause, Error};
use crate::id;
use crate::log::{reason, trace_id};
use crate::meter::{self, Meter, Noted};
use crate::metrics::{Metric, Observation};

/// Most bytes of a body (contract, section 2: 256 KiB).
pub const MAX_BODY: usize = 256 * 1024;
/// Most bytes that are read and thrown away of a body that is too large, so that its sender hears the answer;
/// API Gateway's own limit.
const MAX_DRAINED: usize = 10 * 1024 * 1024;

/// Adds the boundary to a set of routes: problem answers for unknown routes and methods, request ids, the
/// meter, one observation for each request and one log entry more for each fault.
pub fn boundary(routes: Router<App>, app: App) -> Router {
    let unknown = || async { Error::NotFound("There is no such route.") };
    routes
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(axum::middleware::from_fn_with_state(app.clone(), observed))
        .with_state(app)
}

/// What a decoded path cannot hold as it is (RFC 3986, section 3.3).
const ESCAPED: AsciiSet = percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// A request of Lambda's with its path as it was sent. API Gateway's HTTP APIs decode it, and `lambda_http` takes it
/// for encoded: a second decoding, and what looks like a query or like `..`, would make another path of it.
#[must_use]
pub fn path_as_sent(mut request: lambda_http::Request) -> lambda_http::Request {
    let decoded = request.raw_http_path();
    let mut target = percent_encoding::utf8_percent_encode(decoded, &ESCAPED).to_string();
    // Behind such a path the query has been lost; no route has one.
    let query = request.uri().query().filter(|_| !decoded.contains(['?', '#']));
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    if let Ok(target) = target.parse() {
        *request.uri_mut() = target;
    }
    request
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What one request took of the database, for whoever stands in front of the boundary.
#[derive(Debug, Clone, Copy)]
pub struct Observed(pub meter::Reading);

async fn observed(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let names = Names::of(&request);
    let span = names.span();
    let meter = Meter::default();
    let request = async {
        let mut response = next.run(request).await;
        if let Some(Cause(error)) = response.extensions_mut().remove::<Cause>() {
            tracing::error!(code = error.code(), error = reason(&*error), "request failed");
        }
        response
    };
    let mut response = meter.watch(request.instrument(span)).await;
    let reading = meter.read();
    let mut seen = meter.observation();
    seen.add(Metric::Latency, meter::millis(began.elapsed()));
    seen.fields.insert("status".to_owned(), response.status().as_u16().into());
    if let Some(bytes) = response.body().size_hint().exact() {
        seen.fields.insert("response_bytes".to_owned(), bytes.into());
    }
    let request_id = names.request_id.clone();
    names.add_to(&mut seen);
    app.observer.record(&seen, app.store.now());
    response.extensions_mut().insert(Observed(reading));
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    if app.metered
        && let Ok(value) = HeaderValue::from_str(&reading.server_timing())
    {
        headers.insert(SERVER_TIMING, value);
    }
    response
}

/// What a request is called in the log.
struct Names {
    request_id: String,
    lambda_request_id: Option<String>,
    trace_id: Option<String>,
    method: &'static str,
    route: String,
}

impl Names {
    /// The names of a request: API Gateway's id where it has one, and the route as it is declared. What a client has
    /// written into the path, which may be anything, is not among them.
    fn of(request: &Request) -> Self {
        let extensions = request.extensions();
        let gateway = match extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
            _ => None,
        };
        let lambda = extensions.get::<Context>();
        let header = request.headers().get(TRACE_ID).and_then(|value| value.to_str().ok());
        let trace = lambda.and_then(|context| context.xray_trace_id.as_deref()).or(header);
        let route = extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        let standard = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
        Self {
            request_id: gateway.unwrap_or_else(id::request_token),
            lambda_request_id: lambda.map(|context| context.request_id.clone()),
            trace_id: trace.and_then(trace_id).map(ToOwned::to_owned),
            method: standard.into_iter().find(|name| *name == request.method().as_str()).unwrap_or("other"),
            route: route.unwrap_or("unknown").to_owned(),
        }
    }

    /// Around the request: faults and warnings are logged with its names.
    fn span(&self) -> Span {
        let Self { request_id, trace_id, route, .. } = self;
        tracing::error_span!("request", request_id, trace_id, route)
    }

    fn add_to(self, seen: &mut Observation) {
        let Self { request_id, lambda_request_id, trace_id, method, route } = self;
        let mut add = |name: &str, value: Value| drop(seen.fields.insert(name.to_owned(), value));
        add("request_id", request_id.into());
        add("method", method.into());
        add("route", route.into());
        if let Some(id) = lambda_request_id {
            add("lambda_request_id", id.into());
        }
        if let Some(id) = trace_id {
            add("trace_id", id.into());
        }
    }
}

/// The envelope of a successful answer: `{"success": true, "data", "message"}` and what lists add.
#[derive(Debug, Serialize)]
pub struct Reply<T> {
    #[serde(skip)]
    status: StatusCode,
    success: bool,
    data: T,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[expect(clippy::option_option, reason = "not a list, the end of one, and not the end")]
    next_cursor: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

impl<T: Serialize> Reply<T> {
    /// 200 with the data.
    pub fn ok(data: T, message: &'static str) -> Self {
        Self { status: StatusCode::OK, success: true, data, message, next_cursor: None, total: None }
    }

    /// 201 with what was created.
    pub fn created(data: T, message: &'static str) -> Self {
        Self { status: StatusCode::CREATED, ..Self::ok(data, message) }
    }

    /// 200 with a page of a list; `next` goes on, `None` is the end.
    pub fn page(data: T, next: Option<String>) -> Self {
        Self { next_cursor: Some(next), ..Self::ok(data, "OK") }
    }

    /// Adds how many there are in all.
    #[must_use]
    pub fn of(self, total: u64) -> Self {
        Self { total: Some(total), ..self }
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self) {
            Ok(body) => {
                let kind = HeaderValue::from_static("application/json");
                (self.status, [(header::CONTENT_TYPE, kind)], body).into_response()
            }
            Err(error) => Error::internal(error).into_response(),
        }
    }
}

/// Where a request comes from, as API Gateway or the connection says; headers are not asked, for anyone can write
/// them. An IPv6 address stands for its network of 64 bits, which one client has to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(IpAddr);

impl Address {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }
}

impl From<&Extensions> for Address {
    fn from(extensions: &Extensions) -> Self {
        let gateway = match extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
            _ => None,
        };
        let gateway = gateway.and_then(|address| address.parse().ok());
        let connection = || extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        // Without either, all share one: what is limited by address is then limited for all of them together.
        Self::of(gateway.or_else(connection).unwrap_or(Ipv4Addr::LOCALHOST.into()))
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl FromRequestParts<App> for Address {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        Ok(Self::from(&parts.extensions))
    }
}

/// A path's one parameter, which parses; anything else is 400.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: FromStr<Err: Display> + Noted + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let parameters = RawPathParams::from_request_parts(parts, app).await;
        let parameters = parameters.map_err(|e| Error::Invalid { field: None, message: e.body_text() })?;
        parameter(parameters.iter().next()).map(Self)
    }
}

/// A path's two parameters, which parse; anything else is 400.
#[derive(Debug)]
pub struct PathPair<A, B>(pub A, pub B);

impl<A, B> FromRequestParts<App> for PathPair<A, B>
where
    A: FromStr<Err: Display> + Noted + Send,
    B: FromStr<Err: Display> + Noted + Send,
{
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let parameters = RawPathParams::from_request_parts(parts, app).await;
        let parameters = parameters.map_err(|e| Error::Invalid { field: None, message: e.body_text() })?;
        let mut parameters = parameters.iter();
        Ok(Self(parameter(parameters.next())?, parameter(parameters.next())?))
    }
}

fn parameter<T: FromStr<Err: Display> + Noted>(parameter: Option<(&str, &str)>) -> Result<T, Error> {
    let (name, value) = parameter.ok_or_else(|| Error::internal("the route has no such parameter"))?;
    let id = value.parse().map_err(|e: T::Err| Error::field(name, e.to_string()))?;
    meter::note(&id);
    Ok(id)
}

/// The query string; unknown parameters are ignored, bad ones are 400.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Query<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        parsed(Pairs::new(form_pairs(parts.uri.query().unwrap_or_default()))).map(Self)
    }
}

fn form_pairs(text: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(text.as_bytes())
}

/// A JSON body; unknown fields are refused where its type says so.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Error;
    async fn from_request(request: Request, _: &App) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let body = read_body(body).await?;
        if !is_json(&parts.headers) {
            return Err(Error::UnsupportedMediaType("application/json"));
        }
        json(&body).map(Self)
    }
}

/// A JSON body, or the same fields as a form (`application/x-www-form-urlencoded`, `multipart/form-data`).
///
/// Unknown form fields are ignored, and empty ones count as absent: browsers send every field of a form.
#[derive(Debug)]
pub struct JsonOrForm<T>(pub T);

/// What can be read from a JSON object or a form.
pub trait FromFields: Sized {
    /// The fields, each a text.
    type Fields: DeserializeOwned;
    /// Their names, so that a form's others can be left out.
    const NAMES: &'static [&'static str];
    /// Checks the fields.
    ///
    /// # Errors
    /// `Invalid`, with the field that is wrong.
    fn from_fields(fields: Self::Fields) -> Result<Self, Error>;
}

const SENDABLE: &str = "application/json, application/x-www-form-urlencoded or multipart/form-data";

impl<T: FromFields> FromRequest<App> for JsonOrForm<T> {
    type Rejection = Error;
    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let body = read_body(body).await?;
        if is_json(&parts.headers) {
            return json(&body).and_then(T::from_fields).map(Self);
        }
        let pairs = match content_type(&parts.headers).as_str() {
            "application/x-www-form-urlencoded" => {
                let text = std::str::from_utf8(&body)
                    .map_err(|_| Error::Invalid { field: None, message: "The form is not UTF-8.".into() })?;
                form_pairs(text).into_owned().map(|(name, text)| (name, text.into_bytes())).collect()
            }
            "multipart/form-data" => parts_of(Request::from_parts(parts, body.into()), app).await?,
            _ => return Err(Error::UnsupportedMediaType(SENDABLE)),
        };
        from_form::<T>(pairs).and_then(T::from_fields).map(Self)
    }
}

/// The parts of a multipart body.
async fn parts_of(request: Request, app: &App) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let invalid = |message: String| Error::Invalid { field: None, message };
    let mut form = axum::extract::Multipart::from_request(request, app)
        .await
        .map_err(|rejection| invalid(rejection.body_text()))?;
    let mut pairs = Vec::new();
    while let Some(part) = form.next_field().await.map_err(|e| invalid(e.body_text()))? {
        let name = part.name().unwrap_or_default().to_owned();
        pairs.push((name, part.bytes().await.map_err(|e| invalid(e.body_text()))?.into()));
    }
    Ok(pairs)
}

fn from_form<T: FromFields>(pairs: Vec<(String, Vec<u8>)>) -> Result<T::Fields, Error> {
    let mut object = serde_json::Map::new();
    // A field that we do not read may hold anything, a file for one.
    for (name, bytes) in pairs.into_iter().filter(|(name, _)| T::NAMES.contains(&name.as_str())) {
        let text = String::from_utf8(bytes).map_err(|_| Error::field(&name, "The field is not UTF-8."))?;
        if !text.is_empty() {
            object.insert(name, text.into());
        }
    }
    parsed(serde_json::Value::Object(object))
}

/// Reads all of a body, or says that it is too large once its sender has been heard out.
async fn read_body(mut body: axum::body::Body) -> Result<Bytes, Error> {
    let mut kept = Vec::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|e| Error::Invalid { field: None, message: format!("The body broke off: {e}") })?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen <= MAX_BODY {
            kept.extend_from_slice(&data);
        } else if seen > MAX_DRAINED {
            break;
        }
    }
    meter::note_field("request_bytes", seen);
    if seen > MAX_BODY { Err(Error::TooLarge) } else { Ok(kept.into()) }
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = content_type(headers);
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    // serde would take an array for the fields in their order.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Error::Invalid { field: None, message: "The body is not a JSON object.".into() });
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = parsed(&mut json)?;
    json.end().map_err(|e| Error::Invalid { field: None, message: e.to_string() })?;
    Ok(value)
}

/// Reads a JSON object whose fields are known.
///
/// # Errors
/// `Invalid`, with the field that is wrong.
pub fn from_object<T: DeserializeOwned>(
    fields: serde_json::Map<String, serde_json::Value>,
) -> Result<T, Error> {
    parsed(serde_json::Value::Object(fields))
}

/// Parses into a type whose constructors are the checks; a refusal names the field.
fn parsed<'de, T: DeserializeOwned, D: serde::Deserializer<'de>>(from: D) -> Result<T, Error> {
    serde_path_to_error::deserialize(from).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        let field = missing.map(ToOwned::to_owned).or((path != "." && !path.contains('?')).then_some(path));
        Error::Invalid { field, message }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_what_the_gateway_says_else_the_connection() {
        let mut extensions = Extensions::new();
        let shown = |extensions: &Extensions| Address::from(extensions).to_string();
        assert_eq!(shown(&extensions), "127.0.0.1");
        let peer: SocketAddr = "[::ffff:192.0.2.7]:443".parse().unwrap();
        extensions.insert(ConnectInfo(peer));
        assert_eq!(shown(&extensions), "192.0.2.7");
        let mut context = lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext::default();
        context.http.source_ip = Some("2001:db8:1:2:3:4:5:6".to_owned());
        extensions.insert(RequestContext::ApiGatewayV2(context));
        assert_eq!(shown(&extensions), "2001:db8:1:2::");
    }

    #[test]
    fn a_request_is_named_as_the_gateway_and_lambda_name_it() {
        let mut request = Request::new(axum::body::Body::empty());
        *request.method_mut() = "EXPLODE".parse().unwrap();
        assert_eq!(Names::of(&request).request_id.len(), 36);
        let mut gateway = lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext::default();
        gateway.request_id = Some("JKJaXmPLvHcESHA=".to_owned());
        let mut lambda = Context::default();
        lambda.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
        lambda.xray_trace_id = Some("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1".to_owned());
        let mut headers = HeaderMap::new();
        headers.insert(TRACE_ID, HeaderValue::from_static("Root=1-00000000-000000000000000000000000"));
        *request.headers_mut() = headers;
        request.extensions_mut().insert(RequestContext::ApiGatewayV2(gateway));
        request.extensions_mut().insert(lambda);
        let mut seen = Observation::default();
        Names::of(&request).add_to(&mut seen);
        let expected = serde_json::json!({
            "request_id": "JKJaXmPLvHcESHA=",
            "lambda_request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "trace_id": "1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
            "method": "other",
            "route": "unknown",
        });
        assert_eq!(Value::Object(seen.fields), expected);
    }
}
