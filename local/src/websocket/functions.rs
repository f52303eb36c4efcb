//! The four functions behind a gateway, and how it calls them with a time limit.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayCustomAuthorizerResponse,
    ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest,
};

use crate::eager::poll_eagerly;

/// The future result of a function; an error is the function's error message.
type Answer<A> = Pin<Box<dyn Future<Output = Result<A, String>> + Send>>;

/// A function: code that runs in this process, or that invokes a function elsewhere.
pub type Call<E, A> = Arc<dyn Fn(E) -> Answer<A> + Send + Sync>;

/// The functions of an API, each created by [`call`].
#[derive(Clone)]
pub struct Functions {
    /// The REQUEST authorizer of `$connect`. Its error `Unauthorized` refuses the handshake with 401, any other error
    /// with 500.
    pub authorize: Call<ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayCustomAuthorizerResponse>,
    /// The function of `$connect`. A status other than 2xx refuses the handshake with that status.
    pub connect: Call<ApiGatewayWebsocketProxyRequest, ApiGatewayProxyResponse>,
    /// The function of `$disconnect`. Its answer is ignored.
    pub disconnect: Call<ApiGatewayWebsocketProxyRequest, ApiGatewayProxyResponse>,
    /// The function of all messages, whatever their route. There are no route responses, so the client learns only of
    /// failures.
    pub message: Call<ApiGatewayWebsocketProxyRequest, ApiGatewayProxyResponse>,
}

/// Wraps an async closure as a [`Call`].
pub fn call<E, A, F>(function: impl Fn(E) -> F + Send + Sync + 'static) -> Call<E, A>
where
    F: Future<Output = Result<A, String>> + Send + 'static,
{
    Arc::new(move |event| Box::pin(function(event)))
}

/// Why a function has no answer.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Error(String),
    #[error("the function timed out")]
    Timeout,
}

/// Calls a function in a separate task, so that it continues after the time limit, and its panic does not reach the
/// caller.
pub(crate) async fn invoke<E, A>(function: &Call<E, A>, event: E, limit: Duration) -> Result<A, Failure>
where
    E: Send + 'static,
    A: Send + 'static,
{
    let function = Arc::clone(function);
    let run = tokio::spawn(poll_eagerly(async move { function(event).await }));
    match tokio::time::timeout(limit, run).await {
        Ok(Ok(answer)) => answer.map_err(Failure::Error),
        Ok(Err(_)) => Err(Failure::Error("the function panicked".to_owned())),
        Err(_) => Err(Failure::Timeout),
    }
}
