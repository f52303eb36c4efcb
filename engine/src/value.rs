//! Attribute values and items, and their JSON.
//!
//! Invariant: equal items have equal JSON, because attributes are sorted by name and numbers have one representation.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use compact_str::CompactString;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::json;
use crate::number::Number;

/// A text of an item. Up to 24 bytes take no memory of their own.
pub(crate) type Text = CompactString;

/// An item, or a map in it: attributes by name.
pub(crate) type Item = BTreeMap<Text, Value>;

/// The value of an attribute. Sets are not supported.
#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) enum Value {
    S(Text),
    N(Number),
    B(Vec<u8>),
    Bool(bool),
    Null,
    L(Vec<Value>),
    M(Item),
}

impl Value {
    /// The name of the type in JSON.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::L(_) => "L",
            Self::M(_) => "M",
        }
    }

    /// Compares two numbers, two texts by their UTF-8 bytes, or two byte strings; `None` for other types.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::S(one), Self::S(other)) => Some(one.cmp(other)),
            (Self::N(one), Self::N(other)) => Some(one.cmp(other)),
            (Self::B(one), Self::B(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }

    /// The size in bytes, by DynamoDB's rules.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(number) => number.size(),
            Self::B(bytes) => bytes.len(),
            Self::Bool(_) | Self::Null => 1,
            Self::L(values) => 3 + values.iter().map(|value| 1 + value.size()).sum::<usize>(),
            Self::M(item) => 3 + item.len() + item_size(item),
        }
    }

    /// Writes the value as JSON, such as `{"S":"text"}`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(self.kind().as_bytes());
        out.extend_from_slice(b"\":");
        match self {
            Self::S(text) => json::text(out, text),
            Self::N(number) => json::plain(out, format_args!("{number}")),
            Self::B(bytes) => json::text(out, &STANDARD.encode(bytes)),
            Self::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Null => out.extend_from_slice(b"true"),
            Self::L(values) => {
                out.push(b'[');
                json::list(out, values, |out, value| value.write(out));
                out.push(b']');
            }
            Self::M(item) => write_item(out, item),
        }
        out.push(b'}');
    }
}

/// Writes attributes as JSON, such as `{"name":{"S":"text"}}`.
pub(crate) fn write_item<'a>(out: &mut Vec<u8>, attributes: impl IntoIterator<Item = (&'a Text, &'a Value)>) {
    out.push(b'{');
    json::list(out, attributes, |out, (name, value)| {
        json::text(out, name);
        out.push(b':');
        value.write(out);
    });
    out.push(b'}');
}

/// Returns attributes as JSON.
pub(crate) fn item_json<'a>(attributes: impl IntoIterator<Item = (&'a Text, &'a Value)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write_item(&mut out, attributes);
    out
}

/// The size of attributes in bytes, by DynamoDB's rules.
pub(crate) fn item_size<'a>(attributes: impl IntoIterator<Item = (&'a Text, &'a Value)>) -> usize {
    attributes.into_iter().map(|(name, value)| name.len() + value.size()).sum()
}

#[derive(serde::Deserialize)]
enum Kind {
    S,
    N,
    B,
    #[serde(rename = "BOOL")]
    Bool,
    #[serde(rename = "NULL")]
    Null,
    L,
    M,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value with one type")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let one = || de::Error::custom("an attribute value must have exactly one of the supported types");
        let value = match map.next_key()?.ok_or_else(one)? {
            Kind::S => Value::S(map.next_value()?),
            Kind::N => {
                let text: Text = map.next_value()?;
                Value::N(Number::parse(&text).map_err(de::Error::custom)?)
            }
            Kind::B => {
                let text: String = map.next_value()?;
                Value::B(STANDARD.decode(text).map_err(de::Error::custom)?)
            }
            Kind::Bool => Value::Bool(map.next_value()?),
            Kind::Null if map.next_value()? => Value::Null,
            Kind::Null => return Err(de::Error::custom("NULL must be true")),
            Kind::L => Value::L(map.next_value()?),
            Kind::M => Value::M(map.next_value()?),
        };
        if map.next_key::<Kind>()?.is_some() {
            return Err(one());
        }
        Ok(value)
    }
}
