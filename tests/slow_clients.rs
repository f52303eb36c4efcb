//! Slow clients cannot hold up the local stack.

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use local::server::{ServerLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: &str = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody";

/// Limits that a test can wait for.
const LIMITS: ServerLimits = ServerLimits {
    header: Duration::from_millis(300),
    body: Duration::from_millis(600),
    idle: Duration::from_millis(1200),
    stopping: Duration::from_millis(100),
    connections: 3,
};

struct Served {
    address: String,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Served {
    /// Serves `/echo`, which answers with the body, and `/slow`, which takes half a second.
    async fn start(limits: ServerLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let slow = async || {
            sleep(Duration::from_millis(500)).await;
            "done"
        };
        let routes = Router::new().route("/echo", post(async |body: String| body)).route("/slow", post(slow));
        let (stop, stopped) = watch::channel(false);
        Self { address, stop, server: tokio::spawn(serve(listener, routes, stopped, limits)) }
    }

    /// Connects and sends a text.
    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Stops the server.
    async fn stop(self) {
        self.stop.send(true).unwrap();
        timeout(PATIENCE, self.server).await.expect("the server does not stop").unwrap();
    }
}

/// Reads until the server hangs up.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("the connection stays open").unwrap();
    text
}

/// Reads an answer that ends with `end`.
async fn answer(stream: &mut TcpStream, end: &str) {
    let mut text = String::new();
    while !text.ends_with(end) {
        let mut buffer = [0; 1024];
        let size = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("no answer").unwrap();
        assert_ne!(size, 0, "hung up after {text}");
        text.push_str(std::str::from_utf8(&buffer[..size]).unwrap());
    }
}

#[tokio::test]
async fn connections_are_closed_when_a_request_takes_too_long_or_none_comes() {
    let served = Served::start(LIMITS).await;
    for (sent, least, answer) in [
        ("", LIMITS.idle, ""),
        ("POST /echo HTTP/1.1\r\nhost:", LIMITS.header, ""),
        (&REQUEST[..REQUEST.len() - 2], LIMITS.body, "HTTP/1.1 400"),
    ] {
        let began = Instant::now();
        let rest = rest(served.send(sent).await).await;
        assert!(rest.starts_with(answer) && rest.is_empty() == answer.is_empty(), "{sent}: {rest}");
        assert!(began.elapsed() >= least, "{sent}: {:?}", began.elapsed());
    }
    let mut stream = served.send(REQUEST).await;
    answer(&mut stream, "body").await;
    // Half of the next request on the same connection.
    stream.write_all(&REQUEST.as_bytes()[..10]).await.unwrap();
    let began = Instant::now();
    assert_eq!(rest(stream).await, "");
    assert!(began.elapsed() >= LIMITS.header && began.elapsed() < LIMITS.idle, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_byte_now_and_then_keeps_no_connection_open() {
    let served = Served::start(LIMITS).await;
    let mut stream = served.send("POST /echo HTTP/1.1\r\nx-slow: ").await;
    let began = Instant::now();
    while stream.write_all(b"x").await.is_ok() {
        sleep(Duration::from_millis(50)).await;
        assert!(began.elapsed() < PATIENCE);
    }
}

#[tokio::test]
async fn half_a_request_does_not_delay_the_stop_but_a_whole_one_is_answered() {
    let long = Duration::from_mins(1);
    let served =
        Served::start(ServerLimits { header: long, body: long, idle: long, connections: 10, ..LIMITS });
    let served = served.await;
    let slow = served.send(&REQUEST.replace("echo", "slow")).await;
    let half = [
        served.send("").await,
        served.send("POST /echo HTTP/1.1\r\nhost:").await,
        served.send(&REQUEST[..REQUEST.len() - 2]).await,
    ];
    let mut idle = served.send(REQUEST).await;
    answer(&mut idle, "body").await;
    sleep(Duration::from_millis(100)).await;
    served.stop().await;
    assert!(rest(slow).await.ends_with("done"));
    for stream in half.into_iter().chain([idle]) {
        rest(stream).await;
    }
}

#[tokio::test]
async fn clients_above_the_limit_wait_until_a_connection_is_closed() {
    let served = Served::start(ServerLimits { idle: PATIENCE, ..LIMITS }).await;
    let mut open = Vec::new();
    for _ in 0..LIMITS.connections {
        let mut stream = served.send(REQUEST).await;
        answer(&mut stream, "body").await;
        open.push(stream);
    }
    let mut waiting = served.send(REQUEST).await;
    let early = timeout(Duration::from_millis(200), answer(&mut waiting, "body")).await;
    assert!(early.is_err(), "there are more connections than allowed");
    open.pop();
    answer(&mut waiting, "body").await;
}
