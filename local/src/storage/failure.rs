//! Why the storage refuses a request, as S3 says it.

use std::io;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A refusal with its status, S3's code and a sentence.
#[derive(Debug)]
pub(super) struct Failure(StatusCode, &'static str, String);

impl Failure {
    pub(super) const NO_SUCH_KEY: fn() -> Self =
        || Self::new(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.");
    pub(super) const NO_SUCH_BUCKET: fn() -> Self =
        || Self::new(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist.");
    pub(super) const PRECONDITION: fn() -> Self =
        || Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", "A precondition did not hold.");
    pub(super) const SIGNATURE: fn() -> Self =
        || Self::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", "The signature does not match.");

    pub(super) fn new(status: StatusCode, code: &'static str, message: &str) -> Self {
        Self(status, code, message.to_owned())
    }

    pub(super) fn denied(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    }

    pub(super) fn invalid(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequest", message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            return Self::NO_SUCH_KEY();
        }
        tracing::error!(%error, "the storage failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "The storage failed.")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let message = message.replace('&', "&amp;").replace('<', "&lt;");
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
    }
}
