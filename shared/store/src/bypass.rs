//! Calls a service in this process with the types of an SDK, but bypassing the SDK's client.
//!
//! For each call, the client merges its configuration, finds an endpoint and an identity, and prepares retries. That takes
//! longer than the rest of the call, and a service in this process needs none of it.

use std::fmt::Debug;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer, Layer};

/// Returns the SDK's own settings of an operation: they say how its request is written and how its answer is read.
pub fn settings_of(operation: &impl RuntimePlugin) -> FrozenLayer {
    operation.config().unwrap_or_else(|| Layer::new("").freeze())
}

/// Calls a service once, without a limit of time. `settings` are those of the operation ([`settings_of`]).
///
/// # Errors
/// Those of the SDK's client; `ConstructionFailure` if the settings are not those of an operation.
pub async fn call<T, E>(
    service: &SharedHttpConnector,
    settings: &FrozenLayer,
    input: Input,
) -> Result<T, SdkError<E, HttpResponse>>
where
    T: Debug + Send + Sync + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let (Some(writer), Some(reader)) =
        (settings.load::<SharedRequestSerializer>(), settings.load::<SharedResponseDeserializer>())
    else {
        return Err(SdkError::construction_failure("the settings are not those of an operation"));
    };
    let mut config = ConfigBag::base();
    let request = writer.serialize_input(input, &mut config).map_err(SdkError::construction_failure)?;
    let answer = service.call(request).await.map_err(SdkError::dispatch_failure)?;
    match reader.deserialize_nonstreaming_with_config(&answer, &config) {
        Ok(output) => output
            .downcast()
            .map_err(|_| SdkError::response_error("the output is of another operation", answer)),
        Err(error) if error.is_operation_error() => {
            let mut found = None;
            let _ = error.map_operation_error(|error| found = error.downcast().ok());
            Err(match found {
                Some(error) => SdkError::service_error(error, answer),
                None => SdkError::response_error("the error is of another operation", answer),
            })
        }
        Err(error) => Err(SdkError::response_error(error, answer)),
    }
}

#[cfg(test)]
mod tests {
    use std::mem::discriminant;

    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::config::retry::RetryConfig;
    use aws_sdk_dynamodb::config::{BehaviorVersion, Config, Region};
    use aws_sdk_dynamodb::operation::update_item::{
        UpdateItem, UpdateItemError, UpdateItemInput, UpdateItemOutput,
    };
    use aws_sdk_dynamodb::types::AttributeValue;
    use aws_smithy_runtime_api::client::http::{HttpConnectorFuture, http_client_fn};
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    /// A service with one answer to all calls: a status and a body; `None` if it cannot be reached.
    #[derive(Debug, Clone)]
    struct Script(Option<(u16, &'static str)>);

    impl HttpConnector for Script {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            assert_eq!(request.headers().get("x-amz-target"), Some("DynamoDB_20120810.UpdateItem"));
            let wanted = r#"{"TableName":"t","Key":{"pk":{"S":"\"é\""}}}"#.as_bytes();
            assert_eq!(request.body().bytes(), Some(wanted));
            HttpConnectorFuture::ready(match self.0 {
                Some((status, body)) => {
                    Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body)))
                }
                None => Err(ConnectorError::io("no route".into())),
            })
        }
    }

    fn input() -> UpdateItemInput {
        let key = AttributeValue::S("\"é\"".to_owned());
        UpdateItemInput::builder().table_name("t").key("pk", key).build().unwrap()
    }

    type Outcome = Result<UpdateItemOutput, SdkError<UpdateItemError, HttpResponse>>;

    async fn through_the_client(script: Script) -> Outcome {
        let connector = SharedHttpConnector::new(script);
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url("http://database.invalid")
            .allow_no_auth()
            .retry_config(RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| connector.clone()));
        let input = input();
        let call = Client::from_conf(config.build()).update_item();
        Box::pin(call.set_table_name(input.table_name).set_key(input.key).send()).await
    }

    async fn bypassing_it(script: Script, settings: &FrozenLayer) -> Outcome {
        call(&SharedHttpConnector::new(script), settings, Input::erase(input())).await
    }

    #[tokio::test]
    async fn an_outcome_is_that_of_the_client() {
        let settings = settings_of(&UpdateItem::new());
        for answer in [
            Some((200, r#"{"Attributes":{"n":{"N":"1"}},"ConsumedCapacity":{"CapacityUnits":1.5}}"#)),
            Some((200, "")),
            Some((200, "no JSON")),
            Some((
                400,
                r#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no","Item":{"n":{"N":"1"}}}"#,
            )),
            Some((400, r#"{"__type":"com.amazon.coral.validate#ValidationException","message":"what?"}"#)),
            Some((400, "no JSON")),
            Some((503, "")),
            None,
        ] {
            let direct = bypassing_it(Script(answer), &settings).await;
            match (direct, through_the_client(Script(answer)).await) {
                (Ok(direct), Ok(client)) => assert_eq!(direct, client, "{answer:?}"),
                (Err(direct), Err(client)) => {
                    assert_eq!(
                        discriminant(&direct),
                        discriminant(&client),
                        "{answer:?}: {direct:?}, {client:?}"
                    );
                    let [direct, client] = [direct, client].map(SdkError::into_service_error);
                    assert_eq!(format!("{direct:?}"), format!("{client:?}"), "{answer:?}");
                }
                outcomes => panic!("{answer:?}: {outcomes:?}"),
            }
        }
    }

    #[tokio::test]
    async fn settings_of_no_operation_are_an_error() {
        let none = Layer::new("").freeze();
        let outcome = bypassing_it(Script(Some((200, "{}"))), &none).await;
        assert!(matches!(outcome, Err(SdkError::ConstructionFailure(_))));
    }
}
