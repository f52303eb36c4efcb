//! `$disconnect`: a socket has closed.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use shared::app::App;
use shared::error::Error;
use shared::meter;
use shared::metrics::Metric;
use shared::socket::{SocketEvent, accepted, fault};

/// Forgets the socket and, where it was the last, tells the peers that its user has left.
///
/// # Errors
/// A text for a fault of ours.
pub async fn handle(
    app: App,
    event: ApiGatewayWebsocketProxyRequest,
) -> Result<ApiGatewayProxyResponse, String> {
    disconnect(&app, event).await.map_err(|error| fault(&error))
}

async fn disconnect(
    app: &App,
    event: ApiGatewayWebsocketProxyRequest,
) -> Result<ApiGatewayProxyResponse, Error> {
    let SocketEvent { connection, caller, since, .. } = SocketEvent::read(event)?;
    meter::count(Metric::SocketsClosed);
    meter::measure_between(Metric::SocketLife, since, app.store.now());
    app.store.remove_socket(&caller.user, &connection).await?;
    let delivery = app.store.note_leaving(&caller.user).await?;
    app.push.deliver(&app.store, delivery).await;
    Ok(accepted())
}
