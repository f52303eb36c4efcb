//! The response to a failed request: problem details (RFC 9457) plus `success`, `code` and `message`.
//!
//! Invariant: the cause of a server error is logged once, at the boundary, and never sent to the client, because it may
//! contain internals. It reaches the boundary in the response's extensions, as a [`Cause`].

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use domain::error::Error;
use http::{HeaderValue, header};
use observe::meter;
use schemars::JsonSchema;
use serde::Serialize;

/// The error type of every handler and extractor: an [`Error`] that becomes a response.
#[derive(Debug)]
pub struct Problem(Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// The body of an error response (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemBody<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    success: bool,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<[FieldProblem<'a>; 1]>,
}

/// A refused field and the reason.
#[derive(Serialize, JsonSchema)]
pub struct FieldProblem<'a> {
    field: &'a str,
    message: &'a str,
}

/// The cause of a server error, in the extensions of its response.
#[derive(Clone)]
pub(crate) struct Cause(pub(crate) Arc<Error>);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(error) = self;
        meter::failed(&error);
        let status = error.status();
        let message = error.to_string();
        let errors = match &error {
            Error::Invalid { field: Some(field), message } => Some([FieldProblem { field, message }]),
            _ => None,
        };
        let problem = ProblemBody {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: &message,
            code: error.code(),
            success: false,
            message: &message,
            errors,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match error {
            Error::NotAuthenticated(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Error::RateLimited(seconds) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Error::Unavailable(_) | Error::Unhealthy(..) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        if status.is_server_error() {
            response.extensions_mut().insert(Cause(Arc::new(error)));
        }
        response
    }
}
