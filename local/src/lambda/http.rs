//! The HTTP half of API Gateway: converts requests to events of payload format 2.0, and answers to responses.
//! (`docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html`.)
//!
//! If a function has no answer, API Gateway responds with 500, or with 503 after a timeout. Its body contains only
//! `message`; here the body has all fields of a problem.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use domain::error::Error;
use domain::id::{self, Clock};
use edge::problem::Problem;
use http_body_util::LengthLimitError;
use serde_json::{Map, Value, json};

use super::Lambda;
use super::failure::Failure;
use super::invoke_api::resource;
use crate::websocket::request_time;

/// Size limit of a request's body, in bytes (API Gateway's quota).
const BODY: usize = 10 * 1024 * 1024;
/// The template, from which the routes are taken.
const TEMPLATE: &str = include_str!("../../../infra/template.yaml");

/// The paths under which the template gives requests for unknown routes to a function. Here they go to the local stack,
/// which also serves the page at the first of them.
const CATCH_ALL: [&str; 2] = ["/", "/{proxy+}"];

/// Returns a router that forwards the template's routes to their functions, and all other requests to `rest`.
pub(crate) fn routes(lambda: &Lambda, rest: &Router) -> Router {
    let names = functions::http().into_iter().map(|(name, _)| name);
    let names: BTreeMap<String, &'static str> = names.map(|name| (resource(name), name)).collect();
    let mut router = Router::new();
    for (function, method, path) in declared(TEMPLATE) {
        let method = method.parse().ok().and_then(|method: Method| MethodFilter::try_from(method).ok());
        let (Some(&function), Some(method)) = (names.get(function), method) else { continue };
        let (lambda, rest) = (lambda.clone(), rest.clone());
        let forward = async move |parameters: Result<RawPathParams, RawPathParamsRejection>,
                                  request: Request| {
            // axum answers HEAD like GET, API Gateway does not.
            if request.method() == Method::HEAD {
                return tower::ServiceExt::oneshot(rest, request).await.into_response();
            }
            let id = id::request_token();
            let answer = forward(&lambda, function, &id, path, parameters, request).await;
            answer.unwrap_or_else(|error| {
                let mut response = Problem::from(error).into_response();
                if let Ok(id) = HeaderValue::from_str(&id) {
                    response.headers_mut().insert("x-request-id", id);
                }
                response
            })
        };
        router = router.route(path, on(method, forward));
    }
    let unknown = rest.clone();
    let unknown = move |request: Request| tower::ServiceExt::oneshot(unknown, request);
    router.method_not_allowed_fallback(unknown).fallback_service(rest.clone())
}

/// Returns function, method and path of each HTTP event of a template, except for the events of unknown routes.
fn declared(template: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let mut function = "";
    template.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix("  ").filter(|rest| !rest.starts_with([' ', '#'])) {
            function = name.trim_end_matches(':');
        }
        let (_, rest) = line.split_once("Method: ")?;
        let (method, rest) = rest.split_once(", Path: \"")?;
        let path = rest.split_once('"')?.0;
        (!CATCH_ALL.contains(&path)).then_some((function, method, path))
    })
}

async fn forward(
    lambda: &Lambda,
    function: &'static str,
    id: &str,
    route: &str,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Result<Response, Error> {
    let parameters =
        parameters.map_err(|rejection| Error::Invalid { field: None, message: rejection.body_text() })?;
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY).await.map_err(|error| {
        if std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error + 'static>::is::<LengthLimitError>)
        {
            return Error::TooLarge;
        }
        Error::Invalid { field: None, message: format!("The body is incomplete: {error}") }
    })?;
    let parameters: BTreeMap<&str, &str> = parameters.iter().collect();
    let event = event(id, route, &parameters, &parts, &body);
    match lambda.invoke(function, &event).await {
        Ok(answer) => {
            response(answer).ok_or_else(|| Error::internal(format!("{function}: the answer is invalid")))
        }
        Err(failure) => {
            tracing::warn!(function, request_id = id, %failure, "an invocation failed");
            Err(match failure {
                Failure::TooLarge => Error::TooLarge,
                Failure::Timeout => Error::Unavailable(failure.to_string().into()),
                Failure::Error(_) | Failure::Broken(_) => Error::internal(failure.to_string()),
            })
        }
    }
}

/// Returns the event for a request.
fn event(id: &str, route: &str, parameters: &BTreeMap<&str, &str>, request: &Parts, body: &Bytes) -> Value {
    let now = Clock::default().now();
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or_else(|| "127.0.0.1".to_owned(), |ConnectInfo(peer)| peer.ip().to_string());
    let headers = headers(&request.headers, &peer);
    let host = headers.get("host").and_then(Value::as_str).unwrap_or("localhost");
    let route = format!("{} {route}", request.method);
    // API Gateway decodes the path but not the query.
    let path = decoded(request.uri.path());
    let query = request.uri.query().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": host.split('.').next(),
            "http": {
                "method": request.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", request.version),
                "sourceIp": peer,
                "userAgent": headers.get("user-agent"),
            },
            "requestId": id,
            "routeKey": route,
            "stage": "$default",
            "time": request_time(now),
            "timeEpoch": now.millis(),
        },
        "isBase64Encoded": false,
    });
    let cookies = request.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies: Vec<&str> = cookies.flat_map(|value| value.split(';')).map(str::trim).collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !parameters.is_empty() {
        event["pathParameters"] = json!(parameters);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = joined(query);
    }
    if !body.is_empty() {
        let text = std::str::from_utf8(body).ok().filter(|_| is_text(&request.headers));
        event["isBase64Encoded"] = text.is_none().into();
        event["body"] = text.map_or_else(|| BASE64_STANDARD.encode(body), ToOwned::to_owned).into();
    }
    event
}

/// Parses a query; joins values of the same name by commas.
fn joined(query: &str) -> Value {
    let mut values = BTreeMap::<_, String>::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let values = values.entry(name).or_default();
        if !values.is_empty() {
            values.push(',');
        }
        values.push_str(&value);
    }
    json!(values)
}

fn headers(sent: &HeaderMap, peer: &str) -> Map<String, Value> {
    let mut headers = Map::new();
    for name in sent.keys().filter(|name| **name != header::COOKIE) {
        let values: Vec<&str> = sent.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        if !values.is_empty() {
            headers.insert(name.to_string(), values.join(",").into());
        }
    }
    headers.insert("x-forwarded-for".to_owned(), peer.into());
    headers.insert("x-forwarded-proto".to_owned(), "http".into());
    headers
}

fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// Whether API Gateway passes a body on as text, not in base64.
fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let listed = ["application/json", "application/xml", "application/javascript"].contains(&kind.as_str());
    listed || kind.starts_with("text/") || kind.ends_with("+json") || kind.ends_with("+xml")
}

/// Converts a function's answer to a response; `None` if the answer is invalid.
fn response(answer: ApiGatewayV2httpResponse) -> Option<Response> {
    let status =
        u16::try_from(answer.status_code).ok().and_then(|status| StatusCode::from_u16(status).ok())?;
    let body = match answer.body {
        Some(aws_lambda_events::encodings::Body::Text(text)) if answer.is_base64_encoded => {
            BASE64_STANDARD.decode(text).ok()?.into()
        }
        Some(aws_lambda_events::encodings::Body::Text(text)) => Body::from(text),
        _ => Body::empty(),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.clear();
    headers.extend(answer.headers);
    headers.extend(answer.multi_value_headers);
    headers.remove(header::CONTENT_LENGTH);
    for cookie in answer.cookies {
        headers.append(header::SET_COOKIE, cookie.try_into().ok()?);
    }
    Some(response)
}
