//! Checks the policies of forms.
//! (`docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html`.)
//!
//! Invariant: every condition of a policy holds, and every field of a form is named by a condition.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::failure::Failure;
use super::signature::Keys;

/// The fields that no condition names: what the signature consists of, and the file.
const UNNAMED: [&str; 3] = ["policy", "x-amz-signature", "file"];
/// The prefix of the names of further such fields.
const IGNORED: &str = "x-ignore-";

/// A decoded policy.
#[derive(Deserialize)]
struct Policy {
    expiration: String,
    conditions: Vec<Value>,
}

/// Checks the policy of a form, whose field names are in lower case. Returns how many bytes the file may have.
pub(super) fn check(
    keys: &Keys,
    bucket: &str,
    fields: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<RangeInclusive<u64>, Failure> {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let encoded = field("policy");
    if encoded.is_empty() {
        return Err(Failure::denied("The form has no policy."));
    }
    let (credential, date) = (field("x-amz-credential"), field("x-amz-date"));
    let is_signed = field("x-amz-algorithm") == "AWS4-HMAC-SHA256"
        && keys.is_signed(encoded, credential, date, field("x-amz-signature"));
    if !is_signed {
        return Err(Failure::SIGNATURE());
    }
    let malformed =
        || Failure::new(StatusCode::BAD_REQUEST, "InvalidPolicyDocument", "The policy is malformed.");
    let policy = BASE64_STANDARD.decode(encoded).map_err(|_| malformed())?;
    let policy: Policy = serde_json::from_slice(&policy).map_err(|_| malformed())?;
    let expiration = Timestamp::parse(&policy.expiration).ok_or_else(malformed)?;
    if expiration < now {
        return Err(Failure::denied("Invalid according to Policy: Policy expired."));
    }
    let mut sizes = 0..=u64::MAX;
    let mut named = vec!["bucket".to_owned()];
    for condition in &policy.conditions {
        let (operator, name, value) = match condition {
            Value::Object(pairs) => {
                let (name, value) = pairs.iter().next().filter(|_| pairs.len() == 1).ok_or_else(malformed)?;
                ("eq", name.as_str(), value.as_str().ok_or_else(malformed)?)
            }
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(operator), Value::Number(low), Value::Number(high)]
                    if operator == "content-length-range" =>
                {
                    let number = |number: &serde_json::Number| number.as_u64().ok_or_else(malformed);
                    sizes = number(low)?.max(*sizes.start())..=number(high)?.min(*sizes.end());
                    continue;
                }
                [Value::String(operator), Value::String(name), Value::String(value)] => {
                    (operator.as_str(), name.strip_prefix('$').ok_or_else(malformed)?, value.as_str())
                }
                _ => return Err(malformed()),
            },
            _ => return Err(malformed()),
        };
        let name = name.to_ascii_lowercase();
        let found = if name == "bucket" { bucket } else { field(&name) };
        let holds = match operator {
            "eq" => found == value,
            "starts-with" => found.starts_with(value),
            _ => return Err(malformed()),
        };
        if !holds {
            return Err(Failure::denied(&format!(
                "Invalid according to Policy: Policy Condition failed: {name}"
            )));
        }
        named.push(name);
    }
    let is_unnamed = |name: &&String| {
        !UNNAMED.contains(&name.as_str()) && !name.starts_with(IGNORED) && !named.contains(name)
    };
    match fields.keys().find(is_unnamed) {
        Some(name) => {
            Err(Failure::denied(&format!("Invalid according to Policy: Extra input fields: {name}")))
        }
        None => Ok(sizes),
    }
}
