//! Expressions: conditions (also filters and key conditions), updates and projections.
//!
//! Invariant: a text is parsed once and kept. A placeholder that a request does not define, or defines without using
//! it, is refused, as DynamoDB does.

pub(crate) mod condition;
mod lexer;
mod parser;
pub(crate) mod projection;
mod reserved;
pub(crate) mod update;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use condition::Condition;
use parser::Parser;
use projection::Projection;
use serde::Deserialize;
use update::Update;

use crate::error::{Error, invalid};
use crate::value::{Item, Value};

/// Maximum number of parsed expressions of a kind that are kept.
const KEPT: usize = 1000;
/// Maximum length of an expression in bytes.
const LENGTH: usize = 4096;

/// A parsed expression and the placeholders that it uses.
#[derive(Debug, Hash)]
pub(crate) struct Parsed<T> {
    pub(crate) tree: T,
    names: BTreeSet<String>,
    values: BTreeSet<String>,
}

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

/// What the placeholders of a request stand for.
#[derive(Debug, Default, Hash, Deserialize)]
pub(crate) struct Bindings {
    pub(crate) names: BTreeMap<String, String>,
    pub(crate) values: Item,
}

impl Bindings {
    pub(crate) fn name<'a>(&'a self, name: &'a Name) -> Result<&'a str, Error> {
        match name {
            Name::Bare(name) => Ok(name),
            Name::Placeholder(placeholder) => {
                self.names.get(placeholder).map(String::as_str).ok_or_else(|| undefined(placeholder))
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
                self.names.get(name).ok_or_else(|| undefined(name))?;
            }
            for value in used.values() {
                self.value(value)?;
            }
        }
        let unused_name = self.names.keys().find(|name| !uses.iter().any(|used| used.names().contains(*name)));
        let unused =
            self.values.keys().find(|value| !uses.iter().any(|used| used.values().contains(*value)));
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

impl<T> Uses for Parsed<T> {
    fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    fn values(&self) -> &BTreeSet<String> {
        &self.values
    }
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

type Kept<T> = LazyLock<RwLock<HashMap<String, Arc<Parsed<T>>>>>;

static CONDITIONS: Kept<Condition> = LazyLock::new(RwLock::default);
static UPDATES: Kept<Update> = LazyLock::new(RwLock::default);
static PROJECTIONS: Kept<Projection> = LazyLock::new(RwLock::default);

/// Parses a condition, a filter or a key condition.
pub(crate) fn condition(text: &str) -> Result<Arc<Parsed<Condition>>, Error> {
    parsed(&CONDITIONS, text, Condition::parse)
}

/// Parses an update.
pub(crate) fn update(text: &str) -> Result<Arc<Parsed<Update>>, Error> {
    parsed(&UPDATES, text, Update::parse)
}

/// Parses a projection.
pub(crate) fn projection(text: &str) -> Result<Arc<Parsed<Projection>>, Error> {
    parsed(&PROJECTIONS, text, Projection::parse)
}

fn parsed<T>(
    kept: &Kept<T>,
    text: &str,
    parse: impl FnOnce(&mut Parser<'_>) -> Result<T, Error>,
) -> Result<Arc<Parsed<T>>, Error> {
    if let Some(parsed) = kept.read().unwrap_or_else(PoisonError::into_inner).get(text) {
        return Ok(parsed.clone());
    }
    if text.len() > LENGTH {
        return Err(invalid(format!("an expression is longer than {LENGTH} bytes")));
    }
    let mut parser = Parser::new(text)?;
    let tree = parse(&mut parser)?;
    let (names, values) = parser.end()?;
    let parsed = Arc::new(Parsed { tree, names, values });
    let mut kept = kept.write().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= KEPT {
        kept.clear();
    }
    kept.insert(text.to_owned(), parsed.clone());
    Ok(parsed)
}
