//! The envelope of a successful answer.

use axum::response::{IntoResponse, Response};
use domain::error::Error;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::problem::Problem;

/// The envelope of a successful answer: `{"success": true, "data", "message"}` and what lists add.
#[derive(Debug, Serialize)]
pub struct Reply<T> {
    #[serde(skip)]
    status: StatusCode,
    success: bool,
    data: T,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[expect(clippy::option_option, reason = "not a list, the end of one, and not the end")]
    next_cursor: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

impl<T: Serialize> Reply<T> {
    /// 200 with the data.
    pub fn ok(data: T, message: &'static str) -> Self {
        Self { status: StatusCode::OK, success: true, data, message, next_cursor: None, total: None }
    }

    /// 201 with what was created.
    pub fn created(data: T, message: &'static str) -> Self {
        Self { status: StatusCode::CREATED, ..Self::ok(data, message) }
    }

    /// 200 with a page of a list; `next` goes on, `None` is the end.
    pub fn page(data: T, next: Option<String>) -> Self {
        Self { next_cursor: Some(next), ..Self::ok(data, "OK") }
    }

    /// Adds how many there are in all.
    #[must_use]
    pub fn of(self, total: u64) -> Self {
        Self { total: Some(total), ..self }
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self) {
            Ok(body) => {
                let kind = HeaderValue::from_static("application/json");
                (self.status, [(header::CONTENT_TYPE, kind)], body).into_response()
            }
            Err(error) => Problem::from(Error::internal(error)).into_response(),
        }
    }
}
