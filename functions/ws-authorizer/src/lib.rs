//! The authorizer of the `WebSocket` API: authenticates the client that opens a socket.

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerPolicy, ApiGatewayCustomAuthorizerRequestTypeRequest,
    ApiGatewayCustomAuthorizerResponse,
};
use aws_lambda_events::iam::{IamPolicyEffect, IamPolicyStatement};
use domain::error::Error;
use edge::app::App;
use edge::socket;
use observe::meter;

/// The only error text that API Gateway turns into 401.
const UNAUTHORIZED: &str = "Unauthorized";

/// Lets a caller open a socket, and passes their identity to all its later events.
///
/// # Errors
/// `Unauthorized` if neither token nor ticket is valid; an error code if the fault is ours.
pub async fn handle(
    app: App,
    event: ApiGatewayCustomAuthorizerRequestTypeRequest,
) -> Result<ApiGatewayCustomAuthorizerResponse, String> {
    meter::note_field("route", "authorizer");
    meter::note_field("gateway_request_id", event.request_context.request_id.as_deref());
    let query = &event.query_string_parameters;
    // An empty parameter counts as absent.
    let parameter = |name: &str| query.first(name).filter(|value| !value.is_empty());
    let (token, ticket) = (parameter("token"), parameter("ticket"));
    let caller = match socket::authenticate(&app, token, ticket, &event.headers).await {
        Ok(caller) => caller,
        Err(error @ Error::NotAuthenticated(_)) => {
            meter::failed(&error);
            return Err(UNAUTHORIZED.to_owned());
        }
        Err(error) => return Err(socket::log_fault(&error)),
    };
    let mut statement = IamPolicyStatement::default();
    statement.action = vec!["execute-api:Invoke".to_owned()];
    statement.effect = IamPolicyEffect::Allow;
    statement.resource = vec![event.method_arn.unwrap_or_else(|| "*".to_owned())];
    let mut policy = ApiGatewayCustomAuthorizerPolicy::default();
    policy.version = Some("2012-10-17".to_owned());
    policy.statement = vec![statement];
    let mut response = ApiGatewayCustomAuthorizerResponse::default();
    response.principal_id = Some(caller.user.to_string());
    response.policy_document = policy;
    response.context = socket::context_of(&caller).map_err(|error| socket::log_fault(&error))?;
    Ok(response)
}
