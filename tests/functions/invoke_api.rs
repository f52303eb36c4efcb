//! Functions behind a Lambda Invoke API.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use harness::build::root;
use local::lambda::InvokeApi;
use serde_json::Value;
use tokio::sync::mpsc;

use super::*;

type Call = (String, Value);

/// Serves an Invoke API that calls `answer` for each invocation. Returns a client for it and the invocations it gets.
async fn api(answer: fn(&str) -> Response) -> (Lambda, mpsc::UnboundedReceiver<Call>) {
    let (sender, calls) = mpsc::unbounded_channel();
    let invoke = move |State(sender): State<mpsc::UnboundedSender<Call>>,
                       Path(name): Path<String>,
                       event: axum::body::Bytes| async move {
        let response = answer(&name);
        sender.send((name, serde_json::from_slice(&event).unwrap())).unwrap();
        response
    };
    let router = Router::new().route("/2015-03-31/functions/{name}/invocations", post(invoke));
    let router = router.with_state(sender);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (Lambda::InvokeApi(Box::new(InvokeApi::new(&url).unwrap())), calls)
}

/// A 401 answer with a body in base64.
fn refusal() -> Response {
    let headers = json!({"content-type": "application/problem+json", "x-request-id": "one"});
    let problem = json!({
        "type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "No.", "message": "No.",
        "code": "not_authenticated", "success": false,
    });
    let answer = json!({
        "statusCode": 401, "headers": headers, "cookies": ["a=1; Path=/", "b=2"], "isBase64Encoded": true,
        "body": STANDARD.encode(problem.to_string()),
    });
    answer.to_string().into_response()
}

#[tokio::test]
async fn the_event_has_the_format_of_api_gateway() {
    let (lambda, mut calls) = api(|_| refusal()).await;
    let alice = with(lambda).await.calling_from("192.0.2.1").with_token(None);
    let headers =
        [("content-type", "application/json"), ("cookie", "c=3; d=4"), ("x-two", "1"), ("x-two", "2")];
    let path = "/api/messages/conversation/a%20%7Cb?q=%20&q=2&r=";
    let answer = alice.call("GET", path, &headers, "{}").await;
    answer.refused(401, "not_authenticated");
    assert_eq!(answer.headers["x-request-id"], "one");
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=2"]);
    let (name, mut event) = calls.recv().await.unwrap();
    assert_eq!(name, "conversation");
    for varying in ["requestId", "time", "timeEpoch"] {
        assert!(!event["requestContext"][varying].take().is_null(), "{varying}");
    }
    let expected = json!({
        "version": "2.0",
        "routeKey": "GET /api/messages/conversation/{id}",
        "rawPath": "/api/messages/conversation/a |b",
        "rawQueryString": "q=%20&q=2&r=",
        "cookies": ["c=3", "d=4"],
        "headers": {
            "content-type": "application/json",
            "x-two": "1,2",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"q": " ,2", "r": ""},
        "pathParameters": {"id": "a |b"},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "localhost",
            "domainPrefix": "localhost",
            "http": {
                "method": "GET",
                "path": "/api/messages/conversation/a |b",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": null,
            },
            "requestId": null,
            "routeKey": "GET /api/messages/conversation/{id}",
            "stage": "$default",
            "time": null,
            "timeEpoch": null,
        },
        "isBase64Encoded": false,
        "body": "{}",
    });
    assert_eq!(event, expected);
}

#[test]
fn the_environment_file_has_the_settings_of_the_process() {
    if binaries::wanted() {
        // The functions cannot run in two places.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let set = [
        ("TIDINGS_TABLE", "another-table"),
        ("TIDINGS_SECRET_PREVIOUS", "the secret before, of more than 32 bytes"),
        ("TIDINGS_JWKS_URL", "http://127.0.0.1:9/keys"),
        ("TIDINGS_JWT_ISSUER", "https://issuer.example"),
        ("TIDINGS_JWT_AUDIENCE", "the audience"),
        ("TIDINGS_REGISTRATION", "off"),
        ("TIDINGS_DIRECTORY", "off"),
        ("TIDINGS_RATE_LIMITS", "off"),
        ("TIDINGS_TRUSTED_PROXIES", "192.0.2.0/24,198.51.100.7"),
    ];
    let _server = Server::start_with(folder.path(), &["--invoke-url", "http://127.0.0.1:9"], &set);
    let file = fs::read_to_string(folder.path().join("functions.env")).unwrap();
    for (name, value) in set {
        assert!(file.lines().any(|line| line == format!("{name}='{value}'")), "{name} is not in\n{file}");
    }
    // All that functions get in AWS, but for what decides which metrics CloudWatch counts.
    let template = fs::read_to_string(root().join("infra/template.yaml")).unwrap();
    let (globals, _) = template.split_once("\nResources:\n").unwrap();
    let names = globals.lines().filter_map(|line| line.trim().split_once(':')).map(|(name, _)| name);
    let names: Vec<_> =
        names.filter(|name| name.starts_with("TIDINGS_") && *name != "TIDINGS_METRICS").collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(file.contains(&format!("\n{name}=")), "{name} is not in\n{file}");
    }
}

#[tokio::test]
async fn a_function_is_also_found_by_its_name_in_the_template() {
    let (lambda, mut calls) = api(|name| match name {
        "UnreadCount" => refusal(),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    with(lambda).await.get("/api/messages/unread-count").await.refused(401, "not_authenticated");
    assert_eq!(calls.recv().await.unwrap().0, "unread-count");
    assert_eq!(calls.recv().await.unwrap().0, "UnreadCount");
}

fn function_error() -> Response {
    let body = json!({"errorType": "Runtime.ExitError", "errorMessage": "it is gone"}).to_string();
    ([("x-amz-function-error", "Unhandled")], body).into_response()
}

#[tokio::test]
async fn failed_invocations_answer_500() {
    let answers: [fn(&str) -> Response; 5] = [
        |_| function_error(),
        |_| StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        |_| "no JSON".into_response(),
        |_| json!({"statusCode": 42, "headers": {}, "cookies": []}).to_string().into_response(),
        |_| vec![b' '; 7 * 1024 * 1024].into_response(),
    ];
    for answer in answers {
        let (lambda, _calls) = api(answer).await;
        let answer = with(lambda).await.get("/api/messages/inbox").await;
        answer.refused(500, "internal");
        assert!(answer.headers.contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn an_unreachable_api_answers_500() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let lambda = Lambda::InvokeApi(Box::new(InvokeApi::new(&url).unwrap()));
    with(lambda).await.get("/api/messages/inbox").await.refused(500, "internal");
    for bad in ["https://127.0.0.1:1", "127.0.0.1:1", "", "http://127.0.0.1:1/?a=b"] {
        assert!(InvokeApi::new(bad).is_err(), "{bad}");
    }
}
