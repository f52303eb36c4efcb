//! Evaluates an authorizer's answer.
//!
//! Invariant: everything that the policy does not explicitly allow is refused, as in IAM.

use std::collections::HashMap;

use aws_lambda_events::apigw::{ApiGatewayCustomAuthorizerResponse, ApiGatewayRequestAuthorizer};
use aws_lambda_events::iam::{IamPolicyEffect, IamPolicyStatement};
use serde_json::Value;

/// Why a connection is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// The policy does not allow it.
    Forbidden,
    /// The answer is not valid for API Gateway.
    Malformed,
}

/// Returns the fields of `requestContext.authorizer` if the policy allows the ARN.
pub(super) fn evaluate(
    answer: ApiGatewayCustomAuthorizerResponse,
    arn: &str,
) -> Result<ApiGatewayRequestAuthorizer, Denied> {
    let principal = answer.principal_id.filter(|id| !id.is_empty()).ok_or(Denied::Malformed)?;
    let mut fields = context(answer.context)?;
    let statements = answer.policy_document.statement;
    let has = |effect: &IamPolicyEffect| {
        statements.iter().any(|statement| statement.effect == *effect && covers(statement, arn))
    };
    if has(&IamPolicyEffect::Deny) || !has(&IamPolicyEffect::Allow) {
        return Err(Denied::Forbidden);
    }
    fields.insert("principalId".to_owned(), principal.into());
    let mut authorizer = ApiGatewayRequestAuthorizer::default();
    authorizer.fields = fields;
    Ok(authorizer)
}

/// Converts the context's values to strings, as API Gateway does. Values other than scalars are invalid.
fn context(context: Value) -> Result<HashMap<String, Value>, Denied> {
    let entries = match context {
        Value::Null => return Ok(HashMap::new()),
        Value::Object(entries) => entries,
        _ => return Err(Denied::Malformed),
    };
    let mut fields = HashMap::new();
    for (name, value) in entries {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Array(_) | Value::Object(_) => return Err(Denied::Malformed),
        };
        fields.insert(name, text.into());
    }
    Ok(fields)
}

fn covers(statement: &IamPolicyStatement, arn: &str) -> bool {
    let action = |pattern: &String| matches(pattern.to_ascii_lowercase().as_bytes(), b"execute-api:invoke");
    statement.action.iter().any(action)
        && statement.resource.iter().any(|pattern| matches(pattern.as_bytes(), arn.as_bytes()))
}

/// Whether a pattern matches: `*` matches any characters, `?` matches one.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Position of the last `*`, and the end of the text that it matches so far.
    let mut star = None;
    let (mut p, mut t) = (0, 0);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, end)) = star else { return false };
                star = Some((at, end + 1));
                (p, t) = (at + 1, end + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ARN: &str = "arn:aws:execute-api:us-east-1:000000000000:local/test/$connect";

    fn answer(statements: &Value, context: &Value) -> ApiGatewayCustomAuthorizerResponse {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements });
        serde_json::from_value(
            json!({ "principalId": "alice", "policyDocument": policy, "context": context }),
        )
        .unwrap()
    }

    fn statement(effect: &str, action: &str, resource: &str) -> Value {
        json!({ "Effect": effect, "Action": [action], "Resource": [resource] })
    }

    #[test]
    fn patterns_match_as_in_policies() {
        for (pattern, text) in [("*", ""), ("a*", "a"), ("a*c", "abbc"), ("a?c", "abc"), ("*b*b", "abab")] {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a?", "a"), ("a*c", "abcd"), ("*b", "ba"), ("ab", "a")] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn a_deny_overrides_an_allow_and_the_default_is_deny() {
        let allow = statement("Allow", "execute-api:Invoke", ARN);
        let deny = statement("Deny", "*", "*");
        let elsewhere = statement("Allow", "execute-api:*", "arn:aws:execute-api:*/prod/*");
        let other = statement("Allow", "dynamodb:*", "*");
        let outcome = |statements: Value| evaluate(answer(&statements, &json!(null)), ARN).map(|_| ());
        assert_eq!(outcome(json!([allow, other])), Ok(()));
        for refused in [json!([]), json!([allow, deny]), json!([elsewhere]), json!([other])] {
            assert_eq!(outcome(refused), Err(Denied::Forbidden));
        }
    }

    #[test]
    fn context_values_become_strings() {
        let allow = json!([statement("Allow", "execute-api:Invoke", "*")]);
        let context = json!({ "name": "Alice", "exp": 12, "admin": true, "none": null });
        let fields = evaluate(answer(&allow, &context), ARN).unwrap().fields;
        let expected = json!({ "principalId": "alice", "name": "Alice", "exp": "12", "admin": "true" });
        assert_eq!(json!(fields), expected);
        for bad in [json!({ "list": [] }), json!("text")] {
            assert_eq!(evaluate(answer(&allow, &bad), ARN), Err(Denied::Malformed));
        }
    }
}
