//! Parses DynamoDB's JSON, in which each value stands in an object with its type: `{"S": "text"}`, `{"N": "1"}`.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html#Programming.LowLevelAPI.DataTypeDescriptors>
//!
//! The values go straight into the types that they are read as, without the SDK's maps of attributes in between.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::error::Error;
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};

/// Parses one value with its type.
///
/// # Errors
/// See [`malformed`].
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    T::deserialize(Typed(&mut serde_json::Deserializer::from_str(text)))
        .map_err(|error| malformed::<T>(&error))
}

/// The error for a text that is no `T`. It quotes nothing of the text, because errors are logged.
pub(crate) fn malformed<T>(error: &serde_json::Error) -> Error {
    let kind = std::any::type_name::<T>();
    Error::internal(format!("malformed {kind}: {:?}, column {}", error.classify(), error.column()))
}

/// The types that the table's attributes have.
#[derive(Clone, Copy, PartialEq, Deserialize)]
enum Type {
    #[serde(rename = "S")]
    Text,
    #[serde(rename = "N")]
    Number,
    #[serde(rename = "BOOL")]
    Bool,
    #[serde(rename = "NULL")]
    Null,
    #[serde(rename = "B")]
    Binary,
    #[serde(rename = "L")]
    List,
    #[serde(rename = "M")]
    Map,
}

/// A text of JSON, copied only if it contains escapes. (`Cow` alone is always copied.)
#[derive(Deserialize)]
pub(crate) struct JsonText<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Deserializes a value from an object with its type.
pub(crate) struct Typed<D>(pub(crate) D);

impl<'de, D: Deserializer<'de>> Typed<D> {
    fn read<V: Visitor<'de>>(self, visitor: V, form: Form) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(TypedVisitor { visitor, form })
    }
}

/// The forms in which a value is asked for.
enum Form {
    Plain,
    Option,
    Enum(&'static str, &'static [&'static str]),
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Typed<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.read(visitor, Form::Plain)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.read(visitor, Form::Option)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.read(visitor, Form::Enum(name, variants))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_ignored_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

/// Reads the type, and then the value in the form that is asked for.
struct TypedVisitor<V> {
    visitor: V,
    form: Form,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for TypedVisitor<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its type")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V::Value, A::Error> {
        let kind = map.next_key()?.ok_or_else(|| A::Error::custom("a value has no type"))?;
        let value = Value { kind, map };
        match self.form {
            Form::Plain => value.deserialize_any(self.visitor),
            Form::Option => value.deserialize_option(self.visitor),
            Form::Enum(name, variants) => value.deserialize_enum(name, variants, self.visitor),
        }
    }
}

/// A value whose type has been read.
struct Value<A> {
    kind: Type,
    map: A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Value<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, A::Error> {
        match self.kind {
            Type::Text => self.map.next_value_seed(Text(visitor)),
            Type::Number => {
                let JsonText(number) = self.map.next_value()?;
                if let Ok(number) = number.parse::<u64>() {
                    visitor.visit_u64(number)
                } else if let Ok(number) = number.parse::<i64>() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(number.parse().map_err(A::Error::custom)?)
                }
            }
            Type::Bool => visitor.visit_bool(self.map.next_value()?),
            Type::Null => {
                self.map.next_value::<IgnoredAny>()?;
                visitor.visit_unit()
            }
            Type::Binary => {
                let JsonText(text) = self.map.next_value()?;
                visitor.visit_byte_buf(BASE64_STANDARD.decode(text.as_bytes()).map_err(A::Error::custom)?)
            }
            Type::List => self.map.next_value_seed(List(visitor)),
            Type::Map => self.map.next_value_seed(Map(visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, A::Error> {
        if self.kind == Type::Null {
            self.map.next_value::<IgnoredAny>()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    /// A variant without data is a text, and any other one a map from its name to its data.
    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        match self.kind {
            Type::Map => self.map.next_value_seed(Map(EnumVisitor { name, variants, visitor })),
            Type::Text => {
                let JsonText(variant) = self.map.next_value()?;
                visitor.visit_enum(variant.into_deserializer())
            }
            _ => Err(A::Error::custom("a variant is a text or a map")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// Gives a JSON text to a visitor.
struct Text<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Text<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, text: D) -> Result<V::Value, D::Error> {
        text.deserialize_str(self.0)
    }
}

/// Gives a JSON array of typed values to a visitor.
struct List<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for List<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> Result<V::Value, D::Error> {
        list.deserialize_seq(self)
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for List<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(TypedValues(values))
    }
}

/// Gives a JSON object of typed values to a visitor.
struct Map<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Map<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, map: D) -> Result<V::Value, D::Error> {
        map.deserialize_map(self)
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Map<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, values: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(TypedValues(values))
    }
}

/// Gives a map of one variant to the visitor of an enum.
struct EnumVisitor<V> {
    name: &'static str,
    variants: &'static [&'static str],
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for EnumVisitor<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        MapAccessDeserializer::new(map).deserialize_enum(self.name, self.variants, self.visitor)
    }
}

/// The values of a JSON array or object, each with its type.
struct TypedValues<A>(A);

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for TypedValues<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(TypedSeed(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for TypedValues<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(TypedSeed(seed))
    }
}

struct TypedSeed<T>(T);

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for TypedSeed<T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<T::Value, D::Error> {
        self.0.deserialize(Typed(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    enum Shape {
        Point,
        Circle { radius: u32 },
        Named(String),
    }

    #[test]
    fn each_type_is_read() {
        assert_eq!(parse::<String>(r#"{"S": "a \"b\" \u00e9\n"}"#).unwrap(), "a \"b\" é\n");
        assert_eq!(parse::<u64>(r#"{"N":"18446744073709551615"}"#).unwrap(), u64::MAX);
        assert_eq!(parse::<i64>(r#"{"N":"-9223372036854775808"}"#).unwrap(), i64::MIN);
        assert!((parse::<f64>(r#"{"N":"1.5e3"}"#).unwrap() - 1500.0).abs() < f64::EPSILON);
        assert!(parse::<bool>(r#"{"BOOL":true}"#).unwrap());
        assert_eq!(parse::<Option<u8>>(r#"{"NULL":true}"#).unwrap(), None);
        assert_eq!(parse::<Option<u8>>(r#"{"N":"7"}"#).unwrap(), Some(7));
        assert_eq!(parse::<Vec<u8>>(r#"{"L":[{"N":"1"},{"N":"2"}]}"#).unwrap(), [1, 2]);
        assert_eq!(parse::<Shape>(r#"{"S":"Point"}"#).unwrap(), Shape::Point);
        let circle = r#"{"M":{"Circle":{"M":{"radius":{"N":"3"},"unknown":{"L":[]}}}}}"#;
        assert_eq!(parse::<Shape>(circle).unwrap(), Shape::Circle { radius: 3 });
        assert_eq!(parse::<Shape>(r#"{"M":{"Named":{"S":"x"}}}"#).unwrap(), Shape::Named("x".to_owned()));
    }

    #[test]
    fn other_values_are_refused() {
        for text in [r#"{"SS":["a"]}"#, "{}", r#""a""#, r#"{"S":"a","N":"1"}"#, r#"{"N":"1"}"#, r#"{"S":"#] {
            assert!(parse::<String>(text).is_err(), "{text}");
        }
        assert!(parse::<Shape>(r#"{"N":"Point"}"#).is_err());
        assert!(parse::<u8>(r#"{"N":"256"}"#).is_err());
        assert!(parse::<i64>(r#"{"N":"one"}"#).is_err());
    }

    #[test]
    fn errors_quote_nothing() {
        let error = parse::<u8>(r#"{"S":"a secret"}"#).unwrap_err();
        let said = observe::log::reason(&error);
        assert!(said.contains("malformed u8") && !said.contains("secret"), "{said}");
    }
}
