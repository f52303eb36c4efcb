//! All functions behind one port, as with API Gateway.

use std::time::Duration;

use aws_lambda_events::dynamodb::Event;
use aws_lambda_events::streams::DynamoDbEventResponse;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use edge::app::App;
use edge::boundary::boundary;
use edge::run::observed;
use lambda_runtime::Context;
use observe::meter;
use tower::util::{MapRequestLayer, MapResponseLayer};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::console::{Console, log_requests};
use crate::lambda::{self, Lambda};
use crate::metrics::{self, is_loopback};
use crate::sweeping;
use crate::websocket::{Call, Functions, Gateway, call};

/// The request headers that browsers may send from other origins: those of the API, and those that tools for tracing add
/// to each request. The template has the same list.
pub const ALLOWED_HEADERS: [&str; 13] = [
    "authorization",
    "content-type",
    "x-requested-with",
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
    "b3",
    "newrelic",
    "x-datadog-origin",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-trace-id",
];
/// How long browsers may cache the answer to a preflight. The template has the same time.
pub const MAX_AGE: Duration = Duration::from_hours(2);

/// Wraps a function's handler, which takes the app and an event, and observes it under the function's name.
macro_rules! on {
    ($app:ident, $name:literal, $handle:path) => {{
        let app = $app.clone();
        call(move |event| observed(app.clone(), Some($name), Context::default(), $handle(app.clone(), event)))
    }};
}

/// Returns the functions of the `WebSocket` API, which run in this process.
#[must_use]
pub fn socket_functions(app: &App) -> Functions {
    Functions {
        authorize: on!(app, "ws-authorizer", ws_authorizer::handle),
        connect: on!(app, "ws-connect", ws_connect::handle),
        disconnect: on!(app, "ws-disconnect", ws_disconnect::handle),
        message: on!(app, "ws-message", ws_message::handle),
    }
}

/// Returns the function that fans out changes, woken by the table's stream, which runs in this process.
#[must_use]
pub fn stream_function(app: &App) -> Call<Event, DynamoDbEventResponse> {
    on!(app, "fan-out", fan_out::handle)
}

/// Returns the function that notifies users, woken by the table's stream and by the clock, which runs in this process.
#[must_use]
pub fn notify_function(app: &App) -> Call<Event, DynamoDbEventResponse> {
    on!(app, "notify", notify::handle)
}

/// Returns the function that sweeps files, invoked by the clock, which runs in this process.
#[must_use]
pub fn sweep_function(app: &App) -> sweeping::Function {
    on!(app, "sweep", sweep::handle)
}

/// Returns the routes of all functions, each observed under the function's name.
fn routes() -> Router<App> {
    functions::http().into_iter().fold(Router::new(), |all, (name, routes)| {
        let named = move |request: Request| {
            meter::serve_as(name);
            request
        };
        all.merge(routes.route_layer(MapRequestLayer::new(named)))
    })
}

/// Returns the service of the main port: the functions, sockets, and this process's metrics. The functions run in this
/// process unless `lambda` is given. Without `cors_origins`, browsers may call from any origin on this machine.
pub fn service(
    app: App,
    lambda: Option<&Lambda>,
    sockets: &Gateway,
    cors_origins: &[String],
    console: Option<Console>,
) -> Router {
    let own = Router::new().route("/ws", sockets.upgrade()).route("/_local/metrics", get(metrics::show));
    let service = match lambda {
        Some(lambda) => lambda::http::routes(lambda, &boundary(own, app)),
        None => boundary(own.merge(routes()), app),
    };
    let service = match console {
        Some(console) => service.layer(from_fn_with_state(console, log_requests)),
        None => service,
    };
    service.layer(cors(cors_origins)).layer(MapResponseLayer::new(without_content))
}

/// Answers preflights with 204, as API Gateway does. The layer for CORS answers them, for every path, with 200.
fn without_content(mut response: Response) -> Response {
    // Only answers to preflights have it.
    if response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_METHODS) {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

fn is_local(origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, host)| is_loopback(host))
}

/// Lets browsers call from some origins or, without any, from all on this machine.
pub(crate) fn cors(origins: &[String]) -> CorsLayer {
    let allowed = if origins.is_empty() {
        AllowOrigin::predicate(|origin, _| origin.to_str().is_ok_and(is_local))
    } else if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin.trim()).ok()))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(ALLOWED_HEADERS.map(HeaderName::from_static))
        .expose_headers([HeaderName::from_static("x-request-id"), header::RETRY_AFTER])
        .max_age(MAX_AGE)
}
