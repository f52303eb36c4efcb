//! Writes: the parts of a transaction, and the expressions that they are made of.
//!
//! Invariant: expressions have values only as placeholders, so no value can break out of an expression, and names that
//! may be reserved words too.

use std::collections::HashMap;
use std::fmt;
use std::fmt::{Arguments, Display, Formatter, Write as _};

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};
use domain::error::Error;
use domain::limits::{RateLimit, Take};
use domain::settings::InboxList;
use domain::time::Timestamp;
use serde::Serialize;

use crate::item::{Attribute, Attributes, Key, to_item};

#[derive(Clone)]
enum Operation {
    Put(Attributes),
    Update,
    Delete,
    Check,
}

/// The attributes that expressions name as they are, which makes the requests of a send shorter. None of them may be a
/// reserved word:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html>.
const UNRESERVED: [&str; 21] = [
    "activity",
    "blocked_by_me",
    "blocked_by_peer",
    "first_mention",
    "head",
    "hidden_at",
    "last_id",
    "last_kind",
    "last_mine",
    "last_text",
    "mark",
    "mn",
    "n",
    "owner_deleted",
    "peer_deleted",
    "pk",
    "place",
    "place_until",
    "seq",
    "unread",
    "writes_full_at",
];

/// An attribute in an expression.
enum AttributeName<'a> {
    Itself(&'a str),
    Placeholder(String),
}

impl Display for AttributeName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself(name) => f.write_str(name),
            Self::Placeholder(placeholder) => f.write_str(placeholder),
        }
    }
}

/// The clauses of an expression, as text.
#[derive(Clone, Default)]
struct Clauses(String);

impl Clauses {
    fn add(&mut self, separator: &str, clause: Arguments<'_>) {
        if !self.0.is_empty() {
            self.0.push_str(separator);
        }
        // Writing to a text cannot fail.
        let _ = self.0.write_fmt(clause);
    }
}

/// One write of a transaction, or a condition check on an item that it does not change.
#[derive(Clone)]
pub(crate) struct Write {
    operation: Operation,
    key: Key,
    sets: Clauses,
    adds: Clauses,
    removes: Clauses,
    conditions: Clauses,
    names: HashMap<String, String>,
    values: Attributes,
}

impl Write {
    fn new(operation: Operation, key: Key) -> Self {
        let (sets, adds, removes, conditions, names) = Default::default();
        // Most updates have about ten values.
        let values =
            if let Operation::Update = operation { Attributes::with_capacity(14) } else { Attributes::new() };
        Self { operation, key, sets, adds, removes, conditions, names, values }
    }

    /// Puts a whole item.
    pub(crate) fn put<T: Serialize>(key: Key, body: &T) -> Result<Self, Error> {
        Ok(Self::new(Operation::Put(to_item(&key, body)?), key))
    }

    /// Updates an item, or creates it.
    pub(crate) fn update(key: Key) -> Self {
        Self::new(Operation::Update, key)
    }

    /// Deletes an item, if it exists.
    pub(crate) fn delete(key: Key) -> Self {
        Self::new(Operation::Delete, key)
    }

    /// Checks conditions on an item without changing it.
    pub(crate) fn check(key: Key) -> Self {
        Self::new(Operation::Check, key)
    }

    /// The key of the item that is written.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    fn name<'a>(&mut self, name: &'a str) -> AttributeName<'a> {
        if UNRESERVED.binary_search(&name).is_ok() {
            return AttributeName::Itself(name);
        }
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let placeholder = if is_plain { format!("#{name}") } else { format!("#{}", self.names.len()) };
        self.names.insert(placeholder.clone(), name.to_owned());
        AttributeName::Placeholder(placeholder)
    }

    /// Defines a value. Returns its placeholder.
    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn set_clause(mut self, clause: Arguments<'_>) -> Self {
        self.sets.add(", ", clause);
        self
    }

    /// Adds a condition. All conditions must hold.
    fn condition(mut self, condition: Arguments<'_>) -> Self {
        self.conditions.add(" AND ", condition);
        self
    }

    /// Sets an attribute.
    pub(crate) fn set(mut self, name: &str, value: &(impl Attribute + ?Sized)) -> Self {
        let (name, value) = (self.name(name), self.value(value.attribute()));
        self.set_clause(format_args!("{name} = {value}"))
    }

    /// Sets an attribute if there is a value.
    pub(crate) fn set_some(self, name: &str, value: Option<&impl Attribute>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Sets an attribute, or removes it if there is no value.
    pub(crate) fn set_or_remove(self, name: &str, value: Option<&impl Attribute>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove(name),
        }
    }

    /// Sets an attribute if there is a value and the item does not have the attribute yet.
    pub(crate) fn set_if_missing(mut self, name: &str, value: Option<&impl Attribute>) -> Self {
        let Some(value) = value else { return self };
        let (name, value) = (self.name(name), self.value(value.attribute()));
        self.set_clause(format_args!("{name} = if_not_exists({name}, {value})"))
    }

    /// Sets an attribute to the value of another one or, if the item does not have that, to this value.
    pub(crate) fn set_from(mut self, name: &str, other: &str, value: &(impl Attribute + ?Sized)) -> Self {
        let (name, other, value) = (self.name(name), self.name(other), self.value(value.attribute()));
        self.set_clause(format_args!("{name} = if_not_exists({other}, {value})"))
    }

    /// Sets an attribute to the value of another one, which the item has.
    pub(crate) fn set_to(mut self, name: &str, other: &str) -> Self {
        let (name, other) = (self.name(name), self.name(other));
        self.set_clause(format_args!("{name} = {other}"))
    }

    /// Sets an attribute to the value of another one or, if the item does not have that, of a third one.
    pub(crate) fn set_to_first(mut self, name: &str, first: &str, second: &str) -> Self {
        let [name, first, second] = [name, first, second].map(|name| self.name(name));
        self.set_clause(format_args!("{name} = if_not_exists({first}, {second})"))
    }

    /// Adds to a number; a missing one counts as zero.
    pub(crate) fn add(mut self, name: &str, number: i64) -> Self {
        let (name, value) = (self.name(name), self.value(number.attribute()));
        self.adds.add(", ", format_args!("{name} {value}"));
        self
    }

    /// Removes an attribute.
    pub(crate) fn remove(mut self, name: &str) -> Self {
        let name = self.name(name);
        self.removes.add(", ", format_args!("{name}"));
        self
    }

    /// Condition: the item has the attribute.
    pub(crate) fn if_present(mut self, name: &str) -> Self {
        let name = self.name(name);
        self.condition(format_args!("attribute_exists({name})"))
    }

    /// Condition: the item does not exist or does not have the attribute.
    pub(crate) fn if_missing(mut self, name: &str) -> Self {
        let name = self.name(name);
        self.condition(format_args!("attribute_not_exists({name})"))
    }

    /// Condition: the attribute is as it was read; with `None`, it is missing.
    pub(crate) fn if_still(mut self, name: &str, read: Option<&impl Attribute>) -> Self {
        let Some(read) = read else { return self.if_missing(name) };
        let (name, value) = (self.name(name), self.value(read.attribute()));
        self.condition(format_args!("{name} = {value}"))
    }

    /// Condition: the number is as it was read; a missing one counts as zero.
    pub(crate) fn if_still_number(mut self, name: &str, read: u64) -> Self {
        if read > 0 {
            return self.if_still(name, Some(&read));
        }
        let (name, value) = (self.name(name), self.value(read.attribute()));
        self.condition(format_args!("(attribute_not_exists({name}) OR {name} = {value})"))
    }

    /// Condition: the attribute is missing or below a value. (DynamoDB's comparison with a missing attribute is false.)
    pub(crate) fn if_below(mut self, name: &str, value: &impl Attribute) -> Self {
        let (name, value) = (self.name(name), self.value(value.attribute()));
        self.condition(format_args!("(attribute_not_exists({name}) OR {name} < {value})"))
    }

    /// Condition: the attribute is between two values, both included.
    pub(crate) fn if_between(mut self, name: &str, (low, high): (&str, &str)) -> Self {
        let name = self.name(name);
        let (low, high) = (self.value(low.attribute()), self.value(high.attribute()));
        self.condition(format_args!("{name} BETWEEN {low} AND {high}"))
    }

    /// Condition: a message that arrives now does not make the row appear in the inbox, see `Row::is_away`.
    pub(crate) fn if_not_away(mut self, now: Timestamp) -> Self {
        let [activity, place, until] = ["activity", "place", "place_until"].map(|name| self.name(name));
        let lowest = self.value(InboxList::bounds_of_inbox().0.attribute());
        let now = self.value(now.attribute());
        self.condition(format_args!("({activity} >= {lowest} OR attribute_exists({place}))"))
            .condition(format_args!("(attribute_not_exists({until}) OR {until} > {now})"))
    }

    /// Condition: the attribute is above a number.
    pub(crate) fn if_after(mut self, name: &str, number: i64) -> Self {
        let (name, value) = (self.name(name), self.value(number.attribute()));
        self.condition(format_args!("{name} > {value}"))
    }

    /// Condition: the item does not exist or has expired. DynamoDB deletes expired items late.
    pub(crate) fn if_gone(mut self, now: Timestamp) -> Self {
        let (pk, expires) = (self.name("pk"), self.name("expires"));
        let now = self.value(now.seconds().attribute());
        self.condition(format_args!("(attribute_not_exists({pk}) OR {expires} < {now})"))
    }

    /// Takes a call's tokens from a bucket in the item, on the condition that the bucket is in the state of `take`.
    pub(crate) fn take(mut self, limit: &RateLimit, take: Take) -> Self {
        match take {
            Take::FromFull { full_at } => {
                let now = full_at - limit.refill_millis();
                self.if_below(limit.bucket, &now).set(limit.bucket, &full_at)
            }
            Take::FromPartial { from, to } => {
                let name = self.name(limit.bucket);
                let (from, to) = (self.value(from.attribute()), self.value(to.attribute()));
                self.condition(format_args!("{name} BETWEEN {from} AND {to}"))
                    .add(limit.bucket, limit.refill_millis())
            }
        }
    }

    fn update_expression(&self) -> String {
        let mut expression = String::new();
        for (verb, Clauses(clauses)) in [("SET", &self.sets), ("ADD", &self.adds), ("REMOVE", &self.removes)]
        {
            if !clauses.is_empty() {
                let space = if expression.is_empty() { "" } else { " " };
                expression.extend([space, verb, " ", clauses]);
            }
        }
        expression
    }

    /// Converts the write to the SDK's form. If a condition fails, DynamoDB returns the item that it found.
    pub(crate) fn build(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let update = self.update_expression();
        let condition = Some(self.conditions.0).filter(|condition| !condition.is_empty());
        let names = (!self.names.is_empty()).then_some(self.names);
        let values = (!self.values.is_empty()).then_some(self.values);
        let on_failure = Some(ReturnValuesOnConditionCheckFailure::AllOld);
        /// Sets what the SDK's four builders have in common.
        macro_rules! filled {
            ($builder:expr) => {
                $builder
                    .table_name(table)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .set_return_values_on_condition_check_failure(on_failure)
            };
        }
        let item = TransactWriteItem::builder();
        let key = Some(self.key.attributes());
        Ok(match self.operation {
            Operation::Put(body) => {
                let put = filled!(Put::builder()).set_item(Some(body)).set_condition_expression(condition);
                item.put(put.build()?)
            }
            Operation::Update => {
                let change = filled!(Update::builder()).set_key(key).update_expression(update);
                item.update(change.set_condition_expression(condition).build()?)
            }
            Operation::Delete => {
                let delete = filled!(Delete::builder()).set_key(key).set_condition_expression(condition);
                item.delete(delete.build()?)
            }
            Operation::Check => {
                let check =
                    filled!(ConditionCheck::builder()).set_key(key).set_condition_expression(condition);
                item.condition_check(check.build()?)
            }
        }
        .build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_builds_its_expressions() {
        let key = Key { pk: "P".into(), sk: "S".into() };
        let write = Write::update(key)
            .set("head", "m2")
            .add("n", 1)
            .remove("unread")
            .if_present("activity")
            .if_below("head", &"m2".to_owned());
        let update = write.build("table").unwrap().update.unwrap();
        assert_eq!(update.update_expression(), "SET head = :0 ADD n :1 REMOVE unread");
        assert_eq!(
            update.condition_expression(),
            Some("attribute_exists(activity) AND (attribute_not_exists(head) OR head < :2)")
        );
    }
}
