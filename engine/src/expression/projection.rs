//! Projections: which attributes a read returns.

use std::fmt::{self, Formatter};

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::parser::Parser;
use super::placeholders::{Bindings, Path};
use crate::error::{Error, invalid};
use crate::json;
use crate::value::{Item, Text, Value};

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

/// Writes what a projection selects of an item in JSON. Other attributes are not parsed.
pub(crate) fn write_selected(out: &mut Vec<u8>, item: &[u8], paths: &[Vec<&str>]) -> Result<(), Error> {
    out.push(b'{');
    let selected = serde_json::Deserializer::from_slice(item).deserialize_map(Selected { out, paths });
    selected.map_err(|error| Error::Broken(format!("a stored item: {error}")))?;
    out.push(b'}');
    Ok(())
}

/// Writes the selected attributes of an item that is being read.
struct Selected<'a> {
    out: &'a mut Vec<u8>,
    paths: &'a [Vec<&'a str>],
}

impl<'de> Visitor<'de> for Selected<'_> {
    type Value = ();

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { out, paths } = self;
        let begin = out.len();
        while let Some(name) = map.next_key::<Text>()? {
            let mut own = paths.iter().filter(|path| path[0] == name).peekable();
            match own.peek() {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(path) if path.len() == 1 => {
                    write_name(out, begin, &name);
                    out.extend_from_slice(map.next_value::<&RawValue>()?.get().as_bytes());
                }
                Some(_) => {
                    let (mut item, mut selected) =
                        (Item::from([(name.clone(), map.next_value()?)]), Item::new());
                    own.for_each(|path| move_value(&mut item, path, &mut selected));
                    for (name, value) in &selected {
                        write_name(out, begin, name);
                        value.write(out);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Writes the name of an attribute of an object whose attributes begin at `begin`.
fn write_name(out: &mut Vec<u8>, begin: usize, name: &str) {
    if out.len() > begin {
        out.push(b',');
    }
    json::text(out, name);
    out.push(b':');
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
