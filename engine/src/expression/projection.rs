//! Projections: which attributes a read returns.

use super::parser::Parser;
use super::placeholders::{Bindings, Path};
use crate::error::{Error, invalid};
use crate::value::{Item, Value};

/// The attributes that a read returns.
#[derive(Debug, Hash)]
pub(crate) struct Projection(Vec<Path>);

impl Projection {
    pub(super) fn parse(parser: &mut Parser<'_>) -> Result<Self, Error> {
        let mut paths = vec![parser.path()?];
        while parser.takes(",") {
            paths.push(parser.path()?);
        }
        Ok(Self(paths))
    }

    /// Returns the names of the paths, checked not to overlap.
    pub(crate) fn names<'a>(&'a self, bindings: &'a Bindings) -> Result<Vec<Vec<&'a str>>, Error> {
        let names = |path: &'a Path| path.0.iter().map(|name| bindings.name(name)).collect();
        let paths: Vec<Vec<&str>> = self.0.iter().map(names).collect::<Result<_, _>>()?;
        for (at, path) in paths.iter().enumerate() {
            if paths[..at].iter().any(|other| other.starts_with(path) || path.starts_with(other)) {
                return Err(invalid(format!(
                    "Two document paths overlap with each other: {}",
                    path.join(".")
                )));
            }
        }
        Ok(paths)
    }
}

/// Returns what a projection selects of an item.
pub(crate) fn select(mut item: Item, paths: &[Vec<&str>]) -> Item {
    let mut selected = Item::new();
    for path in paths {
        move_value(&mut item, path, &mut selected);
    }
    selected
}

/// Moves the value at a path, if there is one, to the same path of another item.
fn move_value(from: &mut Item, path: &[&str], to: &mut Item) {
    match path {
        [] => {}
        [name] => {
            if let Some((name, value)) = from.remove_entry(*name) {
                to.insert(name, value);
            }
        }
        [name, rest @ ..] => {
            let Some(Value::M(inner)) = from.get_mut(*name) else { return };
            let mut selected = Item::new();
            move_value(inner, rest, &mut selected);
            if selected.is_empty() {
                return;
            }
            match to.get_mut(*name) {
                Some(Value::M(earlier)) => earlier.extend(selected),
                _ => drop(to.insert((*name).into(), Value::M(selected))),
            }
        }
    }
}
