//! Serves the built chat page from a folder, and the demo's people with tokens, with which they sign in by one click.

use std::future::ready;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use domain::error::Error;
use edge::problem::Problem;
use edge::reply::Reply;
use serde::Serialize;
use tower_http::services::ServeDir;

use crate::demo;
use crate::metrics::is_loopback;

/// The page's content security policy: only its own scripts and styles, but pictures from any address. It uploads to the
/// origins of the storage, and plays sounds and videos from there.
fn policy(storage: &[String]) -> String {
    let storage = storage.join(" ");
    format!(
        "default-src 'self'; connect-src 'self' ws: wss: {storage}; img-src http: https: data: blob:; \
         media-src 'self' blob: {storage}; object-src 'none'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// Returns the routes of the page (`/`), its configuration, service worker and files (`/assets`), and the demo's people, whose tokens the secret `demo`
/// signs; `None` if there is no demo. `storage` has the origins of the storage for files.
pub fn routes(folder: &Path, demo: Option<String>, storage: &[String]) -> Router {
    let policy = policy(storage);
    let (index, config) = (folder.join("index.html"), folder.join("config.json"));
    let worker = folder.join("sw.js");
    let assets = ServeDir::new(folder.join("assets"))
        .precompressed_gzip()
        .call_fallback_on_method_not_allowed(true)
        .fallback(axum::routing::any(unknown));
    let assets = Router::new().fallback_service(assets).layer(axum::middleware::map_response(cache_forever));
    Router::new()
        .route("/", get(move || page(index.clone(), policy.clone())))
        .route("/config.json", get(move || configuration(config.clone())))
        .route("/sw.js", get(move || service_worker(worker.clone())))
        .nest("/assets", assets)
        .route("/_local/people", get(move |from, headers| ready(people(demo.as_deref(), from, &headers))))
        .method_not_allowed_fallback(unknown)
}

/// Answers 404, and preflights with 204, but without the headers that would let other origins read the page or the
/// people's tokens.
async fn unknown(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::from(Error::NotFound("There is no such route.")).into_response()
}

/// Returns the page, or instructions to build it. Reads the file at each request, because it may be built meanwhile.
async fn page(index: PathBuf, policy: String) -> impl IntoResponse {
    let page = tokio::fs::read_to_string(index).await;
    let page = page.unwrap_or_else(|_| include_str!("page.html").to_owned());
    let headers = [
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin".to_owned()),
    ];
    (headers, Html(page))
}

/// Returns the page's configuration, if there is one. By default the page calls the API where it is itself.
async fn configuration(file: PathBuf) -> impl IntoResponse {
    let text = tokio::fs::read_to_string(file).await.unwrap_or_else(|_| "{}".to_owned());
    ([(header::CACHE_CONTROL, "no-cache"), (header::CONTENT_TYPE, "application/json")], text)
}

/// Returns the page's service worker. Browsers find a new build by asking for the same name again, so they must not cache
/// it.
async fn service_worker(file: PathBuf) -> Response {
    let Ok(text) = tokio::fs::read_to_string(file).await else { return unknown(Method::GET).await };
    let headers = [
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_TYPE, "text/javascript"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

/// Lets browsers cache the files forever: their names contain a hash of their content, so they never change.
async fn cache_forever(mut response: Response) -> Response {
    if response.status().is_success() {
        let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(header::CACHE_CONTROL, forever);
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

/// One of the demo's people.
#[derive(Debug, Serialize)]
struct Person {
    id: &'static str,
    name: &'static str,
    token: String,
}

/// Returns the demo's people with their tokens to a browser on this machine, and an empty list to others. Checks the
/// `Host` header as well: a page of another site can make its own host name resolve to this address (DNS rebinding).
fn people(
    secret: Option<&str>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: &HeaderMap,
) -> Result<Reply<Vec<Person>>, Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_local = host.is_some_and(is_loopback);
    let secret = secret.filter(|_| is_local && from.ip().to_canonical().is_loopback());
    let Some(secret) = secret else { return Ok(Reply::ok(Vec::new(), "OK")) };
    let person = |(id, name)| {
        let token = demo::token(secret, (id, name)).map_err(Error::internal)?;
        Ok(Person { id, name, token })
    };
    Ok(Reply::ok(demo::PEOPLE.into_iter().map(person).collect::<Result<_, Error>>()?, "OK"))
}
