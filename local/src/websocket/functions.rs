//! The four functions behind a gateway, and how long it waits for them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayCustomAuthorizerResponse,
    ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest,
};

/// What a function's call comes to; an error is the function's message.
type Answer<A> = Pin<Box<dyn Future<Output = Result<A, String>> + Send>>;

/// A function: code in this process, or whatever calls code elsewhere.
pub type Call<E, A> = Arc<dyn Fn(E) -> Answer<A> + Send + Sync>;

/// The functions of an API. Make each with [`call`].
#[derive(Clone)]
pub struct Functions {
    /// The REQUEST authorizer of `$connect`. Its error `Unauthorized` refuses with 401, any other with 500.
    pub authorize: Call<ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayCustomAuthorizerResponse>,
    /// `$connect`: a status other than 2xx refuses with that status.
    pub connect: Call<ApiGatewayWebsocketProxyRequest, ApiGatewayProxyResponse>,
    /// `$disconnect`: its answer changes nothing.
    pub disconnect: Call<ApiGatewayWebsocketProxyRequest, ApiGatewayProxyResponse>,
    /// Every message, whatever its route. There are no route responses, so only its failure is told to the client.
    pub message: Call<ApiGatewayWebsocketProxyRequest, ApiGatewayProxyResponse>,
}

/// An async closure as a [`Call`].
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
    #[error("it took too long")]
    Timeout,
}

/// Calls a function in a task of its own: it runs on where nobody waits any more, and its panic is its own.
pub(crate) async fn invoke<E, A>(function: &Call<E, A>, event: E, limit: Duration) -> Result<A, Failure>
where
    E: Send + 'static,
    A: Send + 'static,
{
    let function = Arc::clone(function);
    let run = tokio::spawn(async move { function(event).await });
    match tokio::time::timeout(limit, run).await {
        Ok(Ok(answer)) => answer.map_err(Failure::Error),
        Ok(Err(_)) => Err(Failure::Error("it panicked".to_owned())),
        Err(_) => Err(Failure::Timeout),
    }
}
