//! Expressions: conditions (also filters and key conditions), updates and projections.
//!
//! Invariant: a text is parsed once and kept. A placeholder that a request does not define, or defines without using
//! it, is refused, as DynamoDB does.

pub(crate) mod condition;
mod lexer;
mod parser;
pub(crate) mod placeholders;
pub(crate) mod projection;
mod reserved;
pub(crate) mod update;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use condition::Condition;
use parser::Parser;
use placeholders::Uses;
use projection::Projection;
use update::Update;

use crate::error::{Error, invalid};

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

impl<T> Uses for Parsed<T> {
    fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    fn values(&self) -> &BTreeSet<String> {
        &self.values
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
