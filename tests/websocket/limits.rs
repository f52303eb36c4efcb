//! API Gateway's limits, and how it closes sockets that exceed them.

use local::websocket::limits::{BUFFERED, FRAME, MESSAGE};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::*;

/// Sends a text in frames of these sizes. Errors are ignored: the gateway may close the socket before the last frame.
async fn say_in_frames(socket: &mut Socket, sizes: &[usize]) {
    for (at, size) in sizes.iter().enumerate() {
        let kind = if at == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(vec![b'x'; *size], OpCode::Data(kind), at + 1 == sizes.len());
        let _ = socket.send(Message::Frame(frame)).await;
    }
}

#[tokio::test]
async fn frames_and_messages_of_the_largest_size_pass() {
    let mut served = serve(Limits::default()).await;
    let (mut socket, id) = served.open().await;
    for sizes in [[FRAME].as_slice(), &[FRAME; MESSAGE / FRAME], &[0, 1, FRAME, 0]] {
        say_in_frames(&mut socket, sizes).await;
        let body = served.next("MESSAGE").await.body.unwrap();
        assert_eq!(body.len(), sizes.iter().sum::<usize>());
    }
    let longest = "é".repeat(MESSAGE / 2);
    assert_eq!(served.post(&id, longest.as_str()).await, "posted");
    assert_eq!(text(&mut socket).await, longest);
}

#[tokio::test]
async fn larger_frames_and_messages_close_the_socket() {
    let mut served = serve(Limits::default()).await;
    for sizes in [[FRAME + 1].as_slice(), &[10, FRAME + 1], &[FRAME, FRAME, FRAME, FRAME, 1], &[20 * MESSAGE]]
    {
        let (mut socket, id) = served.open().await;
        say_in_frames(&mut socket, sizes).await;
        assert_eq!(closed(&mut socket).await.0, 1009);
        assert_eq!(served.disconnected(&id).await.0, 1009);
        assert_eq!(served.post(&id, "late").await, "GoneException");
    }
    served.assert_quiet().await;
}

#[tokio::test]
async fn a_post_over_the_limit_is_refused_and_the_socket_stays_open() {
    let mut served = serve(Limits::default()).await;
    let (mut socket, id) = served.open().await;
    assert_eq!(served.post(&id, vec![b'x'; MESSAGE + 1]).await, "PayloadTooLargeException");
    assert_eq!(served.post(&id, "next").await, "posted");
    assert_eq!(text(&mut socket).await, "next");
}

#[tokio::test]
async fn anything_but_valid_text_closes_the_socket() {
    let mut served = serve(Limits::default()).await;
    let (mut socket, id) = served.open().await;
    socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1003);
    assert_eq!(served.disconnected(&id).await.0, 1003);

    let (mut socket, id) = served.open().await;
    let broken = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    socket.send(Message::Frame(broken)).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1007);
    assert_eq!(served.disconnected(&id).await.0, 1007);

    let (mut socket, id) = served.open().await;
    let stray = Frame::message(vec![b'x'], OpCode::Data(Data::Continue), true);
    socket.send(Message::Frame(stray)).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, 1002);
    assert_eq!(served.disconnected(&id).await.0, 1002);
}

#[tokio::test]
async fn an_idle_socket_is_closed() {
    let mut served = serve(Limits { idle: Duration::from_millis(200), ..Limits::default() }).await;
    let since = Instant::now();
    let (mut socket, id) = served.open().await;
    assert_eq!(closed(&mut socket).await, (1001, "Going away".to_owned()));
    assert!(since.elapsed() >= Duration::from_millis(200));
    assert_eq!(served.disconnected(&id).await, (1001, "Going away".to_owned()));
}

#[tokio::test]
async fn pings_and_posts_keep_a_socket_open() {
    let idle = Duration::from_millis(600);
    let mut served = serve(Limits { idle, ..Limits::default() }).await;
    let (mut pinging, _) = served.open().await;
    let (mut listening, id) = served.open().await;
    let since = Instant::now();
    while since.elapsed() < 2 * idle {
        pinging.send(Message::Ping("x".into())).await.unwrap();
        assert_eq!(frame(&mut pinging).await, Some(Message::Pong("x".into())));
        assert_eq!(served.post(&id, "news").await, "posted");
        assert_eq!(text(&mut listening).await, "news");
        tokio::time::sleep(idle / 10).await;
    }
    assert_eq!(closed(&mut pinging).await.0, 1001);
    assert_eq!(closed(&mut listening).await.0, 1001);
}

#[tokio::test]
async fn a_socket_is_closed_at_its_maximum_age() {
    let mut served = serve(Limits { life: Duration::from_millis(300), ..Limits::default() }).await;
    let (mut socket, id) = served.open().await;
    let talk = async {
        loop {
            socket.send(Message::Ping("x".into())).await.expect("the socket broke");
            while let Ok(Some(message)) = timeout(Duration::from_millis(50), socket.next()).await {
                if let Message::Close(close) = message.unwrap() {
                    return u16::from(close.unwrap().code);
                }
            }
        }
    };
    assert_eq!(timeout(PATIENCE, talk).await.unwrap(), 1001);
    assert_eq!(served.disconnected(&id).await.0, 1001);
}

#[tokio::test]
async fn a_client_that_does_not_read_delays_no_other() {
    let mut served = serve(Limits::default()).await;
    let (mut stuck, id) = served.open().await;
    let (mut other, other_id) = served.open().await;
    let mut accepted = 0;
    loop {
        let message = format!("{accepted}{}", " ".repeat(60_000));
        match served.post(&id, message).await.as_str() {
            "posted" => accepted += 1,
            full => break assert_eq!(full, "LimitExceededException"),
        }
        assert!(accepted < 10_000, "the buffer is not bounded");
    }
    assert_eq!(served.post(&other_id, "hello").await, "posted");
    assert_eq!(text(&mut other).await, "hello");
    // Once the client reads, it gets all accepted posts in order, and new posts are accepted.
    for number in 0..accepted {
        assert_eq!(text(&mut stuck).await.trim_end(), number.to_string());
    }
    assert_eq!(served.post(&id, "again").await, "posted");
    assert_eq!(text(&mut stuck).await, "again");
}

#[tokio::test]
async fn small_messages_count_towards_the_limit() {
    let mut served = serve(Limits::default()).await;
    let (_stuck, id) = served.open().await;
    // Fill the path to the client first, then the rest of the buffer.
    while served.post(&id, vec![b' '; 60_000]).await == "posted" {}
    let mut accepted = 0;
    while served.post(&id, "x").await == "posted" {
        accepted += 1;
        assert!(accepted < BUFFERED);
    }
    assert!(accepted > 0);
}

#[tokio::test]
async fn a_stuck_socket_is_closed_in_time() {
    let limits =
        Limits { idle: Duration::from_secs(1), closing: Duration::from_millis(200), ..Limits::default() };
    let mut served = serve(limits).await;
    let (_stuck, id) = served.open().await;
    while served.post(&id, vec![b' '; 60_000]).await == "posted" {}
    assert_eq!(served.disconnected(&id).await.0, 1001);
    assert_eq!(served.post(&id, "late").await, "GoneException");

    let (_stuck, id) = served.open().await;
    while served.post(&id, vec![b' '; 60_000]).await == "posted" {}
    served.client.delete_connection().connection_id(&id).send().await.unwrap();
    assert_eq!(served.disconnected(&id).await.0, 1000);
}
