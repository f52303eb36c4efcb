//! Key conditions: the part of a table or index that a query reads.

use std::ops::Bound;

use crate::error::{Error, invalid};
use crate::expression::condition::{Comparison, Condition, Operand};
use crate::expression::placeholders::Bindings;
use crate::storage::Range;
use crate::table::Source;
use crate::value::Value;

/// Returns the range that a key condition describes.
pub(crate) fn range(condition: &Condition, bindings: &Bindings, source: &Source) -> Result<Range, Error> {
    let parts = match condition {
        Condition::All(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    let (mut partition, mut sort) = (None, None);
    for part in parts {
        let (name, low, high) = bounds(part, bindings)?;
        let is_first = if name == source.keys[0] {
            let (Condition::Compare(_, Comparison::Equal, _), Bound::Included(value)) = (part, low) else {
                return Err(invalid("Query key condition not supported"));
            };
            partition.replace(value).is_none()
        } else if name == source.keys[1] {
            sort.replace(part_of_sort_key(part, low, high)).is_none()
        } else {
            return Err(invalid(format!("Query condition missed key schema element: {}", source.keys[0])));
        };
        if !is_first {
            return Err(invalid("KeyConditionExpressions must only contain one condition per key"));
        }
    }
    let partition = partition
        .ok_or_else(|| invalid(format!("Query condition missed key schema element: {}", source.keys[0])))?;
    let (low, high) = sort.unwrap_or((Bound::Unbounded, Bound::Unbounded));
    Ok(Range { partition: partition.to_owned(), low, high })
}

fn unsupported() -> Error {
    invalid("Invalid operator used in KeyConditionExpression")
}

/// Returns the attribute that a part of a key condition restricts, and its bounds. Those of `begins_with` are both the
/// prefix.
fn bounds<'a>(
    part: &'a Condition,
    bindings: &'a Bindings,
) -> Result<(&'a str, Bound<&'a str>, Bound<&'a str>), Error> {
    let text = |operand: &'a Operand| match operand {
        Operand::Value(placeholder) => match bindings.value(placeholder)? {
            Value::S(text) if text.is_empty() => Err(invalid(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an \
                 empty string value",
            )),
            Value::S(text) => Ok(text.as_str()),
            _ => Err(invalid("Condition parameter type does not match schema type")),
        },
        Operand::Attribute(_) => Err(unsupported()),
    };
    let (path, low, high) = match part {
        Condition::Compare(Operand::Attribute(path), comparison, value) => {
            let value = text(value)?;
            let (low, high) = match comparison {
                Comparison::Equal => (Bound::Included(value), Bound::Included(value)),
                Comparison::Less => (Bound::Unbounded, Bound::Excluded(value)),
                Comparison::LessOrEqual => (Bound::Unbounded, Bound::Included(value)),
                Comparison::Greater => (Bound::Excluded(value), Bound::Unbounded),
                Comparison::GreaterOrEqual => (Bound::Included(value), Bound::Unbounded),
            };
            (path, low, high)
        }
        Condition::Between(Operand::Attribute(path), low, high) => {
            (path, Bound::Included(text(low)?), Bound::Included(text(high)?))
        }
        Condition::BeginsWith(path, prefix) => {
            let prefix = text(prefix)?;
            (path, Bound::Included(prefix), Bound::Excluded(prefix))
        }
        _ => return Err(unsupported()),
    };
    let [name] = path.0.as_slice() else { return Err(unsupported()) };
    Ok((bindings.name(name)?, low, high))
}

/// Returns bounds in bytes. That of a prefix ends before the prefix with a higher last byte, which UTF-8 always allows.
fn part_of_sort_key(
    part: &Condition,
    low: Bound<&str>,
    high: Bound<&str>,
) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let mut high = high.map(bytes);
    if matches!(part, Condition::BeginsWith(..))
        && let Bound::Excluded(end) = &mut high
        && let Some(last) = end.last_mut()
    {
        *last += 1;
    }
    (low.map(bytes), high)
}
