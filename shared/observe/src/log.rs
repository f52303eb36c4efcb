//! What is logged beside the line of each request: faults and warnings, as JSON in Lambda.
//!
//! Invariant: no log shows a text, a token, an e-mail address or a query string. So a failure is logged by
//! [`reason`] and never by its `Debug` form: the SDK's has the answer's body, and that holds items.

use std::error::Error;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;

/// The subscriber of a function in Lambda: a line of JSON for each event, with the request it belongs to. By `timestamp`
/// and `level` Lambda filters them (AWS Lambda, "Log-level filtering").
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

/// Why something failed, for the log: what the error and each of its sources say, and no more.
#[must_use]
pub fn reason(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string();
        // Some show their source themselves.
        if parts.last().is_none_or(|last| !last.ends_with(&part)) {
            parts.push(part);
        }
        next = error.source();
    }
    parts.join(": ")
}

/// The trace that an X-Ray header belongs to (AWS X-Ray, "Tracing header"): `1-67891233-abcdef012345678912345678` of
/// `Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1`. Anyone may send one, so nothing of another
/// form is taken.
#[must_use]
pub fn trace_id(header: &str) -> Option<&str> {
    let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root="))?;
    let parts: Vec<&str> = root.split('-').collect();
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match parts[..] {
        ["1", time, unique] if hex(time, 8) && hex(unique, 24) => Some(root),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_taken_from_a_header_of_the_right_form_alone() {
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
