//! Functions behind an Invoke API, such as `cargo lambda watch` or `sam local start-lambda`.
//! (`docs.aws.amazon.com/lambda/latest/api/API_Invoke.html`.)

use std::time::Duration;

use axum::http::{Request, StatusCode, Uri};
use bytes::Bytes;
use domain::error::Source;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::failure::{Failure, PAYLOAD};
use super::processes::message;

/// A client of an Invoke API; clones share their connections.
#[derive(Debug, Clone)]
pub struct InvokeApi {
    /// The base URL, without a trailing slash.
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl InvokeApi {
    /// Creates a client for the Invoke API at an `http` URL. Requests are not signed, so AWS would refuse them.
    ///
    /// # Errors
    /// If the URL is invalid, is not an `http` URL, or has a query.
    pub fn new(url: &str) -> Result<Self, Source> {
        let parsed: Uri = url.parse()?;
        if parsed.scheme_str() != Some("http") || parsed.query().is_some() {
            return Err("the Invoke API's URL must begin with http:// and have no query".into());
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { url: url.trim_end_matches('/').to_owned(), client })
    }

    /// Invokes a function by its binary's name, which `cargo lambda` knows, or else (after a 404) by its name in the
    /// template, which SAM knows.
    pub(super) async fn invoke(&self, name: &str, event: Bytes, limit: Duration) -> Result<Bytes, Failure> {
        let attempts = async {
            let (status, answer) = self.post(name, event.clone()).await?;
            if status != StatusCode::NOT_FOUND {
                return answer;
            }
            self.post(&resource(name), event).await?.1
        };
        tokio::time::timeout(limit, attempts).await.unwrap_or(Err(Failure::Timeout))
    }

    async fn post(&self, name: &str, event: Bytes) -> Result<(StatusCode, Result<Bytes, Failure>), Failure> {
        let broken = |error: &dyn std::fmt::Display| Failure::Broken(format!("the Invoke API: {error}"));
        let url = format!("{}/2015-03-31/functions/{name}/invocations", self.url);
        let request = Request::post(url).header("content-type", "application/json");
        let request = request.body(Full::new(event)).map_err(|error| broken(&error))?;
        let response = self.client.request(request).await.map_err(|error| broken(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, PAYLOAD).collect().await.map_err(|error| broken(&error))?.to_bytes();
        let answer = if parts.headers.contains_key("x-amz-function-error") {
            Err(Failure::Error(message(&body)))
        } else if parts.status.is_success() {
            Ok(body)
        } else {
            let text = String::from_utf8_lossy(&body);
            Err(Failure::Broken(format!("the Invoke API returned {}: {text}", parts.status)))
        };
        Ok((parts.status, answer))
    }
}

/// Returns a function's name in the template: `MarkAsRead` for `mark-as-read`.
pub(super) fn resource(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('-').filter(|word| !word.is_empty()).map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_template_have_no_hyphens() {
        assert_eq!(resource("send"), "Send");
        assert_eq!(resource("mark-as-read"), "MarkAsRead");
    }
}
