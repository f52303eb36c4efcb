//! Tells transient failures of the database from permanent ones.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use domain::error::Error;

/// A transaction holds the item of a single write. The SDK does not retry it.
const CONFLICT: &str = "TransactionConflictException";
/// Codes of transient failures, beside those of throttling.
const TRANSIENT: [&str; 4] =
    [CONFLICT, "TransactionInProgressException", "RequestLimitExceeded", "LimitExceededException"];

/// Whether a single write failed because a transaction holds its item.
pub(crate) fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some(CONFLICT)
}

/// Whether a call failed because of throttling, a server error or a lost response, and may succeed if it is retried.
pub(crate) fn is_transient<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            service.raw().status().is_server_error()
                || TRANSIENT.contains(&code)
                || code.contains("Throttl")
                || code.contains("ThroughputExceeded")
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    }
}

/// The error of a failed call: `Unavailable` if the failure is transient, else `Internal`.
pub(crate) fn failed_call<E>(error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if is_transient(&error) { Error::Unavailable(error.into()) } else { Error::internal(error) }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
    use aws_sdk_dynamodb::types::error::TransactionCanceledException;
    use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;
    use observe::log::reason;

    use super::*;

    #[test]
    fn a_logged_reason_names_the_failure_and_leaks_no_item() {
        let reason_of = CancellationReason::builder().item("text", AttributeValue::S("a secret".to_owned()));
        let cancelled = TransactionCanceledException::builder()
            .cancellation_reasons(reason_of.code("ItemCollectionSizeLimitExceeded").build())
            .message("Transaction cancelled [ItemCollectionSizeLimitExceeded]");
        let cancelled = TransactWriteItemsError::TransactionCanceledException(cancelled.build());
        let raw = HttpResponse::new(400.try_into().unwrap(), SdkBody::from("a secret in the body"));
        let error = domain::error::Error::internal(SdkError::service_error(cancelled, raw));
        assert!(format!("{error:?}").contains("a secret"));
        let reason = reason(&error);
        assert!(!reason.contains("a secret"), "{reason}");
        assert!(reason.contains("ItemCollectionSizeLimitExceeded"), "{reason}");
    }
}
