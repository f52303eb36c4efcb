//! The log of faults and warnings, in addition to the one line per request. In Lambda it is JSON.
//!
//! Invariant: no log entry contains a message text, a token, an e-mail address or a query string. So an error is logged
//! by [`reason`] and never by its `Debug` form: that of the SDK contains the response body, which contains items.

use std::error::Error;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;

/// The subscriber of a function in Lambda. It writes each event as one line of JSON, with the request it belongs to.
/// Lambda filters the lines by `timestamp` and `level` (AWS Lambda, "Log-level filtering").
#[must_use]
pub fn json<W>(writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_max_level(tracing::Level::INFO)
        .with_writer(writer)
        .finish()
}

/// The reason of a failure, for the log: the messages of the error and of its sources, and nothing else.
#[must_use]
pub fn reason(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        // Some errors already end with the message of their source.
        if parts.last().is_none_or(|last| !last.ends_with(&part)) {
            parts.push(part);
        }
        next = error.source();
    }
    parts.join(": ")
}

/// Parses the trace id of an X-Ray header (AWS X-Ray, "Tracing header"): `1-67891233-abcdef012345678912345678` from
/// `Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1`. Any client can send such a header, so
/// an id of another form is ignored.
#[must_use]
pub fn trace_id(header: &str) -> Option<&str> {
    let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root="))?;
    let parts: Vec<&str> = root.split('-').collect();
    let is_hex =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match parts[..] {
        ["1", time, unique] if is_hex(time, 8) && is_hex(unique, 24) => Some(root),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_parsed_only_from_a_valid_header() {
        let id = "1-67891233-abcdef012345678912345678";
        assert_eq!(trace_id(&format!("Root={id};Parent=53995c3f42cd8ad8;Sampled=1")), Some(id));
        assert_eq!(trace_id(&format!("Self=1-x; Root={id}")), Some(id));
        for bad in
            ["", id, "Root=", "Root=hello", "Root=1-67891233-abcdef01234567891234567x", "Root=2-67891233-a"]
        {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }
}
