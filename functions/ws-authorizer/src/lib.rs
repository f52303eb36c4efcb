//! The authorizer of the `WebSocket` API: who opens a socket.

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerPolicy, ApiGatewayCustomAuthorizerRequestTypeRequest,
    ApiGatewayCustomAuthorizerResponse,
};
use aws_lambda_events::iam::{IamPolicyEffect, IamPolicyStatement};
use domain::error::Error;
use edge::app::App;
use edge::socket;
use observe::meter;

/// The only error that API Gateway answers with 401.
const UNAUTHORIZED: &str = "Unauthorized";

/// Lets a caller in, with their identity for all later events of the socket.
///
/// # Errors
/// `Unauthorized` where neither token nor ticket holds; another text for a fault of ours.
pub async fn handle(
    app: App,
    event: ApiGatewayCustomAuthorizerRequestTypeRequest,
) -> Result<ApiGatewayCustomAuthorizerResponse, String> {
    meter::note_field("route", "authorizer");
    meter::note_field("gateway_request_id", event.request_context.request_id.as_deref());
    let query = &event.query_string_parameters;
    let caller = match socket::opener(&app, query.first("token"), query.first("ticket"), &event.headers).await
    {
        Ok(caller) => caller,
        Err(error @ Error::NotAuthenticated(_)) => {
            meter::failed(&error);
            return Err(UNAUTHORIZED.to_owned());
        }
        Err(error) => return Err(socket::fault(&error)),
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
    response.context = socket::context_of(&caller).map_err(|error| socket::fault(&error))?;
    Ok(response)
}
