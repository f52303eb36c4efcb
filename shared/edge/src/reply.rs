//! The envelope of a successful response.

use axum::response::{IntoResponse, Response};
use domain::error::Error;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::problem::Problem;

/// A successful response: `{"success": true, "data", "message"}`. Lists add `next_cursor`, the inbox also `total`.
#[derive(Debug, Serialize)]
pub struct Reply<T> {
    #[serde(skip)]
    status: StatusCode,
    success: bool,
    data: T,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[expect(clippy::option_option, reason = "not a list, the last page, or a next page")]
    next_cursor: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

impl<T: Serialize> Reply<T> {
    /// 200 with the data.
    pub fn ok(data: T, message: &'static str) -> Self {
        Self { status: StatusCode::OK, success: true, data, message, next_cursor: None, total: None }
    }

    /// 201 with the created data.
    pub fn created(data: T, message: &'static str) -> Self {
        Self { status: StatusCode::CREATED, ..Self::ok(data, message) }
    }

    /// 200 with a page of a list; `next` is the cursor of the next page, `None` on the last one.
    pub fn page(data: T, next: Option<String>) -> Self {
        Self { next_cursor: Some(next), ..Self::ok(data, "OK") }
    }

    /// Adds the total number of entries in the list.
    #[must_use]
    pub fn with_total(self, total: u64) -> Self {
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
