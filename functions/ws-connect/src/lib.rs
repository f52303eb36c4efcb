//! `$connect`: a socket opens.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use domain::caller::Caller;
use domain::error::Error;
use edge::app::App;
use edge::socket::{PROTOCOL, SocketEvent, accepted, log_fault};
use observe::meter;
use observe::metrics::Metric;

/// Stores the socket and publishes its user's presence.
///
/// # Errors
/// An error code if the fault is ours; API Gateway then refuses the handshake.
pub async fn handle(
    app: App,
    event: ApiGatewayWebsocketProxyRequest,
) -> Result<ApiGatewayProxyResponse, String> {
    connect(&app, event).await.map_err(|error| log_fault(&error))
}

async fn connect(
    app: &App,
    event: ApiGatewayWebsocketProxyRequest,
) -> Result<ApiGatewayProxyResponse, Error> {
    let SocketEvent { connection, caller, wants_protocol, .. } = SocketEvent::read(event)?;
    let Caller { user, expires, session, .. } = &caller;
    app.store.add_socket(user, &connection, *expires, session.as_ref()).await?;
    meter::count(Metric::SocketsOpened);
    if let Ok(delivery) = app.store.record_connect(&caller.user).await {
        app.push.deliver(&app.store, delivery).await;
    }
    let mut response = accepted();
    if wants_protocol && let Ok(protocol) = PROTOCOL.parse() {
        response.headers.insert("sec-websocket-protocol", protocol);
    }
    Ok(response)
}
