//! Custom data: a JSON object that an application attaches, and that Tidings returns as it came.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// Maximum size of the object, in bytes of JSON as it came.
const MAX_BYTES: usize = 1_024;
/// Maximum depth of nested objects and arrays: some parsers refuse documents that are 64 deep.
const MAX_DEPTH: usize = 50;

/// A JSON object of up to 1,024 bytes. It is kept as text, so that its members keep their order and its numbers their
/// digits.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Custom(Box<RawValue>);

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl Eq for Custom {}

impl Custom {
    /// The object as JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }

    /// Reads the object that the store holds; `None` if the text is not JSON. It was checked when it came, perhaps by an
    /// older version with other limits.
    #[must_use]
    pub fn from_json(json: String) -> Option<Self> {
        RawValue::from_string(json).ok().map(Self)
    }
}

/// How deep arrays and objects are nested in a value: 0 in a number.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

impl<'de> Deserialize<'de> for Custom {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let error = serde::de::Error::custom;
        let custom = Self(Box::deserialize(from)?);
        if custom.json().len() > MAX_BYTES {
            return Err(error("a custom object has at most 1,024 bytes of JSON"));
        }
        // Other parsers refuse lone surrogates, deep nesting and numbers out of range.
        match serde_json::from_str(custom.json()) {
            Ok(object @ Value::Object(_)) if depth(&object) <= MAX_DEPTH => Ok(custom),
            _ => Err(error("custom data is no JSON object, or nested too deep")),
        }
    }
}

impl JsonSchema for Custom {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Custom".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "description": "Any JSON object of up to 1,024 bytes, nested at most 50 deep."})
    }
}

/// Stores custom data as text.
pub mod text {
    use super::{Custom, Deserialize, Deserializer, Serializer};

    /// Writes custom data as JSON text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(custom: &Option<Custom>, serializer: S) -> Result<S::Ok, S::Error> {
        match custom {
            Some(custom) => serializer.serialize_str(custom.json()),
            None => serializer.serialize_none(),
        }
    }

    /// Reads custom data from JSON text.
    ///
    /// # Errors
    /// If the text is not a JSON object.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Custom>, D::Error> {
        let json = Option::<String>::deserialize(from)?;
        let parsed = json.map(|json| {
            Custom::from_json(json).ok_or_else(|| serde::de::Error::custom("custom data is no JSON"))
        });
        parsed.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_holds_is_read_whatever_the_limits_are_now() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100), "]".repeat(100));
        assert!(serde_json::from_str::<Custom>(&deep).is_err());
        assert_eq!(Custom::from_json(deep.clone()).unwrap().json(), deep);
        assert_eq!(Custom::from_json("{".to_owned()), None);
    }
}
