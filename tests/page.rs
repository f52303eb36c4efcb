//! The chat page as the local stack serves it: no other files, and the list of demo users only to this machine.

use std::fs;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

const SECRET: &str = "a secret of more than 32 bytes, for tests";

/// Writes a built page and a file beside it. Returns their folder and the routes that serve the page.
fn built() -> (TempDir, Router) {
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    fs::create_dir_all(dist.join("assets")).unwrap();
    fs::write(dist.join("index.html"), "<title>The page</title>").unwrap();
    fs::write(dist.join("assets/main-abc.js"), "start()").unwrap();
    fs::write(dist.join("sw.js"), "listen()").unwrap();
    fs::write(folder.path().join("secret"), "not to be served").unwrap();
    let routes = local::web::routes(&dist, Some(SECRET.to_owned()), &[]);
    (folder, routes)
}

async fn call(routes: &Router, method: &str, path: &str) -> (StatusCode, HeaderMap, String) {
    call_from(routes, method, path, "127.0.0.1:50000", "127.0.0.1:3000").await
}

async fn call_from(
    routes: &Router,
    method: &str,
    path: &str,
    from: &str,
    host: &str,
) -> (StatusCode, HeaderMap, String) {
    let from: SocketAddr = from.parse().unwrap();
    let request = Request::builder().method(method).uri(path).header("host", host);
    let request = request.extension(ConnectInfo(from)).body(Body::empty()).unwrap();
    let (head, body) = routes.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn the_page_has_a_strict_policy_and_its_assets_are_cacheable() {
    let (_folder, routes) = built();
    let (status, headers, body) = call(&routes, "GET", "/").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "<title>The page</title>"));
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
    assert!(
        policy.contains("media-src 'self' blob: ;") || policy.contains("media-src 'self' blob: http"),
        "{policy}"
    );
    assert_eq!(headers["cache-control"], "no-cache");

    let (status, headers, body) = call(&routes, "GET", "/assets/main-abc.js").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "start()"));
    assert_eq!(headers["content-type"], "text/javascript");
    assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");

    let (status, headers, body) = call(&routes, "GET", "/sw.js").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "listen()"));
    assert_eq!(headers["content-type"], "text/javascript");
    assert_eq!(headers["cache-control"], "no-cache");
}

#[tokio::test]
async fn the_page_is_told_where_the_api_is() {
    let folder = tempfile::tempdir().unwrap();
    let routes = local::web::routes(folder.path(), None, &[]);
    let (status, headers, body) = call(&routes, "GET", "/config.json").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "{}"));
    assert_eq!(
        (&headers["content-type"], &headers["cache-control"]),
        (&"application/json".parse().unwrap(), &"no-cache".parse().unwrap())
    );
    fs::write(folder.path().join("config.json"), r#"{"url":"https://api.example.com"}"#).unwrap();
    assert_eq!(call(&routes, "GET", "/config.json").await.2, r#"{"url":"https://api.example.com"}"#);
}

#[tokio::test]
async fn no_file_beside_the_page_is_served() {
    let (_folder, routes) = built();
    for path in [
        "/assets/../../secret",
        "/assets/..%2f..%2fsecret",
        "/assets/%2e%2e/%2e%2e/secret",
        "/assets/..\\..\\secret",
        "/assets//etc/passwd",
        "/assets/missing.js",
        "/assets/",
    ] {
        let (status, headers, body) = call(&routes, "GET", path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {body}");
        assert!(!headers.contains_key("cache-control"), "{path}");
    }
    for path in ["/", "/sw.js", "/assets/main-abc.js", "/_local/people"] {
        assert_eq!(call(&routes, "POST", path).await.0, StatusCode::NOT_FOUND, "{path}");
        let (status, headers, _) = call(&routes, "OPTIONS", path).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{path}");
        assert!(!headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{path}");
    }
}

#[tokio::test]
async fn without_a_built_page_the_root_says_how_to_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let routes = local::web::routes(folder.path(), None, &[]);
    let (status, _, body) = call(&routes, "GET", "/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("npm run build"), "{body}");
    assert_eq!(call(&routes, "GET", "/sw.js").await.0, StatusCode::NOT_FOUND);
    // The page may be built while the stack runs.
    fs::write(folder.path().join("index.html"), "built").unwrap();
    assert_eq!(call(&routes, "GET", "/").await.2, "built");
}

#[tokio::test]
async fn only_this_machine_can_list_the_demo_users() {
    let (_folder, routes) = built();
    let listed = async |from, host| {
        let (status, _, body) = call_from(&routes, "GET", "/_local/people", from, host).await;
        assert_eq!(status, StatusCode::OK);
        serde_json::from_str::<Value>(&body).unwrap()["data"].as_array().unwrap().len()
    };
    assert_eq!(listed("127.0.0.1:50000", "127.0.0.1:3000").await, 8);
    assert_eq!(listed("[::1]:50000", "localhost:3000").await, 8);
    assert_eq!(listed("[::ffff:127.0.0.1]:50000", "[::1]:3000").await, 8);
    assert_eq!(listed("192.168.1.7:50000", "127.0.0.1:3000").await, 0, "from another machine");
    assert_eq!(listed("127.0.0.1:50000", "rebound.example:3000").await, 0, "with another site's host name");
    let without = local::web::routes("unused".as_ref(), None, &[]);
    let (_, _, body) = call(&without, "GET", "/_local/people").await;
    assert!(body.contains(r#""data":[]"#), "{body}");
}
