//! `$connect`: a socket opens.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use domain::caller::Caller;
use domain::error::Error;
use edge::app::App;
use edge::socket::{PROTOCOL, SocketEvent, accepted, log_fault, refused};
use futures_util::join;
use observe::log::reason;
use observe::meter;
use observe::metrics::Metric;

/// Stores the socket and publishes its user's presence. Refuses the handshake if the user has opened
/// too many (429), or their account was deleted (401).
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
    let (added, admitted) = join!(
        app.store.add_socket(user, &connection, *expires, session.as_ref()),
        app.store.admit_socket(user)
    );
    added?;
    let published = match admitted {
        Ok(()) => app.store.record_connect(user).await,
        Err(error) => Err(error),
    };
    match published {
        Ok(delivery) => app.push.deliver(&app.store, delivery).await,
        Err(error @ (Error::RateLimited(_) | Error::NotAuthenticated(_))) => {
            app.store.remove_sockets(user, &[&connection]).await?;
            return Ok(refused(error.status().as_u16()));
        }
        // The socket works all the same; peers learn of its user when they ask.
        Err(error) => tracing::warn!(error = reason(&error), "the presence is not published"),
    }
    meter::count(Metric::SocketsOpened);
    let mut response = accepted();
    if wants_protocol && let Ok(protocol) = PROTOCOL.parse() {
        response.headers.insert("sec-websocket-protocol", protocol);
    }
    Ok(response)
}
