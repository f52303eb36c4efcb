//! The management API, as functions and operators use it.

use super::*;

#[tokio::test]
async fn a_connection_can_be_inspected() {
    let mut served = serve(Limits::default()).await;
    let (mut socket, _) = served.try_open("", &[("user-agent", "plain/1")]).await.unwrap();
    let context = served.next("CONNECT").await.request_context;
    let id = context.connection_id.unwrap();
    let get = || async { served.client.get_connection().connection_id(&id).send().await.unwrap() };
    let shown = get().await;
    assert_eq!(shown.connected_at().unwrap().to_millis().unwrap(), context.connected_at);
    let identity = shown.identity().unwrap();
    assert_eq!((identity.source_ip(), identity.user_agent()), (Some("127.0.0.1"), Some("plain/1")));
    let before = shown.last_active_at().unwrap().to_millis().unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    say(&mut socket, "hello").await;
    served.events.recv().await.unwrap();
    assert!(get().await.last_active_at().unwrap().to_millis().unwrap() >= before + 50);
}

#[tokio::test]
async fn posts_arrive_before_the_close_frame() {
    let mut served = serve(Limits::default()).await;
    let (mut socket, id) = served.open().await;
    for number in 0..20 {
        assert_eq!(served.post(&id, number.to_string()).await, "posted");
    }
    served.client.delete_connection().connection_id(&id).send().await.unwrap();
    for number in 0..20 {
        assert_eq!(text(&mut socket).await, number.to_string());
    }
    let normally = (1000, "Connection Closed Normally".to_owned());
    assert_eq!(closed(&mut socket).await, normally);
    assert_eq!(served.disconnected(&id).await, (1000, normally.1));
    served.assert_quiet().await;
}

#[tokio::test]
async fn every_method_answers_gone_for_a_closed_connection() {
    let mut served = serve(Limits::default()).await;
    let (socket, id) = served.open().await;
    drop(socket);
    served.disconnected(&id).await;
    for id in [id.as_str(), "L0SM9cOFvHcCIhw=", "a/b?c", "é"] {
        assert_eq!(served.post(id, "late").await, "GoneException");
        let got = served.client.get_connection().connection_id(id).send().await.unwrap_err();
        assert!(got.into_service_error().is_gone_exception());
        let deleted = served.client.delete_connection().connection_id(id).send().await.unwrap_err();
        assert!(deleted.into_service_error().is_gone_exception());
    }
}

#[tokio::test]
async fn ids_may_be_encoded_and_calls_unsigned() {
    let mut served = serve(Limits::default()).await;
    let (mut socket, id) = served.open().await;
    assert!(id.ends_with('='));
    let encoded = id.replace('=', "%3D");
    let paths = [
        format!("/@connections/{id}"),
        format!("/@connections/{encoded}"),
        format!("/test/@connections/{encoded}"),
        format!("/test/%40connections/{id}"),
    ];
    for path in paths {
        let answer = plain(&served.management, &format!("POST {path}\n{path}")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert_eq!(text(&mut socket).await, path);
    }
    for (request, status, name) in [
        (format!("POST /prod/@connections/{id}\nx"), 403, "ForbiddenException"),
        (format!("POST /connections/{id}\nx"), 403, "ForbiddenException"),
        ("GET /".to_owned(), 403, "ForbiddenException"),
        ("GET /@connections/none".to_owned(), 410, "GoneException"),
    ] {
        let answer = plain(&served.management, &request).await;
        let expected = answer.starts_with(&format!("HTTP/1.1 {status}"))
            && answer.contains(&format!("x-amzn-errortype: {name}"));
        assert!(expected, "{request}: {answer}");
    }
}

#[tokio::test]
async fn stopping_closes_every_socket() {
    let mut served = serve(Limits::default()).await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(served.open().await);
    }
    assert_eq!(served.gateway.open(), 5);
    let gateway = served.gateway.clone();
    let stop = tokio::spawn(async move { gateway.close_all().await });
    for (socket, _) in &mut sockets {
        assert_eq!(closed(socket).await, (1001, "Going away".to_owned()));
    }
    timeout(PATIENCE, stop).await.unwrap().unwrap();
    assert_eq!(served.gateway.open(), 0);
    // By now the disconnect function has run once for each socket.
    let mut disconnected = Vec::new();
    while let Ok(event) = served.events.try_recv() {
        assert_eq!(event.request_context.disconnect_status_code, Some(1001));
        disconnected.push(event.request_context.connection_id.unwrap());
    }
    disconnected.sort();
    let mut ids: Vec<_> = sockets.into_iter().map(|(_, id)| id).collect();
    ids.sort();
    assert_eq!(disconnected, ids);
    let refused = served.try_open("", &[]).await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == 503));
}

#[tokio::test]
async fn stopping_does_not_wait_forever() {
    let limits = Limits { closing: Duration::from_millis(200), ..Limits::default() };
    let mut served = serve(limits).await;
    let (_stuck, id) = served.open().await;
    while served.post(&id, vec![b' '; 60_000]).await == "posted" {}
    timeout(PATIENCE, served.gateway.close_all()).await.unwrap();
    assert_eq!(served.disconnected(&id).await.0, 1001);
}
