//! Updates of top-level attributes: `SET` (a value, another attribute, or `if_not_exists`), `ADD` to numbers, and `REMOVE`.
//!
//! Invariant: every clause reads the item as it was before the update.

use super::lexer::Token;
use super::parser::Parser;
use super::placeholders::{Bindings, Name};
use crate::error::{Error, invalid};
use crate::value::{Item, Value};

/// The change of an item.
#[derive(Debug, Hash, Default)]
pub(crate) struct Update {
    sets: Vec<(Name, Source)>,
    /// Attributes with the placeholders of the numbers that are added.
    adds: Vec<(Name, String)>,
    removes: Vec<Name>,
}

/// The source of the value that an attribute is set to.
#[derive(Debug, Hash)]
enum Source {
    Operand(Operand),
    /// An attribute if the item has it, otherwise something else.
    IfMissing(Name, Operand),
}

/// A value of an update.
#[derive(Debug, Hash)]
enum Operand {
    /// The placeholder of a value.
    Value(String),
    /// Another attribute, which the item must have.
    Attribute(Name),
}

impl Operand {
    fn parse(parser: &mut Parser<'_>) -> Result<Self, Error> {
        match parser.peek() {
            Some(Token::Value(_)) => parser.value().map(Self::Value),
            _ => parser.name().map(Self::Attribute),
        }
    }

    fn value<'a>(&self, old: &'a Item, bindings: &'a Bindings) -> Result<&'a Value, Error> {
        match self {
            Self::Value(placeholder) => bindings.value(placeholder),
            Self::Attribute(name) => old.get(bindings.name(name)?).ok_or_else(|| {
                invalid("The provided expression refers to an attribute that does not exist in the item")
            }),
        }
    }
}

impl Update {
    pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Self, Error> {
        let mut update = Self::default();
        while parser.peek().is_some() {
            let is_first = if parser.takes_word("SET") {
                std::mem::replace(&mut update.sets, list(parser, set)?).is_empty()
            } else if parser.takes_word("ADD") {
                let added = list(parser, |parser| Ok((parser.name()?, parser.value()?)))?;
                std::mem::replace(&mut update.adds, added).is_empty()
            } else if parser.takes_word("REMOVE") {
                std::mem::replace(&mut update.removes, list(parser, Parser::name)?).is_empty()
            } else {
                return Err(parser.unexpected("an unknown clause"));
            };
            if !is_first {
                return Err(parser.unexpected("a repeated clause"));
            }
        }
        if update.names().next().is_none() {
            return Err(parser.unexpected("an empty update"));
        }
        Ok(update)
    }

    fn names(&self) -> impl Iterator<Item = &Name> {
        let sets = self.sets.iter().map(|(name, _)| name);
        sets.chain(self.adds.iter().map(|(name, _)| name)).chain(&self.removes)
    }

    /// Checks the names and values with which a request uses the update.
    pub(crate) fn check(&self, bindings: &Bindings) -> Result<(), Error> {
        let names: Vec<&str> = self.names().map(|name| bindings.name(name)).collect::<Result<_, _>>()?;
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(invalid(format!("Two document paths overlap with each other: {name}")));
            }
        }
        for (_, placeholder) in &self.adds {
            let value = bindings.value(placeholder)?;
            if !matches!(value, Value::N(_)) {
                return Err(invalid(format!("the local engine cannot ADD the type {}", value.kind())));
            }
        }
        Ok(())
    }

    /// Whether the update changes an attribute.
    pub(crate) fn changes(&self, attribute: &str, bindings: &Bindings) -> bool {
        self.names().any(|name| bindings.name(name).is_ok_and(|name| name == attribute))
    }

    /// Applies the update to an item.
    ///
    /// # Errors
    /// `ValidationException` if it adds to an attribute that is not a number, or the sum is not supported.
    pub(crate) fn apply(&self, old: &Item, bindings: &Bindings) -> Result<Item, Error> {
        let mut new = old.clone();
        for (name, source) in &self.sets {
            let value = match source {
                Source::Operand(operand) => operand.value(old, bindings)?,
                Source::IfMissing(read, operand) => match old.get(bindings.name(read)?) {
                    Some(found) => found,
                    None => operand.value(old, bindings)?,
                },
            };
            new.insert(bindings.name(name)?.into(), value.clone());
        }
        for (name, placeholder) in &self.adds {
            let name = bindings.name(name)?;
            let sum = match (old.get(name), bindings.value(placeholder)?) {
                (None, added) => added.clone(),
                (Some(Value::N(number)), Value::N(added)) => Value::N(number.plus(*added).map_err(invalid)?),
                _ => return Err(invalid("An operand in the update expression has an incorrect data type")),
            };
            new.insert(name.into(), sum);
        }
        for name in &self.removes {
            new.remove(bindings.name(name)?);
        }
        Ok(new)
    }
}

fn set(parser: &mut Parser<'_>) -> Result<(Name, Source), Error> {
    let name = parser.name()?;
    parser.expect("=")?;
    if parser.peek() != Some(Token::Word("if_not_exists")) {
        return Ok((name, Source::Operand(Operand::parse(parser)?)));
    }
    parser.next();
    parser.expect("(")?;
    let read = parser.name()?;
    parser.expect(",")?;
    let source = Source::IfMissing(read, Operand::parse(parser)?);
    parser.expect(")")?;
    Ok((name, source))
}

fn list<'a, T>(
    parser: &mut Parser<'a>,
    element: impl Fn(&mut Parser<'a>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut elements = vec![element(parser)?];
    while parser.takes(",") {
        elements.push(element(parser)?);
    }
    Ok(elements)
}
