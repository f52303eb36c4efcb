//! Messages from clients and the calls of functions that they cause.

use super::*;

#[tokio::test]
async fn messages_are_routed_by_their_action() {
    let mut served = serve(Limits::default()).await;
    let (mut socket, id) = served.open().await;
    let mut ids = Vec::new();
    for (body, route) in [
        (r#"{"action": "send", "text": "é"}"#, "send"),
        (r#"{"ref": 1, "action": "ping"}"#, "ping"),
        (r#"{"action": "dance"}"#, "$default"),
        (r#"{"action": "$connect"}"#, "$default"),
        (r#"{"action": ["send"]}"#, "$default"),
        (r#"{"text": "no action"}"#, "$default"),
        ("send", "$default"),
        ("", "$default"),
    ] {
        say(&mut socket, body).await;
        let event = served.next("MESSAGE").await;
        assert_eq!(event.body.as_deref(), Some(body));
        assert!(!event.is_base64_encoded);
        let context = event.request_context;
        assert_eq!(context.route_key.as_deref(), Some(route), "{body}");
        assert_eq!(context.connection_id.as_deref(), Some(id.as_str()));
        assert_eq!(context.authorizer.fields["principalId"], "alice");
        assert!(context.request_time_epoch >= context.connected_at);
        ids.extend([context.message_id.unwrap(), context.request_id.unwrap()]);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 16);
    // No answer's body was sent to the client: this post is the first text.
    served.post(&id, "first").await;
    assert_eq!(text(&mut socket).await, "first");
}

#[tokio::test]
async fn the_client_gets_an_error_when_its_function_fails() {
    let mut served = serve(Limits { integration: Duration::from_millis(300), ..Limits::default() }).await;
    let (mut socket, id) = served.open().await;
    for body in ["fails", "panics", "hangs"] {
        say(&mut socket, body).await;
        let request_id = served.next("MESSAGE").await.request_context.request_id;
        let error: serde_json::Value = serde_json::from_str(&text(&mut socket).await).unwrap();
        let expected =
            json!({ "message": "Internal server error", "connectionId": id, "requestId": request_id });
        assert_eq!(error, expected);
    }
    say(&mut socket, "the socket is still open").await;
    served.next("MESSAGE").await;
}

#[tokio::test]
async fn messages_of_one_socket_are_processed_one_after_the_other() {
    let mut served = serve(Limits { unprocessed: 2, ..Limits::default() }).await;
    let (mut socket, id) = served.open().await;
    for body in ["waits", "second", "third", "fourth"] {
        say(&mut socket, body).await;
    }
    served.next("MESSAGE").await;
    served.assert_quiet().await;
    assert_eq!(served.post(&id, "meanwhile").await, "posted");
    assert_eq!(text(&mut socket).await, "meanwhile");
    served.gate.add_permits(1);
    for body in ["second", "third", "fourth"] {
        assert_eq!(served.next("MESSAGE").await.body.as_deref(), Some(body));
    }
}

#[tokio::test]
async fn the_message_function_is_called_when_the_authorization_expires() {
    let mut served = serve(Limits::default()).await;
    let (_socket, id) = served.open_with("expiring").await;
    let event = served.next("MESSAGE").await;
    assert_eq!(event.body.as_deref(), Some(""));
    let context = event.request_context;
    assert_eq!(context.connection_id.as_deref(), Some(id.as_str()));
    let expires: i64 = context.authorizer.fields["expires"].as_str().unwrap().parse().unwrap();
    assert!(context.request_time_epoch >= expires);
    // It is called once, and the socket stays open unless the function closes it.
    served.assert_quiet().await;
    assert_eq!(served.post(&id, "still open").await, "posted");
}

#[tokio::test]
async fn messages_of_one_socket_do_not_delay_another() {
    let mut served = serve(Limits { unprocessed: 1, ..Limits::default() }).await;
    let (mut busy, _) = served.open().await;
    let (mut other, _) = served.open().await;
    say(&mut busy, "waits").await;
    served.next("MESSAGE").await;
    say(&mut other, "hello").await;
    assert_eq!(served.next("MESSAGE").await.body.as_deref(), Some("hello"));
}

#[tokio::test]
async fn the_disconnect_function_runs_once_with_the_close_code() {
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;
    let mut served = serve(Limits::default()).await;

    let (mut socket, id) = served.open().await;
    socket.close(Some(CloseFrame { code: 4001.into(), reason: "bye".into() })).await.unwrap();
    assert_eq!(served.disconnected(&id).await, (4001, "bye".to_owned()));
    assert_eq!(closed(&mut socket).await, (4001, "bye".to_owned()));

    let (mut socket, id) = served.open().await;
    socket.close(None).await.unwrap();
    let unset = "Client-side close frame status not set".to_owned();
    assert_eq!(served.disconnected(&id).await, (1005, unset));

    let (socket, id) = served.open().await;
    drop(socket);
    assert_eq!(served.disconnected(&id).await.0, 1006);

    served.assert_quiet().await;
    assert_eq!(served.gateway.open(), 0);
}

#[tokio::test]
async fn the_disconnect_function_gets_the_authorizers_context() {
    let mut served = serve(Limits::default()).await;
    let (socket, _) = served.open().await;
    drop(socket);
    let context = served.next("DISCONNECT").await.request_context;
    assert_eq!(context.authorizer.fields["principalId"], "alice");
    assert_eq!(context.stage.as_deref(), Some("test"));
    assert!(context.connected_at > 0 && context.domain_name.is_some());
}
