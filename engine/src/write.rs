//! One write of an item: it is checked and planned on the item as it is. The plan is applied when all writes of the
//! transaction have one.
//!
//! Invariant: nothing here changes the database.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use serde::Deserialize;

use crate::capacity::Report;
use crate::error::{Error, invalid};
use crate::expression::condition::Condition;
use crate::expression::placeholders::{Bindings, Uses};
use crate::expression::update::Update;
use crate::expression::{self, Parsed};
use crate::plan::Plan;
use crate::storage::{self, Stored};
use crate::table::{Key, Table, Tables, find};
use crate::value::{Item, Text, item_json, item_size};

/// Maximum size of an item in bytes.
const ITEM_SIZE: usize = 400 * 1024;

/// The members of a write in a request: those of `PutItem`, `UpdateItem`, `DeleteItem` and of transactions.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct WriteInput {
    table_name: String,
    item: Option<Item>,
    key: Option<Item>,
    update_expression: Option<String>,
    condition_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<Text, Text>>,
    expression_attribute_values: Option<Item>,
    #[serde(default)]
    return_values_on_condition_check_failure: Old,
    return_values: Option<Returned>,
    return_consumed_capacity: Option<Report>,
}

/// Whether a refusal has the item that was found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Old {
    #[default]
    None,
    AllOld,
}

/// The item that a single write returns.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Returned {
    #[default]
    None,
    AllOld,
    AllNew,
}

/// The kinds of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Put,
    Update,
    Delete,
    Check,
}

/// A write of an item, or a check of it.
#[derive(Debug, Hash)]
pub(crate) struct Write {
    pub(crate) table: String,
    action: Action,
    condition: Option<Arc<Parsed<Condition>>>,
    bindings: Bindings,
    on_failure: Old,
}

#[derive(Debug, Hash)]
enum Action {
    Put(Item),
    /// Updates the item with a key.
    Update(Item, Option<Arc<Parsed<Update>>>),
    Delete(Item),
    Check(Item),
}

impl WriteInput {
    /// Returns the write, and what a single write returns.
    pub(crate) fn into_write(self, kind: Kind) -> Result<(Write, Option<Returned>, Option<Report>), Error> {
        let update = self.update_expression.as_deref().map(expression::update).transpose()?;
        let condition = self.condition_expression.as_deref().map(expression::condition).transpose()?;
        let bindings = Bindings {
            names: self.expression_attribute_names.unwrap_or_default(),
            values: self.expression_attribute_values.unwrap_or_default(),
        };
        let uses =
            [condition.as_ref().map(|one| &**one as &dyn Uses), update.as_ref().map(|one| &**one as _)];
        bindings.check(&uses.into_iter().flatten().collect::<Vec<_>>())?;
        if let Some(condition) = &condition {
            condition.tree.check(&bindings)?;
        }
        if let Some(update) = &update {
            update.tree.check(&bindings)?;
        }
        let action = match (kind, self.item, self.key, update) {
            (Kind::Put, Some(item), None, None) => Action::Put(item),
            (Kind::Update, None, Some(key), update) => Action::Update(key, update),
            (Kind::Delete, None, Some(key), None) => Action::Delete(key),
            (Kind::Check, None, Some(key), None) if condition.is_some() => Action::Check(key),
            _ => return Err(invalid(format!("{kind:?}: members are missing, or others are not supported"))),
        };
        let on_failure = self.return_values_on_condition_check_failure;
        let write = Write { table: self.table_name, action, condition, bindings, on_failure };
        Ok((write, self.return_values, self.return_consumed_capacity))
    }
}

/// Why a write cannot be applied.
pub(crate) enum Refusal {
    /// Its condition failed. Has the item that was found, as JSON, if the write asks for it.
    Condition(Option<Vec<u8>>),
    /// The item or its key does not allow it.
    Item(String),
    /// The whole request is invalid, or SQLite failed.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Condition(found) => Self::ConditionFailed { found },
            Refusal::Item(message) => invalid(message),
            Refusal::Error(error) => error,
        }
    }
}

impl Write {
    /// A put without a condition.
    pub(crate) fn put(table: String, item: Item) -> Self {
        Self::unconditional(table, Action::Put(item))
    }

    /// A deletion without a condition.
    pub(crate) fn delete(table: String, key: Item) -> Self {
        Self::unconditional(table, Action::Delete(key))
    }

    fn unconditional(table: String, action: Action) -> Self {
        Self { table, action, condition: None, bindings: Bindings::default(), on_failure: Old::None }
    }

    /// The key of the item.
    pub(crate) fn key(&self, tables: &Tables) -> Result<Key, Error> {
        let table = find(tables, &self.table)?;
        match &self.action {
            Action::Put(item) => table.key_of(item),
            Action::Update(key, _) | Action::Delete(key) | Action::Check(key) => table.key(key),
        }
    }

    /// Reads the item and checks the condition.
    pub(crate) fn check<'a>(
        &'a self,
        connection: &Connection,
        tables: &'a Tables,
        key: Key,
    ) -> Result<Checked<'a>, Refusal> {
        let table = find(tables, &self.table)?;
        if let Action::Put(item) = &self.action {
            table.check_index_keys(item).map_err(of_the_item)?;
        }
        let stored = storage::get(connection, &table.source, &key)?;
        let item = match &stored {
            Some(stored) => Some(storage::parse(&stored.json)?),
            None => None,
        };
        if let Some(condition) = &self.condition {
            let none = Item::new();
            if !condition.tree.holds(item.as_ref().unwrap_or(&none), &self.bindings)? {
                let found = stored.filter(|_| self.on_failure == Old::AllOld);
                return Err(Refusal::Condition(found.map(|stored| stored.json)));
            }
        }
        Ok(Checked { write: self, table, key, old: item.zip(stored) })
    }

    /// Checks the write and plans it.
    pub(crate) fn plan<'a>(
        &'a self,
        connection: &Connection,
        tables: &'a Tables,
    ) -> Result<Plan<'a>, Refusal> {
        self.check(connection, tables, self.key(tables)?)?.plan()
    }
}

/// A write whose condition holds.
pub(crate) struct Checked<'a> {
    write: &'a Write,
    table: &'a Table,
    key: Key,
    old: Option<(Item, Stored)>,
}

impl<'a> Checked<'a> {
    /// Works out what the item becomes.
    pub(crate) fn plan(self) -> Result<Plan<'a>, Refusal> {
        let Self { write, table, key, old } = self;
        let new = match &write.action {
            Action::Put(item) => Some(Cow::Borrowed(item)),
            Action::Update(key, update) => {
                let base = old.as_ref().map_or(key, |(item, _)| item);
                let new = match update {
                    Some(update) => {
                        refuse_changed_key(table, &update.tree, &write.bindings).map_err(of_the_item)?;
                        update.tree.apply(base, &write.bindings).map_err(of_the_item)?
                    }
                    None => base.clone(),
                };
                table.check_index_keys(&new).map_err(of_the_item)?;
                Some(Cow::Owned(new))
            }
            Action::Delete(_) | Action::Check(_) => None,
        };
        let new = new.map(|item| {
            let stored = Stored { size: item_size(&*item), json: item_json(&*item) };
            (item, stored)
        });
        if new.as_ref().is_some_and(|(_, stored)| stored.size > ITEM_SIZE) {
            return Err(Refusal::Item("Item size has exceeded the maximum allowed size".to_owned()));
        }
        Ok(Plan { table, key, old, new, is_check: matches!(write.action, Action::Check(_)) })
    }
}

fn refuse_changed_key(table: &Table, update: &Update, bindings: &Bindings) -> Result<(), Error> {
    match table.source.keys.iter().find(|name| update.changes(name, bindings)) {
        Some(name) => Err(invalid(format!(
            "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the \
             key"
        ))),
        None => Ok(()),
    }
}

/// Returns the refusal because of one item: in a transaction, it is the reason of a write.
pub(crate) fn of_the_item(error: Error) -> Refusal {
    match error {
        Error::Refused { code: "ValidationException", message } => Refusal::Item(message),
        other => Refusal::Error(other),
    }
}
