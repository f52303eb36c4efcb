//! The HTTP half of API Gateway: every function's routes behind one port.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use shared::app::App;
use shared::http::boundary;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::console::{Console, log_requests};

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
        ("Block", block::routes()),
        ("Users", users::routes()),
    ]
}

/// The routes of all functions.
fn routes() -> Router<App> {
    functions().into_iter().fold(Router::new(), |all, (_, routes)| all.merge(routes))
}

/// What one port serves: the functions, `/health`, and a page that says what this is.
pub fn service(app: App, cors_origins: &[String], console: Option<Console>) -> Router {
    let routes = routes().route("/health", get(health)).route("/", get(page));
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

async fn page() -> impl IntoResponse {
    Html(include_str!("page.html"))
}
