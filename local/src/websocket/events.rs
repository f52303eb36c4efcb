//! The events that functions receive, in AWS's form.

use std::collections::HashMap;

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayCustomAuthorizerRequestTypeRequestContext,
    ApiGatewayCustomAuthorizerRequestTypeRequestIdentity, ApiGatewayWebsocketProxyRequest,
    ApiGatewayWebsocketProxyRequestContext,
};
use aws_lambda_events::query_map::QueryMap;
use axum::http::request::Parts;
use domain::time::Timestamp;
use serde::Deserialize;
use time::OffsetDateTime;
use time::macros::format_description;

use super::connection::{Origin, id};
use super::ending::Ending;
use super::gateway::{Api, Inner};

/// Returns the ARN that an authorizer's policy must allow.
pub(super) fn connect_arn(api: &Api) -> String {
    format!("arn:aws:execute-api:us-east-1:000000000000:{}/{}/$connect", api.id, api.stage)
}

/// Returns the authorizer's event.
pub(super) fn authorization(
    api: &Api,
    origin: &Origin,
    request: &Parts,
) -> ApiGatewayCustomAuthorizerRequestTypeRequest {
    let mut identity = ApiGatewayCustomAuthorizerRequestTypeRequestIdentity::default();
    identity.source_ip = Some(origin.source_ip.clone());
    let mut context = ApiGatewayCustomAuthorizerRequestTypeRequestContext::default();
    context.apiid = Some(api.id.clone());
    context.stage = Some(api.stage.clone());
    context.request_id = Some(id());
    context.identity = Some(identity);

    let mut event = ApiGatewayCustomAuthorizerRequestTypeRequest::default();
    event.type_ = Some("REQUEST".to_owned());
    event.method_arn = Some(connect_arn(api));
    event.headers = request.headers.clone();
    event.multi_value_headers = request.headers.clone();
    event.query_string_parameters = query(request);
    event.multi_value_query_string_parameters = event.query_string_parameters.clone();
    event.request_context = context;
    event
}

/// Returns the connect function's event.
pub(super) fn connect(gateway: &Inner, origin: &Origin, request: &Parts) -> ApiGatewayWebsocketProxyRequest {
    let mut event = event(gateway, origin, "CONNECT", "$connect");
    event.headers = request.headers.clone();
    event.multi_value_headers = request.headers.clone();
    event.query_string_parameters = query(request);
    event.multi_value_query_string_parameters = event.query_string_parameters.clone();
    event
}

/// Returns the message function's event.
pub(super) fn message(gateway: &Inner, origin: &Origin, body: String) -> ApiGatewayWebsocketProxyRequest {
    let mut event = event(gateway, origin, "MESSAGE", route(&gateway.api, &body));
    event.request_context.message_id = Some(id());
    event.body = Some(body);
    event
}

/// Returns the disconnect function's event.
pub(super) fn disconnect(
    gateway: &Inner,
    origin: &Origin,
    ending: &Ending,
) -> ApiGatewayWebsocketProxyRequest {
    let mut event = event(gateway, origin, "DISCONNECT", "$disconnect");
    event.request_context.disconnect_status_code = Some(ending.code.into());
    event.request_context.disconnect_reason = Some(ending.reason.clone().into_owned());
    event
}

fn event(gateway: &Inner, origin: &Origin, kind: &str, route: &str) -> ApiGatewayWebsocketProxyRequest {
    let now = gateway.clock.now();
    let request_id = id();
    let mut context = ApiGatewayWebsocketProxyRequestContext::default();
    context.route_key = Some(route.to_owned());
    context.event_type = Some(kind.to_owned());
    context.message_direction = Some("IN".to_owned());
    context.extended_request_id = Some(request_id.clone());
    context.request_id = Some(request_id);
    context.request_time = Some(request_time(now));
    context.request_time_epoch = now.millis();
    context.connected_at = origin.connected_at.millis();
    context.connection_id = Some(origin.id.clone());
    context.domain_name = Some(gateway.api.domain_name.clone());
    context.stage = Some(gateway.api.stage.clone());
    context.apiid = Some(gateway.api.id.clone());
    context.authorizer = origin.authorizer.clone();
    context.identity.source_ip = Some(origin.source_ip.clone());
    context.identity.user_agent.clone_from(&origin.user_agent);

    let mut event = ApiGatewayWebsocketProxyRequest::default();
    event.request_context = context;
    event
}

/// Returns the route key that a message's `action` selects (`$request.body.action`).
fn route<'a>(api: &'a Api, body: &str) -> &'a str {
    #[derive(Deserialize)]
    struct Body {
        action: String,
    }
    let action = serde_json::from_str(body).map(|Body { action }| action).ok();
    let route = api.routes.iter().find(|route| action.as_ref() == Some(route));
    route.map_or("$default", String::as_str)
}

fn query(request: &Parts) -> QueryMap {
    let mut values = HashMap::<String, Vec<String>>::new();
    for (name, value) in form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes()) {
        values.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    values.into()
}

/// Formats a time as API Gateway does: `09/Feb/2024:18:23:28 +0000`.
pub(crate) fn request_time(time: Timestamp) -> String {
    let format = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
    let time = OffsetDateTime::from_unix_timestamp(time.seconds()).ok();
    time.and_then(|time| time.format(format).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_format_of_access_logs() {
        assert_eq!(request_time(Timestamp::from_millis(1_707_503_008_941)), "09/Feb/2024:18:23:28 +0000");
    }

    #[test]
    fn known_actions_are_routes_and_all_others_are_the_default() {
        let api = Api {
            id: String::new(),
            stage: String::new(),
            domain_name: String::new(),
            routes: vec!["send".to_owned()],
        };
        assert_eq!(route(&api, r#"{"text": "hi", "action": "send"}"#), "send");
        for body in [
            "",
            "send",
            "null",
            "[1]",
            r#"{"action": "Send"}"#,
            r#"{"action": 1}"#,
            r#"{"action": "$connect"}"#,
        ] {
            assert_eq!(route(&api, body), "$default", "{body}");
        }
    }
}
