//! Every function behind one port, as API Gateway has them.

use aws_lambda_events::dynamodb::Event;
use aws_lambda_events::streams::DynamoDbEventResponse;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::IntoResponse;
use axum::routing::get;
use shared::app::App;
use shared::http::boundary;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::console::{Console, log_requests};
use crate::websocket::{Call, Functions, Gateway, call};

/// Every function, by its name in the template.
#[must_use]
pub fn functions() -> Vec<(&'static str, Router<App>)> {
    vec![
        ("Send", send::routes()),
        ("Inbox", inbox::routes()),
        ("Conversation", conversation::routes()),
        ("MarkAsRead", mark_as_read::routes()),
        ("UnreadCount", unread_count::routes()),
        ("Search", search::routes()),
        ("Delete", delete::routes()),
        ("Edit", edit::routes()),
        ("Conversations", conversations::routes()),
        ("Rooms", rooms::routes()),
        ("Block", block::routes()),
        ("Users", users::routes()),
        ("Auth", auth::routes()),
        ("Session", session::routes()),
        ("Events", events::routes()),
        ("Typing", typing::routes()),
        ("Presence", presence::routes()),
        ("WsTicket", ws_ticket::routes()),
    ]
}

/// The functions of the `WebSocket` API, by their names in the template.
pub const SOCKET_FUNCTIONS: [&str; 4] = ["WsAuthorizer", "WsConnect", "WsDisconnect", "WsMessage"];

/// The functions that the table's stream wakes, by their names in the template.
pub const STREAM_FUNCTIONS: [&str; 1] = ["FanOut"];

/// A function that takes an app with each event.
macro_rules! on {
    ($app:ident, $handle:path) => {{
        let app = $app.clone();
        call(move |event| $handle(app.clone(), event))
    }};
}

/// The functions of the `WebSocket` API on an app.
#[must_use]
pub fn socket_functions(app: &App) -> Functions {
    Functions {
        authorize: on!(app, ws_authorizer::handle),
        connect: on!(app, ws_connect::handle),
        disconnect: on!(app, ws_disconnect::handle),
        message: on!(app, ws_message::handle),
    }
}

/// The function that the table's stream wakes, on an app.
#[must_use]
pub fn stream_function(app: &App) -> Call<Event, DynamoDbEventResponse> {
    on!(app, fan_out::handle)
}

/// The routes of all functions.
fn routes() -> Router<App> {
    functions().into_iter().fold(Router::new(), |all, (_, routes)| all.merge(routes))
}

/// What one port serves: the functions, the sockets, `/health`.
pub fn service(app: App, sockets: &Gateway, cors_origins: &[String], console: Option<Console>) -> Router {
    let routes = routes().route("/health", get(health)).route("/ws", sockets.upgrade());
    let service = boundary(routes, app);
    let service = match console {
        Some(console) => service.layer(axum::middleware::from_fn_with_state(console, log_requests)),
        None => service,
    };
    if cors_origins.is_empty() { service } else { service.layer(cors(cors_origins)) }
}

fn cors(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin.trim()).ok()))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([HeaderName::from_static("x-request-id"), header::RETRY_AFTER])
}

async fn health() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status": "ok"}"#)
}
