//! Extractors: the arguments of handlers. Each rejection is a [`Problem`].
//!
//! Invariant: checks run in the documented order (route, token, size, type, form), because clients rely on it. A
//! handler ensures it by the order of its arguments: `Caller` first, the body last, with the parameters of the path if there are some.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use async_recursion::async_recursion as boxed;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::Bytes;
use domain::address::ClientAddress;
use domain::caller::Caller;
use domain::error::Error;
use domain::fields::FromFields;
use http::request::Parts;
use http::{Extensions, HeaderMap, header};
use http_body_util::BodyExt;
use ipnet::IpNet;
use lambda_http::request::RequestContext;
use observe::meter::{self, Noted};
use percent_encoding::percent_decode;
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::value::RawValue;
use serde_urlencoded::Deserializer as Pairs;

use crate::app::App;
use crate::problem::Problem;

/// Maximum size of a body, in bytes: 256 KiB.
pub const MAX_BODY: usize = 256 * 1024;
/// How many bytes of an oversized body to read and discard, so that its sender gets to read the response. It is API
/// Gateway's own limit.
const MAX_DRAINED: usize = 10 * 1024 * 1024;

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(authenticated(parts, app).await?)
    }
}

/// The caller of a request, from its bearer token.
#[boxed]
async fn authenticated(parts: &Parts, app: &App) -> Result<Caller, Error> {
    let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = value.and_then(|value| value.split_once(' '));
    match bearer {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            let caller = app.verifier.verify(token.trim()).await?;
            meter::note_caller(&caller.user);
            Ok(caller)
        }
        _ => Err(Error::NotAuthenticated("Send a token: Authorization: Bearer …")),
    }
}

/// The client's address: from API Gateway if the request came through it, else that of the connection. If that is a
/// trusted proxy, the address is the last one in `X-Forwarded-For` that is not: each proxy appends the address that it was
/// called from, and what stands before the last trusted one can be forged.
#[must_use]
pub fn client_address(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> ClientAddress {
    let gateway = match extensions.get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
        _ => None,
    };
    let gateway = gateway.and_then(|address| address.parse().ok());
    let connection = || extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    // Without either, all clients share one token bucket per address limit.
    let mut address: IpAddr = gateway.or_else(connection).unwrap_or(Ipv4Addr::LOCALHOST.into());
    let lines = headers.get_all("x-forwarded-for").iter().rev().filter_map(|line| line.to_str().ok());
    for hop in lines.flat_map(|line| line.rsplit(',')) {
        if !trusted.iter().any(|network| network.contains(&address.to_canonical())) {
            break;
        }
        let Ok(before) = hop.trim().parse() else { break };
        address = before;
    }
    ClientAddress::of(address)
}

impl FromRequestParts<App> for ClientAddress {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(client_address(&parts.extensions, &parts.headers, &app.trusted_proxies))
    }
}

/// The only parameter of a path, parsed. A value that does not parse is 400.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: FromStr<Err: Display> + Noted + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, app).await;
        let parameters = parameters.map_err(|e| Error::Invalid { field: None, message: e.body_text() })?;
        Ok(Self(parameter(parameters.iter().next())?))
    }
}

/// The two parameters of a path, parsed. A value that does not parse is 400.
#[derive(Debug)]
pub struct PathPair<A, B>(pub A, pub B);

impl<A, B> FromRequestParts<App> for PathPair<A, B>
where
    A: FromStr<Err: Display> + Noted + Send,
    B: FromStr<Err: Display> + Noted + Send,
{
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, app).await;
        let parameters = parameters.map_err(|e| Error::Invalid { field: None, message: e.body_text() })?;
        let mut parameters = parameters.iter();
        Ok(Self(parameter(parameters.next())?, parameter(parameters.next())?))
    }
}

fn parameter<T: FromStr<Err: Display> + Noted>(parameter: Option<(&str, &str)>) -> Result<T, Error> {
    let (name, value) = parameter.ok_or_else(|| Error::internal("the route has too few parameters"))?;
    let id = value.parse().map_err(|e: T::Err| Error::field(name, e.to_string()))?;
    meter::note(&id);
    Ok(id)
}

/// The query string, parsed. Unknown parameters are ignored, empty ones count as absent, malformed ones are 400.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let is_empty = |pair: &str| pair.split_once('=').is_none_or(|(_, value)| value.is_empty());
        let query: Vec<&str> = query.split('&').filter(|pair| !is_empty(pair)).collect();
        Ok(Self(parsed(Pairs::new(form_pairs(&query.join("&"))))?))
    }
}

fn form_pairs(text: &str) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(text.as_bytes())
}

/// A name and a value of a form. The value may be in any encoding.
/// <https://url.spec.whatwg.org/#urlencoded-parsing>
fn form_pair(pair: &[u8]) -> (String, Vec<u8>) {
    let decoded = |text: &[u8]| -> Vec<u8> {
        let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        percent_decode(&spaced).collect()
    };
    let equals = pair.iter().position(|byte| *byte == b'=');
    let (name, value) = pair.split_at(equals.unwrap_or(pair.len()));
    let name = String::from_utf8_lossy(&decoded(name)).into_owned();
    (name, decoded(value.get(1..).unwrap_or_default()))
}

/// A JSON body. Unknown fields are refused if its type has `deny_unknown_fields`.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        Ok(Self(json(&read_json(request).await?)?))
    }
}

/// The parameters of a path, and a JSON body, whose size and type are checked first.
#[derive(Debug)]
pub struct WithJson<P, T>(pub P, pub T);

impl<P, T> FromRequest<App> for WithJson<P, T>
where
    P: FromRequestParts<App, Rejection = Problem> + Send,
    T: DeserializeOwned,
{
    type Rejection = Problem;
    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let body = read_json(Request::from_parts(parts.clone(), body)).await?;
        let path = P::from_request_parts(&mut parts, app).await?;
        Ok(Self(path, json(&body)?))
    }
}

/// The body of a request, which must be JSON by its type.
#[boxed]
async fn read_json(request: Request) -> Result<Bytes, Error> {
    let (parts, body) = request.into_parts();
    let body = read_body(body).await?;
    if is_json(&parts.headers) { Ok(body) } else { Err(Error::UnsupportedMediaType("application/json")) }
}

/// A JSON body, or the same fields as a form (`application/x-www-form-urlencoded`, `multipart/form-data`).
///
/// Unknown form fields are ignored. Empty ones count as absent, because browsers send every field of a form.
#[derive(Debug)]
pub struct JsonOrForm<T>(pub T);

const SUPPORTED_TYPES: &str = "application/json, application/x-www-form-urlencoded or multipart/form-data";

impl<T: FromFields> FromRequest<App> for JsonOrForm<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let fields = match read_fields(request, app).await? {
            Input::Json(body) => json(&body)?,
            Input::Form(pairs) => from_form::<T>(pairs)?,
        };
        Ok(Self(T::from_fields(fields)?))
    }
}

/// A body as it was read, before its fields are checked.
enum Input {
    Json(Bytes),
    Form(Vec<(String, Vec<u8>)>),
}

/// The body of a request, by its type.
#[boxed]
async fn read_fields(request: Request, app: &App) -> Result<Input, Error> {
    let (parts, body) = request.into_parts();
    let body = read_body(body).await?;
    if is_json(&parts.headers) {
        return Ok(Input::Json(body));
    }
    let pairs = match content_type(&parts.headers).as_str() {
        "application/x-www-form-urlencoded" => {
            body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(form_pair).collect()
        }
        "multipart/form-data" => parts_of(Request::from_parts(parts, body.into()), app).await?,
        _ => return Err(Error::UnsupportedMediaType(SUPPORTED_TYPES)),
    };
    Ok(Input::Form(pairs))
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
    // Unknown fields may contain anything, such as a file.
    for (name, bytes) in pairs.into_iter().filter(|(name, _)| T::NAMES.contains(&name.as_str())) {
        let text = String::from_utf8(bytes).map_err(|_| Error::field(&name, "The field is not UTF-8."))?;
        if !text.is_empty() {
            object.insert(name, text.into());
        }
    }
    parsed(serde_json::Value::Object(object))
}

/// Reads a whole body. An oversized one is refused only after up to [`MAX_DRAINED`] bytes were read.
async fn read_body(mut body: axum::body::Body) -> Result<Bytes, Error> {
    let mut kept = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|e| Error::Invalid { field: None, message: format!("The body is incomplete: {e}") })?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length <= MAX_BODY {
            kept.extend_from_slice(&data);
        } else if length > MAX_DRAINED {
            break;
        }
    }
    meter::note_field("request_bytes", length);
    if length > MAX_BODY { Err(Error::TooLarge) } else { Ok(kept.into()) }
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
    // serde would accept an array with the fields in order.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Error::Invalid { field: None, message: "The body is not a JSON object.".into() });
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = parsed(&mut json)?;
    json.end().map_err(|e| Error::Invalid { field: None, message: e.to_string() })?;
    Ok(value)
}

/// Parses the members of a JSON object, whose values are not parsed yet.
///
/// # Errors
/// `Invalid`, with the first field that does not parse.
pub fn from_members<T: DeserializeOwned>(members: &[(String, Box<RawValue>)]) -> Result<T, Error> {
    let values = members.iter().map(|(name, value)| (name.as_str(), &**value));
    parsed(MapDeserializer::new(values)).map_err(|error| match error {
        // The position is that in the value.
        Error::Invalid { field, message } => {
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
            Error::Invalid { field, message: message.to_owned() }
        }
        error => error,
    })
}

/// Deserialises into a type whose constructors check their input. An error names the field.
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
    use http::HeaderName;

    use super::*;

    #[test]
    fn the_client_address_is_the_gateways_or_else_the_connections() {
        let mut extensions = Extensions::new();
        let shown = |extensions: &Extensions| client_address(extensions, &HeaderMap::new(), &[]).to_string();
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
    fn only_trusted_proxies_say_where_a_request_comes_from() {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo::<SocketAddr>("[::ffff:10.0.0.1]:443".parse().unwrap()));
        let shown = |forwarded: &[&str], trusted: &[&str]| {
            let lines = forwarded
                .iter()
                .map(|line| (HeaderName::from_static("x-forwarded-for"), line.parse().unwrap()));
            let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
            client_address(&extensions, &lines.collect(), &trusted).to_string()
        };
        assert_eq!(shown(&["192.0.2.7"], &[]), "10.0.0.1");
        assert_eq!(shown(&[], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(shown(&["192.0.2.7"], &["10.0.0.0/8"]), "192.0.2.7");
        // The client can send the header itself.
        assert_eq!(shown(&["192.0.2.7, 198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(shown(&["192.0.2.7", "2001:db8:1:2::3,10.0.0.2"], &["10.0.0.0/8"]), "2001:db8:1:2::");
        assert_eq!(shown(&["192.0.2.7, unknown"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(shown(&["10.0.0.3"], &["10.0.0.0/8"]), "10.0.0.3");
    }
}
