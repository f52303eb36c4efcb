//! Conditions, which are also filters and key conditions.
//!
//! Invariant: a comparison with an attribute that is missing or has another type is false.

use std::cmp::Ordering;

use super::lexer::Token;
use super::parser::Parser;
use super::placeholders::{Bindings, Path};
use crate::error::{Error, invalid};
use crate::value::{Item, Value};

/// Maximum depth of parentheses.
const DEPTH: usize = 32;

/// A condition on an item.
#[derive(Debug, Hash)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Exists(Path),
    Missing(Path),
    BeginsWith(Path, Operand),
    Compare(Operand, Comparison, Operand),
    Between(Operand, Operand, Operand),
}

/// One side of a comparison.
#[derive(Debug, Hash)]
pub(crate) enum Operand {
    Attribute(Path),
    /// The placeholder of a value.
    Value(String),
}

/// How two operands are compared.
#[derive(Debug, Hash, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn of(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "=" => Self::Equal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn holds(self, one: &Value, other: &Value) -> bool {
        if self == Self::Equal {
            return one == other;
        }
        one.order(other).is_some_and(|order| match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        })
    }
}

impl Condition {
    pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Self, Error> {
        Ok(any(parser, 0)?.0)
    }

    /// Whether an item fulfils the condition. An item that does not exist has no attributes.
    pub(crate) fn holds(&self, item: &Item, bindings: &Bindings) -> Result<bool, Error> {
        Ok(match self {
            Self::All(parts) => {
                for part in parts {
                    if !part.holds(item, bindings)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Any(parts) => {
                for part in parts {
                    if part.holds(item, bindings)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Exists(path) => path.find(item, bindings)?.is_some(),
            Self::Missing(path) => path.find(item, bindings)?.is_none(),
            Self::BeginsWith(path, prefix) => {
                let found = path.find(item, bindings)?;
                match (found, prefix.find(item, bindings)?) {
                    (Some(Value::S(text)), Some(Value::S(prefix))) => text.starts_with(prefix.as_str()),
                    (Some(Value::B(bytes)), Some(Value::B(prefix))) => bytes.starts_with(prefix),
                    _ => false,
                }
            }
            Self::Compare(one, comparison, other) => {
                match (one.find(item, bindings)?, other.find(item, bindings)?) {
                    (Some(one), Some(other)) => comparison.holds(one, other),
                    _ => false,
                }
            }
            Self::Between(value, low, high) => {
                let value = value.find(item, bindings)?;
                let (low, high) = (low.find(item, bindings)?, high.find(item, bindings)?);
                match (value, low, high) {
                    (Some(value), Some(low), Some(high)) => {
                        Comparison::LessOrEqual.holds(low, value)
                            && Comparison::LessOrEqual.holds(value, high)
                    }
                    _ => false,
                }
            }
        })
    }

    /// Whether the condition reads a top-level attribute.
    pub(crate) fn reads(&self, attribute: &str, bindings: &Bindings) -> bool {
        let names = |path: &Path| bindings.name(&path.0[0]).is_ok_and(|name| name == attribute);
        let reads = |operand: &Operand| matches!(operand, Operand::Attribute(path) if names(path));
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.reads(attribute, bindings)),
            Self::Exists(path) | Self::Missing(path) => names(path),
            Self::BeginsWith(path, prefix) => names(path) || reads(prefix),
            Self::Compare(one, _, other) => reads(one) || reads(other),
            Self::Between(value, low, high) => reads(value) || reads(low) || reads(high),
        }
    }

    /// Checks the types of the values that the condition compares.
    pub(crate) fn check(&self, bindings: &Bindings) -> Result<(), Error> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().try_for_each(|part| part.check(bindings)),
            Self::Exists(_) | Self::Missing(_) | Self::Compare(_, Comparison::Equal, _) => Ok(()),
            Self::BeginsWith(_, prefix) => match prefix.constant(bindings)? {
                None | Some(Value::S(_) | Value::B(_)) => Ok(()),
                Some(other) => Err(wrong_type("begins_with", other)),
            },
            Self::Compare(one, _, other) => {
                [one, other].iter().try_for_each(|operand| operand.check(bindings))
            }
            Self::Between(value, low, high) => {
                [value, low, high].iter().try_for_each(|operand| operand.check(bindings))?;
                let (Some(low), Some(high)) = (low.constant(bindings)?, high.constant(bindings)?) else {
                    return Ok(());
                };
                match low.order(high) {
                    Some(Ordering::Greater) => Err(invalid(
                        "The BETWEEN operator requires upper bound to be \
                         greater than or equal to lower bound",
                    )),
                    None => Err(invalid(
                        "The BETWEEN operator requires same data type for lower and upper bounds",
                    )),
                    _ => Ok(()),
                }
            }
        }
    }
}

impl Operand {
    fn parse(parser: &mut Parser<'_>) -> Result<Self, Error> {
        Ok(match parser.peek() {
            Some(Token::Value(_)) => Self::Value(parser.value()?),
            _ => Self::Attribute(parser.path()?),
        })
    }

    fn find<'a>(&self, item: &'a Item, bindings: &'a Bindings) -> Result<Option<&'a Value>, Error> {
        match self {
            Self::Attribute(path) => path.find(item, bindings),
            Self::Value(placeholder) => bindings.value(placeholder).map(Some),
        }
    }

    /// The value, if it is not an attribute's.
    fn constant<'a>(&self, bindings: &'a Bindings) -> Result<Option<&'a Value>, Error> {
        match self {
            Self::Attribute(_) => Ok(None),
            Self::Value(placeholder) => bindings.value(placeholder).map(Some),
        }
    }

    /// Checks that the operand has an order.
    fn check(&self, bindings: &Bindings) -> Result<(), Error> {
        match self.constant(bindings)? {
            Some(value) if value.order(value).is_none() => Err(wrong_type("comparison", value)),
            _ => Ok(()),
        }
    }
}

fn wrong_type(operator: &str, value: &Value) -> Error {
    invalid(format!(
        "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {}",
        value.kind()
    ))
}

/// Parses parts with `OR` between them. Returns also whether it is a single part in parentheses.
fn any(parser: &mut Parser<'_>, depth: usize) -> Result<(Condition, bool), Error> {
    let first = all(parser, depth)?;
    let mut parts = vec![first.0];
    while parser.takes_word("OR") {
        parts.push(all(parser, depth)?.0);
    }
    Ok(if parts.len() == 1 { (parts.swap_remove(0), first.1) } else { (Condition::Any(parts), false) })
}

fn all(parser: &mut Parser<'_>, depth: usize) -> Result<(Condition, bool), Error> {
    let first = part(parser, depth)?;
    let mut parts = vec![first.0];
    while parser.takes_word("AND") {
        parts.push(part(parser, depth)?.0);
    }
    Ok(if parts.len() == 1 { (parts.swap_remove(0), first.1) } else { (Condition::All(parts), false) })
}

fn part(parser: &mut Parser<'_>, depth: usize) -> Result<(Condition, bool), Error> {
    if !parser.takes("(") {
        return Ok((simple(parser)?, false));
    }
    if depth == DEPTH {
        return Err(parser.unexpected("so many parentheses"));
    }
    let (inner, in_parentheses) = any(parser, depth + 1)?;
    if in_parentheses {
        return Err(invalid("The expression has redundant parentheses"));
    }
    parser.expect(")")?;
    Ok((inner, true))
}

fn simple(parser: &mut Parser<'_>) -> Result<Condition, Error> {
    for function in ["attribute_exists", "attribute_not_exists", "begins_with"] {
        if parser.peek() == Some(Token::Word(function)) {
            parser.next();
            return call(parser, function);
        }
    }
    let one = Operand::parse(parser)?;
    if parser.takes_word("BETWEEN") {
        let low = Operand::parse(parser)?;
        if !parser.takes_word("AND") {
            return Err(parser.unexpected("BETWEEN without AND"));
        }
        return Ok(Condition::Between(one, low, Operand::parse(parser)?));
    }
    let next = parser.next();
    let comparison = match next {
        Some(Token::Symbol(symbol)) => Comparison::of(symbol),
        _ => None,
    };
    let comparison = comparison.ok_or_else(|| parser.unexpected(&format!("{next:?}")))?;
    Ok(Condition::Compare(one, comparison, Operand::parse(parser)?))
}

fn call(parser: &mut Parser<'_>, function: &str) -> Result<Condition, Error> {
    parser.expect("(")?;
    let path = parser.path()?;
    let condition = match function {
        "attribute_exists" => Condition::Exists(path),
        "attribute_not_exists" => Condition::Missing(path),
        _ => {
            parser.expect(",")?;
            Condition::BeginsWith(path, Operand::parse(parser)?)
        }
    };
    parser.expect(")")?;
    Ok(condition)
}
