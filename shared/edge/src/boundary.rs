//! The boundary around every route: responses to unknown routes, request ids, the meter, and one log line per request.

use std::time::Instant;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::error::Error;
use domain::id;
use http::{HeaderName, HeaderValue, Method};
use lambda_http::request::RequestContext;
use lambda_http::{Context, RequestExt};
use observe::log::{reason, trace_id};
use observe::meter::{self, Meter};
use observe::metrics::{Metric, Observation};
use percent_encoding::AsciiSet;
use serde_json::Value;
use tracing::{Instrument as _, Span};

use crate::app::App;
use crate::problem::{Cause, Problem};

/// Wraps routes in the boundary: 404 for unknown routes and methods, request ids, the meter, one observation per
/// request, and one more log line per server error.
pub fn boundary(routes: Router<App>, app: App) -> Router {
    routes
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(axum::middleware::from_fn_with_state(app.clone(), observed))
        .with_state(app)
}

async fn unknown() -> Problem {
    Error::NotFound("There is no such route.").into()
}

/// Answers a request. HEAD is not a method of the API, but axum would answer it like GET, with all effects of GET.
async fn answer(request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD { unknown().await.into_response() } else { next.run(request).await }
}

/// The characters that must be percent-encoded in a path (RFC 3986, section 3.3).
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

/// Percent-encodes the path of a Lambda request again. HTTP APIs of API Gateway decode the path, but `lambda_http`
/// treats it as encoded. Without this, a second decoding, or a decoded `?` or `..`, would turn it into another path.
#[must_use]
pub fn with_encoded_path(mut request: lambda_http::Request) -> lambda_http::Request {
    let decoded = request.raw_http_path();
    let mut target = percent_encoding::utf8_percent_encode(decoded, &ESCAPED).to_string();
    // If the decoded path contains `?` or `#`, the query was not parsed correctly. No route matches such a path.
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

/// The database cost of one request, in the extensions of its response, for layers outside the boundary.
#[derive(Debug, Clone, Copy)]
pub struct Observed(pub meter::Reading);

async fn observed(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let log_fields = LogFields::of(&request);
    let span = log_fields.span();
    let meter = Meter::default();
    let request = async {
        let mut response = answer(request, next).await;
        if let Some(Cause(error)) = response.extensions_mut().remove::<Cause>() {
            tracing::error!(code = error.code(), error = reason(&*error), "request failed");
        }
        response
    };
    let mut response = meter.watch(request.instrument(span)).await;
    let reading = meter.read();
    let mut observation = meter.observation();
    observation.add(Metric::Latency, meter::millis(began.elapsed()));
    observation.fields.insert("status".to_owned(), response.status().as_u16().into());
    if let Some(bytes) = response.body().size_hint().exact() {
        observation.fields.insert("response_bytes".to_owned(), bytes.into());
    }
    let request_id = log_fields.request_id.clone();
    log_fields.add_to(&mut observation);
    app.observer.record(&observation, app.store.now());
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

/// The fields that identify a request in the log.
struct LogFields {
    request_id: String,
    lambda_request_id: Option<String>,
    trace_id: Option<String>,
    method: &'static str,
    route: String,
}

impl LogFields {
    /// The fields of a request: the ids of API Gateway and Lambda, if any, the method, and the route as declared. The
    /// path itself is left out, because a client may put anything into it.
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

    /// A span that adds these fields to everything logged during the request.
    fn span(&self) -> Span {
        let Self { request_id, trace_id, route, .. } = self;
        tracing::error_span!("request", request_id, trace_id, route)
    }

    fn add_to(self, observation: &mut Observation) {
        let Self { request_id, lambda_request_id, trace_id, method, route } = self;
        let mut add = |name: &str, value: Value| drop(observation.fields.insert(name.to_owned(), value));
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

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn a_request_keeps_the_ids_of_api_gateway_and_lambda() {
        let mut request = Request::new(axum::body::Body::empty());
        *request.method_mut() = "EXPLODE".parse().unwrap();
        assert_eq!(LogFields::of(&request).request_id.len(), 36);
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
        let mut observation = Observation::default();
        LogFields::of(&request).add_to(&mut observation);
        let expected = serde_json::json!({
            "request_id": "JKJaXmPLvHcESHA=",
            "lambda_request_id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "trace_id": "1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
            "method": "other",
            "route": "unknown",
        });
        assert_eq!(Value::Object(observation.fields), expected);
    }
}
