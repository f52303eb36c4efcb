//! Names and values in expressions, and what the placeholders of a request stand for.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, invalid};
use crate::value::{Item, Text, Value};

/// An attribute name in an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// The name itself.
    Bare(String),
    /// A placeholder, with its `#`.
    Placeholder(String),
}

/// A path to an attribute: a top-level one, or one in maps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Path(pub(crate) Vec<Name>);

/// The names and values that the placeholders of a request stand for.
#[derive(Debug, Default, Hash)]
pub(crate) struct Bindings {
    pub(crate) names: BTreeMap<Text, Text>,
    pub(crate) values: Item,
}

impl Bindings {
    pub(crate) fn name<'a>(&'a self, name: &'a Name) -> Result<&'a str, Error> {
        match name {
            Name::Bare(name) => Ok(name),
            Name::Placeholder(placeholder) => {
                self.names.get(placeholder.as_str()).map(Text::as_str).ok_or_else(|| undefined(placeholder))
            }
        }
    }

    pub(crate) fn value(&self, placeholder: &str) -> Result<&Value, Error> {
        self.values.get(placeholder).ok_or_else(|| undefined(placeholder))
    }

    /// Checks that the placeholders are exactly those of these expressions.
    pub(crate) fn check(&self, uses: &[&dyn Uses]) -> Result<(), Error> {
        for used in uses {
            for name in used.names() {
                self.names.get(name.as_str()).ok_or_else(|| undefined(name))?;
            }
            for value in used.values() {
                self.value(value)?;
            }
        }
        let unused_name =
            self.names.keys().find(|name| !uses.iter().any(|used| used.names().contains(name.as_str())));
        let unused =
            self.values.keys().find(|value| !uses.iter().any(|used| used.values().contains(value.as_str())));
        match unused_name.or(unused) {
            Some(unused) => Err(invalid(format!("{unused} is defined, but unused in expressions"))),
            None => Ok(()),
        }
    }
}

fn undefined(placeholder: &str) -> Error {
    invalid(format!("an expression uses {placeholder}, which is not defined"))
}

/// The placeholders that an expression uses.
pub(crate) trait Uses {
    fn names(&self) -> &BTreeSet<String>;
    fn values(&self) -> &BTreeSet<String>;
}

impl Path {
    /// Finds the attribute in an item.
    pub(crate) fn find<'a>(&self, item: &'a Item, bindings: &Bindings) -> Result<Option<&'a Value>, Error> {
        let mut found: Option<&Value> = None;
        for (depth, name) in self.0.iter().enumerate() {
            let name = bindings.name(name)?;
            found = match (depth, found) {
                (0, _) => item.get(name),
                (_, Some(Value::M(map))) => map.get(name),
                _ => None,
            };
        }
        Ok(found)
    }
}
