//! Handshakes: which succeed, and the events that the functions get.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn opening_a_socket_sends_the_events_of_aws() {
    let mut served = serve(Limits::default()).await;
    let headers = [("user-agent", "plain/1"), ("x-many", "1"), ("x-many", "2")];
    let (_socket, _) = served.try_open("?token=al%20ice&n=1&n=2", &headers).await.unwrap();

    let authorization = served.authorizations.recv().await.unwrap();
    assert_eq!(authorization.type_.as_deref(), Some("REQUEST"));
    let arn = "arn:aws:execute-api:us-east-1:000000000000:local/test/$connect";
    assert_eq!(authorization.method_arn.as_deref(), Some(arn));
    assert_eq!(authorization.query_string_parameters.first("token"), Some("al ice"));
    assert_eq!(authorization.headers.get("user-agent").unwrap(), "plain/1");
    assert_eq!(authorization.request_context.stage.as_deref(), Some("test"));

    let event = served.next("CONNECT").await;
    assert_eq!(event.headers.get_all("x-many").iter().count(), 2);
    let expected = query(&[("token", "al ice"), ("n", "1"), ("n", "2")]);
    assert_eq!(event.multi_value_query_string_parameters, expected.into());
    assert_eq!(event.body, None);
    let context = event.request_context;
    assert_eq!(context.route_key.as_deref(), Some("$connect"));
    assert_eq!(context.message_direction.as_deref(), Some("IN"));
    assert_eq!(context.domain_name.as_deref(), Some(served.management.as_str()));
    assert_eq!(context.stage.as_deref(), Some("test"));
    assert_eq!(context.apiid.as_deref(), Some("local"));
    assert_eq!(context.identity.source_ip.as_deref(), Some("127.0.0.1"));
    assert_eq!(context.identity.user_agent.as_deref(), Some("plain/1"));
    assert!(context.connected_at > 1_700_000_000_000 && context.request_time_epoch >= context.connected_at);
    assert!(context.request_time.unwrap().ends_with(" +0000"));
    assert!(context.request_id.is_some() && context.extended_request_id.is_some());
    let authorizer = json!({ "principalId": "al ice", "name": "Alice", "exp": "1900000000" });
    assert_eq!(json!(context.authorizer.fields), authorizer);
    let id = context.connection_id.unwrap();
    assert!(id.len() == 16 && id.ends_with('='), "{id}");
}

#[tokio::test]
async fn the_functions_decide_how_handshakes_are_refused() {
    let mut served = serve(Limits { integration: Duration::from_millis(300), ..Limits::default() }).await;
    for (query, status, connects) in [
        ("?token=bad", 401, false),
        ("?token=denied", 403, false),
        ("?token=broken", 500, false),
        ("?token=slow", 500, false),
        ("?status=401", 401, true),
        ("?status=403", 403, true),
        ("?status=302", 302, true),
        ("?status=101", 502, true),
        ("?status=7", 502, true),
        ("?connect=fails", 502, true),
        ("?connect=panics", 502, true),
        ("?connect=hangs", 504, true),
    ] {
        let refused = served.try_open(query, &[]).await;
        let Err(Error::Http(response)) = refused else { panic!("{query}: {refused:?}") };
        assert_eq!(response.status(), status, "{query}");
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        if connects {
            served.next("CONNECT").await;
        }
    }
    served.assert_quiet().await;
    assert_eq!(served.gateway.open(), 0);
}

#[tokio::test]
async fn invalid_handshakes_are_refused() {
    let served = serve(Limits::default()).await;
    let answer = plain(&served.address, "GET /ws").await;
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains("upgrade: websocket"), "{answer}");
    let refused = served.try_open(&format!("?token={}", "x".repeat(4096)), &[]).await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == 414));
}

#[tokio::test]
async fn the_connect_function_chooses_the_subprotocol() {
    let served = serve(Limits::default()).await;
    let offered = [("sec-websocket-protocol", "tidings, secret")];
    let (_socket, response) = served.try_open("?protocol=tidings&status=204", &offered).await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers().get("sec-websocket-protocol").unwrap(), "tidings");
    assert!(!response.headers().contains_key("x-other"));
    let refused = served.try_open("", &offered).await;
    assert!(matches!(refused, Err(Error::Protocol(_))), "the client requires one of its offers: {refused:?}");
}

#[tokio::test]
async fn posts_are_refused_until_the_connect_function_has_answered() {
    let mut served = serve(Limits::default()).await;
    let address = served.address.clone();
    let opening = tokio::spawn(async move { dial(&address, "?connect=waits", &[]).await });
    let id = served.next("CONNECT").await.request_context.connection_id.unwrap();
    assert_eq!(served.post(&id, "early").await, "GoneException");
    assert_eq!(served.gateway.open(), 0);
    served.gate.add_permits(1);
    let (mut socket, _) = opening.await.unwrap().unwrap();
    assert_eq!(served.post(&id, "late").await, "posted");
    assert_eq!(text(&mut socket).await, "late");
}

const RAW: &str = "GET /ws?connect=waits HTTP/1.1\r\nhost: local\r\nconnection: keep-alive, Upgrade\r\n\
    upgrade: WebSocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn no_message_overtakes_the_handshake() {
    let mut served = serve(Limits::default()).await;
    let mut stream = tokio::net::TcpStream::connect(&served.address).await.unwrap();
    // A client that does not wait for the answer sends the text "hi", masked with zeros, right after the handshake.
    let early = [RAW.as_bytes(), &[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']].concat();
    stream.write_all(&early).await.unwrap();
    served.next("CONNECT").await;
    served.assert_quiet().await;
    served.gate.add_permits(1);
    assert_eq!(served.next("MESSAGE").await.body.as_deref(), Some("hi"));
    let mut answer = [0; 1024];
    let length = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
}

#[tokio::test]
async fn a_client_that_hangs_up_during_the_handshake_is_disconnected() {
    let mut served = serve(Limits::default()).await;
    let mut stream = tokio::net::TcpStream::connect(&served.address).await.unwrap();
    stream.write_all(RAW.as_bytes()).await.unwrap();
    let id = served.next("CONNECT").await.request_context.connection_id.unwrap();
    drop(stream);
    served.assert_quiet().await;
    served.gate.add_permits(1);
    assert_eq!(served.disconnected(&id).await.0, 1006);
    assert_eq!(served.gateway.open(), 0);
}
