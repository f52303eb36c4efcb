//! `$disconnect`: a socket has closed.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use domain::error::Error;
use edge::app::App;
use edge::socket::{SocketEvent, accepted, log_fault};
use observe::meter;
use observe::metrics::Metric;

/// Deletes the socket and, if it was the user's last, publishes that they are offline.
///
/// # Errors
/// An error code if the fault is ours.
pub async fn handle(
    app: App,
    event: ApiGatewayWebsocketProxyRequest,
) -> Result<ApiGatewayProxyResponse, String> {
    disconnect(&app, event).await.map_err(|error| log_fault(&error))
}

async fn disconnect(
    app: &App,
    event: ApiGatewayWebsocketProxyRequest,
) -> Result<ApiGatewayProxyResponse, Error> {
    let SocketEvent { connection, caller, since, .. } = SocketEvent::read(event)?;
    meter::count(Metric::SocketsClosed);
    meter::measure_between(Metric::SocketLife, since, app.store.now());
    app.store.remove_sockets(&caller.user, &[&connection]).await?;
    let delivery = app.store.record_disconnect(&caller.user).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(accepted())
}
