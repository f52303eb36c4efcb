//! Keys, attributes and items: what the files of all items build on.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::error::Error;
use domain::id::{ConversationId, MessageId, Stamp, UserId};
use domain::limits::RateLimit;
use domain::message::MessageKind;
use domain::name::{Name, Picture};
use domain::settings::{InboxPlace, NotifyLevel};
use domain::time::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::typed_json::{self, Typed, malformed};

/// Attributes by their names, in the SDK's form: keys, and items to be written.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// The range of an attribute's name, and that of its value, in a text.
pub(crate) type AttributeRanges = [Range<usize>; 2];

/// A text that contains items, and where their attributes are in it.
#[derive(Default)]
pub(crate) struct ItemText {
    pub(crate) text: String,
    pub(crate) attributes: Vec<AttributeRanges>,
}

/// An item as it was read: its text in DynamoDB's JSON, which is parsed when it is used.
#[derive(Clone, Default)]
pub(crate) struct Item {
    /// The items of the same answer share it.
    shared: Arc<ItemText>,
    /// Which of its attributes are those of the item.
    range: Range<usize>,
}

impl Item {
    /// Creates the item that has a range of the attributes of a text.
    pub(crate) fn new(shared: &Arc<ItemText>, range: Range<usize>) -> Self {
        Self { shared: shared.clone(), range }
    }

    /// The names of the attributes and their values with their types.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let ItemText { text, attributes } = &*self.shared;
        let own = attributes[self.range.clone()].iter();
        own.map(|[name, value]| (&text[name.clone()], &text[value.clone()]))
    }

    /// The bytes of its attributes as text.
    pub(crate) fn len(&self) -> usize {
        self.attributes().map(|(name, value)| name.len() + value.len()).sum()
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.attributes().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Whether the item has an attribute.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Returns an attribute, if the item has it and it is of the type.
    pub(crate) fn get<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        typed_json::parse(self.find(name)?).ok()
    }

    /// Returns a binary attribute, if the item has it.
    pub(crate) fn binary(&self, name: &str) -> Option<Vec<u8>> {
        #[derive(Deserialize)]
        struct Binary<'a> {
            #[serde(rename = "B", borrow)]
            base64: Cow<'a, str>,
        }
        let Binary { base64 } = serde_json::from_str(self.find(name)?).ok()?;
        BASE64_STANDARD.decode(base64.as_bytes()).ok()
    }

    /// Returns the attributes whose names begin with a prefix, by the rest of their names.
    ///
    /// # Errors
    /// `Internal` if one of them is not of the type.
    pub(crate) fn prefixed<T: DeserializeOwned, C: FromIterator<(String, T)>>(
        &self,
        prefix: &str,
    ) -> Result<C, Error> {
        let found = self.attributes().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)));
        found.map(|(name, value)| Ok((name.to_owned(), typed_json::parse(value)?))).collect()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Item {
    /// Makes a text of names and of values with their types.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(attributes: I) -> Self {
        let (mut text, mut ranges) = (String::new(), Vec::new());
        let mut push = |part: &str| {
            text.push_str(part);
            text.len() - part.len()..text.len()
        };
        for (name, value) in attributes {
            ranges.push([push(name.as_ref()), push(value.as_ref())]);
        }
        let range = 0..ranges.len();
        Self { shared: Arc::new(ItemText { text, attributes: ranges }), range }
    }
}

impl From<Attributes> for Item {
    /// Writes attributes that the SDK has parsed as text.
    fn from(attributes: Attributes) -> Self {
        attributes.iter().map(|(name, value)| (name, typed(value).to_string())).collect()
    }
}

/// Converts a value to DynamoDB's JSON, as [`typed_json`] parses it. The table has no sets.
fn typed(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::Bool(bool) => json!({"BOOL": bool}),
        AttributeValue::B(bytes) => json!({"B": BASE64_STANDARD.encode(bytes)}),
        AttributeValue::L(list) => json!({"L": list.iter().map(typed).collect::<Vec<_>>()}),
        AttributeValue::M(map) => {
            let entries = map.iter().map(|(name, value)| (name.clone(), typed(value)));
            json!({"M": entries.collect::<serde_json::Map<_, _>>()})
        }
        AttributeValue::Null(_) => json!({"NULL": true}),
        // Without a type, it cannot be read.
        _ => json!({}),
    }
}

/// Gives the attributes of an item to the type that they are read as.
struct ItemAccess<'a, I> {
    attributes: I,
    value: &'a str,
}

impl<'a, I: Iterator<Item = (&'a str, &'a str)>> MapAccess<'a> for ItemAccess<'a, I> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        let Some((name, value)) = self.attributes.next() else { return Ok(None) };
        self.value = value;
        seed.deserialize(name.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Self::Error> {
        seed.deserialize(Typed(&mut serde_json::Deserializer::from_str(self.value)))
    }
}

/// An item's primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    /// Whether an item has this key.
    pub(crate) fn is_of(&self, item: &Item) -> bool {
        text(item, "sk").is_ok_and(|sk| sk == self.sk) && text(item, "pk").is_ok_and(|pk| pk == self.pk)
    }

    pub(crate) fn attributes(&self) -> Attributes {
        [("pk".to_owned(), self.pk.attribute()), ("sk".to_owned(), self.sk.attribute())].into()
    }
}

/// A value that an attribute can hold.
pub(crate) trait Attribute {
    fn attribute(&self) -> AttributeValue;
}

macro_rules! text_attribute {
    ($($kind:ty),+) => {$(
        impl Attribute for $kind {
            fn attribute(&self) -> AttributeValue {
                AttributeValue::S(self.to_string())
            }
        }
    )+};
}
text_attribute!(str, String, Stamp, UserId, ConversationId, MessageId, Name, InboxPlace);

macro_rules! number_attribute {
    ($($kind:ty),+) => {$(
        impl Attribute for $kind {
            fn attribute(&self) -> AttributeValue {
                AttributeValue::N(self.to_string())
            }
        }
    )+};
}
number_attribute!(i64, u64);

impl Attribute for bool {
    fn attribute(&self) -> AttributeValue {
        AttributeValue::Bool(*self)
    }
}

impl Attribute for [UserId] {
    fn attribute(&self) -> AttributeValue {
        AttributeValue::L(self.iter().map(Attribute::attribute).collect())
    }
}

impl Attribute for Timestamp {
    fn attribute(&self) -> AttributeValue {
        self.millis().attribute()
    }
}

/// Implements [`Attribute`] for kinds that have a name.
macro_rules! named_attribute {
    ($($kind:ty),+) => {$(
        impl Attribute for $kind {
            fn attribute(&self) -> AttributeValue {
                AttributeValue::S(self.name().to_owned())
            }
        }
    )+};
}
named_attribute!(MessageKind, NotifyLevel);

impl Attribute for Picture {
    fn attribute(&self) -> AttributeValue {
        AttributeValue::S(self.clone().into())
    }
}

/// Builds an item from its key and its body.
pub(crate) fn to_item<T: Serialize>(key: &Key, body: &T) -> Result<Attributes, Error> {
    let mut item: Attributes = serde_dynamo::to_item(body).map_err(Error::internal)?;
    item.extend(key.attributes());
    Ok(item)
}

/// Reads the body of an item.
pub(crate) fn from_item<T: DeserializeOwned>(item: &Item) -> Result<T, Error> {
    T::deserialize(MapAccessDeserializer::new(ItemAccess { attributes: item.attributes(), value: "" }))
        .map_err(|error| malformed::<T>(&error))
}

/// Returns a text attribute, which every item of its kind has.
pub(crate) fn text<'a>(item: &'a Item, name: &'static str) -> Result<Cow<'a, str>, Error> {
    #[derive(Deserialize)]
    struct Text<'a> {
        #[serde(rename = "S", borrow)]
        text: Cow<'a, str>,
    }
    let parse = |value: &'a str| {
        // Most texts are written without spaces and escapes.
        let plain = value.strip_prefix(r#"{"S":""#).and_then(|rest| rest.strip_suffix(r#""}"#));
        match plain.filter(|text| !text.contains(['\\', '"'])) {
            Some(text) => Some(Cow::Borrowed(text)),
            None => serde_json::from_str::<Text<'a>>(value).ok().map(|value| value.text),
        }
    };
    let found = item.find(name).and_then(parse);
    found.ok_or_else(|| Error::internal(format!("an item has no text attribute {name}")))
}

/// Returns a key attribute without its prefix, which every item of its kind has.
pub(crate) fn suffix<'a>(item: &'a Item, name: &'static str, prefix: &str) -> Result<Cow<'a, str>, Error> {
    let suffix = match text(item, name)? {
        Cow::Borrowed(key) => key.strip_prefix(prefix).map(Cow::Borrowed),
        Cow::Owned(key) => key.strip_prefix(prefix).map(|suffix| Cow::Owned(suffix.to_owned())),
    };
    suffix.ok_or_else(|| Error::internal(format!("a key does not begin with {prefix}")))
}

/// When the bucket in an item is full again, in milliseconds since 1970; `None` if no token was ever taken.
pub(crate) fn full_at(item: &Item, limit: &RateLimit) -> Option<i64> {
    item.get(limit.bucket)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        /// A value that is converted from the SDK's type is read back unchanged.
        #[test]
        fn values_come_back_as_they_were(value in values()) {
            let written: AttributeValue = serde_dynamo::to_attribute_value(&value).unwrap();
            prop_assert_eq!(typed_json::parse::<Value>(&typed(&written).to_string()).unwrap(), value);
        }
    }
}
